"""Numbers from a state: distances against closed forms, tails, entropy, and what E is for."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from spherepde import (
    Circle,
    ContinuityEquation,
    DominantEigenspace,
    Hardmax,
    Head,
    Softmax,
    Sphere,
    Unnormalised,
    exact,
    fisher_bingham,
)
from spherepde.diagnostics import Diagnostics, distance_functional, energy_law, spectral_tail
from spherepde.quadrature import sphere_rule
from spherepde.schedules import Layers
from spherepde.transport.caps import wasserstein_antipodes
from spherepde.transport.costs import Cost
from spherepde.transport.projection import project_to_axis

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded, number

SPACES = {2: Circle(95), 3: Sphere(95)}
UNIFORM = {
    (2, 1): (np.pi**2 / 12, 2 - 4 / np.pi),
    (3, 1): (np.pi - 2, 1.0),
    (3, 2): (np.pi**2 / 4 - 2, 2 - np.pi / 2),
}


def diagnostics(dim, V, beta=10.0, attention=Softmax):
    return Diagnostics(ContinuityEquation(SPACES[dim], attention(Head(V, beta=beta))))


def uniform_state(dim):
    space = SPACES[dim]
    return space.project(lambda x: np.full(x.shape[:-1], 1.0 / space.area))


@pytest.mark.parametrize(("dim", "rank"), list(UNIFORM))
def test_distances_of_the_uniform_density(dim, rank):
    """literature.md C3: uniform → E∩S, where the distance of the density to E is the Wasserstein distance."""
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(dim, dim)))[0]
    V = rotation @ np.diag([1.0, 1.0 if rank == 2 else 0.4, -0.3][:dim]) @ rotation.T
    values = diagnostics(dim, V).measure(uniform_state(dim))
    geodesic, chordal = UNIFORM[dim, rank]
    assert values["distance_to_E"] ** 2 == pytest.approx(geodesic, abs=2e-14)
    assert values["distance_to_E_chordal"] ** 2 == pytest.approx(chordal, abs=2e-14)


@pytest.mark.parametrize("dim", [2, 3])
def test_distances_of_a_smooth_density_by_brute_force(dim):
    rho = fisher_bingham([0.3, -0.8, 0.5][:dim], np.diag([0.4, 0.0, -0.6][:dim]))
    head = Head(np.diag([0.2, 1.0, -0.5][:dim]))
    target = DominantEigenspace(head.A)
    fine = SPACES[dim].refined(511)
    x = fine.points.reshape(-1, dim)
    measure = fine.weights.ravel() * rho(x)
    values = diagnostics(dim, head.V).measure(SPACES[dim].project(rho))
    brute = np.sqrt(np.sum(measure * target.angle(x) ** 2))  # the kink costs this sum its digits, not the functional
    assert values["distance_to_E"] == pytest.approx(brute, abs=1e-5)
    brute = np.sqrt(np.sum(measure * 4 * np.sin(target.angle(x) / 2) ** 2))
    assert values["distance_to_E_chordal"] == pytest.approx(brute, abs=1e-5)
    side = np.sum(measure[x[:, 1] > 0]) + 0.5 * np.sum(measure[np.abs(x[:, 1]) < 1e-13])
    assert values["hemisphere_mass"] == pytest.approx(side, abs=2e-3)
    assert values["entropy"] == pytest.approx(np.sum(measure * np.log(rho(x))), abs=1e-10)


@pytest.mark.parametrize("dim", [2, 3])
def test_hemisphere_mass_of_a_linear_density(dim):
    """rho = (1 + a x₁)/|S| holds 1/2 + a/π (circle) or 1/2 + a/4 (sphere) where x₁ > 0."""
    space, a = SPACES[dim], 0.6
    u = space.project(lambda x: (1 + a * x[..., 0]) / space.area)
    expected = 0.5 + a / (np.pi if dim == 2 else 4.0)
    values = diagnostics(dim, np.diag([1.0, 0.2, 0.1][:dim])).measure(u)
    assert values["hemisphere_mass"] == pytest.approx(expected, abs=1e-14)


def test_everything_is_no_distance():
    space = SPACES[3]
    assert not distance_functional(space, DominantEigenspace(np.eye(3)), chordal=False).any()


def test_several_heads_have_no_eigenspace_of_their_own():
    heads = [Head(np.eye(2)), Head(np.diag([1.0, 0.0]))]
    quantities = Diagnostics(ContinuityEquation(SPACES[2], Softmax(heads))).quantities
    assert not [name for name in quantities if name.startswith(("distance", "hemisphere"))]


@pytest.mark.parametrize("dim", [2, 3])
def test_spectral_tail(dim):
    space = SPACES[dim]
    u = np.zeros(space.n_modal, complex)
    u[0] = 1.0
    assert spectral_tail(space, u) < 1e-15
    edge = int(np.flatnonzero(space.degree == 2 * space.lmax // 3)[0])
    u[edge] = 1.0
    assert spectral_tail(space, u) < 1e-15
    u[int(np.flatnonzero(space.degree == 2 * space.lmax // 3 + 1)[0])] = 1e-3
    assert 1e-4 < spectral_tail(space, u) < 1e-3


@pytest.mark.parametrize("attention", [Softmax, Unnormalised])
def test_speed_bounds(attention):
    rho = fisher_bingham([0.3, -0.8, 0.5], np.zeros((3, 3)))
    watched = diagnostics(3, np.diag([1.0, 0.4, -0.3]), attention=attention)
    u = SPACES[3].project(rho)
    values = watched.measure(u)
    field = watched.equation.field.velocity(u)
    assert values["max_speed"] == pytest.approx(np.sqrt((field**2).sum(axis=0)).max(), rel=1e-14)


def test_energies_of_several_heads_are_recorded_where_they_exist():
    B, skew = np.diag([1.0, -0.5]), np.array([[1.0, 0.2], [-0.2, 1.0]])
    state = SPACES[2].project(fisher_bingham([0.3, -0.8], np.zeros((2, 2))))
    for heads, several in (([Head(B, B), Head(-B, B)], True), ([Head(B, B), Head(B, skew)], False)):
        watched = Diagnostics(ContinuityEquation(SPACES[2], Unnormalised(heads, combine="mean")))
        quantities, values = watched.quantities, watched.measure(state)
        assert set(values) == set(quantities)
        assert all(np.shape(values[name]) == spec.shape for name, spec in quantities.items())
        assert {"energy", "dissipation", "head_energy"} <= set(values) or not several
        assert several == ("energy" in values) == ("head_energy" in values)
        assert quantities["attention_entropy"].dims == ("head",)
        if several:
            assert values["energy"] == pytest.approx(values["head_energy"].mean(), rel=1e-15)
    for model in (Softmax(Head(B, B)), Hardmax(Head(B))):
        names = Diagnostics(ContinuityEquation(SPACES[2], model)).measure(state)
        assert "head_energy" not in names and ("attention_entropy" in names) == (model.name == "softmax")


def test_law_of_the_energy_in_words():
    head = Head(2.0 * np.diag([1.0, -0.5]), np.diag([1.0, -0.5]))
    flowing = energy_law(ContinuityEquation(SPACES[2], Unnormalised(head)))
    assert flowing.startswith("transport never lowers it: Wasserstein gradient flow, V = c B with c = 2")
    diffusing = energy_law(ContinuityEquation(SPACES[2], Softmax(head), diffusion=0.1))
    assert diffusing.endswith("the rate recorded is by transport alone, diffusion adds its own")
    rotating = Head(np.eye(2), [[0.0, 1.0], [-1.0, 0.0]])
    assert energy_law(ContinuityEquation(SPACES[2], Softmax(rotating), diffusion=0.1)) == (
        "no energy: B is not symmetric"
    )
    assert "hardmax has none" in energy_law(ContinuityEquation(SPACES[2], Hardmax(head)))


def test_law_of_layers_names_the_layer_and_the_head():
    """Stated where it is known; of a function of time it is not."""
    B, skew = np.diag([1.0, -0.5]), [[1.0, 0.2], [-0.2, 1.0]]

    def law(heads, **options):
        return energy_law(ContinuityEquation(SPACES[2], Softmax(heads), **options))

    even, odd = [Head(B), Head(B, beta=3.0)], [Head(B), Head(B, skew)]
    assert law(Layers([even, even, odd], layer_time=1.0)) == (
        "no energy: B of layer 2, head 1 (counted from 0) is not symmetric"
    )
    assert law(Layers([odd[1], even[0]], layer_time=1.0, interpolate=True)) == (
        "no energy: B of layer 0 (counted from 0) is not symmetric"
    )
    assert "not every B is known to be symmetric" in law(lambda t: Head(B, beta=1.0 + t))
    assert law(Layers([even, even], layer_time=1.0), diffusion=0.1) == (
        "each layer has its own energy; the rate recorded is by transport alone, diffusion adds its own"
    )
    assert law(Layers(even, layer_time=1.0, interpolate=True)).startswith("heads change with time, and the energy with")


def test_energies_too_small_for_the_scale_of_the_file_are_announced():
    """β = 1 then 900: e^{−899} is no number, and the file says whose energies are lost; 600 are still told apart."""
    space, V = Circle(15), np.diag([1.0, 0.5])
    state = space.project(fisher_bingham([0.3, -0.8]))
    for beta, lost in ((900.0, True), (600.0, False)):
        watched = Diagnostics(
            ContinuityEquation(space, Softmax(Layers([Head(V, beta=1.0), Head(V, beta=beta)], layer_time=1.0)))
        )
        assert (watched.measure(state)["energy"] == 0.0) == lost
        said = (
            "energies of 1 of 2 layers (the first: layer 0, counted from 0) are too small for the one scale of the file"
        )
        assert (f"{said}, e^900, and stored as 0" in energy_law(watched.equation)) == lost
        assert "0 where beta |B| is smaller by more than about 700" in watched.quantities["energy"].long_name
    constant = Diagnostics(ContinuityEquation(space, Softmax(Head(V))))
    assert "smaller" not in constant.quantities["energy"].long_name


def test_measuring_does_not_touch_the_state_and_repeats():
    """Buffers are reused from one call to the next: a state measured again, after another one, gives the same bits."""
    watched = diagnostics(3, np.diag([1.0, 0.4, -0.3]), attention=Unnormalised)
    first, second = (SPACES[3].project(fisher_bingham(a)) for a in ([0.3, -0.8, 0.5], [0.1, 0.2, 0.9]))
    kept = first.copy()
    before = watched.measure(first)
    watched.measure(second)
    after = watched.measure(first)
    assert np.array_equal(kept, first)
    assert all(np.array_equal(before[name], after[name]) for name in before)


WASSERSTEIN = {
    f"wasserstein_{c.p:g}_{c.ground}": c for c in (Cost(p, g) for p in (1, 2) for g in ("geodesic", "chordal"))
}


def started(dim, V, rho, **options):
    """Diagnostics whose limit is that of a density, with the density's state."""
    watched = diagnostics(dim, V, **options)
    state = SPACES[dim].project(rho)
    watched.start(state)
    return watched, state


@pytest.mark.parametrize("dim", [2, 3])
def test_distances_to_the_limit_by_an_independent_solver(dim):
    """Away from the start the masses differ, and a slab pays: adaptive quadrature of the density says how much."""
    V = np.diag([0.2, 1.0, -0.5][:dim])
    initial = fisher_bingham([0.3, -0.8, 0.5][:dim], np.diag([0.4, 0.0, -0.6][:dim]))
    later = fisher_bingham([-0.4, 0.5, 0.3][:dim], np.diag([0.0, 0.7, -0.2][:dim]))
    watched, _ = started(dim, V, initial)
    e = np.eye(dim)[1]
    expected = project_to_axis(initial, e)
    number(f"S{dim - 1}: mass of the limit at +e", watched.limit.masses[0], expected.weights[0], atol=1e-14)
    values = watched.measure(SPACES[dim].project(later))
    for name, cost in WASSERSTEIN.items():
        found = wasserstein_antipodes(later, e, float(expected.weights[0]), cost)
        number(f"S{dim - 1}: {name}", values[name], found.value, atol=1e-14)
        assert values[f"{name}_lower"] < values[name] < values[f"{name}_upper"]


@pytest.mark.parametrize(("dim", "rank"), list(UNIFORM))
def test_distances_of_the_uniform_density_to_its_limit(dim, rank):
    """C3, at the start, where the bounds meet; whatever the axis."""
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(dim, dim)))[0]
    V = rotation @ np.diag([1.0, 1.0 if rank == 2 else 0.4, -0.3][:dim]) @ rotation.T
    watched, state = started(dim, V, lambda x: np.full(x.shape[:-1], 1.0 / SPACES[dim].area))
    values = watched.measure(state)
    values |= watched.solve(state, values)
    for ground, expected in zip(("geodesic", "chordal"), UNIFORM[dim, rank], strict=True):
        name = f"wasserstein_2_{ground}"
        number(f"uniform, dim {dim}, dim E = {rank}, {name}^2", values[name] ** 2, expected, atol=1e-13)
        bounded("gap of the bounds", values[f"{name}_upper"] - values[f"{name}_lower"], 1e-13)


def test_distance_to_a_density_on_a_great_circle_by_linear_programming():
    """dim E = 2: exact transport between two discretisations comes closer as both are refined (80: 1.2e-3 at worst)."""
    import ot

    initial, later = fisher_bingham([0.3, 0.6, 0.0]), fisher_bingham([0.0, 0.5, 0.4], np.diag([0.0, 0.0, -3.0]))
    watched, _ = started(3, np.diag([1.0, 1.0, -0.5]), initial)
    state = SPACES[3].project(later)
    values = watched.measure(state)
    values |= watched.solve(state, values)
    errors = {}
    for degree in (20, 40):
        angle = 2.0 * np.pi * (np.arange(4 * degree) + 0.5) / (4 * degree)
        atoms = np.stack([np.cos(angle), np.sin(angle)], axis=-1) @ np.array(watched.limit.basis).T
        fine = 2.0 * np.pi * np.arange(512) / 512  # the initial density's image, by quadrature along meridians
        latitude, weight = 0.5 * np.pi * np.polynomial.legendre.leggauss(60)[0], np.polynomial.legendre.leggauss(60)[1]
        ring = np.stack([np.cos(fine), np.sin(fine)], axis=-1) @ np.array(watched.limit.basis).T
        normal = np.cross(*np.array(watched.limit.basis).T)
        points = np.cos(latitude)[:, None, None] * ring + np.sin(latitude)[:, None, None] * normal
        image = np.einsum("i,ij->j", 0.5 * np.pi * weight * np.cos(latitude), initial(points))
        masses = np.interp(angle, fine, image, period=2.0 * np.pi)
        x, weights = sphere_rule(3, degree)
        weights = weights * later(x)
        for name, cost in WASSERSTEIN.items():
            plan = ot.emd2(weights / weights.sum(), masses / masses.sum(), cost.between(x[:, None], atoms[None]))
            errors[degree, name] = abs(plan ** (1 / cost.p) / float(values[name]) - 1.0)
    for name in WASSERSTEIN:
        bounded(f"{name} against a linear program, degree 40", errors[40, name], 1e-2)
        bounded(f"{name}: error at degree 40 over that at 20", errors[40, name] / errors[20, name], 0.5)
        assert values[f"{name}_lower"] < values[name] < values[f"{name}_upper"]


def test_oblique_limit_is_where_the_flow_goes():
    """A = [[1, 0.6], [0, 0.5]]: points go to ±e₁, the side by the left eigenvector (5, 6)/√61, as the exact flow."""
    A, rho = np.array([[1.0, 0.6], [0.0, 0.5]]), fisher_bingham([0.3, 0.8])
    watched, state = started(2, A, rho)
    angle = 2.0 * np.pi * (np.arange(20000) + 0.5) / 20000
    x = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    image = exact.hardmax_flow(Head(A), x, 40.0)
    assert np.abs(image[:, 1]).max() < 1e-4
    carried = np.mean(rho(x) * (image[:, 0] > 0)) * 2.0 * np.pi
    number("oblique limit: mass at +e", watched.limit.masses[0], carried, atol=1e-4)
    number("left eigenvector", watched.limit.separating[1] / watched.limit.separating[0], 1.2, atol=1e-14)
    assert "not apply" in watched.limit.theorem
    values = watched.measure(state)
    assert values["wasserstein_2_geodesic_upper"] - values["wasserstein_2_geodesic_lower"] > 0.1


@pytest.mark.parametrize(
    "A",
    [np.eye(3), [[1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.3]], [[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0, 0, 0.2]]],
    ids=["E everything", "complex pair", "Jordan block"],
)
def test_no_limit_no_series(A):
    watched, state = started(3, np.array(A), fisher_bingham([0.3, 0.8, 0.1]))
    assert watched.limit is None
    assert not [name for name in watched.measure(state) if name.startswith("wasserstein")]
    assert not [name for name in watched.quantities if name.startswith("wasserstein")]


def test_limits_survive_json_bit_for_bit():
    for V in (np.diag([1.0, 0.3, 0.1]), np.diag([1.0, 1.0, 0.1]), [[1.0, 0.6, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.1]]):
        watched, _ = started(3, np.array(V), fisher_bingham([0.3, 0.8, 0.1]))
        other = diagnostics(3, np.array(V))
        other.limit_from_json(json.loads(json.dumps(watched.limit.to_json())))
        assert other.limit == watched.limit
