"""The phases of a series: fits against known rates, and words for what was not seen."""

import sys
from pathlib import Path

import numpy as np
import pytest

from spherepde import InputError
from spherepde.phases import fit_exponential, phases

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded, number


def uneven_times(end, seed=0):
    """Times from 0 to ``end`` in steps between 0.01 and 0.1, as an adaptive stepper leaves them."""
    t = np.concatenate([[0.0], np.cumsum(np.random.default_rng(seed).uniform(0.01, 0.1, int(100 * end)))])
    return np.append(t[t < end], end)


# ---- one exponential


def test_exponential_is_found_exactly():
    t = uneven_times(6.0)
    fit = fit_exponential(t, 3.0 * np.exp(-0.7 * t), (1.0, 4.0))
    number("slope of an exponential", fit.slope, -0.7, atol=1e-13)
    bounded("its standard error", fit.error, 1e-14)
    assert fit.at([0.0, 2.0]) == pytest.approx(3.0 * np.exp([0.0, -1.4]), rel=1e-12)
    assert fit.window == (1.0, 4.0) and fit.records == np.count_nonzero((t >= 1.0) & (t <= 4.0))


def test_standard_error_is_the_scatter_of_fits_to_noise():
    t, rng = np.linspace(0.0, 5.0, 201), np.random.default_rng(1)
    fits = [fit_exponential(t, np.exp(-0.5 * t + 0.1 * rng.standard_normal(201)), (0.0, 5.0)) for _ in range(2000)]
    scatter = np.std([fit.slope for fit in fits])
    number("mean standard error / scatter, white noise", np.mean([fit.error for fit in fits]) / scatter, 1.0, atol=0.1)
    classical = 0.1 / np.sqrt(np.sum((t - t.mean()) ** 2))
    number("scatter / textbook standard error", scatter / classical, 1.0, atol=0.1)


def test_standard_error_follows_correlated_noise():
    """Noise with a memory of ten records scatters the slope four times as far as white noise of its size."""
    t, rng, memory = np.linspace(0.0, 50.0, 1001), np.random.default_rng(2), 0.9
    fits = []
    for _ in range(300):
        noise = np.zeros(1001)
        kicks = 0.1 * np.sqrt(1.0 - memory**2) * rng.standard_normal(1001)
        for i in range(1, 1001):
            noise[i] = memory * noise[i - 1] + kicks[i]
        fits.append(fit_exponential(t, np.exp(-0.5 * t + noise), (0.0, 50.0)))
    scatter = np.std([fit.slope for fit in fits])
    number("mean standard error / scatter, memory", np.mean([fit.error for fit in fits]) / scatter, 1.0, atol=0.2)


@pytest.mark.parametrize("records", [41, 401, 4001])
def test_error_of_a_smooth_curve_does_not_shrink_with_the_number_of_records(records):
    """A parabola −t²/2 about −t: the local rate varies by ±1 over the window, whoever counts the records."""
    t = np.linspace(-1.0, 1.0, records)
    fit = fit_exponential(t, np.exp(-t - 0.5 * t**2), (-1.0, 1.0))
    number("slope of the parabola", fit.slope, -1.0, atol=1e-12)
    number("its error: standard deviation of the residual / that of t", fit.error, np.sqrt(1.0 / 45.0 * 3.0), rtol=0.05)


def test_crowded_records_do_not_weigh_more():
    t = np.concatenate([np.linspace(0.0, 1.0, 2001)[:-1], np.linspace(1.0, 4.0, 301)])
    fit = fit_exponential(t, np.exp(-t - 0.1 * t**2), (0.0, 4.0))
    number("slope of a parabola, records crowded at one end", fit.slope, -1.4, rtol=1e-3)


def test_too_few_records_are_not_fitted():
    t = np.linspace(0.0, 1.0, 4)
    assert fit_exponential(t, np.exp(-t), (0.0, 1.0)) is None
    assert fit_exponential(t, np.full(4, np.nan), (0.0, 1.0)) is None


# ---- two exponentials

TWO = [(1.0, 0.25, 1e-4, 30.0), (0.5, 0.5, 1e-4, 20.0), (0.5, 0.05, 1e-3, 60.0), (0.3, 0.7, 1e-5, 15.0)]


def two_exponentials(decay, growth, size, until):
    t = uneven_times(until)
    return t, np.exp(-decay * t) + size * np.exp(growth * t)


@pytest.mark.parametrize(
    ("case", "accuracy"), list(zip(TWO, [(0.07, 1e-6), (0.03, 0.02), (0.12, 1e-6), (0.005, 0.12)], strict=True))
)
def test_both_rates_of_a_sum_of_two_exponentials(case, accuracy):
    c, C, size, _ = case
    t, w = two_exponentials(*case)
    found = phases(t, w)
    number(f"decay {c:g}", -found.decay.slope, c, rtol=accuracy[0])
    number(f"growth {C:g}", found.growth.slope, C, rtol=accuracy[1])
    number("time of the minimum", found.minimum_time, np.log(c / (size * C)) / (c + C), atol=0.1)
    number("minimum", found.minimum, w.min(), atol=0.0)
    assert found.turned and found.at_rest and not found.window.open_right
    for edge in found.window[:2]:
        value = np.exp(-c * edge) + size * np.exp(C * edge)
        number("w at the edge of the window / minimum", value / found.minimum, 2.0, rtol=1e-3)
    assert found.decay.window[1] < found.window.start and found.growth.window[0] >= found.window.end


@pytest.mark.parametrize("case", TWO)
def test_decay_ends_when_it_is_said_to(case):
    c, C, size, _ = case
    t, w = two_exponentials(*case)
    found = phases(t, w, concentrated_by=4.0)
    assert found.decay.window == (2.0, 4.0)
    share = size * np.exp((C + c) * 4.0)
    bounded(f"decay {c:g}, relative error", abs(-found.decay.slope / c - 1.0), 1e-9 + (1.0 + C / c) * share)


def test_window_of_a_shallow_minimum_and_of_growth_just_begun():
    t, w = two_exponentials(0.5, 0.5, 1e-4, 12.5)
    found = phases(t, w)
    assert found.growth is not None and "less than a factor e" in str(found)
    bounded("growth while the minimum is near, below", 0.5 - found.growth.slope, 0.1)
    assert found.growth.slope < 0.5
    t = np.arange(0.0, 14.6, 0.5)
    assert "still steepening" in str(phases(t, np.exp(-0.5 * t) + 1e-4 * np.exp(0.5 * t)))


def test_rate_that_drifts_is_said_to():
    t = np.linspace(0.0, 2.0, 41)
    steady, bent = (fit_exponential(t, np.exp(-t - bend * t**2), (0.0, 2.0)) for bend in (0.0, 0.1))
    assert steady.drifting == "" and bent.drifting == "drifting 1 → 1.4"
    assert bent.drift == pytest.approx((-1.0, -1.4), abs=1e-9)


def test_growth_over_less_than_a_factor_e_is_no_rate():
    t = np.linspace(0.0, 11.0, 221)
    for until, clear in ((9.4, False), (11.0, True)):
        found = phases(t, np.exp(-t) + 1e-3 * np.exp(0.5 * t), until=until)
        assert found.growth is not None and (found.clear_growth is not None) == clear
        assert ("growth not measurable" in str(found)) != clear


# ---- what was not seen


def test_still_falling():
    t = np.linspace(0.0, 5.0, 101)
    found = phases(t, np.exp(-t))
    assert not found.turned and not found.at_rest and found.growth is None and found.window.open_right
    number("start of the last halving", found.window.start, 5.0 - np.log(2.0), atol=1e-12)
    assert str(found) == (
        "decay 1.0000 ± 0 on [2.50, 5.00]; minimum 0.006738 at t = 5; still falling at t = 5; growth not seen by t = 5"
    ).replace("± 0", f"± {found.decay.error:.1g}")


def test_metastable_until_the_end():
    t = np.linspace(0.0, 8.0, 401)
    found = phases(t, np.exp(-3.0 * t) + 0.01)
    assert not found.turned and found.at_rest and found.window.open_right and found.window.end == 8.0
    number("start of the plateau", found.window.start, -np.log(0.01) / 3.0, atol=1e-4)
    number("decay before the plateau", -found.decay.slope, 3.0, rtol=0.15)
    assert "metastable on [1.54, 8.00 …), not left by the end" in str(found)


def test_nothing_after_the_horizon_is_looked_at():
    t = np.linspace(0.0, 6.0, 121)
    values = np.where(t <= 3.0, np.exp(-t), np.exp(-6.0 + t))
    assert phases(t, values).turned
    found = phases(t, values, until=3.0)
    assert not found.turned and found.until == 3.0 and found.decay.window == (1.5, 3.0)
    assert "growth not seen by t = 3" in str(found)
    values[t > 3.0] = np.nan
    assert phases(t, values) == found


def test_turned_but_not_doubled():
    t = np.linspace(0.0, 4.0, 201)
    found = phases(t, np.cosh(3.0 * (t - 3.8)))
    assert found.turned and found.growth is None and found.window.open_right
    assert "growth not measurable by t = 4 (turned at t = 3.80)" in str(found)


def test_values_known_only_now_and_then():
    t, w = two_exponentials(1.0, 0.5, 1e-4, 14.0)
    sparse = np.where(np.arange(len(t)) % 5 == 0, w, np.nan)
    dense, found = phases(t, w), phases(t, sparse)
    number("decay of one record in five", found.decay.slope, dense.decay.slope, rtol=0.02)
    number("growth of one record in five", found.growth.slope, dense.growth.slope, rtol=0.02)


def test_units_do_not_matter():
    t, w = two_exponentials(*TWO[1])
    one, other = phases(t, w), phases(10.0 * t, 7.0 * w)
    number("decay in other units", 10.0 * other.decay.slope, one.decay.slope, rtol=1e-10)
    number("growth in other units", 10.0 * other.growth.slope, one.growth.slope, rtol=1e-10)
    number("window in other units", 0.1 * other.window.end, one.window.end, rtol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 50])
@pytest.mark.parametrize("shape", ["constant", "falling", "rising", "noise"])
def test_short_and_dull_series(count, shape):
    t = 0.1 * np.arange(count)
    noise = 1.0 + 1e-3 * np.random.default_rng(3).standard_normal(count)
    w = {"constant": 1.0 + 0.0 * t, "falling": np.exp(-t), "rising": np.exp(t), "noise": noise}[shape]
    found = phases(t, w)
    assert found.until == t[-1] and found.minimum == w.min() and str(found)
    assert found.decay is None or shape == "falling"
    assert (found.growth is not None) <= (shape == "rising")
    assert found.window.start <= found.minimum_time <= found.window.end <= t[-1]
    if shape == "constant":
        assert str(found).startswith("no decay seen") and "not metastable" in str(found)


def test_no_value_no_phases():
    t = np.linspace(0.0, 1.0, 11)
    assert phases(t, np.full(11, np.nan)) is None
    assert phases(t, np.zeros(11)) is None
    assert phases(t, np.ones(11), until=-1.0) is None


def test_bad_input_is_one_sentence():
    for t, w in (([0.0, 1.0], [1.0]), ([[0.0, 1.0]], [[1.0, 2.0]]), ([0.0, 0.0, 1.0], [1.0, 1.0, 1.0])):
        with pytest.raises(InputError, match=r"phases: .*expected") as caught:
            phases(t, w)
        assert "\n" not in str(caught.value)
