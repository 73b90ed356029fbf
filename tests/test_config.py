"""Configurations: defaults, formulas, overrides, the way to JSON and back, and one sentence for every mistake."""

import json
import re
from copy import deepcopy
from math import log

import numpy as np
import pytest

from spherepde.config import load_config, parse_config, script_parameters
from spherepde.errors import InputError
from spherepde.heads import Head

TEXT = """
[model]
dim = 3
beta = 100.0
V = [[1, 0, 0], [0, 0.4, 0], [0, 0, -0.3]]

[initial]
family = "fisher_bingham"
linear = [0, 0.8, 0]

[space]
lmax = 31

[time]
until = "2*log(beta)"
"""

TABLES = {
    "model": {"dim": 3, "beta": 100.0},
    "initial": {"family": "uniform"},
    "space": {"lmax": 31},
    "time": {"until": 5.0},
}

BUMP = {"family": "von_mises_fisher", "mean": [0.0, 0.0, 1.0], "concentration": 4.0}


def changed(**changes):
    """TABLES with dotted keys (written with __) set, or removed where the value is ..."""
    tables = deepcopy(TABLES)
    for key, value in changes.items():
        *path, last = key.split("__")
        place = tables
        for name in path:
            place = place.setdefault(name, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return tables


@pytest.fixture
def run_toml(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(TEXT)
    return path


def test_defaults_of_a_short_file(run_toml):
    config = load_config(run_toml)
    assert (config.model.attention, config.model.diffusion, config.model.combine) == ("softmax", 0.0, "sum")
    assert (config.space.lmax, config.space.backend, config.space.threads, config.space.companion_lmax) == (
        31,
        "auto",
        1,
        0,
    )
    assert config.time.until == pytest.approx(2 * log(100.0), rel=1e-15)
    assert config.time.save_every == pytest.approx(config.time.until / 50, rel=1e-15)
    assert (config.time.stepper, config.time.rtol, config.time.dt) == ("ark436", 1e-8, None)
    assert config.output.model_dump() == {
        "file": "run.h5",
        "density": True,
        "velocity": True,
        "wasserstein": True,
        "checkpoint_every": 60.0,
    }
    assert config.to_dict()["initial"] == {"family": "fisher_bingham", "linear": [0.0, 0.8, 0.0]}


EVERYTHING = [
    TABLES,
    changed(model__V="identity", model__B=[[2, 0, 0], [0, 1, 0], [0, 0, 1]], model__diffusion=0.1),
    changed(model__Q=[[1, 0, 0]], model__K=[[0, 1, 0]], initial=BUMP),
    changed(model={"dim": 3, "attention": "hardmax"}, time={"until": 1, "dt": 0.01, "stepper": "ars443"}),
    changed(model={"dim": 3, "head": [{"beta": 1}, {"beta": 2.5, "V": "identity"}], "combine": "mean"}),
    changed(model__dim=2, initial={"family": "harmonics", "modes": [{"degree": 3, "cos": 0.1}]}, space__backend="fftw"),
    changed(initial={"family": "harmonics", "modes": [{"degree": 3, "order": -3, "amplitude": 0.1}]}),
    changed(initial={"family": "polynomial", "quadratic": np.diag([0.1, 0.2, 0.3])}),
    changed(initial={"family": "poisson_kernel", "offset": (0.1, 0.2, 0.3)}),
    changed(initial={"family": "file", "path": "old.h5", "time": 3.0}),
    changed(
        initial={
            "family": "mixture",
            "component": [
                {"weight": 2, **BUMP},
                {"weight": 1.0, "family": "mixture", "component": [{"weight": 1.0, "family": "uniform"}]},
            ],
        }
    ),
    changed(space={"lmax": 63, "companion_lmax": 31, "threads": 2, "backend": "ducc0", "damping": 0.0}),
    changed(output={"file": "a.h5", "density": False, "velocity": False, "checkpoint_every": 1}),
    changed(output={"wasserstein": False}),
]


@pytest.mark.parametrize("tables", EVERYTHING)
def test_round_trip_through_json(tables):
    config = parse_config(tables)
    again = parse_config(json.loads(json.dumps(config.to_dict())))
    assert again == config and again.to_dict() == config.to_dict()


def test_equality_sees_a_difference():
    assert parse_config(TABLES) != parse_config(changed(space__lmax=32))


def test_absent_values_may_be_written_none():
    assert parse_config(changed(model__B=None, time__dt=None, output=None)) == parse_config(TABLES)


def test_head_arguments_build_heads():
    rotation = [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    tables = [{"beta": 2, "V": "identity", "B": rotation}, {"beta": 3.0, "Q": [[1, 2, 3]], "K": [[0, 1, 0]]}]
    first, second = (
        Head(**arguments)
        for arguments in parse_config(changed(model={"dim": 3, "head": tables})).model.head_arguments()
    )
    assert np.array_equal(first.V, np.eye(3)) and np.array_equal(first.B, rotation) and first.beta == 2.0
    assert np.array_equal(second.B, np.outer([1, 2, 3], [0, 1, 0])) and second.beta == 3.0
    (single,) = parse_config(changed(model__dim=2)).model.head_arguments()
    assert np.array_equal(Head(**single).V, np.eye(2)) and np.array_equal(Head(**single).B, np.eye(2))
    (hard,) = parse_config(changed(model={"dim": 3, "attention": "hardmax"})).model.head_arguments()
    assert "beta" not in hard


def test_tables_that_heads_write_are_accepted():
    head = Head(np.diag([1.0, 0.5, 0.2]), beta=7.0)
    (arguments,) = parse_config(changed(model={"dim": 3, **head.to_config()})).model.head_arguments()
    assert np.array_equal(arguments["V"], head.V) and arguments["beta"] == 7.0


@pytest.mark.parametrize(
    ("formula", "factor"),
    [("2*log(beta)", 2.0), ("log(beta)", 1.0), (" 0.5 * log( beta ) ", 0.5), (".25*log(beta)", 0.25)],
)
def test_until_in_units_of_log_beta(formula, factor):
    assert parse_config(changed(time__until=formula)).time.until == pytest.approx(factor * log(100.0), rel=1e-15)
    heads = {"dim": 3, "head": [{"beta": 9.0}, {"beta": 9.0}]}
    assert parse_config(changed(model=heads, time__until=formula)).time.until == pytest.approx(factor * log(9.0))


@pytest.mark.parametrize(
    "formula",
    ["log(beta)*2", "2*log(10)", "-1*log(beta)", "2**log(beta)", "__import__('os')", "1.2.3*log(beta)", "5", ""],
)
def test_no_other_formula_is_read(formula):
    with pytest.raises(
        InputError, match=r"^configuration: time\.until is .*; expected a time > 0, or a multiple of log\(beta\)"
    ):
        parse_config(changed(time__until=formula))


def test_an_explicit_step_switches_tolerances_off():
    time = parse_config(changed(time__dt=0.01)).time
    assert (time.dt, time.rtol) == (0.01, None)


@pytest.mark.parametrize(
    ("tables", "key", "expected"),
    [
        (changed(model=...), "model is missing", "a table [model]"),
        (changed(model__dim=...), "model.dim is missing", "2 or 3"),
        (changed(model__dim=4), "model.dim is 4", "zonal solver for dim >= 4 is not available yet"),
        (changed(model__dim=1), "model.dim is 1", "2 or 3"),
        (changed(model__dim=3.0), "model.dim is 3.0", "2 or 3"),
        (changed(model__attention="sofmax"), "model.attention is 'sofmax'", "'softmax', 'unnormalised' or 'hardmax'"),
        (changed(model__beta=...), "model.beta is missing", "> 0"),
        (changed(model__beta=0), "model.beta is 0", "> 0"),
        (changed(model__beta=-2.0), "model.beta is -2.0", "> 0"),
        (changed(model__beta=float("inf")), "model.beta is inf", "> 0"),
        (changed(model__beta="100"), "model.beta is '100'", "> 0"),
        (changed(model__beta=True), "model.beta is True", "> 0"),
        (changed(model__V=[[1, 0], [0, 1]]), "model.V is [[1, 0], [0, 1]]", "3 rows of 3 numbers, as model.dim = 3"),
        (changed(model__B=[[1, 0, 0], [0, 1], [0, 0, 1]]), "model.B is", "3 rows of 3 numbers"),
        (changed(model__B="eye"), "model.B is 'eye'", "'identity' or a dim x dim matrix"),
        (changed(model__V=[1, 2, 3]), "model.V is [1, 2, 3]", "'identity' or a dim x dim matrix"),
        (changed(model__Q=[[1, 0, 0]]), "model.K is missing", "Q and K together"),
        (changed(model__K=[[1, 0, 0]]), "model.Q is missing", "Q and K together"),
        (changed(model__Q=[[1, 0, 0]], model__K=[[1, 0]]), "model.K is", "1 rows of 3 numbers"),
        (changed(model__Q=[[1, 0]], model__K=[[1, 0]]), "model.Q is", "1 rows of 3 numbers"),
        (changed(model__Q=[[1, 0, 0]], model__K=[[1, 0, 0]], model__B="identity"), "model.B is", "either B or"),
        (changed(model__diffusion=-1e-3), "model.diffusion is -0.001", ">= 0"),
        (changed(model__head=[]), "model.head is []", "[[model.head]]"),
        (changed(model__head=[{"beta": 1.0}]), "model.beta is 100.0", "inside the [[model.head]] tables"),
        (changed(model={"dim": 3, "head": [{"beta": 1}, {}]}), "model.head.1.beta is missing", "> 0"),
        (changed(model={"dim": 3, "head": [{"beta": 1, "V": [[1]]}]}), "model.head.0.V is [[1]]", "3 rows of 3"),
        (changed(model={"dim": 3, "head": [{"beta": 1, "gamma": 1}]}), "model.head.0.gamma is not a known key", "beta"),
        (changed(model__combine="max"), "model.combine is 'max'", "'sum' or 'mean'"),
        (changed(model__betta=1.0), "model.betta is not a known key (did you mean model.beta?)", "attention"),
        (changed(initial="uniform"), "initial is 'uniform'", "a table [initial]"),
        (changed(initial={}), "initial.family is missing", "fisher_bingham"),
        (changed(initial__family="unifrom"), "initial.family is 'unifrom' (did you mean uniform?)", "poisson_kernel"),
        (changed(initial__mean=[1, 0, 0]), "initial.mean is not a known key", "family"),
        (changed(initial={**BUMP, "mean": [1.0, 0.0]}), "initial.mean is [1.0, 0.0]", "3 numbers, as model.dim = 3"),
        (changed(initial={**BUMP, "mean": [1.0, 0.0, "z"]}), "initial.mean.2 is 'z'", "numbers"),
        (changed(initial={**BUMP, "concentration": -1}), "initial.concentration is -1", ">= 0"),
        (changed(initial={**BUMP, "weight": 1.0}), "initial.weight is 1.0", "[[initial.component]]"),
        (
            changed(initial={"family": "von_mises_fisher", "mean": [1, 0, 0]}),
            "initial.concentration is missing",
            ">= 0",
        ),
        (changed(initial={"family": "fisher_bingham", "linear": [1, 0]}), "initial.linear is [1, 0]", "3 numbers"),
        (changed(initial={"family": "polynomial", "quadratic": [[1, 0, 0]]}), "initial.quadratic is", "3 rows of 3"),
        (changed(initial={"family": "poisson_kernel", "offset": [0.1, 0.1]}), "initial.offset is", "3 numbers"),
        (changed(initial={"family": "mixture", "component": []}), "initial.component is []", "one or more"),
        (
            changed(initial={"family": "mixture", "component": [BUMP]}),
            "initial.component.0.weight is missing",
            "a weight > 0",
        ),
        (
            changed(initial={"family": "mixture", "component": [{**BUMP, "weight": 0}]}),
            "initial.component.0.weight is 0",
            "a weight > 0",
        ),
        (
            changed(initial={"family": "mixture", "component": [{**BUMP, "weight": 1, "mean": [1]}]}),
            "initial.component.0.mean is [1]",
            "3 numbers",
        ),
        (
            changed(initial={"family": "mixture", "component": [{"family": "file", "weight": 1}]}),
            "initial.component.0.family is 'file'",
            "uniform",
        ),
        (
            changed(initial={"family": "harmonics", "modes": [{"degree": 1, "cos": 1.0}]}),
            "initial.modes.0.order is missing",
            "degree, order, amplitude, as model.dim = 3",
        ),
        (
            changed(initial={"family": "harmonics", "modes": [{"degree": 1, "order": -2, "amplitude": 1}]}),
            "initial.modes.0.order is -2",
            "from -degree to degree",
        ),
        (
            changed(
                model__dim=2, initial={"family": "harmonics", "modes": [{"degree": 1, "order": 0, "amplitude": 1}]}
            ),
            "initial.modes.0.order is 0",
            "degree, cos, sin, as model.dim = 2",
        ),
        (changed(initial={"family": "file"}), "initial.path is missing", "run file"),
        (changed(space__lmax=...), "space.lmax is missing", "an integer >= 3"),
        (changed(space__lmax=2), "space.lmax is 2", "an integer >= 3"),
        (changed(space__lmax=31.0), "space.lmax is 31.0", "an integer >= 3"),
        (changed(space__backend="numpy"), "space.backend is 'numpy'", "'shtns'"),
        (changed(space__backend="fftw"), "space.backend is 'fftw'", "as model.dim = 3"),
        (changed(model__dim=2, space__backend="shtns"), "space.backend is 'shtns'", "as model.dim = 2"),
        (changed(space__threads=0), "space.threads is 0", ">= 1"),
        (changed(space__companion_lmax=31), "space.companion_lmax is 31", "< space.lmax = 31"),
        (changed(space__companion_lmax=2), "space.companion_lmax is 2", "0 (none) or an integer >= 3"),
        (changed(time__until=...), "time.until is missing", "a time > 0"),
        (changed(time__until=0), "time.until is 0", "a time > 0"),
        (changed(time__until=True), "time.until is True", "a time > 0"),
        (changed(time__until="log(beta)", model__beta=0.5), "time.until is 'log(beta)'", "with one beta > 1"),
        (
            changed(model={"dim": 3, "head": [{"beta": 2.0}, {"beta": 3.0}]}, time__until="log(beta)"),
            "time.until is 'log(beta)'",
            "with one beta > 1",
        ),
        (changed(time={"untl": 3.0}), "time.untl is not a known key (did you mean time.until?)", "until"),
        (changed(time__save_every=0), "time.save_every is 0", "> 0"),
        (changed(time__stepper="sbdf2"), "time.stepper is 'sbdf2'", "'ark436' or 'ars443'"),
        (changed(time__stepper="ars443"), "time.dt is missing", "a fixed time step"),
        (changed(time__rtol=1e-6, time__dt=0.1), "time.dt is 0.1", "either rtol"),
        (changed(time__rtol=0), "time.rtol is 0", "between 0 and 1"),
        (changed(time__dt=-0.1), "time.dt is -0.1", "> 0"),
        (changed(output__file=""), "output.file is ''", "a file name"),
        (changed(output__density="yes"), "output.density is 'yes'", "true or false"),
        (changed(output__checkpoint_every=0), "output.checkpoint_every is 0", "seconds > 0"),
        (changed(outptu={}), "outptu is not a known key (did you mean output?)", "model"),
        (changed(model__V=[[0.123456789] * 3] * 9), "model.V is [[0.123456789", "3 rows of 3 numbers"),
    ],
)
def test_a_mistake_is_one_sentence_about_its_key(tables, key, expected):
    with pytest.raises(InputError) as caught:
        parse_config(tables, "here.toml")
    sentence = str(caught.value)
    assert sentence.startswith(f"here.toml: {key}")
    found, _, wanted = sentence.partition("; expected ")
    assert expected in wanted and "Input" not in found
    assert "\n" not in sentence and len(sentence) < 300


def test_until_alone_is_blamed_when_save_every_cannot_be_derived():
    with pytest.raises(InputError, match=r"time\.until is -3"):
        parse_config(changed(time__until=-3))


# ---- files and overrides


def test_overrides_are_toml_values_or_strings(run_toml):
    config = load_config(
        run_toml,
        [
            "time.until=3",
            "model.V=identity",
            "model.B=[[1,0,0],[0,2,0],[0,0,1]]",
            "output.file=other run.h5",
            "output.density = false",
            "initial.linear.1=0.5",
        ],
    )
    assert config.time.until == 3.0 and config.time.save_every == pytest.approx(0.06)
    assert config.model.V == "identity" and config.model.B[1][1] == 2.0
    assert config.output.file == "other run.h5" and config.output.density is False
    assert config.initial.linear == [0.0, 0.5, 0.0]


def test_overrides_reach_before_formulas_and_inside_arrays_of_tables(tmp_path):
    assert load_config_text(tmp_path, TEXT, "model.beta=1e4").time.until == pytest.approx(2 * log(1e4))
    heads = TEXT.replace(
        "beta = 100.0\nV = [[1, 0, 0], [0, 0.4, 0], [0, 0, -0.3]]", "[[model.head]]\nbeta=2\n[[model.head]]\nbeta=3"
    )
    assert load_config_text(tmp_path, heads, "model.head.1.beta=2").time.until == pytest.approx(2 * log(2.0))


def load_config_text(folder, text, *overrides):
    path = folder / "text.toml"
    path.write_text(text)
    return load_config(path, overrides)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("time.until", "expected the form table.key=value"),
        ("=3", "expected the form table.key=value"),
        ("time..until=3", "expected the form table.key=value"),
        ("model.beta.x=3", "model.beta is 100.0; expected a table with x"),
        ("initial.linear.7=3", "initial.linear is [0, 0.8, 0]; expected a table with 7"),
        ("time.untl=3", "run.toml with time.untl=3: time.untl is not a known key (did you mean time.until?)"),
        ("space.lmax=big", "run.toml with space.lmax=big: space.lmax is 'big'; expected an integer >= 3"),
        ("space.lmax=31\nthreads=2", "space.lmax is '31\\nthreads=2'"),
    ],
)
def test_wrong_overrides(run_toml, override, words):
    with pytest.raises(InputError, match=re.escape(words)):
        load_config(run_toml, [override])


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: cannot be read \(No such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory"):
        load_config(tmp_path)
    with pytest.raises(InputError, match=r"text\.toml: is not TOML: .*line 3"):
        load_config_text(tmp_path, "[model]\ndim = 3\nbeta = = 2\n")
    (tmp_path / "binary.toml").write_bytes(b"\x89HDF\r\n\xff\xfe")
    with pytest.raises(InputError, match=r"binary\.toml: is not TOML"):
        load_config(tmp_path / "binary.toml")


# ---- the command line of solver scripts

PARAMETERS = {
    "lmax": 255,
    "beta": 100.0,
    "save_every": 0.1,
    "out": "run.h5",
    "overwrite": False,
    "progress": True,
    "V": [[1.0, 0.0], [0.0, 0.5]],
    "B": np.eye(2),
    "modes": (1, 2),
    "dt": None,
    "options": {"a": 1},
}


def test_script_parameters_default_to_the_block():
    given = script_parameters(PARAMETERS, "A solver.", [])
    assert vars(given).keys() == PARAMETERS.keys()
    assert all(np.array_equal(value, PARAMETERS[name]) for name, value in vars(given).items())
    given.V[0][0] = 7.0
    assert PARAMETERS["V"][0][0] == 1.0


def test_script_parameters_take_the_type_of_their_default():
    line = (
        "--lmax 63 --beta=1e3 --save_every 2 --out other.h5 --overwrite --no-progress --V [[1,2],[3,4]] "
        "--B [[0,1],[1,0]] --modes [3] --dt 0.5 --options {b=2}"
    )
    given = script_parameters(PARAMETERS, "A solver.", line.split())
    assert (given.lmax, given.beta, given.save_every, given.out) == (63, 1000.0, 2.0, "other.h5")
    assert isinstance(given.save_every, float) and given.overwrite is True and given.progress is False
    assert given.V == [[1, 2], [3, 4]] and given.modes == (3,) and given.dt == 0.5 and given.options == {"b": 2}
    assert isinstance(given.B, np.ndarray) and given.B.dtype == float and np.array_equal(given.B, [[0, 1], [1, 0]])
    assert script_parameters(PARAMETERS, "", ["--save-every", "3", "--dt", "auto"]).dt == "auto"
    assert script_parameters(PARAMETERS, "", ["--options", '{"a": null}']).options == {"a": None}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--lmax 2.5", "--lmax: got '2.5'; expected an integer"),
        ("--beta hot", "--beta: got 'hot'; expected a number"),
        ("--beta nan", "expected a number"),
        ("--V identity", "--V: got 'identity'; expected a list like [1, 2]"),
        ("--B [[1],[2,3]]", "--B: got '[[1],[2,3]]'; expected a list"),
        ("--options 3", "expected a table like {a = 1}"),
        ("--lmx 3", "--lmx"),
        ("--lm 3", "--lm"),
        ("--lmax", "expected one argument"),
    ],
)
def test_wrong_script_parameters_exit_with_status_2_and_one_sentence(capsys, line, words):
    with pytest.raises(SystemExit) as stopped:
        script_parameters(PARAMETERS, "A solver.", line.split())
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and words in said and said.count("\n") == 1


def test_help_shows_description_and_defaults(capsys):
    with pytest.raises(SystemExit) as stopped:
        script_parameters(PARAMETERS | {"share": "5 %"}, "A solver\nof 100 % quality.", ["--help"])
    said = capsys.readouterr().out
    assert stopped.value.code == 0 and "of 100 % quality" in said
    assert "--save-every" in said and "default: 0.1" in said and "default: 5 %" in said and "--no-progress" in said
