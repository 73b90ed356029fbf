"""The summary and the verdict: what they say follows from the file, and they can say no."""

import numpy as np
import pytest

from spherepde import (
    Circle,
    ContinuityEquation,
    Hardmax,
    Head,
    RunFile,
    Simulation,
    Softmax,
    Unnormalised,
    concentration_rate,
    fisher_bingham,
)
from spherepde.summary import describe, energy_balance, measured_rate, verdict


def run(path, attention, until, *, lmax=255, **options):
    model = ContinuityEquation(Circle(lmax), attention)
    rho0 = fisher_bingham([0.1, 0.4], np.zeros((2, 2)))
    Simulation(model, rho0, path, progress=False, **{"companion_lmax": 191, **options}).run(until)
    with RunFile(path) as opened:
        return describe(opened), verdict(opened)


def test_concentration_is_recognised(tmp_path):
    description, judgement = run(tmp_path / "run.h5", Softmax(Head(np.diag([1.0, 0.2]), beta=200.0)), 6.0)
    assert "verdict: CONCENTRATION on E" in judgement and "predicted 0.4000" in judgement
    assert "softmax attention on S¹" in description and "error bar of the second moment" in description
    assert len(description.splitlines()) < 20 and max(map(len, description.splitlines())) < 180


def test_hardmax_decays_at_the_exact_rate(tmp_path):
    _, judgement = run(tmp_path / "run.h5", Hardmax(Head(np.diag([1.0, 0.0]))), 4.0, lmax=511)
    assert "verdict: CONCENTRATION on E" in judgement and "predicted 0.5000" in judgement


def test_high_temperature_is_not_called_concentration(tmp_path):
    _, judgement = run(tmp_path / "run.h5", Softmax(Head(np.diag([1.0, 0.9]), beta=3.0)), 4.0)
    assert "verdict: NOT the predicted concentration on E" in judgement


def test_no_theory_no_verdict(tmp_path):
    heads = [Head(np.eye(2)), Head(np.diag([1.0, 0.0]))]
    assert "single head" in run(tmp_path / "two.h5", Softmax(heads), 0.1)[1]
    assert "E is everything" in run(tmp_path / "all.h5", Softmax(Head(np.eye(2))), 0.1)[1]
    _, judgement = run(tmp_path / "usa.h5", Unnormalised(Head(np.eye(2), beta=2.0)), 0.1)
    assert "rising at every step" in judgement and "no prediction" in judgement
    assert "too short" in run(tmp_path / "short.h5", Softmax(Head(np.diag([1.0, 0.5]))), 0.01, save_every=0.01)[1]


def test_without_companion_the_summary_says_so(tmp_path):
    description, _ = run(tmp_path / "run.h5", Softmax(Head(np.diag([1.0, 0.5]))), 0.1, companion_lmax=0)
    assert "no companion run, so moments carry no error bar" in description


def test_measured_rate_of_an_exponential():
    t = np.linspace(0.0, 5.0, 101)
    assert measured_rate(t, 3.0 * np.exp(-0.7 * t), (1.0, 4.0)) == pytest.approx(0.7, rel=1e-12)


def test_energy_balance_of_a_known_function():
    t = np.sort(np.random.default_rng(0).uniform(0.0, 1.0, 400))
    t[0] = 0.0
    assert np.abs(energy_balance(t, np.sin(t), np.cos(t))).max() < 1e-9
    assert np.abs(energy_balance(t, np.sin(t), 1.1 * np.cos(t))).max() > 0.05


@pytest.mark.parametrize(
    ("A", "B", "rate"),
    [
        (np.diag([1.0, 0.45]), np.diag([1.0, 0.3]), 1.1 / 2),
        (np.diag([1.0, 0.45]), np.diag([1.0, 2.0]), 0.275 / 2),
        (np.diag([1.0, 0.5]), np.eye(2), 0.25),
        (np.diag([1.0, 0.4, -0.3]), np.eye(3), 0.3),
        (np.diag([1.0, 1.0, 0.5]), np.eye(3), 0.5),
        (np.eye(3), np.eye(3), None),
        (np.array([[1.0, 1.0], [0.0, 0.5]]), np.eye(2), None),
    ],
)
def test_concentration_rate(A, B, rate):
    """literature.md C2: the two rates that compete for B ≠ I, halves of the rates of W₂²."""
    found = concentration_rate(Head(A @ np.linalg.inv(B).T, B))
    assert found is None if rate is None else found == pytest.approx(rate, rel=1e-12)
