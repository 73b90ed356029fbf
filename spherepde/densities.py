r"""Initial densities on the circle and the 2-sphere, with respect to the surface measure, of integral 1.

Each public function builds a :class:`Density`. Masses are closed forms wherever one exists; only
``fisher_bingham`` and ``from_callable`` are normalised by quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from inspect import Parameter, signature
from itertools import product
from math import expm1, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import i0e, sph_harm_y

from .errors import InputError
from .kernels import sphere_area
from .quadrature import sphere_rule

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

UNIT_TOLERANCE = 1e-6
"""Points whose squared length is further than this from 1 are refused: the formulas hold on the sphere only."""

FINEST_RULE = {2: 4096, 3: 2048}
"""Degree of the last quadrature rule tried, by dimension."""


@dataclass(frozen=True, eq=False, repr=False)
class Density:
    r"""A probability density on :math:`S^{d-1}`: call it with unit vectors to get its values.

    Attributes: ``dim`` = d; ``parameters`` the keys of a configuration's ``[initial]`` table, from which
    :func:`density_from_config` rebuilds it; ``function`` the bare map (n, d) -> (n,).
    Calling takes points (..., d) and returns values (...), per unit of surface measure.
    Raises InputError for another last dimension and for points off the sphere.
    """

    dim: int
    parameters: dict[str, Any]
    function: Function

    @property
    def family(self) -> str:
        """Name of the family: a value of the configuration key ``initial.family``, or ``callable``."""
        return str(self.parameters["family"])

    def __call__(self, points: ArrayLike) -> Array:
        x = np.asarray(points, dtype=np.float64)
        if x.ndim == 0 or x.shape[-1] != self.dim:
            raise InputError(f"density {self.family}: expected points of shape (..., {self.dim}), got {x.shape}")
        flat = x.reshape(-1, self.dim)
        defect = np.max(np.abs(np.sum(flat**2, axis=1) - 1.0), initial=0.0)
        if not defect <= UNIT_TOLERANCE:
            raise InputError(f"density {self.family}: expected unit vectors, got squared lengths off 1 by {defect:.3g}")
        return self.function(flat).reshape(x.shape[:-1])

    def __repr__(self) -> str:
        return _show(self.parameters, self.dim)


def _show(value: Any, dim: int) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_show(entry, dim) for entry in value) + "]"
    if not isinstance(value, dict):
        return f"{value:g}" if isinstance(value, float) else str(value)
    family = value.get("family")
    if family == "mixture":
        return "mixture(" + " + ".join(f"{c['weight']:g} * {_show(c, dim)}" for c in value["component"]) + ")"
    shown = {"dim": dim} if family in ("uniform", "harmonics", "callable") else {}
    shown |= {key: entry for key, entry in value.items() if key not in ("family", "weight")}
    inside = ", ".join(f"{key}={_show(entry, dim)}" for key, entry in shown.items())
    return f"{family}({inside})" if family else "{" + inside + "}"


def _number(where: str, value: Any, least: float = -np.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not least <= value < np.inf:
        bound = "" if least == -np.inf else f" >= {least:g}"
        raise InputError(f"initial density {where} is {value!r}; expected a finite number{bound}")
    return float(value)


def _array(where: str, value: Any, ndim: int) -> Array:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape not in ((2,) * ndim, (3,) * ndim) or not np.all(np.isfinite(array)):
        expected = "a vector of 2 or 3" if ndim == 1 else "a 2 x 2 or 3 x 3 matrix of"
        raise InputError(f"initial density {where} is {value!r}; expected {expected} finite numbers")
    return array


def _check_dim(family: str, dim: int) -> None:
    if dim not in FINEST_RULE:
        raise InputError(f"initial density {family}: dim is {dim!r}; expected 2 or 3")


def _quadratic(family: str, linear: Any, quadratic: Any) -> tuple[Array, Array, Function, dict[str, Any]]:
    r"""Checked b and Q of :math:`b\cdot x+x^\top Qx`, that function, and the parameters to store."""
    if linear is None and quadratic is None:
        raise InputError(f"initial density {family}: expected linear or quadratic or both, got neither")
    dim = len(_array(f"{family}: quadratic", quadratic, 2) if linear is None else _array(f"{family}: linear", linear, 1))
    b = _array(f"{family}: linear", np.zeros(dim) if linear is None else linear, 1)
    Q = _array(f"{family}: quadratic", np.zeros((dim, dim)) if quadratic is None else quadratic, 2)
    if b.size != len(Q):
        raise InputError(f"initial density {family}: quadratic has shape {Q.shape}; expected {(dim, dim)} to fit linear")
    parameters = {"family": family, "linear": b.tolist(), "quadratic": Q.tolist()}
    return b, Q, lambda x: x @ b + np.sum((x @ Q) * x, axis=1), parameters


def _mass(function: Function, dim: int, degree: int, family: str) -> float:
    """Integral over the sphere, doubling the degree of the rule until the value stays put.

    Accepts one agreement to 1e-14, or two running to 1e-12 (the round-off of a sharp exponent). Raises InputError
    when the finest rule is passed first. Does not see features narrower than the spacing of the first rule.
    """
    previous = change = np.inf
    finest = FINEST_RULE[dim]
    while degree <= finest:
        points, weights = sphere_rule(dim, degree)
        mass = float(weights @ function(points))
        last, change = change, abs(mass - previous) / mass if mass > 0.0 else np.inf
        if change <= 1e-14 or max(change, last) <= 1e-12:
            return mass
        previous, degree = mass, min(2 * degree, finest) if degree < finest else finest + 1
    raise InputError(
        f"initial density {family}: its integral does not settle with quadrature of degree {finest}; "
        "expected a smooth, less sharp function that is positive somewhere"
    )


def _minimum(function: Function, dim: int, degree: int) -> float:
    """Least value on the sphere of a polynomial of the given degree: a fine grid, then descent from its lows."""
    points, _ = sphere_rule(dim, 4 * degree + 32)
    values = function(points)
    steps = np.array(list(product((-1.0, 0.0, 1.0), repeat=dim - 1)))
    least = np.inf
    while np.isfinite(values.min()) and values.min() < least + 0.1 * abs(least):
        x, low, size = points[np.argmin(values)], float(values.min()), 0.5 / degree
        values[points @ x > np.cos(1.0 / degree)] = np.inf
        frame = np.linalg.svd(x[None, :])[2][1:]
        while size > 1e-9 / degree:
            trial = x + size * steps @ frame
            trial /= np.linalg.norm(trial, axis=1, keepdims=True)
            found = function(trial)
            if found.min() < low:
                x, low = trial[np.argmin(found)], float(found.min())
            else:
                size *= 0.5
        least = min(least, low)
    return least


def uniform(dim: int) -> Density:
    r"""The uniform density :math:`1/|S^{d-1}|`. Raises InputError unless ``dim`` is 2 or 3."""
    _check_dim("uniform", dim)
    return Density(dim, {"family": "uniform"}, lambda x: np.full(len(x), 1.0 / sphere_area(dim)))


def von_mises_fisher(mean: ArrayLike, concentration: float) -> Density:
    r"""The von Mises–Fisher density about a direction.

    .. math:: \rho(x)=\frac{e^{-\kappa|x-\mu|^2/2}}{2\pi e^{-\kappa}I_0(\kappa)}\ (d=2),\qquad
              \rho(x)=\frac{\kappa\,e^{-\kappa|x-\mu|^2/2}}{2\pi(1-e^{-2\kappa})}\ (d=3)

    ``mean`` (d,) points along μ (any length but 0); ``concentration`` κ ≥ 0, dimensionless, of any size: the chord
    stands for :math:`1-\langle x,\mu\rangle`, so nothing overflows or cancels. Raises InputError otherwise.
    Source: Mardia and Jupp, Directional Statistics, 2000.
    """
    direction = _array("von_mises_fisher: mean", mean, 1)
    kappa = _number("von_mises_fisher: concentration", concentration, 0.0)
    length, dim = float(np.linalg.norm(direction)), direction.size
    if length == 0.0:
        raise InputError("initial density von_mises_fisher: mean is the zero vector; expected a direction")
    mass = 2.0 * pi * float(i0e(kappa)) if dim == 2 else sphere_area(dim)
    if dim == 3 and kappa > 1e-16:
        mass = -2.0 * pi * expm1(-2.0 * kappa) / kappa
    parameters = {"family": "von_mises_fisher", "mean": direction.tolist(), "concentration": kappa}
    return Density(dim, parameters, lambda x: np.exp(-0.5 * kappa * np.sum((x - direction / length) ** 2, 1)) / mass)


def fisher_bingham(linear: ArrayLike | None = None, quadratic: ArrayLike | None = None) -> Density:
    r"""The density :math:`\rho\propto\exp(b\cdot x+x^\top Qx)`, its exponent taken relative to the maximum.

    ``linear`` b (d,), ``quadratic`` Q (d, d), of which only the symmetric part counts; one of them may be None (zero).
    Raises InputError when shapes do not fit, and when the exponent varies so much (about 1e5 on the circle, 1e4 on
    the sphere) that quadrature cannot settle the mass.
    """
    b, Q, form, parameters = _quadratic("fisher_bingham", linear, quadratic)
    top = -_minimum(lambda x: -form(x), b.size, 2)
    spread = float(np.linalg.norm(b) + np.ptp(np.linalg.eigvalsh(Q + Q.T)))
    degree = int(min(9.0 * sqrt(spread) + 16.0, 1e6))  # where exp ends as a polynomial: no peak between the nodes
    mass = _mass(lambda x: np.exp(form(x) - top), b.size, degree, "fisher_bingham")
    return Density(b.size, parameters, lambda x: np.exp(form(x) - top) / mass)


def polynomial(linear: ArrayLike | None = None, quadratic: ArrayLike | None = None) -> Density:
    r"""The density :math:`\rho\propto 1+b\cdot x+x^\top Qx`, of mass :math:`|S^{d-1}|(1+\operatorname{tr}Q/d)`.

    ``linear`` b (d,), ``quadratic`` Q (d, d); one of them may be None (zero).
    Raises InputError when shapes do not fit or the minimum over the sphere is not positive.
    """
    b, Q, form, parameters = _quadratic("polynomial", linear, quadratic)
    least = 1.0 + _minimum(form, b.size, 2)
    if least <= 0.0:
        raise InputError(
            f"initial density polynomial: 1 + linear.x + x.quadratic.x has minimum {least:.6g}; expected it positive"
        )
    mass = sphere_area(b.size) * (1.0 + float(np.trace(Q)) / b.size)
    return Density(b.size, parameters, lambda x: (1.0 + form(x)) / mass)


def poisson_kernel(offset: ArrayLike) -> Density:
    r"""The conformal image of the uniform density, a shape that the β = 0 flow keeps.

    .. math:: \rho(x)=\frac1{|S^{d-1}|}\Bigl(\frac{1-|w|^2}{|x-w|^2}\Bigr)^{d-1}

    ``offset`` w (d,) with |w| < 1; raises InputError otherwise.
    Source: Ott and Antonsen 2008 for d = 2; literature.md C17, C18.
    """
    w = _array("poisson_kernel: offset", offset, 1)
    slack = float(1 - sum(Fraction(c) ** 2 for c in w.tolist()))  # exact: 1 - |w|² cancels near the boundary
    if slack <= 0.0:
        length = np.linalg.norm(w)
        raise InputError(f"initial density poisson_kernel: offset has length {length:.6g}; expected less than 1")
    dim, area = w.size, sphere_area(w.size)
    parameters = {"family": "poisson_kernel", "offset": w.tolist()}
    return Density(dim, parameters, lambda x: (slack / np.sum((x - w) ** 2, axis=1)) ** (dim - 1) / area)


def _modes(dim: int, modes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The modes with every key present and checked: {degree, order, amplitude} or {degree, cos, sin}."""
    rows: list[dict[str, Any]] = []
    for i, mode in enumerate(modes):
        row: dict[str, Any] = dict({"cos": 0.0, "sin": 0.0} if dim == 2 else {}, **mode)
        keys = ["degree", "order", "amplitude"] if dim == 3 else ["degree", "cos", "sin"]
        if set(row) != set(keys):
            raise InputError(f"initial density harmonics: modes.{i} is {mode!r}; expected {', '.join(keys)}")
        degree, order = row["degree"], row.get("order", 0)
        if not (isinstance(degree, int) and isinstance(order, int) and 1 <= degree >= abs(order)):
            raise InputError(
                f"initial density harmonics: modes.{i} is {mode!r}; expected integers degree >= 1 and |order| <= degree"
            )
        rows.append({k: row[k] if k in ("degree", "order") else _number(f"modes.{i}.{k}", row[k]) for k in keys})
    return rows


def _harmonic(mode: dict[str, Any], x: Array) -> Array:
    r"""One term: :math:`a\cos k\theta+b\sin k\theta`, or amplitude times the real orthonormal harmonic."""
    phi, degree = np.arctan2(x[:, 1], x[:, 0]), mode["degree"]
    if x.shape[1] == 2:
        return np.asarray(mode["cos"] * np.cos(degree * phi) + mode["sin"] * np.sin(degree * phi))
    order, theta = mode["order"], np.arctan2(np.hypot(x[:, 0], x[:, 1]), x[:, 2])
    value = sph_harm_y(degree, abs(order), theta, phi)  # with the Condon–Shortley phase, undone here
    factor = mode["amplitude"] * ((-1) ** order * sqrt(2.0) if order else 1.0)
    return np.asarray(factor * (value.imag if order < 0 else value.real))


def harmonics(dim: int, modes: Sequence[Mapping[str, Any]]) -> Density:
    r"""The uniform density plus modes, amplitudes relative to the uniform density.

    .. math:: \rho=\frac1{4\pi}\Bigl(1+\sum aY_{lm}\Bigr)\ (d=3),\qquad
              \rho=\frac1{2\pi}\Bigl(1+\sum a\cos k\theta+b\sin k\theta\Bigr)\ (d=2)

    with real orthonormal :math:`Y_{lm}` without Condon–Shortley phase, :math:`\propto\sqrt2\cos m\phi` for order m > 0
    and :math:`\sqrt2\sin|m|\phi` for m < 0. ``modes``: {degree, order, amplitude} for d = 3, {degree, cos, sin} for
    d = 2 (one of cos and sin may be left out); degrees ≥ 1; repeated modes add up.
    Raises InputError for other keys and when the sum is negative somewhere.
    """
    _check_dim("harmonics", dim)
    rows = _modes(dim, modes)

    def shape(x: Array) -> Array:
        return np.asarray(1.0 + sum((_harmonic(row, x) for row in rows), np.zeros(len(x))))

    top = max((row["degree"] for row in rows), default=1)
    # |Y_lm| <= sqrt((2l+1)/4π): small amplitudes need no search
    largest = (abs(m["amplitude"]) * sqrt((2 * m["degree"] + 1) / (4.0 * pi)) for m in rows) if dim == 3 else (
        sqrt(m["cos"] ** 2 + m["sin"] ** 2) for m in rows
    )
    least = 0.0 if sum(largest) <= 1.0 else _minimum(shape, dim, top)
    if least < -1e-12:
        raise InputError(f"initial density harmonics: 1 + modes has minimum {least:.6g}; expected it non-negative")
    area = sphere_area(dim)
    return Density(dim, {"family": "harmonics", "modes": rows}, lambda x: np.maximum(shape(x), 0.0) / area)


def mixture(components: Sequence[tuple[float, Density]]) -> Density:
    r"""The weighted mean :math:`\sum_i w_i\rho_i/\sum_i w_i` of densities on one sphere.

    ``components``: pairs (weight > 0, density). Mixtures of mixtures are flattened.
    Raises InputError for an empty list, a weight that is not positive, and different dimensions.
    """
    weights = [_number(f"mixture: weight {i}", w, 0.0) for i, (w, _) in enumerate(components)]
    densities, total = [density for _, density in components], sum(weights)
    if not weights or min(weights) == 0.0:
        raise InputError(f"initial density mixture: weights are {weights}; expected at least one, all positive")
    if len({density.dim for density in densities}) > 1:
        raise InputError(f"initial density mixture: components on different spheres {densities}; expected one sphere")
    entries: list[dict[str, Any]] = []
    for w, density in zip(weights, densities, strict=True):
        inner = density.parameters.get("component", [{**density.parameters, "weight": 1.0}])
        entries += [{**c, "weight": w * (c["weight"] / sum(e["weight"] for e in inner))} for c in inner]

    def function(x: Array) -> Array:
        parts = zip(weights, densities, strict=True)
        return np.asarray(sum((w / total * density.function(x) for w, density in parts), np.zeros(len(x))))

    return Density(densities[0].dim, {"family": "mixture", "component": entries}, function)


def from_callable(function: Callable[[Array], ArrayLike], dim: int) -> Density:
    """Wrap and normalise a function of points (n, d) that returns (n,) non-negative values.

    The mass comes from quadrature; every evaluation is checked. A configuration cannot rebuild it.
    Raises InputError when values have another shape, are not finite or negative, or when quadrature cannot settle the
    mass. Does not notice features narrower than 1/100 radian beside a smooth background.
    """
    _check_dim("callable", dim)

    def checked(x: Array) -> Array:
        values = np.asarray(function(x))
        if values.shape != (len(x),) or values.dtype.kind not in "fiu":
            got = f"{values.dtype} of shape {values.shape}"
            raise InputError(f"initial density callable: expected {len(x)} real values for {len(x)} points, got {got}")
        wrong = ~(np.isfinite(values) & (values >= 0.0))
        if wrong.any():
            value, where = values[wrong][0], x[wrong][0].round(4).tolist()
            raise InputError(f"initial density callable: value {value:g} at {where}; expected finite and non-negative")
        return values.astype(np.float64)

    mass = _mass(checked, dim, 256, "callable")
    return Density(dim, {"family": "callable"}, lambda x: checked(x) / mass)


_FACTORIES: dict[str, Callable[..., Density]] = {
    f.__name__: f for f in (uniform, von_mises_fisher, fisher_bingham, polynomial, harmonics, poisson_kernel, mixture)
}


def density_from_config(dim: int, parameters: Mapping[str, Any]) -> Density:
    """Build the density of an ``[initial]`` table, given as a dict; entries that are None count as absent.

    Raises InputError for an unknown family or key, a missing key, values the family refuses, and vectors that do not
    fit ``dim``; also for the family ``file``, whose density lives in an earlier run.
    """
    family = parameters.get("family")
    if family not in _FACTORIES:
        raise InputError(f"initial.family is {family!r}; expected one of {', '.join(_FACTORIES)}")
    given = {key: value for key, value in parameters.items() if key != "family" and value is not None}
    if family == "mixture":
        ...
    return None
