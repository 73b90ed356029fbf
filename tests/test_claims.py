"""The harness of the validation scripts: verdicts, error bars that hold what they say, kept parts, and the report."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spherepde.monitors import interruptible

VALIDATION = Path(__file__).resolve().parents[1] / "validation"

SCRIPT = '''"""A title.

What theory says.
"""
from claims import Inquiry, Measured, canvas, run

def slow(x):
    print("computing", x)
    return 2.0 * x

def investigate(ask):
    ask.heading("a group")
    ask.equal("twice three <&>", 6.0, Measured(ask.part(slow, 3.0), 1e-9, "rounding"), source="C0", excluded=5.0)
    ask.at_most("small", 0.0, Measured({small}, 1e-3, "noise"))
    ask.figure("figure", draw, "A figure.")
    ask.table("A table", ["a", "b"], [["1", "2"]])
    ask.remark("A remark.")

def draw():
    figure = canvas(2.0, 2.0)
    figure.subplots().plot([0, 1])
    return figure

if __name__ == "__main__":
    run(investigate, __doc__)
'''


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    """Make what the scripts share importable."""
    monkeypatch.syspath_prepend(str(VALIDATION))


@pytest.fixture
def toy(tmp_path):
    """Write a script; returns a function that runs it with options: (exit status, output)."""
    path = tmp_path / "toy.py"

    def write_and_run(*options, small=0.0, extra=""):
        path.write_text(SCRIPT.replace("{small}", repr(small)) + extra)
        command = [sys.executable, str(path), *map(str, options)]
        environment = {"PYTHONPATH": str(VALIDATION), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        return done.returncode, done.stdout + done.stderr

    return write_and_run


# ---- verdicts


@pytest.mark.parametrize(
    ("relation", "value", "bar", "verdict"),
    [
        ("equal", 1.0, 0.0, "PASS"),
        ("equal", 1.1, 0.11, "PASS"),
        ("equal", 1.1, 0.09, "MISS"),
        ("equal", 0.9, 0.09, "MISS"),
        ("equal", np.nan, 1.0, "MISS"),
        ("equal", 1.0, np.inf, "MISS"),
        ("equal", 1.0, np.nan, "MISS"),
        ("equal", 1.0, -0.1, "MISS"),
        ("at most", 0.0, 0.0, "PASS"),
        ("at most", 1.1, 0.09, "MISS"),
        ("at most", 1.1, 0.11, "PASS"),
        ("at least", 7.0, 0.0, "PASS"),
        ("at least", 0.9, 0.09, "MISS"),
    ],
)
def test_a_claim_passes_within_its_own_bar_only(relation, value, bar, verdict):
    from claims import Claim, Measured
    from claims.lines import claim_from_json

    claim = Claim("a", 1.0, Measured(value, bar, "made"), relation)
    assert claim.verdict == verdict and f" {verdict} " in str(claim)
    again = claim_from_json(json.loads(json.dumps(claim.to_json())))
    assert str(again) == str(claim) and again.verdict == verdict


def test_a_rival_law_must_be_two_bars_away_and_a_known_difference_must_stay():
    from claims import Claim, Measured

    measured = Measured(-0.9, 0.2, "fit")
    assert Claim("order", -1.0, measured, excluded=-0.4).verdict == "PASS"
    assert Claim("order", -1.0, measured, excluded=-0.55).verdict == "MISS"
    assert Claim("order", -1.2, measured, known="because").verdict == "DIFFERS"
    assert Claim("order", -1.0, measured, known="because").verdict == "MISS"
    assert Claim("order", -1.0, Measured(np.nan, 0.2, "fit"), known="because").verdict == "MISS"


def test_errors_add_up():
    from claims import Measured

    value, bar, origin = Measured(2.0, 0.1, "fit").plus("grid", -0.2).times(-3.0)
    assert (value, origin) == (-6.0, "fit; grid") and bar == pytest.approx(0.9)


# ---- fits


def test_the_bar_of_a_line_covers_noise():
    """95 % intervals hold the slope in 95 % of trials; the change over the later half only widens them."""
    from claims import line_fit

    rng, x = np.random.default_rng(0), np.linspace(0.0, 1.0, 12)
    hits = [abs((fit := line_fit(x, 2.0 * x + 0.1 * rng.normal(size=12))).value - 2.0) <= fit.bar for _ in range(400)]
    assert np.mean(hits) >= 0.95
    bars = np.geomspace(0.02, 0.3, 12)
    fits = [line_fit(x, 2.0 * x + bars * rng.normal(size=12), bars) for _ in range(400)]
    assert np.mean([abs(fit.value - 2.0) <= fit.bar for fit in fits]) >= 0.93
    assert np.mean([fit.bar for fit in fits]) < 0.5


@pytest.mark.parametrize("rate", [0.7, 2.0])
def test_the_bar_of_a_rate_covers_what_dies_out(rate):
    from claims import rate_fit

    t = np.linspace(2.0, 8.0, 40)
    fit = rate_fit(t, 3.0 * np.exp(-0.5 * t) * (1.0 + 0.3 * np.exp(-rate * t)))
    assert 0.0 < abs(fit.value + 0.5) <= fit.bar < 0.1
    with pytest.raises(ValueError, match="three points"):
        rate_fit(t, np.exp(t), (2.0, 2.2))


@pytest.mark.parametrize("order", [-1.0, -0.5])
@pytest.mark.parametrize("second", [3.0, -2.0, 40.0])
def test_the_bar_of_an_order_covers_the_next_terms(order, second):
    from claims import order_fit

    sizes = 2.0 ** np.arange(5, 11)
    fit = order_fit(sizes, sizes**order * (1.0 + second / sizes + 5.0 / sizes**2))
    assert abs(fit.value - order) <= fit.bar < 0.3
    with pytest.raises(ValueError, match="one factor"):
        order_fit([1, 2, 4, 9], [1, 1, 1, 1])


def test_a_limit_is_extrapolated():
    from claims import limit_of

    fit = limit_of([1.0 + 1.0 / n + 1.0 / n**2 for n in (8, 16, 32)])
    assert abs(fit.value - 1.0) <= fit.bar < 0.03
    assert limit_of([2.0, 2.0, 2.0]).bar == 0.0
    for sequence, ratio in (([1.0, 2.0], 2.0), ([1.0, 2.0, 3.0], 1.0)):
        with pytest.raises(ValueError, match="three values and a ratio > 1"):
            limit_of(sequence, ratio)


# ---- scripts and their report


def test_a_script_prints_its_claims_and_keeps_its_parts(toy, tmp_path):
    out = tmp_path / "out"
    status, printed = toy("--full", "--out", out)
    assert status == 0 and "computing" in printed and "toy: 2 of 2 claims pass" in printed
    assert re.search(r"PREDICTED 6 +MEASURED 6 +ERROR BAR 1.0e-09 +PASS +twice three <&>, not 5 \[C0\]", printed)
    found = json.loads((out / "toy.json").read_text())
    assert found["finished"] and found["mode"] == "full" and len(found["claims"]) == 2
    assert (out / "figure.png").stat().st_size > 1000
    assert "computing" not in toy("--full", "--out", out)[1]
    assert "computing" in toy("--out", out)[1]
    part = next((out / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:-5])
    assert "computing" in toy("--full", "--out", out)[1]


def test_parts_of_other_code_are_made_again_unless_wanted(toy, tmp_path):
    out = tmp_path / "out"
    toy("--full", "--out", out)
    status, printed = toy("--full", "--out", out, "--stale", extra="\n# changed\n")
    assert status == 0 and "computing" not in printed
    assert json.loads((out / "toy.json").read_text())["from_other_code"]
    assert "computing" in toy("--full", "--out", out, extra="\n# changed\n")[1]


def test_a_part_that_was_told_to_stop_is_not_kept(tmp_path):
    from claims.parts import kept, uninterrupted

    def half_done(number):
        with interruptible() as told:
            os.kill(os.getpid(), number)
        return told.name

    script = tmp_path / "script.py"
    script.write_text("")
    assert uninterrupted(abs, -2.0) == 2.0
    for number in (signal.SIGINT, signal.SIGTERM):
        with pytest.raises(KeyboardInterrupt):
            kept(tmp_path / "parts", script, half_done, number)
    assert not (tmp_path / "parts").exists()


def test_a_missed_claim_and_a_wrong_option_have_their_exit_status(toy):
    status, printed = toy(small=0.1)
    assert status == 1 and "toy: 1 of 2 claims pass" in printed
    status, printed = toy("--fast")
    assert status == 2 and "Traceback" not in printed


def test_the_report_needs_nothing_else(toy, tmp_path):
    from claims.page import report

    toy("--out", tmp_path, small=0.1)
    found = json.loads((tmp_path / "toy.json").read_text())
    page = report([found, found | {"finished": False}], tmp_path, "All & everything")
    assert (
        not re.search(r'(src|href)="(?!data:image/png;base64,|#)', page) and "http" not in page and "url(" not in page
    )
    for words in ("A title.", "What theory says.", "twice three &lt;&amp;&gt;", "A figure.", "A table", "A remark."):
        assert words in page
    assert page.count('<span class="MISS">MISS</span>') == 2 and page.count('<span class="PASS">PASS</span>') == 2
    assert "not finished" in page and "All &amp; everything" in page


def test_everything_runs_side_by_side_and_what_missed_is_said(toy, tmp_path, monkeypatch, capsys):
    import run_all

    toy(small=0.1)
    (tmp_path / "broken.py").write_text("raise RuntimeError('broken here')\n")
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    monkeypatch.setattr(run_all, "SCRIPTS", ("toy", "broken"))
    monkeypatch.setenv("PYTHONPATH", str(VALIDATION))
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--out", str(tmp_path / "data")])
    with pytest.raises(SystemExit) as ended:
        run_all.main()
    printed = capsys.readouterr().out
    assert ended.value.code == 1
    assert "MISS toy: small" in printed and "FAILED broken: exit status 1" in printed
    assert "RuntimeError: broken here" in (printed + (tmp_path / "data" / "quick" / "broken.log").read_text())
    assert "A title." in (tmp_path / "data" / "quick" / "report.html").read_text()
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--only", '["nothing"]'])
    with pytest.raises(SystemExit) as ended:
        run_all.main()
    assert ended.value.code == 2 and "'nothing' is no script" in capsys.readouterr().err


def test_the_readme_lists_every_script():
    import run_all

    readme = (VALIDATION / "README.md").read_text()
    for name in run_all.SCRIPTS:
        assert (VALIDATION / f"{name}.py").exists() and f"validation/{name}.py" in readme
