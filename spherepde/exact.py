r"""Solutions of the mean-field equation known in closed form, to judge the solver by.

Nothing here shares code with the solver: only matrices (``heads``), errors, numpy and scipy. Densities are with
respect to the surface measure and have integral 1; on the circle the angle runs over :math:`[0,2\pi)`; time is
dimensionless. The labels C1, C6, … are those of the project's list of checks.

* C1, hardmax with B a scaled rotation: :func:`hardmax_flow`, :func:`hardmax_density`;
* C17 and C18, V = I at β → 0: ``poisson_*``, on the circle and on any sphere;
* C12, growth of small perturbations of the uniform density: :func:`growth_rate`;
* C15, interaction energies of extreme densities: ``energy_*``;
* C8, V = −I at β → ∞ is the heat equation: :func:`heat_decay`, :func:`heat_circle`;
* C6, a single collapsed cluster: :func:`dirac_path`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, lgamma, log, pi

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import hyp0f1, hyp2f1, ive

from .errors import InputError, NumericalError
from .heads import Head

Array = NDArray[np.float64]
Density = Callable[[Array], Array]

EXPONENT_LIMIT = 600.0
"""Exponents up to here keep every intermediate inside float64 (whose own limit is 709)."""


def _array(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)


def _normalised(vectors: Array) -> Array:
    return vectors / _array(np.linalg.norm(vectors, axis=-1, keepdims=True))


def _unit_points(what: str, points: ArrayLike, dim: int) -> Array:
    x = _array(points)
    if x.ndim != 2 or x.shape[1] != dim or not np.all(np.abs(np.linalg.norm(x, axis=1) - 1.0) < 1e-8):
        raise InputError(f"{what}: expected unit vectors of shape (n, {dim}), got an array of shape {x.shape}")
    return x


def _exponential(what: str, matrix: Array, time: float) -> Array:
    r"""The traceless part's exponential :math:`e^{t(A-\mathrm{tr}A/d)}`: same directions, determinant 1."""
    dim = matrix.shape[0]
    traceless = matrix - np.trace(matrix) / dim * np.eye(dim)
    size = float(np.linalg.norm(traceless, 2))
    if not dim * size * abs(time) <= EXPONENT_LIMIT:
        raise InputError(f"{what}: time {time:g} takes the matrix exponential out of the range of floats")
    if np.abs(traceless - traceless.T).max() <= 1e-14 * size:
        values, vectors = np.linalg.eigh(traceless)
        return _array((vectors * np.exp(time * values)) @ vectors.T)
    return _array(expm(time * traceless))


def _hardmax_exponential(head: Head, time: float) -> Array:
    factors = head.scaled_orthogonal()
    if factors is None or factors[0] == 0.0:
        raise InputError("exact hardmax solution: expected B = s·O with s > 0 and O orthogonal, got another matrix B")
    return _exponential("exact hardmax solution", head.A / factors[0], time)


def hardmax_flow(head: Head, points: ArrayLike, time: float) -> Array:
    r"""Where the zero-temperature flow carries points, for B = s·O with O orthogonal (C1).

    .. math:: \dot x=P_x\frac{Ax}{|B^\top x|},\quad A=VB^\top:\qquad
              x(t)=\frac{e^{\tau A}x_0}{|e^{\tau A}x_0|},\quad \tau=t/s

    because :math:`|B^\top x|=s` on the whole sphere. V is any matrix; negative times run backwards.
    ``points`` (n, d) unit vectors; returns (n, d). Raises InputError if B is not a scaled orthogonal matrix or
    :math:`d\,|\tau|\,\|A\|` exceeds 600 (A less its trace). Points that start next to an unstable direction
    amplify the rounding of x and A by :math:`e^{g\tau}`, g the spread of the spectrum.
    """
    x = _unit_points("exact hardmax solution", points, head.dim)
    return _normalised(x @ _hardmax_exponential(head, time).T)


def hardmax_density(head: Head, initial_density: Density, time: float, points: ArrayLike) -> Array:
    r"""The zero-temperature density at later times, for B = s·O with O orthogonal (C1).

    .. math:: \rho_t(x)=\rho_0\!\left(\frac{y}{|y|}\right)\det(e^{-\tau A})\,|y|^{-d},\qquad
              y=e^{-\tau A}x,\quad A=VB^\top,\quad \tau=t/s

    the transport of :math:`\rho_0` by :func:`hardmax_flow`: the projective image of a linear map M has Jacobian
    :math:`|\det M|\,|Mx|^{-d}`. Uniform data give the angular central Gaussian density.
    ``initial_density`` maps unit vectors (n, d) to (n,); ``points`` (n, d); returns (n,). V is any matrix.
    Raises InputError as :func:`hardmax_flow` does. Valid while :math:`\rho_0>0` everywhere (otherwise hardmax itself is
    undefined); near a concentration point the value amplifies the rounding of x by :math:`e^{g\tau}`.
    """
    origin = _unit_points("exact hardmax solution", points, head.dim) @ _hardmax_exponential(head, -time).T
    length = np.linalg.norm(origin, axis=1)
    initial = _array(initial_density(origin / length[:, None]))
    if initial.shape != length.shape:
        raise InputError(f"exact hardmax solution: the initial density returned {initial.shape}, not {length.shape}")
    return _array(initial * length ** (-head.dim))


def _inside(offset: ArrayLike) -> Array:
    w = _array(offset)
    if not np.all(np.abs(w) < 1.0):
        raise InputError(f"Poisson kernel: expected a radius between -1 and 1, both excluded, got {offset!r}")
    return w


def poisson_radius(initial_radius: float, time: ArrayLike) -> Array:
    r"""Order parameter r(t) of the Kuramoto flow on the circle, from a Poisson kernel (C17).

    .. math:: \dot r=\tfrac12 r(1-r^2),\qquad r(t)=\left[1+(r_0^{-2}-1)e^{-t}\right]^{-1/2}

    Softmax or unnormalised attention with V = I in the limit β → 0, where :math:`v=P_x\int y\,d\rho` whatever
    B is. On the circle the kernel's parameter r, its mean and the offset w of :func:`poisson_offset` coincide.
    Returns the shape of ``time``. Raises InputError unless |r₀| < 1.
    """
    r = float(_inside(initial_radius))
    return _array(r / np.sqrt(r * r + (1.0 - r * r) * np.exp(-_array(time))))


def poisson_kernel_circle(radius: float, angles: ArrayLike) -> Array:
    r"""Poisson kernel :math:`\frac{1-r^2}{2\pi(1-2r\cos\theta+r^2)}` on the circle: mean r in direction θ = 0 (C17).

    The denominator is summed as :math:`(1-r)^2+4r\sin^2(\theta/2)`, without cancellation for r near 1; a negative
    r is the same kernel turned by π. Returns the shape of ``angles``. Raises InputError unless |r| < 1.
    """
    r, half = abs(float(_inside(radius))), 0.5 * _array(angles)
    across = np.sin(half) if radius >= 0.0 else np.cos(half)
    return _array((1.0 - r) * (1.0 + r) / (2.0 * pi * ((1.0 - r) ** 2 + 4.0 * r * across**2)))


def _mean(dim: int, w: Array) -> Array:
    return _array(2.0 * (dim - 1) / dim * w * hyp2f1(1.0, 1.0 - 0.5 * dim, 1.0 + 0.5 * dim, w * w))


def poisson_mean(dim: int, offset: ArrayLike) -> Array:
    r"""Mean m(w), along its axis, of the density :func:`poisson_kernel` with offset w (C18).

    .. math:: m(w)=\frac{2(d-1)}{d}\,w\;{}_2F_1\!\left(1,1-\tfrac d2;1+\tfrac d2;w^2\right)

    the hyperbolic-harmonic extension of the coordinate function into the ball. d = 2: m = w. d = 3:
    :math:`\frac{1+w^2}{2w}-\frac{(1-w^2)^2}{4w^2}\ln\frac{1+w}{1-w}`, here without that form's cancellation.
    Odd in w, returns the shape of ``offset``; accurate to 1e-15. Raises InputError unless d ≥ 2 and |w| < 1.
    """
    if dim < 2:
        raise InputError(f"Poisson kernel: expected dim >= 2, got {dim}")
    return _mean(dim, _inside(offset))


def poisson_offset(dim: int, initial_offset: float, time: ArrayLike) -> Array:
    r"""Offset w(t) of the Poisson kernel moved by its own mean on :math:`S^{d-1}` (C18).

    .. math:: \dot w=\tfrac12(1-w^2)\,m(w)

    The velocity is :math:`v=P_x\int y\,d\rho(y)`: softmax or unnormalised attention with V = I as β → 0, for any
    B. Such flows are Möbius maps of the sphere, so that :func:`poisson_kernel` keeps its form. In d = 2, m(w) = w
    and this is :func:`poisson_radius`; in d ≥ 3 the offset is *not* the mean: that is :func:`poisson_mean`.

    Integrated as a hyperbolic distance u, :math:`w=\tanh(u/2)`, :math:`\dot u=m`, by DOP853 with relative tolerance
    1e-13, all times at once. Returns the shape of ``time`` (any sign), to 1e-12; 1 − w is only as good as the
    rounding of w. Raises InputError unless d ≥ 2 and |w₀| < 1, NumericalError if the integrator gives up.
    Source: arXiv 1907.07150 (Lipton, Mirollo, Strogatz) for the reduction; the mean is derived here.
    """
    poisson_mean(dim, initial_offset)  # refuses what is not a kernel
    t = _array(time)
    if initial_offset == 0.0 or t.size == 0:
        return np.zeros(t.shape)

    def rate(_: float, u: Array) -> Array:
        return t.ravel() * _mean(dim, np.tanh(0.5 * u))

    distance = np.full(t.size, 2.0 * np.arctanh(initial_offset))
    solution = solve_ivp(rate, (0.0, 1.0), distance, method="DOP853", rtol=1e-13, atol=1e-300)
    if not solution.success:
        raise NumericalError(f"Poisson kernel offset: the integrator stopped ({solution.message})")
    return _array(np.tanh(0.5 * solution.y[:, -1])).reshape(t.shape)


def poisson_kernel(points: ArrayLike, offset_vector: ArrayLike) -> Array:
    r"""Density :math:`\frac1{|S^{d-1}|}\left(\frac{1-|w|^2}{|x-w|^2}\right)^{d-1}` on the sphere (C18).

    The image of the uniform density under the Möbius map of the ball that takes 0 to w. For d ≥ 3 the exponent
    d − 1 makes it the hyperbolic Poisson kernel, not the harmonic one. ``points`` (n, d) unit vectors,
    ``offset_vector`` (d,) with |w| < 1; returns (n,), integral 1. Raises InputError otherwise.
    """
    w = _array(offset_vector)
    if w.ndim != 1 or w.size < 2 or not np.linalg.norm(w) < 1.0:
        raise InputError(f"Poisson kernel: expected an offset vector inside the unit ball, got {w.tolist()}")
    x = _unit_points("Poisson kernel", points, w.size)
    radius = float(np.linalg.norm(w))
    ratio = (1.0 - radius) * (1.0 + radius) / np.sum((x - w) ** 2, axis=1)
    area = 2.0 * exp(0.5 * w.size * log(pi) - lgamma(0.5 * w.size))
    return _array(ratio ** (w.size - 1) / area)


def _check_temperature(what: str, dim: int, beta: float, bounded: bool) -> None:
    if dim < 2 or not 0.0 < beta < np.inf:
        raise InputError(f"{what}: expected dim >= 2 and a finite beta > 0, got dim={dim}, beta={beta:g}")
    if bounded and beta > EXPONENT_LIMIT:
        raise InputError(f"{what}: expected beta <= {EXPONENT_LIMIT:g} where exp(beta) is not scaled, got {beta:g}")


def growth_rate(dim: int, beta: float, degree: ArrayLike, attention: str, diffusion: float = 0.0) -> Array:
    r"""Exponential rate of a degree-l perturbation of the uniform density, V = B = I (C12).

    .. math:: \gamma_l^{\rm softmax}=l(l+d-2)\Big[\frac{I_{l+d/2-1}(\beta)}{\beta I_{d/2-1}(\beta)}-\kappa\Big],\quad
              \gamma_l^{\rm unnormalised}=l(l+d-2)\Big[\frac{\Gamma(\frac d2)}{\beta}
              \Big(\frac2\beta\Big)^{\frac d2-1}I_{l+\frac d2-1}(\beta)-\kappa\Big]

    κ = ``diffusion``. For V = −I the attention part changes sign. ``degree`` is any array of l ≥ 0; returns its
    shape. Raises InputError for an unknown attention, dim < 2, β ≤ 0, negative degrees, unnormalised β > 600, and
    where the Bessel function of order d/2 − 1 itself underflows (β ≪ d in very high dimension).
    """
    if attention not in ("softmax", "unnormalised"):
        raise InputError(f'growth rate: expected attention "softmax" or "unnormalised", got {attention!r}')
    _check_temperature("growth rate", dim, beta, attention == "unnormalised")
    l = _array(degree)
    base = float(ive(0.5 * dim - 1.0, beta))
    if np.any(l < 0) or base < 1e-280:
        raise InputError(f"growth rate: expected degrees >= 0 and beta not tiny against dim={dim}, got beta={beta:g}")
    ratio = ive(l + 0.5 * dim - 1.0, beta) / base
    zeroth = 1.0 if attention == "softmax" else float(hyp0f1(0.5 * dim, 0.25 * beta * beta))
    return _array(l * (l + dim - 2) * (zeroth * ratio / beta - diffusion))


def energy_uniform(dim: int, beta: float, scaled: bool = False) -> float:
    r"""Energy :math:`\frac1{2\beta}\iint e^{\beta\langle x,y\rangle}d\rho\,d\rho` of the uniform density (C15).

    .. math:: \frac{1}{2\beta}\Gamma(\tfrac d2)\left(\tfrac2\beta\right)^{\frac d2-1}I_{\frac d2-1}(\beta)

    times :math:`e^{-\beta}` if ``scaled``. Raises InputError for dim < 2, β ≤ 0, and for β > 600 unless scaled.
    """
    _check_temperature("energy of the uniform density", dim, beta, not scaled)
    if beta <= EXPONENT_LIMIT:
        return float(hyp0f1(0.5 * dim, 0.25 * beta * beta)) * (exp(-beta) if scaled else 1.0) / (2.0 * beta)
    order = 0.5 * dim - 1.0
    return exp(lgamma(0.5 * dim) + order * log(2.0 / beta)) * float(ive(order, beta)) / (2.0 * beta)


def energy_dirac(beta: float, scaled: bool = False) -> float:
    r"""Energy :math:`e^\beta/(2\beta)` of a single point, the largest possible; else as :func:`energy_uniform`."""
    _check_temperature("energy of a point", 2, beta, not scaled)
    return (1.0 if scaled else exp(beta)) / (2.0 * beta)


def energy_antipodal_pair(beta: float, scaled: bool = False) -> float:
    r"""Energy :math:`\cosh\beta/(2\beta)` of two opposite points of equal mass; else as :func:`energy_uniform`."""
    _check_temperature("energy of an antipodal pair", 2, beta, not scaled)
    return 0.5 * (1.0 + exp(-2.0 * beta)) * energy_dirac(beta, scaled)


def heat_decay(dim: int, degree: ArrayLike, time: ArrayLike, diffusion: float = 1.0) -> Array:
    r"""Factor :math:`e^{-l(l+d-2)\kappa t}` of degree l under the heat equation on :math:`S^{d-1}`.

    κ = ``diffusion``; ``degree`` and ``time`` are broadcast together. Raises InputError for dim < 2.
    """
    if dim < 2:
        raise InputError(f"heat equation: expected dim >= 2, got {dim}")
    l = _array(degree)
    return _array(np.exp(-l * (l + dim - 2) * diffusion * _array(time)))


def heat_circle(fourier_coefficients: ArrayLike, time: float, angles: ArrayLike, diffusion: float = 1.0) -> Array:
    r"""Heat equation on the circle from its Fourier coefficients (C8).

    .. math:: \rho(t,\theta)=\frac1{2\pi}\Big[c_0+2\,\mathrm{Re}\sum_{k\ge1}c_ke^{-k^2\kappa t+ik\theta}\Big],\quad
              c_k=\int_0^{2\pi}\rho_0(\theta)e^{-ik\theta}d\theta

    so c₀ is the mass. Softmax with V = −I, B = I tends to it at time βt as β → ∞, with an error of order 1/β
    (arXiv 2509.25040, Proposition 3.9). ``fourier_coefficients`` (K+1,) complex; returns the shape of ``angles``.
    Negative times amplify the coefficients without warning. Raises InputError for coefficients of another shape.
    """
    c = np.asarray(fourier_coefficients, dtype=np.complex128)
    if c.ndim != 1 or c.size == 0:
        raise InputError(f"heat equation: expected one row of Fourier coefficients, got shape {c.shape}")
    k = np.arange(c.size)
    c = c * heat_decay(2, k, time, diffusion) * np.where(k == 0, 1.0, 2.0)
    waves = np.exp(1j * np.multiply.outer(_array(angles), k))
    return _array((waves @ c).real / (2.0 * pi))


def dirac_path(V: ArrayLike, start: ArrayLike, time: ArrayLike) -> Array:
    r"""Path of a collapsed cluster under softmax attention (C6).

    .. math:: \dot x=P_xVx,\qquad x(t)=\frac{e^{tV}x_0}{|e^{tV}x_0|}

    whatever β and B: a point attends only to itself. (Unnormalised attention runs through the same path at speed
    :math:`e^{\beta\langle x,Bx\rangle}`.) ``V`` (d, d), ``start`` a unit vector (d,); returns the shape of ``time``
    with d appended. Raises InputError if shapes do not fit or :math:`d\,|t|\,\|V\|` exceeds 600 (V less its trace).
    """
    matrix, times = Head(V).V, _array(time)
    x = _unit_points("path of a cluster", _array(start)[None], matrix.shape[0])[0]
    path = [_normalised(_exponential("path of a cluster", matrix, float(t)) @ x) for t in times.ravel()]
    return np.array(path).reshape(*times.shape, x.size)
