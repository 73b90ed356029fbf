"""The benchmark scripts at small sizes: they run, what they time is right, and they say honestly what was met."""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from spherepde import Circle, Head, Sphere, token_attention
from spherepde.tokens import token_velocity

VALIDATION = Path(__file__).resolve().parents[1] / "validation"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """Make the modules beside the scripts importable, as they are for a script."""
    for folder in (VALIDATION, VALIDATION / "benchmarks"):
        monkeypatch.syspath_prepend(str(folder))


def run_script(monkeypatch, module, *options):
    monkeypatch.setattr(sys, "argv", [module.__name__, *options])
    module.main()


def test_paired_times_and_slopes():
    from timing import fitted_slope, paired_milliseconds

    def work(count):
        return lambda: np.sort(np.arange(count)[::-1] % 977)

    ours, theirs, ratio = paired_milliseconds(work(160_000), [work(10_000), work(10_000)], 9)
    assert ours > theirs > 0.0
    assert 3.0 < ratio < 20.0  # eight times the elements
    sizes = np.array([10.0, 100.0, 1000.0])
    assert fitted_slope(sizes, 3.0 * sizes**1.7) == pytest.approx(1.7, abs=1e-12)


def test_a_row_says_whether_the_goal_was_met():
    from reporting import Row, ratio_row

    assert [Row("", v, at_most=1.5).met for v in (1.4, 1.6, float("nan"))] == [True, False, False]
    assert [Row("", v, at_least=1000.0).met for v in (1400.0, 160.0, float("nan"))] == [True, False, False]
    assert Row("", 1.0).met is None
    assert (Row("", 1.0, at_most=20.0).wanted, Row("", 1.0, at_least=1000.0).wanted) == ("≤ 20", "≥ 1000")
    row = ratio_row("work", (3.0, 2.0, 1.5), "yardstick", at_most=1.5)
    assert (row.value, row.met, row.details["ms"], row.details["ms_of_it"]) == (1.5, True, 3.0, 2.0)


def test_heads_have_the_singular_values_they_are_named_for():
    from right_hand_sides import RATIOS, general_score, orthogonal

    for dim, ratio in [(3, ratio) for ratio in RATIOS] + [(2, 0.3)]:
        B = general_score(dim, ratio)
        expected = [1.0, 0.6, ratio] if dim == 3 else [1.0, ratio]
        np.testing.assert_allclose(np.linalg.svd(B, compute_uv=False), expected, atol=1e-15)
        assert Head(np.eye(dim), B).scaled_orthogonal() is None
        assert np.linalg.det(orthogonal(dim, 1)) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("space", [Sphere(31), Circle(63)], ids=["sphere", "circle"])
def test_bare_transforms_are_the_transforms_of_a_right_hand_side(space, monkeypatch):
    from right_hand_sides import bare_transforms, right_hand_side, softmax

    calls = []
    for name in ("to_nodal", "gradient", "divergence"):
        original = getattr(type(space), name)

        def counted(self, *arguments, original=original, name=name, **options):
            calls.append((name, self.lmax))
            return original(self, *arguments, **options)

        monkeypatch.setattr(type(space), name, counted)
    strengths = (20.0,)
    ours, bare = right_hand_side(softmax(space, np.eye(space.dim), strengths[0])), bare_transforms(space, strengths)
    calls.clear()
    ours()
    needed = sorted(calls)
    calls.clear()
    for part in bare:
        part()
    assert sorted(calls) == needed
    assert len(needed) == 5


@pytest.mark.parametrize(("dim", "ratio"), [(3, 1.0), (3, 0.3), (2, 1.0), (2, 0.3)])
def test_plain_sums_and_fast_ones_agree_with_the_token_code(dim, ratio):
    from token_benchmarks import Cloud, error_on_a_sample, numpy_sums, tokens

    cloud = Cloud(dim, ratio, beta=30.0)
    x = tokens(dim, 3000)
    log_partition, mean = numpy_sums(cloud.head, x, x)
    pulled = mean @ cloud.head.V.T
    velocity = pulled - np.sum(pulled * x, axis=1, keepdims=True) * x
    np.testing.assert_allclose(velocity, token_velocity(cloud.head, x), atol=1e-13)
    np.testing.assert_allclose(log_partition, token_attention(cloud.head, x, method="dense")[0], atol=1e-12)
    assert error_on_a_sample(cloud, 3000) <= 2e-12


def test_everything_but_runs_at_small_size(tmp_path, monkeypatch, capsys):
    benchmarks = import_module("benchmarks.__main__")
    options = ["--lmax", "63", "--tokens", "4000", "--repeats", "2", "--beta", "20", "--no-runs", "--no-transport"]
    run_script(monkeypatch, benchmarks, *options, "--out", str(tmp_path / "new"))
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / "new" / "benchmarks.json").read_text(encoding="utf-8"))
    assert {"processor", "cores", "versions", "threads", "commit"} <= content["machine"].keys()
    assert all(count == 1 for count in content["machine"]["threads"].values())
    rows = content["softmax right-hand side"] + content["attention of tokens"]
    assert len(rows) >= 25
    for row in rows:
        assert np.isfinite(row["value"])
        assert row["work"] in printed
        if row["at_most"] is not None:
            assert row["met"] == (row["value"] <= row["at_most"])
    errors = [row["value"] for row in rows if row["work"].endswith("error")]
    assert len(errors) == 4
    assert max(errors) <= 2e-12
    for curve in content["curves"]:
        assert len(curve["sizes"]) == len(curve["seconds"]) >= 3
        assert min(curve["seconds"]) > 0.0
    assert (tmp_path / "new" / "costs.png").stat().st_size > 20_000


def test_a_whole_run_is_timed_and_judged():
    from whole_runs import rows_of, run_solver

    options = ["--beta", "20", "--lmax", "127", "--companion-lmax", "95", "--until", "0.5"]
    run = run_solver("circle_softmax.py", options)
    assert run.cpu > 0.0
    assert run.wall > 0.0
    assert run.reason == "reached t = 0.5, moments trusted"
    assert run.moments[2] + run.moments[5] == pytest.approx(1.0, abs=1e-12)  # trace of the second moment
    assert 0.0 < run.bar < 1e-6
    assert [row.met for row in rows_of("run", run, distance_bar=1e-6)] == [True, True, True]


def test_chaos_finds_the_law_at_small_sizes(monkeypatch):
    """Independent tokens on the circle within the error bar of N^{-1/2}; half of the quantiles are another measure."""
    import chaos
    from claims import Inquiry
    from experiments import token_clouds

    monkeypatch.setattr(chaos, "QUICK_CLOUDS", {2: ((500, 24), (800, 16), (1200, 12))})
    ask = Inquiry("chaos")
    chaos.independent_tokens(ask)
    assert [claim.verdict for claim in ask.claims] == ["PASS"] * 3
    exact = token_clouds.references(2, (token_clouds.UNTIL,))[0]
    start = token_clouds.circle_quantiles(token_clouds.initial, 40)[:20]
    half = token_clouds.moved(2, start, None, 1e-6, (token_clouds.UNTIL,))[0]
    assert exact.errors(2, half)[0] > 0.1
