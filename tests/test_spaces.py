"""One contract for every space: exact transforms, operator identities, closed forms, conventions."""

import sys
from functools import cache

import numpy as np
import pytest
from scipy.special import ive, sph_harm_y

from spherepde.errors import InputError
from spherepde.quadrature import sphere_rule, spherical_points
from spherepde.spaces import Circle, Space, Sphere, space_for

LARGE = (63, 127, 255, 511)


@cache
def make_space(kind: str, lmax: int) -> Space:
    if kind == "circle":
        return Circle(lmax)
    if kind == "shtns":
        pytest.importorskip("shtns", exc_type=ImportError)
    return Sphere(lmax, backend=kind)


def random_modal(space, seed=0):
    """White coefficients of a real function."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=space.n_modal) + 1j * rng.normal(size=space.n_modal)
    own_conjugate = space.degree == 0 if space.dim == 2 else space.order == 0
    u[own_conjugate] = u[own_conjugate].real
    return u


def random_points(dim, n, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1)[:, None]


def random_orthogonal(dim, determinant, seed=0):
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]
    if np.linalg.det(q) * determinant < 0.0:
        q[:, 0] *= -1.0
    return q


def relative(found, expected):
    """Largest difference over the largest value."""
    return np.max(np.abs(np.asarray(found) - expected)) / np.max(np.abs(expected))


def direction(dim):
    """A vector with unequal components, so that no mistaken axis goes unseen."""
    return np.array([1.1, -0.7, 0.4])[:dim]


class SpaceContract:
    """Inherited once per space; ``kind`` names it, ``lmax`` is enough for the closed forms below."""

    kind: str
    lmax = 31

    @pytest.fixture
    def space(self) -> Space:
        return make_space(self.kind, self.lmax)

    def exponential(self, x):
        """exp(a·x): gradient P_x a f and Laplacian (|P_x a|² − (d−1) a·x) f are closed forms."""
        return np.exp(x @ direction(x.shape[-1]))

    # ---- transforms

    @pytest.mark.parametrize("lmax", (2, 5, *LARGE))
    def test_round_trip_is_exact(self, lmax):
        space = make_space(self.kind, lmax)
        u = random_modal(space)
        assert np.linalg.norm(space.to_modal(space.to_nodal(u)) - u) <= 1e-13 * np.linalg.norm(u)

    @pytest.mark.parametrize("lmax", (2, 5, *LARGE))
    def test_divergence_is_minus_the_adjoint_of_the_gradient(self, lmax):
        space = make_space(self.kind, lmax)
        u, v = random_modal(space, 1), random_modal(space, 2)
        slope = space.gradient(u)
        rough = np.random.default_rng(3).normal(size=slope.shape)  # not band-limited: the adjoint must hold on the grid
        for field in (space.gradient(v), slope, rough):
            left = space.inner(space.divergence(field), u)
            right = -space.integrate(np.sum(field * slope, axis=0))
            size = np.sqrt(space.integrate(np.sum(field**2, axis=0)) * space.integrate(np.sum(slope**2, axis=0)))
            assert abs(left - right) <= 1e-13 * size

    @pytest.mark.parametrize("lmax", LARGE)
    def test_laplacian_is_divergence_of_gradient(self, lmax):
        space = make_space(self.kind, lmax)
        u = random_modal(space)
        expected = space.laplacian * u
        found = space.divergence(space.gradient(u))
        assert np.linalg.norm(found - expected) <= 2e-13 * np.linalg.norm(expected)  # each is off by half

    @pytest.mark.parametrize("lmax", LARGE)
    def test_parseval(self, lmax):
        space = make_space(self.kind, lmax)
        u, v = random_modal(space, 1), random_modal(space, 2)
        size = np.sqrt(space.inner(u, u) * space.inner(v, v))
        integral = space.integrate(space.to_nodal(u) * space.to_nodal(v))
        assert abs(space.inner(u, v) - integral) <= 1e-13 * size
        assert space.integrate(space.to_nodal(u) ** 2) == pytest.approx(space.inner(u, u), rel=1e-13)

    def test_products_of_three_functions_integrate_exactly(self, space):
        """The 3/2 rule: the product of two functions has no aliasing error in any retained degree."""
        u, v = random_modal(space, 1), random_modal(space, 2)
        fine = make_space(self.kind, 2 * self.lmax)
        wide = fine.to_nodal(space.restrict(u, fine.lmax)) * fine.to_nodal(space.restrict(v, fine.lmax))
        exact = fine.restrict(fine.to_modal(wide), self.lmax)
        assert relative(space.to_modal(space.to_nodal(u) * space.to_nodal(v)), exact) <= 1e-13

    def test_transforms_leave_their_input_alone(self, space):
        u = random_modal(space)
        f, slope = space.to_nodal(u), space.gradient(u)
        kept = [u.copy(), f.copy(), slope.copy()]
        space.to_modal(f)
        space.gradient(u)
        space.divergence(slope)
        space.rotate(u, -np.eye(space.dim))
        space.evaluate(u, np.eye(space.dim))
        for before, after in zip(kept, (u, f, slope), strict=True):
            np.testing.assert_array_equal(before, after)

    def test_memory_order_of_nodal_arrays_does_not_matter(self, space):
        u = random_modal(space)
        f, slope = space.to_nodal(u), space.gradient(u)
        modal, rate = space.to_modal(f), space.divergence(slope)
        for arrange in (np.ascontiguousarray, np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2]):
            assert relative(space.to_modal(arrange(f)), modal) <= 1e-14
            assert relative(space.divergence(arrange(slope)), rate) <= 1e-14
            assert space.integrate(arrange(f) ** 2) == pytest.approx(space.inner(u, u), rel=1e-13)
        own = space.empty(space.dim - 1)
        own[:] = slope
        np.testing.assert_array_equal(space.divergence(own, overwrite=True), rate)

    def test_results_are_fresh_arrays_unless_a_buffer_is_given(self, space):
        u, v = random_modal(space, 1), random_modal(space, 2)
        f, modal, slope = space.to_nodal(u), space.to_modal(space.to_nodal(u)), space.gradient(u)
        kept = [f.copy(), modal.copy(), slope.copy()]
        space.to_nodal(v), space.to_modal(space.to_nodal(v)), space.gradient(v)
        for before, after in zip(kept, (f, modal, slope), strict=True):
            np.testing.assert_array_equal(before, after)
        nodal_buffer, slope_buffer = space.empty(), space.empty(space.dim - 1)
        nodal_buffer[:], slope_buffer[:] = np.nan, np.nan
        assert (nodal_buffer.shape, slope_buffer.shape) == (f.shape, slope.shape)
        assert space.to_nodal(u, nodal_buffer) is nodal_buffer
        assert space.gradient(u, slope_buffer) is slope_buffer
        np.testing.assert_array_equal(nodal_buffer, f)
        np.testing.assert_array_equal(slope_buffer, slope)

    def test_coefficients_go_into_a_buffer_if_one_is_given(self, space):
        u = random_modal(space)
        f, slope = space.to_nodal(u), space.gradient(u)
        own = space.empty(space.dim - 1)
        own[:] = slope
        turn, mirror = (random_orthogonal(space.dim, sign) for sign in (1, -1))
        maps = {
            "to_modal": lambda out: space.to_modal(f, out),
            "divergence": lambda out: space.divergence(slope, out),
            "rotate": lambda out: space.rotate(u, turn, out),
            "reflect": lambda out: space.rotate(u, mirror, out),
            "cut": lambda out: space.restrict(u, self.lmax // 2, out),
            "same": lambda out: space.restrict(u, self.lmax, out),
            "pad": lambda out: space.restrict(u, self.lmax + 3, out),
        }
        for name, apply in maps.items():
            fresh = apply(None)
            kept, buffer = fresh.copy(), np.full_like(fresh, np.nan)
            assert apply(buffer) is buffer, name
            np.testing.assert_array_equal(buffer, fresh, err_msg=name)
            np.testing.assert_array_equal(fresh, kept, err_msg=f"{name}: fresh arrays stay as they are")
        rate = np.full_like(u, np.nan)
        assert space.divergence(own, rate, overwrite=True) is rate
        np.testing.assert_array_equal(rate, space.divergence(slope))

    # ---- geometry

    @pytest.mark.parametrize("lmax", LARGE)
    def test_weights_sum_to_the_area(self, lmax):
        space = make_space(self.kind, lmax)
        assert space.weights.shape == space.shape
        assert np.all(space.weights > 0.0)
        assert space.integrate(np.ones(space.shape)) == pytest.approx(space.area, rel=1e-14)

    def test_nodes_and_frames_are_orthonormal(self, space):
        axes = np.concatenate([space.points[None], space.tangent_frame])
        assert axes.shape == (space.dim, *space.shape, space.dim)
        gram = np.einsum("i...a,j...a->...ij", axes, axes)
        assert np.max(np.abs(gram - np.eye(space.dim))) < 1e-15

    def test_nodes_follow_the_axes(self, space):
        assert tuple(len(values) for values in space.axes.values()) == space.shape
        names = list(space.axes)
        if space.dim == 2:
            assert names == ["theta"]
            angle = space.axes["theta"]
            expected = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        else:
            assert names == ["theta", "phi"]
            theta, phi = np.meshgrid(*space.axes.values(), indexing="ij")
            expected = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
            assert np.all(np.diff(space.axes["theta"]) > 0.0)
        np.testing.assert_allclose(space.points, expected, rtol=0.0, atol=1e-15)

    # ---- operators

    def test_eigenvalues_of_the_laplacian(self, space):
        np.testing.assert_array_equal(space.laplacian, -space.degree * (space.degree + space.dim - 2))

    def test_gradients_and_divergences_integrate_to_nothing(self, space):
        u = random_modal(space)
        rough = np.random.default_rng(0).normal(size=(space.dim - 1, *space.shape))
        scale = np.max(np.abs(space.divergence(rough)))
        assert abs(space.divergence(rough)[0]) <= 1e-15 * scale
        curvature = space.to_nodal(space.divergence(space.gradient(u)))
        assert abs(space.integrate(curvature)) <= 1e-13 * np.max(np.abs(curvature)) * space.area

    def test_gradient_as_a_vector_integrates_to_the_first_moment(self, space):
        """∫∇f dS = (d−1)∫ x f dS, from ∫ div(f a − f⟨a,x⟩x) = 0 for each constant a."""
        f = self.exponential(space.points)
        slope = np.einsum("i...,i...a->...a", space.gradient(space.to_modal(f)), space.tangent_frame)
        for axis in range(space.dim):
            moment = (space.dim - 1) * space.integrate(np.ascontiguousarray(space.points[..., axis] * f))
            total = space.integrate(np.ascontiguousarray(slope[..., axis]))
            assert total == pytest.approx(moment, rel=0.0, abs=1e-13 * space.integrate(f))

    def test_gradient_matches_closed_form(self, space):
        f = self.exponential(space.points)
        expected = np.einsum("i...a,a->i...", space.tangent_frame, direction(space.dim)) * f
        assert relative(space.gradient(space.to_modal(f)), expected) <= 5e-13

    def test_laplacian_matches_closed_form(self, space):
        f = self.exponential(space.points)
        along = space.points @ direction(space.dim)
        tangential = direction(space.dim) @ direction(space.dim) - along**2
        expected = (tangential - (space.dim - 1) * along) * f
        assert relative(space.to_nodal(space.laplacian * space.to_modal(f)), expected) <= 5e-12

    def test_divergence_matches_closed_form(self, space):
        """div(f P_x b) = ⟨∇f, b⟩ − (d−1)⟨x,b⟩ f for constant b."""
        x, a, b = space.points, direction(space.dim), np.array([0.3, 1.0, -0.8])[: space.dim]
        f = self.exponential(x)
        field = np.einsum("i...a,a->i...", space.tangent_frame, b) * f
        expected = (a @ b - (x @ a) * (x @ b) - (space.dim - 1) * (x @ b)) * f
        assert relative(space.to_nodal(space.divergence(field)), expected) <= 5e-13

    # ---- arbitrary points

    @pytest.mark.parametrize("lmax", (31, 127))
    def test_evaluation_matches_closed_form(self, lmax):
        space = make_space(self.kind, lmax)
        u = space.to_modal(self.exponential(space.points))
        x = np.concatenate([random_points(space.dim, 200), np.eye(space.dim), -np.eye(space.dim)])
        assert relative(space.evaluate(u, x), self.exponential(x)) <= 1e-13

    @pytest.mark.parametrize("lmax", (31, 127))
    def test_evaluation_of_white_coefficients_at_nodes(self, lmax):
        space = make_space(self.kind, lmax)
        u = random_modal(space)
        found = space.evaluate(u, space.points.reshape(-1, space.dim))
        assert relative(found, space.to_nodal(u).ravel()) <= 5e-13

    def test_evaluation_just_below_the_seam(self, space):
        u = random_modal(space)
        seam = np.zeros((2, space.dim))
        seam[:, 0], seam[1, 1] = 1.0, -1e-20
        below, at = space.evaluate(u, seam)
        assert below == pytest.approx(at, rel=1e-12)

    def test_evaluation_takes_lists_and_does_not_care_for_length(self, space):
        u = random_modal(space)
        x = random_points(space.dim, 3)
        np.testing.assert_allclose(space.evaluate(u, (2.0 * x).tolist()), space.evaluate(u, x), rtol=1e-11)

    def test_point_mass_reproduces_values(self, space):
        u = random_modal(space)
        points = np.concatenate([random_points(space.dim, 20), np.eye(space.dim), -np.eye(space.dim)])
        values = space.evaluate(u, points)
        found = [space.inner(space.point_mass(x), u) for x in points]
        assert relative(found, values) <= 2e-13

    def test_point_mass_has_mass_one_at_its_point(self, space):
        x = random_points(space.dim, 1)[0]
        mass, mean, second = space.moments(space.point_mass(x))
        assert mass == pytest.approx(1.0, abs=1e-14)
        np.testing.assert_allclose(mean, x, rtol=0.0, atol=1e-14)
        np.testing.assert_allclose(second, np.outer(x, x), rtol=0.0, atol=1e-14)

    @pytest.mark.parametrize("determinant", [1.0, -1.0])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_rotation_matches_evaluation(self, space, determinant, seed):
        O = random_orthogonal(space.dim, determinant, seed)
        u = random_modal(space, seed)
        x = random_points(space.dim, 50, seed)
        assert relative(space.evaluate(space.rotate(u, O), x), space.evaluate(u, x @ O)) <= 1e-12

    def test_rotation_by_axis_aligned_matrices(self, space):
        d = space.dim
        u, x = random_modal(space), random_points(d, 20)
        turn = np.eye(d)
        turn[:2, :2] = [[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]]
        matrices = [np.eye(d), -np.eye(d), np.eye(d)[::-1], np.roll(np.eye(d), 1, axis=0), turn, -turn]
        matrices += [np.diag(np.where(np.arange(d) == k, -1.0, 1.0)) for k in range(d)]
        for O in matrices:
            found = space.evaluate(space.rotate(u, O), x)
            np.testing.assert_allclose(found, space.evaluate(u, x @ O), rtol=0.0, atol=1e-12 * np.max(np.abs(found)))

    def test_rotations_compose(self, space):
        u = random_modal(space)
        first, second = random_orthogonal(space.dim, -1.0, 3), random_orthogonal(space.dim, 1.0, 4)
        assert relative(space.rotate(space.rotate(u, first), second), space.rotate(u, second @ first)) <= 2e-13
        assert relative(space.rotate(space.rotate(u, first), first.T), u) <= 2e-13

    # ---- moments

    @pytest.mark.parametrize("kappa", [0.1, 3.0, 12.0])
    def test_moments_of_von_mises_fisher(self, space, kappa):
        d = space.dim
        mu = direction(d) / np.linalg.norm(direction(d))
        f = np.exp(kappa * (space.points @ mu - 1.0))
        mass, mean, second = space.moments(space.to_modal(f))
        length = ive(0.5 * d, kappa) / ive(0.5 * d - 1.0, kappa)
        expected_mass = (2.0 * np.pi) ** (0.5 * d) * kappa ** (1.0 - 0.5 * d) * ive(0.5 * d - 1.0, kappa)
        assert mass == pytest.approx(expected_mass, rel=1e-13)
        np.testing.assert_allclose(mean / mass, length * mu, rtol=0.0, atol=1e-13)
        expected = length / kappa * np.eye(d) + (1.0 - d * length / kappa) * np.outer(mu, mu)
        np.testing.assert_allclose(second / mass, expected, rtol=0.0, atol=1e-13)

    @pytest.mark.parametrize("lmax", (2, 3, 31))
    def test_moments_are_the_integrals_of_any_function(self, lmax):
        space = make_space(self.kind, lmax)
        u = random_modal(space)
        points, weights = sphere_rule(space.dim, space.lmax + 2)
        measure = weights * space.evaluate(u, points)
        mass, mean, second = space.moments(u)
        scale = np.abs(measure).sum()
        assert mass == pytest.approx(measure.sum(), abs=1e-13 * scale)
        np.testing.assert_allclose(mean, measure @ points, rtol=0.0, atol=1e-13 * scale)
        np.testing.assert_allclose(second, (points * measure[:, None]).T @ points, rtol=0.0, atol=1e-13 * scale)

    def test_moments_on_the_smallest_space(self):
        space = make_space(self.kind, 2)
        x = random_points(space.dim, 1)[0]
        mass, mean, second = space.moments(space.point_mass(x))
        assert mass == pytest.approx(1.0, rel=1e-14)
        np.testing.assert_allclose(mean, x, rtol=0.0, atol=1e-14)
        np.testing.assert_allclose(second, np.outer(x, x), rtol=0.0, atol=1e-14)

    # ---- other resolutions

    @pytest.mark.parametrize("lmax", [2, 7, 30, 31])
    def test_restriction_drops_the_upper_degrees(self, space, lmax):
        u = random_modal(space)
        x = random_points(space.dim, 30)
        small = make_space(self.kind, lmax)
        restricted = space.restrict(u, lmax)
        assert restricted.shape == (small.n_modal,)
        cut = np.where(space.degree <= lmax, u, 0.0)
        np.testing.assert_allclose(small.evaluate(restricted, x), space.evaluate(cut, x), rtol=0.0, atol=1e-11)
        assert np.max(np.abs(u)) > 1.0
        np.testing.assert_array_equal(small.restrict(restricted, self.lmax), cut)

    @pytest.mark.parametrize("lmax", [2, 7, 31])
    def test_band_is_the_same_grid_with_fewer_degrees(self, space, lmax):
        band = space.band(lmax)
        assert type(band) is type(space)
        assert (band.lmax, band.shape, band.backend) == (lmax, space.shape, space.backend)
        np.testing.assert_array_equal(band.points, space.points)
        u = random_modal(space)
        low, cut = space.restrict(u, lmax), np.where(space.degree <= lmax, u, 0.0)
        assert relative(band.to_nodal(low), space.to_nodal(cut)) <= 1e-13
        assert relative(band.gradient(low), space.gradient(cut)) <= 1e-13
        assert relative(band.to_modal(space.to_nodal(u)), low) <= 1e-13

    def test_band_never_exceeds_the_space(self, space):
        assert space.band(10 * self.lmax).lmax == self.lmax

    def test_refinement_keeps_kind_and_options(self, space):
        other = space.refined(40)
        assert type(other) is type(space)
        assert (other.lmax, other.backend, other.threads) == (40, space.backend, space.threads)
        assert other.shape != space.shape

    # ---- projection

    def test_projection_of_a_resolved_function_is_exact(self, space):
        u = space.project(self.exponential)
        x = random_points(space.dim, 100)
        assert relative(space.evaluate(u, x), self.exponential(x)) <= 1e-13

    @pytest.mark.parametrize("kappa", [10.0, 300.0])
    def test_projection_names_an_lmax_that_works(self, kappa):
        space = make_space(self.kind, 8)
        mu = direction(space.dim) / np.linalg.norm(direction(space.dim))

        def peak(x):
            return np.exp(kappa * (x @ mu - 1.0))

        with pytest.raises(InputError, match=r"space.lmax = 8 is too small .* expected lmax >= \d+") as caught:
            space.project(peak)
        needed = int(str(caught.value).split()[-1])
        x = np.concatenate([mu[None], random_points(space.dim, 50)])
        enough = make_space(self.kind, needed)
        assert relative(enough.evaluate(enough.project(peak), x), peak(x)) <= 1e-8
        with pytest.raises(InputError, match="is too small"):
            make_space(self.kind, needed - 3).project(peak)

    def test_truncating_projection_has_no_aliasing(self):
        space, fine = make_space(self.kind, 4), make_space(self.kind, 63)

        def peak(x):
            return np.exp(5.0 * (x @ direction(x.shape[-1]) - 1.0))

        truth = fine.restrict(fine.to_modal(peak(fine.points)), 4)
        assert relative(space.project(peak, resolved=None), truth) <= 1e-13
        assert relative(space.to_modal(peak(space.points)), truth) > 1e-8, "sampled on its own grid it is aliased"

    def test_projection_refuses_what_no_space_resolves(self, monkeypatch):
        monkeypatch.setattr("spherepde.spaces.base.PROJECTION_LIMIT", 100)
        space = make_space(self.kind, 8)
        with pytest.raises(InputError, match="expected more than lmax = 100$"):
            space.project(lambda x: (x[..., 0] > 0.1).astype(float))

    def test_projection_sees_beyond_a_gap_in_the_spectrum(self):
        space = make_space(self.kind, 16)
        with pytest.raises(InputError, match="is too small"):
            space.project(lambda x: 1.0 + 0.5 * np.real((x[..., 0] + 1j * x[..., 1]) ** 40))

    def test_projection_refuses_a_function_that_is_not_finite(self, monkeypatch):
        monkeypatch.setattr("spherepde.spaces.base.PROJECTION_LIMIT", 100)
        space = make_space(self.kind, 8)
        with pytest.raises(InputError):
            space.project(lambda x: np.where(x[..., 0] > 0.9, np.nan, 1.0))

    # ---- the rest

    def test_smallest_space(self):
        with pytest.raises(InputError, match="expected lmax >= 2 and <= .*, got 1"):
            type(make_space(self.kind, 2))(1)

    def test_configuration_rebuilds_the_space(self, space):
        again = type(space)(**space.to_config())
        assert (again.lmax, again.shape, again.backend) == (space.lmax, space.shape, space.backend)
        np.testing.assert_array_equal(again.degree, space.degree)

    def test_representation_says_grid_and_size(self, space):
        grid = " × ".join(map(str, space.shape))
        size = f"{space.n_modal} coefficients, {space.backend}"
        assert repr(space) == f"{type(space).__name__}(lmax=31, grid {grid}, {size})"

    def test_conventions_are_written_down(self, space):
        for phrase in ("c_0 is the mass",) if space.dim == 2 else ("without Condon-Shortley phase", "m-major"):
            assert phrase in space.conventions


class TestCircle(SpaceContract):
    kind = "circle"

    def test_coefficients_are_those_of_the_discrete_fourier_transform(self, space):
        f = self.exponential(space.points)
        expected = np.fft.rfft(f)[: self.lmax + 1] * 2.0 * np.pi / space.shape[0]
        assert relative(space.to_modal(f), expected) <= 1e-15

    @pytest.mark.parametrize("degree", [1, 2, 31])
    def test_cosine_and_sine(self, space, degree):
        angle = space.theta
        cosine, sine = space.to_modal(np.cos(degree * angle)), space.to_modal(np.sin(degree * angle))
        unit = (space.degree == degree) * np.pi
        np.testing.assert_allclose(cosine, unit, rtol=0.0, atol=3e-14)
        np.testing.assert_allclose(sine, -1j * unit, rtol=0.0, atol=3e-14)
        assert relative(space.gradient(cosine)[0], -degree * np.sin(degree * angle)) <= 1e-13

    def test_zeroth_coefficient_is_the_mass(self, space):
        f = self.exponential(space.points)
        assert space.to_modal(f)[0] == pytest.approx(space.integrate(f), rel=1e-15)
        assert space.to_modal(f)[0].imag == 0.0

    def test_backends_of_the_sphere_are_refused(self):
        with pytest.raises(InputError, match="expected backend 'auto', got 'shtns'"):
            Circle(8, backend="shtns")


class SphereContract(SpaceContract):
    def test_packing_is_m_major(self, space):
        pairs = [(l, m) for m in range(self.lmax + 1) for l in range(m, self.lmax + 1)]
        assert list(zip(space.degree.tolist(), space.order.tolist(), strict=True)) == pairs

    @pytest.mark.parametrize(("degree", "order"), [(0, 0), (1, 0), (1, 1), (2, 1), (3, 2), (4, 3), (20, 7), (31, 31)])
    def test_harmonics_are_orthonormal_without_condon_shortley_phase(self, space, degree, order):
        theta, phi = np.meshgrid(space.theta, space.phi, indexing="ij")
        harmonic = (-1) ** order * sph_harm_y(degree, order, theta, phi)  # scipy has the phase: take it away
        position = np.flatnonzero((space.degree == degree) & (space.order == order))
        for factor in (1.0,) if order == 0 else (1.0, 1j, 0.6 - 0.8j):
            u = np.zeros(space.n_modal, complex)
            u[position] = factor
            expected = (1.0 if order == 0 else 2.0) * np.real(factor * harmonic)
            assert relative(space.to_nodal(u), expected) <= 1e-13
            np.testing.assert_allclose(space.to_modal(expected), u, rtol=0.0, atol=1e-13)
        assert space.inner(u, u) == pytest.approx(1.0 if order == 0 else 2.0, rel=1e-15)

    def test_point_mass_holds_the_conjugate_harmonics(self, space):
        theta, phi = 1.1, 2.3
        x = spherical_points(np.array([theta]), np.array([phi]))[0, 0]
        expected = [
            (-1.0) ** m * np.conj(sph_harm_y(l, m, theta, phi)) for l, m in zip(space.degree, space.order, strict=True)
        ]
        np.testing.assert_allclose(space.point_mass(x), expected, rtol=0.0, atol=1e-14)

    @pytest.mark.parametrize("lmax", (31, 127))
    def test_gradient_of_harmonics_near_the_poles(self, lmax):
        """Y_11 ∝ x: its gradient P_x e_x has unit size at the poles, where 1/sin θ could spoil it."""
        space = make_space(self.kind, lmax)
        u = np.zeros(space.n_modal, complex)
        u[(space.degree == 1) & (space.order == 1)] = np.sqrt(2.0 * np.pi / 3.0)
        assert relative(space.to_nodal(u), space.points[..., 0]) <= 1e-14
        assert relative(space.gradient(u), space.tangent_frame[..., 0]) <= 1e-14

    @pytest.mark.parametrize("lmax", (255, 511))
    def test_a_cluster_at_a_pole_integrates_to_its_mass(self, lmax):
        space = make_space(self.kind, lmax)
        kappa = 0.008 * lmax**2  # as narrow as lmax resolves
        density = np.exp(kappa * (space.points[..., 2] - 1.0)) * kappa / (2.0 * np.pi * -np.expm1(-2.0 * kappa))
        assert space.to_modal(density)[0].real * np.sqrt(4.0 * np.pi) == pytest.approx(1.0, rel=5e-14)
        assert space.integrate(density) == pytest.approx(1.0, rel=5e-14)


class TestSphereShtns(SphereContract):
    kind = "shtns"

    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("shtns", exc_type=ImportError)

    @pytest.mark.parametrize("lmax", (31, 255))
    def test_both_backends_agree(self, lmax):
        first, second = make_space("shtns", lmax), make_space("ducc0", lmax)
        assert first.shape == second.shape
        u = random_modal(first)
        f, slope = first.to_nodal(u), first.gradient(u)
        field = np.random.default_rng(1).normal(size=slope.shape)
        for found, expected in (
            (second.to_nodal(u), f),
            (second.to_modal(f), first.to_modal(f)),
            (second.gradient(u), slope),
            (second.divergence(field), first.divergence(field)),
        ):
            assert np.linalg.norm(found - expected) <= 2e-13 * np.linalg.norm(expected)  # each is off by half

    def test_auto_prefers_shtns(self):
        assert Sphere(4).backend == "shtns"


class TestSphereDucc(SphereContract):
    kind = "ducc0"


@pytest.fixture
def without_shtns(monkeypatch):
    monkeypatch.setitem(sys.modules, "shtns", None)
    monkeypatch.delitem(sys.modules, "spherepde.spaces.shtns", raising=False)


@pytest.mark.usefixtures("without_shtns")
def test_a_missing_backend_says_how_to_install_it():
    with pytest.raises(InputError, match="backend 'shtns' is not installed") as caught:
        Sphere(8, backend="shtns")
    for advice in ("apt install libfftw3-dev", "brew install fftw", "pip install shtns", "backend 'ducc0'"):
        assert advice in str(caught.value)


@pytest.mark.usefixtures("without_shtns")
def test_auto_falls_back_to_ducc0():
    assert Sphere(8).backend == "ducc0"


def test_unknown_backends_are_refused():
    for make in (Circle, Sphere):
        with pytest.raises(InputError, match="expected backend 'auto'.* got 'healpy'"):
            make(8, backend="healpy")


def test_space_for_each_dimension():
    assert isinstance(space_for(2, 8), Circle)
    sphere = space_for(3, 8, backend="ducc0")
    assert isinstance(sphere, Sphere)
    assert (sphere.lmax, sphere.backend) == (8, "ducc0")
    with pytest.raises(InputError, match="model.dim = 4: expected 2"):
        space_for(4, 8)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("degree", [0, 1, 6, 7])
def test_quadrature_is_exact_to_its_degree_and_no_further(dim, degree):
    points, weights = sphere_rule(dim, degree)
    assert points.shape == ((degree + 1) * (1 if dim == 2 else degree // 2 + 1), dim)
    assert weights.shape == points.shape[:1]
    assert weights.sum() == pytest.approx(2 * np.pi if dim == 2 else 4 * np.pi, rel=1e-14)
    exponential = np.exp(1j * np.pi / 7) * (points[:, 0] + 1j * points[:, 1])  # its powers are harmonics
    for power in range(1, degree + 1):
        assert abs(weights @ exponential**power) < 1e-13
    assert abs(weights @ exponential ** (degree + 1)) > 1.0
    if dim == 3:
        for power in range(degree + 1):
            expected = 4 * np.pi / (power + 1) if power % 2 == 0 else 0.0
            assert weights @ points[:, 2] ** power == pytest.approx(expected, abs=1e-13)


def test_quadrature_points_run_along_phi_first():
    points, _ = sphere_rule(3, 4)
    np.testing.assert_allclose(points[0, 2], points[4, 2], rtol=1e-15)
    assert points[5, 2] < points[4, 2]
    np.testing.assert_allclose(points[0, 1], 0.0, atol=1e-16)


def test_quadrature_in_other_dimensions_is_refused():
    with pytest.raises(InputError, match=r"quadrature on S\^3: expected dim 2 or 3, got 4"):
        sphere_rule(4, 3)
