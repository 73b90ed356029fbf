"""C28: the density and plain interacting tokens, which share no code, agree as the number of tokens grows."""

import time
import numpy as np
import pytest
from physics_helpers import bounded, number, space_of

from spherepde import tokens
from spherepde.attention import Softmax
from spherepde.densities import fisher_bingham
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.simulation import Simulation

def start(dim):
    return fisher_bingham([0.3, 0.6, -0.2][:dim], np.array([[0.0, 0.3, 0.2], [0.3, 0.0, 0.0], [0.2, 0.0, 0.0]])[:dim, :dim])

def density_moments(heads, dim, lmax, until, **options):
    space = space_of(dim, lmax)
    sim = Simulation(ContinuityEquation(space, Softmax(heads, **options)), start(dim), rtol=1e-10, progress=False)
    r = sim.run(until=until)
    print(r.reason, r.values['spectral_tail'])
    return np.concatenate([r.values['mean'], r.values['second_moment'].ravel()])

def token_moments(heads, x, until, w=None, rtol=1e-9, **o):
    t=time.time()
    end = tokens.simulate_tokens(heads, x, [until], weights=w, rtol=rtol, atol=rtol*1e-2, **o)[0]
    mean, second = tokens.moments(end, w)
    print(len(x), 'took', time.time()-t)
    return np.concatenate([mean, second.ravel()])

def test_a():
    h = Head(np.array([[0.8,0.3],[-0.2,0.4]]), beta=8.)
    d = density_moments(h, 2, 127, 1.)
    for n in (8,16,24,32,48,64,125,250,500,1000):
        m = token_moments(h, tokens.circle_quantiles(start(2), n), 1., rtol=1e-11)
        print(n, abs(m-d).max())
def test_b():
    h = Head(np.diag([1.,.4,-.3]), beta=6.)
    d = density_moments(h, 3, 63, 1.)
    for n in (8,12,16,20,24,32,40,48):
        x,w = tokens.gauss_tokens(start(3), n)
        m = token_moments(h, x, 1., w, rtol=1e-10)
        print(n, len(x), abs(m-d).max())
    for n in (64,256,1024):
        e=[abs(token_moments(h, tokens.sample_tokens(start(3),3,n,s), 1., None, rtol=1e-5)-d).max() for s in range(3)]
        print(n, e)
def test_c():
    rng=np.random.default_rng(5)
    hs=[Head(np.array([[0.8, 0.4, -0.2], [-0.3, 0.4, 0.1], [0.2, 0.5, -0.4]]), Q=rng.normal(size=(2,3))*.7, K=rng.normal(size=(2,3))*.7, beta=2.), Head(np.diag([-.5,.6,.2]), Q=rng.normal(size=(4,3))*.4, K=rng.normal(size=(4,3))*.4, beta=3.)]
    print([np.linalg.svd(h.B)[1]*h.beta for h in hs])
    t=time.time()
    d = density_moments(hs, 3, 23, 0.5, combine='mean')
    print('time', time.time()-t)
    for n in (12,16,20,24,32,40):
        x,w = tokens.gauss_tokens(start(3), n)
        m = token_moments(hs, x, .5, w, rtol=1e-10, combine='mean')
        print(n, len(x), abs(m-d).max())
