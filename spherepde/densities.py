r"""Initial densities on the circle and the 2-sphere, with respect to the surface measure, of integral 1.

Each public function builds a :class:`Density` or raises InputError. Masses are closed forms wherever one exists;
only ``fisher_bingham`` and ``from_callable`` are normalised by quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from inspect import signature
from math import expm1, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import i0e, sph_harm_y

from .errors import InputError
from .kernels import sphere_area
from .quadrature import sphere_rule

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


@dataclass(frozen=True, eq=False, repr=False)
class Density:
    r"""A probability density on :math:`S^{d-1}`: call it with unit vectors to get its values.

    Attributes: ``dim`` = d; ``parameters`` the keys of a configuration's ``[initial]`` table, from which
    :func:`density_from_config` rebuilds it; ``function`` the bare map (n, d) -> (n,).
    Raises InputError unless d is 2 or 3, and when called with points of another dimension or off the sphere.
    """

    dim: int
    parameters: dict[str, Any]
    function: Function

    def __post_init__(self) -> None:
        if self.dim not in (2, 3):
            raise InputError(f"initial density {self.family}: dim is {self.dim!r}; expected 2 or 3")

    @property
    def family(self) -> str:
        """Name of the family: a value of the configuration key ``initial.family``, or ``callable``."""
        return str(self.parameters["family"])

    def __call__(self, points: ArrayLike) -> Array:
        """Values (...) per unit of surface measure at the unit vectors points (..., d)."""
        x = np.asarray(points, dtype=np.float64)
        if x.ndim == 0 or x.shape[-1] != self.dim:
            raise InputError(f"density {self.family}: expected points of shape (..., {self.dim}), got {x.shape}")
        flat = x.reshape(-1, self.dim)
        defect = np.max(np.abs(np.sum(flat**2, axis=1) - 1.0), initial=0.0)
        if not defect <= 1e-6:  # also refuses NaN
            raise InputError(f"density {self.family}: expected unit vectors, got squared lengths off 1 by {defect:.3g}")
        return self.function(flat).reshape(x.shape[:-1])

    def __repr__(self) -> str:
        entries = "".join(f", {key}={value}" for key, value in self.parameters.items() if key != "family")
        return f"Density({self.family} on S^{self.dim - 1}{entries})"


def _numbers(where: str, value: ArrayLike, ndim: int) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.empty(0)
    fits = array.dtype.kind in "iuf" and array.shape in ((2,) * ndim, (3,) * ndim)
    if not (fits and np.all(np.isfinite(array))):
        expected = ("a finite number", "2 or 3 finite numbers", "a 2 x 2 or 3 x 3 matrix of finite numbers")[ndim]
        raise InputError(f"initial density {where} is {value!r}; expected {expected}")
    return array.astype(np.float64)


def _mass(function: Function, dim: int, degree: int, family: str) -> float:
    """Integral over the sphere, doubling the degree of the rule until the value stays put.

    Accepts one agreement to 1e-14, or two running to 1e-12 (the round-off of a sharp exponent). Raises InputError
    when the finest rule is passed first. Does not see features narrower than the spacing of the first rule.
    """
    previous, change, finest = np.inf, np.inf, 4096 if dim == 2 else 2048
    while degree <= finest:
        points, weights = sphere_rule(dim, degree)
        mass = float(weights @ function(points))
        last, change = change, abs(mass - previous) / mass if mass > 0.0 else np.inf
        if change <= 1e-14 or max(change, last) <= 1e-12:
            return mass
        previous, degree = mass, min(2 * degree, finest) if degree < finest else finest + 1
    raise InputError(f"initial density {family}: too sharp for quadrature of degree {finest}; expected it smoother")


def _minimum(function: Function, dim: int, degree: int) -> tuple[float, Array]:
    """Least value of a polynomial of that degree on the sphere, and where: fine grid, then descent from its lows."""
    points, _ = sphere_rule(dim, 4 * degree + 32)
    values = function(points)
    lows: list[tuple[float, Array]] = []
    while len(lows) < 8 and np.isfinite(values.min()):
        start = points[np.argmin(values)]
        values[points @ start > np.cos(1.0 / degree)] = np.inf
        options = {"xatol": 1e-9, "fatol": 1e-13, "initial_simplex": start + np.eye(dim + 1, dim) / (2 * degree)}
        radial = minimize(
            lambda y: function(y[None] / np.linalg.norm(y))[0], start, method="Nelder-Mead", options=options
        )
        lows.append((float(radial.fun), radial.x / np.linalg.norm(radial.x)))
    return min(lows, key=lambda low: low[0])


def uniform(dim: int) -> Density:
    r"""The uniform density :math:`1/|S^{d-1}|`, d = ``dim`` = 2 or 3."""
    return Density(dim, {"family": "uniform"}, lambda x: np.full(len(x), 1.0 / sphere_area(dim)))


def von_mises_fisher(mean: ArrayLike, concentration: float) -> Density:
    r"""The von Mises–Fisher density about a direction.

    .. math:: \rho(x)=\frac{e^{-\kappa|x-\mu|^2/2}}{2\pi e^{-\kappa}I_0(\kappa)}\ (d=2),\qquad
              \rho(x)=\frac{\kappa\,e^{-\kappa|x-\mu|^2/2}}{2\pi(1-e^{-2\kappa})}\ (d=3)

    ``mean`` (d,) points along μ (any length but 0); ``concentration`` κ ≥ 0, dimensionless, of any size: half the
    squared chord stands for :math:`1-\langle x,\mu\rangle`, so nothing overflows or cancels.
    Source: Mardia and Jupp, Directional Statistics, 2000.
    """
    direction = _numbers("von_mises_fisher: mean", mean, 1)
    kappa = float(_numbers("von_mises_fisher: concentration", concentration, 0))
    length, dim, least = float(np.linalg.norm(direction)), direction.size, max(kappa, 1e-300)
    if length == 0.0 or kappa < 0.0:
        wrong = f"concentration is {kappa:g}; expected >= 0" if length else "mean is zero; expected a direction"
        raise InputError(f"initial density von_mises_fisher: {wrong}")
    mass = 2.0 * pi * float(i0e(kappa)) if dim == 2 else -2.0 * pi * expm1(-2.0 * least) / least
    parameters = {"family": "von_mises_fisher", "mean": direction.tolist(), "concentration": kappa}
    return Density(dim, parameters, lambda x: np.exp(-0.5 * kappa * np.sum((x - direction / length) ** 2, 1)) / mass)


def _quadratic(
    family: str, linear: ArrayLike, quadratic: ArrayLike | None
) -> tuple[Array, Array, Function, dict[str, Any]]:
    """Linear and quadratic parts as arrays, the function they make, and the parameters to store."""
    b = _numbers(f"{family}: linear", linear, 1)
    Q = np.zeros((b.size, b.size)) if quadratic is None else _numbers(f"{family}: quadratic", quadratic, 2)
    if b.size != len(Q):
        raise InputError(f"initial density {family}: quadratic has shape {Q.shape}; expected ({b.size}, {b.size})")
    parameters = {"family": family, "linear": b.tolist(), "quadratic": Q.tolist()}
    return b, Q, lambda x: x @ b + np.sum((x @ Q) * x, axis=1), parameters


def fisher_bingham(linear: ArrayLike, quadratic: ArrayLike | None = None) -> Density:
    r"""The density :math:`\rho\propto\exp(b\cdot x+x^\top Qx)`, its exponent taken relative to the maximum.

    ``linear`` b (d,), ``quadratic`` Q (d, d), of which only the symmetric part counts (default: zero).
    Refuses exponents that vary by more than about 5e4 (circle) or 5e3 (sphere): quadrature cannot settle their mass.
    """
    b, Q, exponent, parameters = _quadratic("fisher_bingham", linear, quadratic)
    peak = _minimum(lambda x: -exponent(x), b.size, 2)[1]
    slope = b + (Q + Q.T) @ peak
    pull = 0.5 * slope @ peak  # on the sphere the radial slope is a multiple of |x - peak|², so nothing cancels:
    rise = _quadratic("fisher_bingham", slope - 2.0 * pull * peak, Q - pull * np.eye(b.size))[2]
    mirror = peak - np.eye(b.size)[0]  # takes e_1 to the peak, so that quadrature sees it on its equator
    turn = np.eye(b.size) - 2.0 * np.outer(mirror, mirror) / max(mirror @ mirror, 1e-300)
    spread = float(np.linalg.norm(b) + np.ptp(np.linalg.eigvalsh(Q + Q.T)))
    degree = int(min(9.0 * sqrt(spread) + 16.0, 1e6))  # where exp ends as a polynomial: no peak between the nodes
    mass = _mass(lambda x: np.exp(rise(x @ turn - peak)), b.size, degree, "fisher_bingham")
    return Density(b.size, parameters, lambda x: np.exp(rise(x - peak)) / mass)


def polynomial(linear: ArrayLike, quadratic: ArrayLike | None = None) -> Density:
    r"""The density :math:`\rho\propto 1+b\cdot x+x^\top Qx`, of mass :math:`|S^{d-1}|(1+\operatorname{tr}Q/d)`.

    ``linear`` b (d,), ``quadratic`` Q (d, d) (default: zero). Refuses a minimum over the sphere that is not positive.
    """
    b, Q, form, parameters = _quadratic("polynomial", linear, quadratic)
    least = 1.0 + _minimum(form, b.size, 2)[0]
    if least <= 0.0:
        raise InputError(f"initial density polynomial: 1 + l.x + x.Q x has minimum {least:.6g}; expected it positive")
    mass = sphere_area(b.size) * (1.0 + float(np.trace(Q)) / b.size)
    return Density(b.size, parameters, lambda x: (1.0 + form(x)) / mass)


def poisson_kernel(offset: ArrayLike) -> Density:
    r"""The conformal image of the uniform density, a shape that the β = 0 flow keeps.

    .. math:: \rho(x)=\frac1{|S^{d-1}|}\Bigl(\frac{1-|w|^2}{|x-w|^2}\Bigr)^{d-1}

    ``offset`` w (d,) with |w| < 1. Source: Ott and Antonsen 2008 for d = 2; literature.md C17, C18.
    """
    w = _numbers("poisson_kernel: offset", offset, 1)
    slack = float(1 - sum(Fraction(c) ** 2 for c in w.tolist()))  # exact: 1 - |w|² cancels near the boundary
    if slack <= 0.0:
        raise InputError(f"initial density poisson_kernel: offset has length {np.linalg.norm(w):.6g}; expected < 1")
    dim, area = w.size, sphere_area(w.size)
    parameters = {"family": "poisson_kernel", "offset": w.tolist()}
    return Density(dim, parameters, lambda x: (slack / np.sum((x - w) ** 2, axis=1)) ** (dim - 1) / area)


def _modes(dim: int, modes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The modes, checked and with every key present."""
    keys, rows = ("degree", "cos", "sin") if dim == 2 else ("degree", "order", "amplitude"), []
    for i, mode in enumerate(modes):
        row: dict[str, Any] = {"cos": 0.0, "sin": 0.0, **mode} if dim == 2 else dict(mode)
        degree, order = row.get("degree"), row.get("order", 0)
        whole = isinstance(degree, int) and isinstance(order, int) and 1 <= degree >= abs(order)
        if set(row) != set(keys) or not whole:
            expected = f"{', '.join(keys)}, integer degree >= 1" + ("" if dim == 2 else " and |order| <= degree")
            raise InputError(f"initial density harmonics: modes.{i} is {mode!r}; expected {expected}")
        for key in set(keys) - {"degree", "order"}:
            row[key] = float(_numbers(f"harmonics: modes.{i}.{key}", row[key], 0))
        rows.append(row)
    return rows


def _one_plus(rows: list[dict[str, Any]], x: Array) -> Array:
    total, phi = np.ones(len(x)), np.arctan2(x[:, 1], x[:, 0])
    for row in rows:
        degree, order = row["degree"], row.get("order", 0)
        if x.shape[1] == 2:
            total += row["cos"] * np.cos(degree * phi) + row["sin"] * np.sin(degree * phi)
            continue
        value = sph_harm_y(degree, abs(order), np.arctan2(np.hypot(x[:, 0], x[:, 1]), x[:, 2]), phi)
        factor = (-1) ** order * sqrt(2.0) if order else 1.0  # undoes the Condon–Shortley phase
        total += row["amplitude"] * factor * (value.imag if order < 0 else value.real)
    return total


def harmonics(dim: int, modes: Sequence[Mapping[str, Any]]) -> Density:
    r"""The uniform density plus modes, amplitudes relative to the uniform density.

    .. math:: \rho=\frac1{4\pi}\Bigl(1+\sum aY_{lm}\Bigr)\ (d=3),\qquad
              \rho=\frac1{2\pi}\Bigl(1+\sum a\cos k\theta+b\sin k\theta\Bigr)\ (d=2)

    with real orthonormal :math:`Y_{lm}` without Condon–Shortley phase, :math:`\propto\sqrt2\cos m\phi` for order m > 0
    and :math:`\sqrt2\sin|m|\phi` for m < 0. ``modes``: {degree, order, amplitude} for d = 3, {degree, cos, sin} for
    d = 2 (one of cos and sin may be left out); degrees ≥ 1; repeated modes add up. Refuses a negative sum.
    """
    rows, area = _modes(dim, modes), sphere_area(dim)
    density = Density(dim, {"family": "harmonics", "modes": rows}, lambda x: np.maximum(_one_plus(rows, x), 0.0) / area)
    least = _minimum(lambda x: _one_plus(rows, x), dim, max((row["degree"] for row in rows), default=1))[0]
    if least < -1e-12:
        raise InputError(f"initial density harmonics: 1 + modes has minimum {least:.6g}; expected it non-negative")
    return density


def mixture(components: Sequence[tuple[float, Density]]) -> Density:
    r"""The weighted mean :math:`\sum_i w_i\rho_i/\sum_i w_i` of densities on one sphere.

    ``components``: pairs (weight > 0, density); a component may be a mixture itself.
    """
    parts = [(float(_numbers(f"mixture: weight {i}", w, 0)), density) for i, (w, density) in enumerate(components)]
    total = sum(w for w, _ in parts)
    if not parts or min(w for w, _ in parts) <= 0.0 or len({density.dim for _, density in parts}) > 1:
        raise InputError(f"initial density mixture: got {parts}; expected one or more, weights > 0, all on one sphere")
    parameters = {"family": "mixture", "component": [{"weight": w, **density.parameters} for w, density in parts]}
    return Density(parts[0][1].dim, parameters, lambda x: np.sum([w / total * p.function(x) for w, p in parts], axis=0))


def from_callable(function: Callable[[Array], ArrayLike], dim: int) -> Density:
    """Wrap and normalise a function of points (n, d) that returns (n,) finite non-negative values.

    The mass comes from quadrature; every evaluation is checked. A configuration cannot rebuild it. Refuses functions
    whose mass quadrature cannot settle; does not notice features narrower than 1/100 radian on a smooth background.
    """

    def checked(x: Array) -> Array:
        values = np.asarray(function(x))
        real = values.dtype.kind in "fiu" and values.shape == (len(x),)
        wrong = ~(np.isfinite(values) & (values >= 0)) if real else np.ones(len(x), bool)
        if wrong.any():
            got = f"{values[wrong][0]:g} at {x[wrong][0].tolist()}" if real else f"shape {values.shape}, {values.dtype}"
            raise InputError(f"initial density callable: got {got}; expected {len(x)} finite numbers >= 0")
        return values.astype(np.float64)

    mass = _mass(checked, dim, 256, "callable")
    return Density(dim, {"family": "callable"}, lambda x: checked(x) / mass)


def density_from_config(dim: int, parameters: Mapping[str, Any]) -> Density:
    """Build the density of an ``[initial]`` table given as a dict; linear and quadratic default to zero.

    Raises InputError for an unknown family or key, a missing key, values the family refuses, and vectors that do not
    fit ``dim``; also for the family ``file``, whose density lives in an earlier run.
    """
    flat = (von_mises_fisher, fisher_bingham, polynomial, poisson_kernel)
    families: dict[str, Callable[..., Density]] = {factory.__name__: factory for factory in flat}
    families |= {"uniform": partial(uniform, dim), "harmonics": partial(harmonics, dim)}
    families["mixture"] = lambda component: mixture(
        [(entry.get("weight"), density_from_config(dim, {**entry, "weight": None})) for entry in component]
    )
    family, given = parameters.get("family"), {k: v for k, v in parameters.items() if k != "family" and v is not None}
    if family not in families:
        raise InputError(f"initial.family is {family!r}; expected one of {', '.join(families)}")
    if family in ("fisher_bingham", "polynomial"):
        given = {"linear": np.zeros(dim), "quadratic": np.zeros((dim, dim)), **given}
    keys = set(signature(families[family]).parameters)
    if set(given) != keys:
        raise InputError(f"initial.{min(set(given) ^ keys)}: family {family} expects the keys {sorted(keys)}")
    density = families[family](**given)
    if density.dim != dim:
        raise InputError(f"initial density {family}: its vectors have length {density.dim}; expected {dim}")
    return density
