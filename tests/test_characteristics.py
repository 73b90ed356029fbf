"""Characteristics: the recorded velocity and its derivative, flow maps, samples, regions, and what is refused."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from spherepde import (
    Characteristics,
    Circle,
    ContinuityEquation,
    Hardmax,
    Head,
    InputError,
    Layers,
    NumericalError,
    RunFile,
    Simulation,
    Softmax,
    Sphere,
    Unnormalised,
    fisher_bingham,
    from_callable,
    uniform,
    von_mises_fisher,
)
from spherepde.characteristics import RecordedVelocity, flow_map
from spherepde.characteristics.flow import move_points
from spherepde.characteristics.mean_tokens import SourceMoments, largest_partition, softmax_tokens
from spherepde.characteristics.record import RecordedMoments, StoredMoments
from spherepde.exact import hardmax_flow
from spherepde.plots import Record, plot_run
from spherepde.plots.windows import (
    carried,
    cluster_window,
    inside,
    mass_inside,
    offsets_of,
    window_about,
    window_points,
)
from spherepde.plots.zoom import draw_zoom, zoom_figure
from spherepde.quadrature import sphere_rule

MODELS = (Softmax, Unnormalised, Hardmax)
SKEW = np.array([[0.9, 0.3, -0.2], [-0.4, 0.5, 0.1], [0.2, 0.7, -0.6]])
BETA = {Softmax: 20.0, Unnormalised: 3.0, Hardmax: 1.0}


def points_on(dim, count, seed=0):
    x = np.random.default_rng(seed).standard_normal((count, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def turn(dim):
    return np.linalg.qr(SKEW[:dim, :dim])[0]


def scores(dim):
    stretch = np.diag([1.0, 0.5, 0.4][:dim])
    flat = np.diag([1.0, 0.6, 0.0]) if dim == 3 else np.diag([1.0, 0.0])
    return {"I": np.eye(dim), "turn": 1.3 * turn(dim), "general": stretch @ turn(dim), "singular": flat @ turn(dim)}


def bump(dim):
    return fisher_bingham([0.3, 0.8, 0.1][:dim], np.diag([0.0, 0.5, 0.2][:dim]))


def space_of(dim, lmax):
    return Circle(lmax) if dim == 2 else Sphere(lmax)


def standing(attention, space, u, until=1.0):
    """The velocity of a density that does not change."""
    if isinstance(attention, Hardmax):
        return RecordedVelocity(attention, [0.0, until])
    return RecordedVelocity(attention, [0.0, until], np.array([u, u]))


def difference(function, x, h=1e-4, left=True):
    """Derivatives (n, d, d) along the sphere of a field at unit vectors, by central differences of order 4.

    Their values are made tangent, too, unless not ``left``.
    """
    dim = x.shape[1]
    found = np.empty((len(x), dim, dim))
    for j, e in enumerate(np.eye(dim) * h):
        near = [y / np.linalg.norm(y, axis=1, keepdims=True) for y in (x - 2 * e, x - e, x + e, x + 2 * e)]
        a, b, c, d = map(function, near)
        found[:, :, j] = (8.0 * (c - b) - (d - a)) / (12.0 * h)
    across = np.eye(dim) - x[:, :, None] * x[:, None, :]
    return across @ found @ across if left else found @ across


# ---- moments in time


def test_moments_are_reproduced_by_their_polynomials_on_either_side_of_a_break():
    t = np.concatenate([np.linspace(0.0, 1.0, 20) ** 1.5, 1.0 + np.linspace(0.0, 1.0, 18)[1:]])
    power = np.arange(8)

    def value(s):
        return np.array([np.sum(s**power), 1j * s**7]) + (0.0 if s < 1.0 else abs(s - 1.0) ** 5 * 7.0)

    rows = np.array([value(s) for s in t])
    record = RecordedMoments(t, rows, [1.0])
    for s in (1e-3, 0.31, 0.97, 1.02, 1.5, 1.99):
        np.testing.assert_allclose(record.at(s), value(s), rtol=1e-11, atol=1e-13)
    assert np.abs(RecordedMoments(t, rows).at(1.02) - value(1.02)).max() > 1e-7  # a polynomial across the break
    np.testing.assert_array_equal(record.at(float(t[5])), rows[5])
    thin = record.thinned()
    assert len(thin.t) < 0.6 * len(t)
    assert 1.0 in thin.t
    np.testing.assert_allclose(thin.at(0.5), value(0.5), rtol=1e-10)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each dimension, and its file."""
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for dim, lmax, dt in ((2, 63, 0.02), (3, 40, 0.05)):
        head = Head(np.diag([1.0, 0.4, -0.3][:dim]), beta=8.0)
        model = ContinuityEquation(space_of(dim, lmax), Softmax(head))
        options = {"out": folder / f"{dim}.h5", "save_every": 0.25, "progress": False, "wasserstein": False}
        found[dim] = Simulation(model, bump(dim), dt=dt, **options)
        assert found[dim].run(1.0).status == "done"
    return found


def test_moments_of_a_file_are_read_in_blocks_as_they_are(runs, monkeypatch):
    with RunFile(runs[2].recorder.path) as run:
        rows, t = run.velocity.moments[:], run.velocity.t
    monkeypatch.setattr("spherepde.characteristics.record.BLOCK_BYTES", 1)
    record = RecordedMoments(t, StoredMoments(runs[2].recorder.path, rows.shape))
    for i in (len(t) - 1, 0, len(t) // 2, 1):
        np.testing.assert_array_equal(record.row(i), rows[i])
    whole = RecordedMoments(t, rows)
    np.testing.assert_array_equal(record.at(0.4321), whole.at(0.4321))


def test_the_time_error_is_an_estimate_of_what_denser_records_show(runs):
    with RunFile(runs[2].recorder.path) as run:
        rows, t = run.velocity.moments[:], run.velocity.t
    attention, x = runs[2].model.attention, points_on(2, 300)
    kept = np.unique([*range(0, len(t), 3), len(t) - 1])
    sparse, dense = RecordedVelocity(attention, t[kept], rows[kept]), RecordedVelocity(attention, t, rows)
    middles = [0.5 * (a + b) for a, b in pairwise(t[kept])]
    error = max(np.abs(sparse(s, x) - dense(s, x)).max() for s in middles) / np.abs(dense(0.0, x)).max()
    assert dense.time_error() < error / 100.0
    assert error / 10.0 < sparse.time_error() < 100.0 * error
    assert np.isnan(RecordedVelocity(attention, t[:2], rows[:2]).time_error())


# ---- velocity


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("law", MODELS)
@pytest.mark.parametrize("score", ["I", "turn", "general", "singular"])
def test_the_velocity_is_the_solvers_and_its_derivative_that_of_the_velocity(dim, law, score):
    if law is Hardmax and score == "singular":
        return
    attention = law(Head(SKEW[:dim, :dim], scores(dim)[score], beta=BETA[law]))
    space = space_of(dim, 47)
    u = space.project(bump(dim))
    nodal = attention.on(space).velocity(u)
    velocity = standing(attention, space, u)
    x = space.points.reshape(-1, dim)
    found = np.einsum("k...d,...d->k...", space.tangent_frame, velocity(0.3, x).reshape(*space.shape, dim))
    np.testing.assert_allclose(found, nodal, rtol=0.0, atol=1e-12 * np.abs(nodal).max())  # measured at most 1e-13

    some = x[:: max(1, len(x) // 97)]
    gradient = velocity.gradient(0.3, some)
    np.testing.assert_allclose(gradient.velocity, velocity(0.3, some), atol=1e-12 * np.abs(nodal).max())
    steep = np.abs(gradient.derivative).max()
    expected = difference(lambda y: velocity(0.3, y), some)
    np.testing.assert_allclose(gradient.derivative, expected, atol=2e-10 * steep)  # measured at most 3e-11
    np.testing.assert_allclose(velocity.divergence(0.3, some), np.trace(expected, axis1=1, axis2=2), atol=1e-9 * steep)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_divergence_is_that_of_the_space(dim):
    attention = Softmax(Head(SKEW[:dim, :dim], beta=20.0))
    space = space_of(dim, 95)
    u = space.project(bump(dim))
    field = space.empty(dim - 1)
    field[:] = attention.on(space).velocity(u)
    expected = space.to_nodal(space.divergence(field))
    found = standing(attention, space, u).divergence(0.0, space.points.reshape(-1, dim)).reshape(space.shape)
    np.testing.assert_allclose(found, expected, atol=3e-12 * np.abs(expected).max())  # measured 5e-13


@pytest.mark.parametrize("combine", ["sum", "mean"])
def test_several_heads_are_summed_or_averaged(combine):
    heads = [Head(SKEW, beta=5.0), Head(np.diag([1.0, 0.4, -0.3]), scores(3)["general"], beta=9.0)]
    space = Sphere(40)
    u = space.project(bump(3))
    together = standing(Softmax(heads, combine=combine), space, u)
    x = points_on(3, 50)
    weight = 1.0 if combine == "sum" else 0.5
    parts = [standing(Softmax(head), space, u).gradient(0.0, x) for head in heads]
    found = together.gradient(0.0, x)
    np.testing.assert_allclose(found.velocity, weight * sum(p.velocity for p in parts), atol=1e-13)
    np.testing.assert_allclose(found.derivative, weight * sum(p.derivative for p in parts), atol=1e-12)


@pytest.mark.parametrize("case", ["floored", "capped"])
def test_where_the_quotient_is_not_the_mean_its_derivative_is_that_of_the_quotient(case):
    space, head = Sphere(30), Head(np.eye(3), scores(3)["general"], beta=4.0)
    u = space.project(bump(3))
    if case == "capped":  # a signed "density" whose Z is small where N is not
        u = space.project(lambda x: (1.0 + 4.0 * x[..., 0]) / (4.0 * np.pi))
    source = SourceMoments(space, Sphere(31), u)
    top = largest_partition(head, space.points.reshape(-1, 3), source) * (1e13 if case == "floored" else 1.0)
    x = points_on(3, 60)
    found = softmax_tokens(head, x, source, top, derivative=True)
    length = np.linalg.norm(found.token, axis=1)
    if case == "floored":
        assert length.max() < 0.2
    else:
        chosen = np.abs(length - 1.0) < 1e-12
        assert 10 < chosen.sum() < 50
    expected = difference(lambda y: softmax_tokens(head, y, source, top, derivative=False).token, x, left=False)
    slopes = found.derivative @ (np.eye(3) - x[:, :, None] * x[:, None, :])
    smooth = chosen if case == "capped" else np.ones(len(x), bool)
    np.testing.assert_allclose(slopes[smooth], expected[smooth], atol=2e-9)


def test_error_says_where_velocities_are_made_of_rounding():
    space, attention = Circle(200), Softmax(Head(np.eye(2), beta=100.0))
    velocity = standing(attention, space, space.project(von_mises_fisher([1.0, 0.0], 60.0)))
    near, far = velocity.with_error(0.0, [[1.0, 0.0], [-1.0, 0.0]])[1]
    assert near < 1e-11
    assert far > 0.01


def test_jumping_heads_belong_to_the_step_that_ends_there():
    first, second = Head(np.diag([1.0, 0.2])), Head(np.diag([0.1, 0.9]))
    velocity = RecordedVelocity(Hardmax(Layers([first, second], layer_time=1.0)), [0.0, 1.0, 2.0])
    x = points_on(2, 7)
    np.testing.assert_array_equal(velocity(1.0, x), RecordedVelocity(Hardmax(second), [0.0, 2.0])(1.0, x))
    np.testing.assert_array_equal(velocity(1.0, x, since=0.0), RecordedVelocity(Hardmax(first), [0.0, 2.0])(1.0, x))
    assert velocity.breaks == (1.0,)


# ---- flow maps


def test_layers_of_projective_flows_compose():
    heads = [Head(np.diag([1.0, 0.2, 0.0])), Head(SKEW), Head(np.diag([0.1, 0.9, 0.3]))]
    velocity = RecordedVelocity(Hardmax(Layers(heads, layer_time=1.0)), [0.0, 3.0])
    x = points_on(3, 40)
    expected = x
    for head in heads:
        expected = hardmax_flow(head, expected, 1.0)
    found = flow_map(velocity, x, 0.0, 3.0)
    np.testing.assert_allclose(found.points, expected, atol=1e-10)  # measured 1e-11
    np.testing.assert_allclose(move_points(velocity, x, 0.0, 3.0), expected, atol=1e-10)
    back = flow_map(velocity, found.points, 3.0, 0.0)
    np.testing.assert_allclose(back.points, x, atol=1e-9)
    np.testing.assert_allclose(back.log_jacobian, -found.log_jacobian, atol=1e-9)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_jacobian_is_the_stretching_of_area_by_the_map(runs, dim):
    characteristics = Characteristics(runs[dim], rtol=1e-12)
    x, h = points_on(dim, 12), 1e-3
    steps = [k * h * e for e in np.eye(dim) for k in (-2, -1, 1, 2)]
    near = np.array([x, *((x + s) / np.linalg.norm(x + s, axis=1, keepdims=True) for s in steps)])
    images = characteristics.flow(near.reshape(-1, dim), 0.0, 1.0).points.reshape(near.shape)
    end, slopes = images[0], np.empty((len(x), dim, dim))
    for j in range(dim):
        a, b, c, d = images[1 + 4 * j : 5 + 4 * j]
        slopes[:, :, j] = (8.0 * (c - b) - (d - a)) / (12.0 * h)
    bordered = slopes + end[:, :, None] * x[:, None, :]  # the normal goes to the normal
    expected = np.log(np.abs(np.linalg.det(bordered)))
    found = characteristics.flow(x, 0.0, 1.0)
    np.testing.assert_allclose(found.log_jacobian, expected, atol=1e-8)
    np.testing.assert_allclose(found.points, end, atol=1e-12)


# ---- measures


def test_a_sample_has_the_moments_of_the_run(runs):
    characteristics = Characteristics(runs[3].recorder.path)
    with RunFile(runs[3].recorder.path) as run:
        expected = run.series["second_moment"][-1]
    sample = characteristics.sample(1.0, 4000, seed=3)
    np.testing.assert_array_equal(sample, characteristics.sample(1.0, 4000, seed=3))
    deviation = np.std(sample[:, :, None] * sample[:, None, :], axis=0) / np.sqrt(len(sample))
    assert (np.abs(sample.T @ sample / len(sample) - expected) < 4.0 * deviation + 1e-12).all()

    def proposal(x):
        return np.exp(-3.0 * x[:, 0] ** 2)  # where the run leaves few

    weighted = characteristics.weighted_sample(1.0, proposal, 4000, seed=4)
    second = weighted.points.T @ (weighted.weights[:, None] * weighted.points)
    assert abs(weighted.weights.sum() - 1.0) < 1e-12
    assert 400 < weighted.effective_size < 4000
    assert np.abs(second - expected).max() < 4.0 / np.sqrt(weighted.effective_size)
    same = characteristics.reweighted(1.0, points_on(3, 50), lambda x: characteristics.initial(x))
    assert same.effective_size == pytest.approx(50.0)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_measure_has_the_moments_of_the_run(runs, dim):
    characteristics = Characteristics(runs[dim])
    early, late = characteristics.measures([0.5, 1.0], tolerance=1e-8)
    with RunFile(runs[dim].recorder.path) as run:
        t, second = run.series["t"], run.series["second_moment"]
        for measure, time in ((early, 0.5), (late, 1.0)):
            expected = second[np.argmin(np.abs(t - time))]
            found = measure.points.T @ (measure.weights[:, None] * measure.points)
            np.testing.assert_allclose(found, expected, atol=3e-8)
            assert abs(measure.weights.sum() - 1.0) < 1e-10
    once = characteristics.measure(1.0)
    np.testing.assert_allclose(once.weights @ once.points, late.weights @ late.points, atol=1e-8)


def test_the_measure_lands_on_jumps_of_the_heads():
    heads = [Head(np.diag([1.0, 0.2])), Head(np.array([[0.1, 1.2], [0.4, 0.9]]))]
    characteristics = Characteristics(RecordedVelocity(Hardmax(Layers(heads, layer_time=1.0)), [0.0, 2.0]), bump(2))
    measure = characteristics.measure(2.0, 1e-10)
    points, weights = sphere_rule(2, 400)
    end = hardmax_flow(heads[1], hardmax_flow(heads[0], points, 1.0), 1.0)
    expected = end.T @ ((weights * bump(2)(points))[:, None] * end)
    found = measure.points.T @ (measure.weights[:, None] * measure.points)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=7e-12)  # measured 3e-12; 1.3e-11 by the wrong heads


def test_a_live_run_is_its_file(runs):
    x = points_on(2, 20)
    by_path = Characteristics(str(runs[2].recorder.path))
    np.testing.assert_array_equal(Characteristics(runs[2]).density(0.7, x), by_path.density(0.7, x))
    with RunFile(runs[2].recorder.path) as run:
        opened = Characteristics(run)
    np.testing.assert_array_equal(opened.density(0.7, x), by_path.density(0.7, x))
    assert (by_path.dim, by_path.start, by_path.until) == (2, 0.0, 1.0)
    np.testing.assert_allclose(by_path.density(0.0, x), bump(2)(x), rtol=1e-14)
    assert "fisher_bingham" in repr(by_path)


def test_densities_below_the_smallest_float_have_logarithms():
    head = Head(np.diag([1.0, 0.0]))
    velocity = RecordedVelocity(Hardmax(head), [0.0, 800.0])
    characteristics = Characteristics(velocity, uniform(2))
    point = np.array([[0.0, 1.0]])  # the repelling axis: ρ falls like e^{−t}
    assert characteristics.density(800.0, point)[0] == 0.0
    assert characteristics.log_density(800.0, point)[0] == pytest.approx(-800.0 - np.log(2.0 * np.pi), abs=1e-6)


# ---- regions


def hardmax_flow_of(V, until, dim=3):
    return Characteristics(RecordedVelocity(Hardmax(Head(V)), [0.0, until]), uniform(dim))


def test_basins_are_the_sides_of_the_separatrix():
    axis = np.array([0.6, 0.0, 0.8])
    V = np.outer(axis, axis) - 0.4 * np.diag([0.0, 1.0, 0.0])
    characteristics = hardmax_flow_of(V, 9.0)
    np.testing.assert_allclose(characteristics.attractors(), [axis, -axis], atol=1e-3)  # measured 3e-4
    x = points_on(3, 200)
    np.testing.assert_array_equal(characteristics.basins(x), np.where(x @ axis > 0.0, 0, 1))
    np.testing.assert_array_equal(characteristics.basins(x, 0.0, np.eye(3)), np.argmax(x, axis=1))


def test_the_image_of_a_curve_is_closed_and_dense():
    V = np.diag([1.0, 0.2, 0.0])
    characteristics = hardmax_flow_of(V, 3.0)
    corners = np.array([[0.1, 1.0, 0.1], [-0.2, 1.0, 0.3], [-0.1, 0.8, -0.4]])
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    start, image = characteristics.curve_image(corners, 3.0, spacing=0.02)
    np.testing.assert_allclose(image, hardmax_flow(Head(V), start, 3.0), atol=1e-9)
    gap = np.linalg.norm(image - np.roll(image, -1, axis=0), axis=1)
    assert gap.max() <= 0.02
    assert len(image) > 60
    assert all(np.abs(start - corner).max(axis=1).min() == 0.0 for corner in corners)


def test_windows_are_right_down_to_a_billionth():
    for dim, width in ((2, 1e-9), (3, 1e-9), (3, 0.5)):
        window = window_about(points_on(dim, 1, seed=5)[0], width)
        points, axis = window_points(window, 11)
        assert axis[0] == -0.5
        corner = np.linalg.norm(points[0] - window.centre)
        assert 2.0 * np.arcsin(0.5 * corner) == pytest.approx(0.5 * width * np.sqrt(dim - 1.0), rel=3e-7)
        corners = width * np.stack(np.meshgrid(*[axis] * (dim - 1)), axis=-1).reshape(-1, dim - 1)
        np.testing.assert_allclose(offsets_of(window, points), corners, rtol=0.0, atol=3e-16 + 1e-14 * width)


def test_a_run_is_drawn_at_the_scale_of_its_densest_cluster(tmp_path, monkeypatch):
    model = ContinuityEquation(Circle(31), Hardmax(Head(np.diag([1.0, 0.0]))))
    Simulation(model, bump(2), tmp_path / "r.h5", save_every=6.0, progress=False, wasserstein=False).run(12.0)
    monkeypatch.setattr("spherepde.plots.FIGURES", {})
    assert plot_run(tmp_path / "r.h5") == []
    assert [path.name for path in plot_run(tmp_path / "r.h5", zoom=True)] == ["zoom.png"]
    with RunFile(tmp_path / "r.h5") as run:
        window, circle = zoom_figure(Record(run)).axes
        characteristics = Characteristics(run, rtol=1e-9)
        nodes = carried(characteristics, 12.0)
        place = cluster_window(nodes)
        seen, ends = mass_inside(characteristics, 12.0, place, nodes), window_points(place, 401)[0][[0, -1]]
    curve = window.lines[0].get_ydata()
    start = np.linspace(0.0, 2.0 * np.pi, 10_001)
    origin = np.stack([np.cos(start), np.sin(start)], axis=-1)
    peak = np.max(bump(2)(origin) * origin[:, 0] ** 2) * np.exp(12.0)  # C1 in terms of the initial angle
    assert curve.max() == pytest.approx(peak, rel=2e-4)
    angle, rho = circle.lines[0].get_data()
    assert rho.max() == pytest.approx(peak, rel=2e-4)
    assert np.trapezoid(rho, angle) == pytest.approx(1.0, abs=0.03)  # 0.009 seen, from the nodes of the other cluster
    edges = np.exp(12.0) * np.tan(np.arctan2(ends[:, 1], ends[:, 0]))  # C1: tan θ decays like e^{−t}
    inside = np.linspace(*np.arctan(edges), 10_001)
    mass = np.trapezoid(bump(2)(np.stack([np.cos(inside), np.sin(inside)], axis=-1)), inside)
    assert seen == pytest.approx(mass, rel=5e-6)
    assert window.get_xlabel() == "offset from the centre, in $10^{-5}$ rad"
    assert np.abs(window.get_xlim()).max() * 1e-5 == pytest.approx(0.5 * place.widths[0], rel=1e-6)
    assert f"mass in the frame {seen:.4g}" in window.get_title() and "centre $\\theta=" in window.get_title()


def test_an_elongated_cluster_is_drawn_on_two_scales_with_its_mass_and_its_peak():
    """C1 on S²: at t = 9.2 the cluster at e₁ is e^{−0.6t} = 4e-3 long and e^{−1.3t} = 6e-6 wide."""
    V, t = np.diag([1.0, 0.4, -0.3]), 9.2
    characteristics = Characteristics(RecordedVelocity(Hardmax(Head(V)), [0.0, t]), uniform(3), rtol=1e-8)
    figure = Figure()
    draw_zoom(figure, characteristics, t)
    ax = figure.axes[0]
    window = cluster_window(carried(characteristics, t))
    assert window.widths[0] / window.widths[1] == pytest.approx(np.exp(0.7 * t), rel=0.05)
    np.testing.assert_allclose(np.abs(window.axes), np.eye(3)[1:], atol=1e-3)
    rho = ax.images[0].get_array()
    assert rho.shape == (49, 49)
    peak = np.exp(1.9 * t) / (4.0 * np.pi)  # e^{(3λ₁ − tr V)t} times the uniform density
    assert 0.98 < rho.max() / peak <= 1.0 + 1e-6
    assert rho[24, 24] == pytest.approx(peak, rel=0.02)
    points, weights = sphere_rule(3, 300)
    images = hardmax_flow(Head(V), points, t)
    mass = weights[inside(window, images)].sum() / (4.0 * np.pi)
    told = float(ax.get_title().split()[-1])
    assert told == pytest.approx(mass, rel=0.03)  # 0.41
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "offset along (0.000, 1.000, 0.000), in $10^{-2}$ rad",
        "offset along (0.000, 0.000, 1.000), in $10^{-5}$ rad",
    )


@pytest.mark.parametrize(("width", "t"), [(1.0, 12.0), (3.14, 2.0), (1e-3, 2.0), (1e-6, 12.0)])
def test_the_mass_in_any_frame_on_the_circle_is_that_of_its_preimage(width, t):
    """C1: angles go to arctan(e^{−t}·tan θ)."""
    V = np.diag([1.0, 0.0])
    characteristics = Characteristics(RecordedVelocity(Hardmax(Head(V)), [0.0, t]), uniform(2), rtol=1e-9)
    nodes = carried(characteristics, t)
    for centre in ([1.0, 0.0], [0.8, 0.6]):
        window = window_about(centre, width)
        ends = np.arctan2(centre[1], centre[0]) + 0.5 * width * np.array([-1.0, 1.0])
        start = np.arctan2(np.exp(t) * np.sin(ends), np.cos(ends))
        mass = (np.diff(start)[0] % (2.0 * np.pi)) / (2.0 * np.pi)
        found = mass_inside(characteristics, t, window, nodes)
        assert 0.0 <= found <= 1.0
        assert found == pytest.approx(mass, rel=1e-6)
    figure = Figure()
    draw_zoom(figure, characteristics, t, window_about([1.0, 0.0], width))
    assert figure.axes[0].lines[0].get_ydata().max() == pytest.approx(np.exp(t) / (2.0 * np.pi), rel=1e-4)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_peaked_density_is_seen_by_all_that_places_it(dim):
    """No fixed rule has nodes for a peak 0.014 wide; at the start its axis and its densest place are its mean."""
    mean = np.array([0.351, 0.7, 0.4])[:dim]
    mean /= np.linalg.norm(mean)
    flow = RecordedVelocity(Hardmax(Head(np.diag([1.0, 0.4, -0.3][:dim]))), [0.0, 1.0])
    characteristics = Characteristics(flow, von_mises_fisher(mean, 5000.0))
    np.testing.assert_allclose(characteristics.attractors(0.0), [mean, -mean], atol=1e-7)
    window = cluster_window(carried(characteristics, 0.0))
    assert np.linalg.norm(window.centre - mean) < 2e-3
    assert 0.02 < window.widths.min() <= window.widths.max() < 0.2


# ---- what is refused


def test_what_cannot_be_followed_is_refused(runs, tmp_path):
    characteristics = Characteristics(runs[2])
    x = points_on(2, 3)
    for call in (
        lambda: characteristics.density(1.5, x),
        lambda: characteristics.density(-0.1, x),
        lambda: characteristics.density(np.nan, x),
        lambda: characteristics.measure(2.0),
    ):
        with pytest.raises(InputError, match=r"t = .* is outside the record of the velocity; expected a time in 0 … 1"):
            call()
    for wrong in (None, "1", [0.5]):
        with pytest.raises(InputError, match="expected a time, one number in 0 … 1"):
            characteristics.density(wrong, x)
    for wrong in (2.0 * x, (1.0 + 2e-6) * x, np.full((2, 2), np.nan), points_on(3, 2), x[0], "x", None):
        with pytest.raises(InputError, match="expected unit vectors"):
            characteristics.density(0.5, wrong)
    with pytest.raises(InputError, match="expected increasing times"):
        list(characteristics.measures([0.5, 0.2]))
    with pytest.raises(InputError, match=r"of length 1 to 1e-06, got length 1\.000002 in row 0"):
        characteristics.density(0.5, (1.0 + 2e-6) * x)
    with pytest.raises(InputError, match="rtol = 'a'; expected a number between 0 and 1"):
        Characteristics(runs[2], rtol="a").density(0.5, x)
    for tolerance in (0.0, np.nan, "1e-3"):
        with pytest.raises(InputError, match="tolerance = .*; expected a number > 0"):
            characteristics.measure(0.5, tolerance)
    with pytest.raises(InputError, match="at least 3 points on S"):
        characteristics.curve_image(x, 1.0)
    with pytest.raises(InputError, match="finite positive values"):
        characteristics.reweighted(0.5, x, lambda y: np.zeros(len(y)))
    with pytest.raises(InputError, match="expected initial="):
        Characteristics(characteristics.velocity)
    with pytest.raises(InputError, match="expected a number between 0 and 1"):
        Characteristics(runs[2], rtol=0.0).density(0.5, x)
    with pytest.raises(InputError, match="expected a run file or a simulation"):
        Characteristics(7)
    with pytest.raises(InputError, match="a density on S"):
        Characteristics(runs[2].recorder.path, uniform(3))


def test_single_precision_is_taken_as_the_unit_vectors_it_means(runs):
    x = points_on(2, 30)
    characteristics = Characteristics(runs[2])
    single = x.astype(np.float32)
    assert np.abs(np.linalg.norm(single.astype(float), axis=1) - 1.0).max() > 1e-8
    np.testing.assert_allclose(characteristics.density(0.5, single), characteristics.density(0.5, x), rtol=1e-5)


def test_a_curve_torn_beyond_rounding_is_refused():
    """gap·t = 48: no floating-point number lies between points that it tears apart."""
    flow = RecordedVelocity(Hardmax(Head(np.diag([1.0, 0.2, 0.0]))), [0.0, 60.0])
    characteristics = Characteristics(flow, uniform(3), rtol=1e-4)
    corners = np.array([[0.1, 0.9, 0.1], [-0.2, 0.9, 0.1], [-0.2, 0.8, -0.3]])
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    with pytest.raises(NumericalError, match=r"curve: at t = 60 the images .* apart; expected an earlier time"):
        characteristics.curve_image(corners, 60.0)
    for spacing in (0.0, np.nan, "1"):
        with pytest.raises(InputError, match="expected an angle > 0"):
            characteristics.curve_image(corners, 1.0, spacing)


def test_a_zoom_that_the_command_line_cannot_draw_says_what_can(tmp_path):
    small(tmp_path / "f.h5", heads=lambda t: Head(np.diag([1.0 + t, 0.5]), beta=2.0))
    small(tmp_path / "g.h5", initial=from_callable(lambda y: 1.0 + 0.3 * y[:, 0], 2))
    for name, key in (("f", "attention="), ("g", "initial=")):
        with pytest.raises(InputError, match=rf"no zoom, .* Python function.*draw_zoom\(figure, .*{key}"):
            plot_run(tmp_path / f"{name}.h5", zoom=True)
        assert not (tmp_path / name).exists()


def small(out, **options):
    heads = options.pop("heads", Head(np.diag([1.0, 0.5]), beta=2.0))
    diffusion, initial = options.pop("diffusion", 0.0), options.pop("initial", bump(2))
    model = ContinuityEquation(Circle(24), Softmax(heads), diffusion=diffusion)
    simulation = Simulation(model, initial, out, progress=False, wasserstein=False, **options)
    simulation.run(0.2)
    return simulation


def test_runs_without_what_it_takes_are_refused(tmp_path):
    with pytest.raises(InputError, match="the simulation has no file"):
        Characteristics(small(None))
    with pytest.raises(InputError, match=r"holds no velocity: it was written with output\.velocity = false"):
        Characteristics(small(tmp_path / "a.h5", save_velocity=False))
    with pytest.raises(InputError, match=r"ran with diffusion 0\.1"):
        Characteristics(small(tmp_path / "b.h5", diffusion=0.1))
    x = points_on(2, 5)
    simulation = small(tmp_path / "c.h5", initial=from_callable(lambda y: 1.0 + 0.3 * y[:, 0], 2))
    with pytest.raises(InputError, match="initial density is a function.*expected initial="):
        Characteristics(tmp_path / "c.h5")
    live = Characteristics(simulation).density(0.1, x)
    np.testing.assert_array_equal(Characteristics(tmp_path / "c.h5", simulation.initial).density(0.1, x), live)
    simulation = small(tmp_path / "d.h5", heads=lambda t: Head(np.diag([1.0 + t, 0.5]), beta=2.0))
    with pytest.raises(InputError, match="heads are a function of time.*expected attention="):
        Characteristics(tmp_path / "d.h5")
    live = Characteristics(simulation).density(0.1, x)
    again = Characteristics(tmp_path / "d.h5", attention=simulation.model.attention)
    np.testing.assert_array_equal(again.density(0.1, x), live)


def test_bad_records_are_refused():
    attention, rows = Softmax(Head(np.eye(3))), np.zeros((2, 10), complex)
    with pytest.raises(InputError, match="increase strictly"):
        RecordedVelocity(attention, [0.0, 0.0], rows)
    with pytest.raises(InputError, match="needs the density's moments"):
        RecordedVelocity(attention, [0.0, 1.0])
    for wrong in (rows[:1], rows[:, :9], rows[0], np.zeros((2, 3), complex)):
        with pytest.raises(InputError, match="expected a row for each time"):
            RecordedVelocity(attention, [0.0, 1.0], wrong)
    with pytest.raises(InputError, match="hardmax attention sees no moments"):
        RecordedVelocity(Hardmax(Head(np.eye(3))), [0.0, 1.0]).moments(0.5)
