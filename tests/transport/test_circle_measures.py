"""Measures on the circle: cumulative and quantile functions, negative parts, what they print and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from physics_helpers import bounded, number
from scipy.integrate import quad

from spherepde.errors import InputError
from spherepde.transport.circle import CircleMeasure, wasserstein_circle
from spherepde.transport.costs import Cost

PI = np.pi
UNIFORM = CircleMeasure.from_fourier([1.0])
POLES = CircleMeasure.from_atoms([0.0, PI])


def test_cumulative_and_quantile_functions_of_a_density() -> None:
    c = np.concatenate([[1.0], 0.2 * np.exp(1j * np.arange(1, 41) ** 2) / np.arange(1, 41) ** 1.5])
    one, t, k = CircleMeasure.from_fourier(c), np.linspace(-9.0, 12.0, 800), np.arange(1, 41)
    series = ((np.exp(1j * np.outer(t, k)) - 1) @ (c[1:] / (1j * k))).real / PI + t / (2 * PI)
    bounded("cumulative function", float(np.abs(one.cdf(t) - series).max()), 5e-15)
    u = np.linspace(-2.0, 3.0, 777)
    bounded("quantile function", float(np.abs(one.cdf(one.quantile(u)) - u).max()), 5e-15)
    bounded("tabulated", float(np.abs(one.law.table(u[320:450] % 1) - one.quantile(u[320:450] % 1)).max()), 1e-13)
    np.testing.assert_allclose(one.quantile(u + 1) - one.quantile(u), 2 * PI, atol=1e-13)


def test_negative_part_is_cut_off_and_reported() -> None:
    one = CircleMeasure.from_fourier([1.0, 0.75])  # (1 + 1.5 cos θ)/2π is negative beyond arccos(−2/3)
    edge = np.arccos(-2 / 3)
    positive = (edge + 1.5 * np.sin(edge)) / PI
    number("negative mass", one.negative_mass, (positive - 1) / positive, atol=1e-15)
    number("cumulative function", float(one.cdf(1.0)), (1 + 1.5 * np.sin(1.0)) / (2 * PI * positive), atol=1e-15)
    distance = wasserstein_circle(one, CircleMeasure.from_atoms([0.0]))
    assert "negative part of mass 0.081" in distance.status
    assert "negative part" in repr(one)
    power = quad(lambda t: t**2 * (1 + 1.5 * np.cos(t)), 0, edge, epsabs=1e-14)[0] / (PI * positive)
    number("distance of the positive part", distance.value**2, power, atol=1e-13)
    assert "negative" not in wasserstein_circle(UNIFORM, POLES).status


def test_empty_arcs_are_jumped() -> None:
    cdf = lambda t: np.clip((np.asarray(t) - 1.0) / 2.0, 0.0, 1.0)  # noqa: E731
    distance = wasserstein_circle(CircleMeasure.from_cdf(cdf), CircleMeasure.from_atoms([2.0]))
    number("uniform arc to its middle", distance.value**2, 1 / 3, atol=1e-14)
    shifted = CircleMeasure.from_cdf(lambda t: np.clip((np.asarray(t) - 2.5) / 2.0, 0.0, 1.0))
    number("arc moved", wasserstein_circle(CircleMeasure.from_cdf(cdf), shifted, Cost(3)).value, 1.5, atol=1e-13)


def test_measures_and_distances_tell_their_story() -> None:
    assert repr(POLES) == "CircleMeasure(2 atoms)"
    assert "density on" in repr(UNIFORM)
    assert "certified by its potentials" in repr(wasserstein_circle(UNIFORM, POLES, Cost(2, "chordal")))
    crossed = wasserstein_circle(POLES, CircleMeasure.from_atoms([0.1, PI], [0.9, 0.1]), Cost(1, "chordal"))
    assert crossed.lower <= crossed.value <= crossed.upper
    uncertified = wasserstein_circle(
        CircleMeasure.from_fourier([1.0, 0.3]), CircleMeasure.from_fourier([1.0, -0.2j]), Cost(1, "chordal")
    )
    assert "monotone plan not optimal" in uncertified.status


def test_bad_input_is_refused_with_one_sentence() -> None:
    line = lambda t: np.asarray(t) / (2 * PI)  # noqa: E731
    for call, sentence in (
        (lambda: CircleMeasure.from_fourier([0.0, 0.1]), "total mass 0"),
        (lambda: CircleMeasure.from_fourier([-1.0]), "total mass -1"),
        (lambda: CircleMeasure.from_fourier([1.1]), "total mass 1.1"),
        (lambda: CircleMeasure.from_fourier([1.0, np.nan]), "finite"),
        (lambda: CircleMeasure.from_fourier([[1.0]]), "shape \\(1, 1\\)"),
        (lambda: CircleMeasure.from_fourier("one"), "no array"),  # type: ignore[arg-type]
        (lambda: CircleMeasure.from_atoms([0.0, 1.0], [0.7, 0.7]), "sum to 1.4"),
        (lambda: CircleMeasure.from_atoms([0.0, 1.0], [1.2, -0.2]), "weights\\[1\\] = -0.2 is negative"),
        (lambda: CircleMeasure.from_atoms([0.0, np.nan]), "finite"),
        (lambda: CircleMeasure.from_atoms([[1.0, 0.5]]), "length 1.118"),
        (lambda: CircleMeasure.from_atoms([]), "shape \\(0,\\)"),
        (lambda: CircleMeasure.from_cdf(lambda t: 2 * line(t)), "rise by 1"),
        (lambda: CircleMeasure.from_cdf(lambda t: line(t) + np.sin(t)), "non-decreasing"),
        (lambda: CircleMeasure.from_cdf(line, lambda u: 6.0 * u), "quantile function is off"),
        (lambda: CircleMeasure.from_cdf(line, lambda u: -u), "not finite and non-decreasing"),
        (lambda: CircleMeasure.from_cdf(line, breaks=[np.nan]), "breaks"),
        (lambda: CircleMeasure.from_cdf(line, breaks="a"), "breaks"),  # type: ignore[arg-type]
        (lambda: CircleMeasure.from_cdf(3), "the cdf is 3"),  # type: ignore[arg-type]
        (lambda: CircleMeasure.from_cdf(line, 3), "quantile function of the cdf is 3"),  # type: ignore[arg-type]
        (lambda: CircleMeasure.from_atoms([1j]), "no array of real numbers"),
        (lambda: wasserstein_circle([1.0], UNIFORM), "expected a CircleMeasure"),  # type: ignore[arg-type]
        (lambda: wasserstein_circle(UNIFORM, UNIFORM, 2), "expected a Cost"),  # type: ignore[arg-type]
        (lambda: Cost(0.5), "p = 0.5"),
    ):
        with pytest.raises(InputError, match=sentence):
            call()
