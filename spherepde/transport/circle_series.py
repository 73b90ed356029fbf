r"""Real functions on the circle by their Fourier coefficients: samples, tables, positivity, nearby densities.

Densities are given by :math:`c_k=\int f e^{-ik\varphi}d\varphi`, k = 0..K, potentials by
:math:`\psi=\sum_{|k|\le K}\psi_ke^{ik\varphi}`, k ≥ 0 stored: :math:`\psi_k=c_k/2\pi`.
"""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .costs import Cost
from .measures import MASS_TOLERANCE, checked_mass

Array = NDArray[np.float64]
Modal = NDArray[np.complex128]


def checked_coefficients(values: ArrayLike, what: str) -> Modal:
    """One row (K+1,) of finite complex numbers. Raises InputError with one sentence otherwise."""
    try:
        given = np.array(values)
        if given.dtype.kind not in "fiuc":
            raise TypeError
        c = given.astype(np.complex128)
    except (TypeError, ValueError):
        raise InputError(f"transport: {what} coefficients are no array of numbers; expected shape (K+1,)") from None
    if c.ndim != 1 or c.size < 1:
        raise InputError(f"transport: {what} coefficients have shape {c.shape}; expected (K+1,), from degree 0 up")
    if not np.isfinite(c).all():
        raise InputError(f"transport: {what} coefficients are not all finite; expected complex numbers")
    return c


def samples(coefficients: Modal, count: int) -> Array:
    """Values (count,) on equispaced angles of the function with :math:`c_k=\\int f e^{-ik\\varphi}d\\varphi`."""
    return np.asarray(np.fft.irfft(coefficients, count) * (count / (2.0 * pi)))


def both_sides(coefficients: Modal, degree: int) -> Modal:
    """Coefficients −degree..degree of a real function, cut or padded with zeros."""
    half = np.zeros(degree + 1, dtype=np.complex128)
    kept = coefficients[: degree + 1]
    half[: kept.size] = kept
    return np.concatenate([half[:0:-1].conj(), half])


def paired(psi: Modal, nu: Modal) -> float:
    """The integral of a potential (:math:`\\psi_k`) against a density (:math:`c_k`)."""
    n = min(psi.size, nu.size)
    products = np.real(psi[:n] * nu[:n].conj())
    return float(products[0] + 2.0 * products[1:].sum())


def positive_part(coefficients: Modal, degree: int) -> tuple[Modal, list[str]]:
    """A density of mass 1, and what had to be done to it: negative values are set to zero and that mass is told.

    Values are looked at on twice as many angles as resolve ``degree`` and the coefficients' own. Raises InputError
    for a total mass that is not positive.
    """
    mass = checked_mass(float(coefficients[0].real), "target")
    n = 4 * max(degree, coefficients.size)
    f = samples(coefficients, n)
    negative = float(np.maximum(-f, 0.0).mean() * 2.0 * pi)
    if negative <= MASS_TOLERANCE * mass:
        return coefficients / mass, []
    clipped = np.fft.rfft(np.maximum(f, 0.0))[: n // 2]
    note = f"negative mass {negative / mass:.1e} of the target set to zero"
    return np.asarray(clipped / clipped[0].real), [note]


def quintic_table(psi: Modal, count: int) -> tuple[Array, tuple[float, float, float]]:
    """Quintics (count, 6) on equal intervals that join with two derivatives, in units of the interval.

    Also max |ψ'|, max ψ'' and max ψ − min ψ, over the nodes and widened by one part in a hundred.
    """
    k = 1j * np.arange(psi.size)
    step = 2.0 * pi / count
    p, p1, p2 = (np.fft.irfft(psi * factor, count) * count for factor in (1.0, k, k * k))
    q0, q1, q2 = p, p1 * step, 0.5 * p2 * step * step
    rise, turn, bend = np.roll(q0, -1) - q0 - q1 - q2, np.roll(q1, -1) - q1 - 2.0 * q2, 2.0 * (np.roll(q2, -1) - q2)
    q3 = 10.0 * rise - 4.0 * turn + 0.5 * bend
    q4 = -15.0 * rise + 7.0 * turn - bend
    q5 = 6.0 * rise - 3.0 * turn + 0.5 * bend
    bounds = 1.01 * float(np.abs(p1).max()), 1.01 * float(np.abs(p2).max()), 1.01 * float(np.ptp(p))
    return np.ascontiguousarray(np.stack([q0, q1, q2, q3, q4, q5], axis=-1)), bounds


def circle_bound(first: Modal, second: Modal, cost: Cost) -> float:
    r"""An upper bound of :math:`W_p`, p = 1 or 2, between two densities of mass 1 on the circle that nearly agree.

    With F − G the primitive of f − g: :math:`W_1=\min_a\int|F-G-a|`, and by linear interpolation in the formula of
    Benamou and Brenier :math:`W_2^2\le\min_a\int(F-G-a)^2\frac{\ln f-\ln g}{f-g}`, sharp as f → g; where that is
    not finite :math:`W_2^2\le\pi W_1`. Geodesic, hence also chordal. Coefficients as everywhere.
    """
    degree = max(first.size, second.size) - 1
    n = max(1024, 8 * (degree + 1))
    f, g = samples(first, n), samples(second, n)
    difference = np.zeros(degree + 1, dtype=np.complex128)
    difference[: first.size] += first
    difference[: second.size] -= second
    primitive = samples(np.append(0.0, difference[1:] / (1j * np.arange(1, degree + 1))), n)
    first_order = float(np.abs(primitive - np.median(primitive)).mean() * 2.0 * pi)
    if cost.p == 1.0:
        return first_order
    bound = pi * first_order
    if min(f.min(), g.min()) > 0.0:
        ratio = np.log(f / g)
        small = np.abs(ratio) < 1e-4
        mobility = np.where(small, 2.0 / (f + g), ratio / np.where(small, 1.0, f - g))
        centred = primitive - np.average(primitive, weights=mobility)
        bound = min(bound, float(np.mean(centred**2 * mobility) * 2.0 * pi))
    return float(np.sqrt(bound))
