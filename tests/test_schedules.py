"""Heads as functions of time: which act when, how stacks are read, and one sentence for what does not fit."""

from itertools import pairwise

import h5py
import numpy as np
import pytest

from spherepde import Head, InputError, Softmax, Unnormalised
from spherepde.attention import Hardmax
from spherepde.layer_arrays import check_layer_arrays
from spherepde.run_options import landing_times, save_times, snapshot_count
from spherepde.schedules import Constant, Layers, Varying, as_schedule, load_layers


def stack(layers=3, heads=2, dim=3, rank=None, seed=0):
    rng = np.random.default_rng(seed)
    arrays = {name: rng.normal(size=(layers, heads, rank or dim, dim)) for name in "QK"}
    return arrays | {"V": rng.normal(size=(layers, heads, dim, dim)), "beta": rng.uniform(1, 9, (layers, heads))}


def scalar(value, beta=1.0, dim=3):
    return Head(value * np.eye(dim), beta=beta)


# ---- which heads act when


def test_each_layer_acts_from_its_time_on_and_the_outer_ones_for_ever():
    heads = [scalar(value) for value in (1.0, 2.0, 3.0)]
    layers = Layers(heads, times=[0.5, 1.0, 3.0, 4.0])
    acting = {-1.0: 1, 0.5: 1, np.nextafter(1.0, 0.0): 2, 1.0: 2, 2.99: 2, 3.0: 3, 4.0: 3, 1e9: 3, 0.99: 1}
    assert {t: layers.heads_at(t)[0].V[0, 0] for t in acting} == acting
    assert layers.breaks == (1.0, 3.0) and not layers.constant


def test_a_step_keeps_to_the_layer_it_began_in():
    layers = Layers([scalar(1.0), scalar(2.0), scalar(3.0)], layer_time=0.1)
    assert layers.heads_at(layers.moment(0.1, 0.0))[0].V[0, 0] == 1.0  # the end of the first layer
    assert layers.heads_at(layers.moment(0.1, 0.1))[0].V[0, 0] == 2.0
    assert layers.moment(0.12, 0.1) == layers.moment(0.2, 0.15)  # one preparation for the whole layer
    edge = 3 * 0.1 - 0.1  # rounding: 0.20000000000000004
    assert layers.moment(edge, edge) == layers.moment(0.2, 0.2)


def test_layer_time_puts_layers_at_its_multiples():
    layers = Layers([scalar(1.0)] * 3, layer_time=0.1)
    assert layers.times.tolist() == [0.0, 0.1, 0.2, 3 * 0.1]
    assert Layers([scalar(1.0)] * 3, layer_time=0.1, interpolate=True).times.tolist() == [0.0, 0.1, 0.2]


def test_interpolation_is_linear_in_v_b_and_beta_and_constant_outside():
    first, second = (Layers.from_arrays(stack(1, 1, seed=seed), layer_time=1.0).layers[0][0] for seed in (1, 2))
    layers = Layers([first, second], times=[1.0, 3.0], interpolate=True)
    assert layers.breaks == (1.0, 3.0)
    for t, share in ((0.0, 0.0), (1.0, 0.0), (1.5, 0.25), (2.0, 0.5), (3.0, 1.0), (9.0, 1.0)):
        (head,) = layers.heads_at(layers.moment(t, 0.0))
        for name in ("V", "B", "beta"):
            expected = getattr(first, name) + share * (getattr(second, name) - getattr(first, name))
            assert np.allclose(getattr(head, name), expected, rtol=1e-15, atol=1e-15)
    assert layers.moment(5.0, 5.0) == layers.moment(7.0, 5.0) == 3.0


def test_heads_may_be_constant_layered_or_a_function():
    head = scalar(1.0)
    assert isinstance(as_schedule(head), Constant) and as_schedule([head, head]).heads_at(7.0) == (head, head)
    layers = Layers([head], layer_time=1.0)
    assert as_schedule(layers) is layers and layers.breaks == ()
    varying = as_schedule(lambda t: [scalar(1.0 + t), scalar(2.0)])
    assert isinstance(varying, Varying) and varying.heads_at(0.5)[0].V[0, 0] == 1.5
    assert varying.moment(0.3, 0.1) == 0.3


def test_attention_at_a_time_is_that_of_its_heads():
    layers = Layers([[scalar(1.0), scalar(2.0)], [scalar(3.0), scalar(4.0)]], layer_time=1.0)
    attention = Softmax(layers, combine="mean", method="quadrature")
    later = attention.at(1.5)
    assert [head.V[0, 0] for head in later.heads] == [3.0, 4.0] and later.schedule.constant
    assert (later.combine, later.method, later.head_weight) == ("mean", "quadrature", 0.5)
    assert later.at(9.0) is later
    assert attention.limit_space is None
    assert Softmax(Layers([scalar(1.0)] * 2, layer_time=1.0)).limit_space is None


def test_strength_is_the_largest_over_all_layers_and_between_them():
    layers = [Head(np.eye(3), B, beta=beta) for B, beta in ((np.eye(3), 10.0), (4.0 * np.eye(3), 1.0))]
    assert Softmax(Layers(layers, layer_time=1.0)).strength(0.0, 1.0) == pytest.approx(10.0)
    between = Softmax(Layers(layers, layer_time=1.0, interpolate=True))
    truth = max(head.beta * np.linalg.norm(head.B, 2) for t in np.linspace(0, 1, 101) for head in between.at(t).heads)
    assert truth > 14.0  # (1 + 3s)(10 − 9s) exceeds both ends
    assert between.strength(0.0, 1.0) >= truth
    swing = Softmax(lambda t: scalar(1.0, beta=2.0 + np.sin(t)))
    assert swing.strength(0.0, 3.0) == pytest.approx(3.0, rel=1e-3)
    assert swing.strength(0.0, 0.0) == 2.0
    assert swing.source_degree(0.0, 3.0) >= max(Softmax(scalar(1.0, beta=b)).source_degree(0, 0) for b in (2.0, 2.99))
    assert Hardmax(swing.schedule).source_degree(0.0, 3.0) == 0


# ---- landing


def test_breaks_are_landed_on_and_those_at_save_times_once():
    landings = list(landing_times(0.0, 0.5, 0.2, (0.1, 0.2, 3 * 0.1, 0.45, 0.7)))
    assert landings == [(0.1, False), (0.2, True), (3 * 0.1, False), (0.4, True), (0.45, False), (0.5, True)]
    rounded = (0.1 * 3, 0.6000000000000001, 0.9)  # save times 0.3, 0.6, 0.8999999999999999
    saves = [t for t, saving in landing_times(0.0, 0.9, 0.3, rounded) if saving]
    assert len(list(landing_times(0.0, 0.9, 0.3, rounded))) == len(saves) == 3
    assert list(landing_times(0.2, 0.4, 0.2, (0.2 * (1 - 1e-15), 0.2 * (1 + 1e-15)))) == [(0.4, True)]


@pytest.mark.parametrize("until", [0.05, 0.1, 0.3, 3 * 0.1, 1.0, 9.2, 2.0 / 3.0])
@pytest.mark.parametrize("every", [0.1, 0.3, 1.0 / 3.0, 0.00917, 9.2 / 50, 0.1 * (1 + 1e-12), 1e-4])
def test_snapshots_are_counted_as_they_would_be_saved(until, every):
    assert snapshot_count(until, every) == 1 + sum(1 for _ in save_times(0.0, until, every))


# ---- reading stacks


@pytest.mark.parametrize("kind", ["npz", "h5"])
@pytest.mark.parametrize("rank", [3, 1])
def test_a_stack_is_one_file_away(tmp_path, kind, rank):
    arrays = stack(4, 2, rank=rank) | {"times": np.array([0.0, 1.0, 1.5, 3.0, 3.5])}
    path = tmp_path / "weights.bin"  # told by content
    if kind == "npz":
        with open(path, "wb") as file:
            np.savez(file, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    layers = load_layers(path)
    assert layers.times.tolist() == arrays["times"].tolist()
    for layer in range(4):
        for head in range(2):
            built = layers.layers[layer][head]
            assert np.array_equal(built.B, arrays["Q"][layer, head].T @ arrays["K"][layer, head])
            assert np.array_equal(built.V, arrays["V"][layer, head]) and built.beta == arrays["beta"][layer, head]


def test_one_head_a_layer_needs_no_axis_and_beta_may_be_shared():
    arrays = {"V": np.random.default_rng(0).normal(size=(5, 2, 2))}
    layers = Layers.from_arrays(arrays, beta=4.0, layer_time=0.1)
    assert [len(heads) for heads in layers.layers] == [1] * 5 and layers.layers[3][0].beta == 4.0
    assert np.array_equal(layers.layers[2][0].B, np.eye(2))
    per_layer = Layers.from_arrays(arrays | {"beta": np.arange(1.0, 6.0)}, layer_time=0.1)
    assert [heads[0].beta for heads in per_layer.layers] == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_lists_of_arrays_are_arrays():
    arrays = stack()
    lists = {name: [[*layer] for layer in array] for name, array in arrays.items()}
    assert (
        Layers.from_arrays(lists, layer_time=1.0).to_config() == Layers.from_arrays(arrays, layer_time=1.0).to_config()
    )
    single = Layers.from_arrays({"V": [np.eye(2), (2.0 * np.eye(2)).tolist()]}, beta=1.0, layer_time=1.0)
    assert [heads[0].V[0, 0] for heads in single.layers] == [1.0, 2.0]


def test_configuration_rebuilds_the_layers():
    layers = Layers.from_arrays(stack(), layer_time=0.3, interpolate=True)
    table = layers.to_config()
    again = Layers.from_arrays(table["layers"], times=table["layer_times"], interpolate=table["interpolate"])
    assert again.to_config() == table and again.interpolate
    assert repr(again) == "Layers(3 layers × 2 heads, t = 0 … 0.6, interpolated)"
    assert repr(Layers([scalar(1.0)], layer_time=1.0)) == "Layers(1 layer × 1 head, t = 0 … 1)"


# ---- what does not fit


def broken(name, index, value, **options):
    arrays = stack(**options)
    arrays[name][index] = value
    return arrays


def without(*names, **others):
    return {name: array for name, array in stack().items() if name not in names} | others


def ragged():
    arrays = {name: array.tolist() for name, array in stack().items()}
    arrays["K"][2][1] = [[1.0, 2.0], [3.0, 4.0]]
    return arrays


WRONG_ARRAYS = {
    "not finite": (broken("K", (2, 1, 0, 1), np.nan), "K, layer 2, head 1: expected finite numbers, got nan"),
    "infinite V": (broken("V", (1, 0, 2, 2), np.inf), "V, layer 1, head 0: expected finite"),
    "beta": (broken("beta", (1, 1), -0.5), "beta, layer 1, head 1: expected an inverse temperature > 0, got -0.5"),
    "beta shape": (without("beta", beta=np.ones(4)), r"beta has shape \(4,\); expected a number, \(3,\) or \(3, 2\)"),
    "Q alone": (without("K"), "Q alone; expected both"),
    "all three": (without(B=np.ones((3, 2, 3, 3))), "B beside Q and K"),
    "unknown": (without(W=np.ones(3)), "unknown array W; expected V, B or Q and K"),
    "layers of K": (without(K=np.ones((2, 2, 3, 3))), r"K has shape \(2, 2, 3, 3\); expected \(3, 2, 3, 3\)"),
    "heads of Q": (without(Q=np.ones((3, 1, 3, 3))), r"Q has shape \(3, 1, 3, 3\); expected \(3, 2, 3, 3\) to fit V"),
    "width of Q": (without("K", Q=np.ones((3, 2, 1, 2)), K=np.ones((3, 2, 1, 2))), r"Q has shape"),
    "not square": (without(V=np.ones((3, 2, 2, 3))), "V, layer 0, head 0: expected a square matrix"),
    "a matrix": (without(V=np.ones((3, 3))), r"V has shape \(3, 3\); expected \(layers, heads, d, d\)"),
    "words": (without(V="matrices"), "V: expected an array of real numbers, got 'matrices'"),
    "complex": (without(V=1j * np.ones((3, 2, 3, 3))), "V: expected an array of real numbers"),
    "ragged": (ragged(), r"K, layer 2, head 1: expected \(3, 3\) as in layer 0, head 0, got \[\[1"),
    "ragged layer": (without(V=[[[[1.0]], [[1.0]]], [[[1.0]]]]), "V, layer 1: 1 head.s.; expected 2 as in layer 0"),
    "arrays of two sizes": (
        {"V": [np.eye(2), np.eye(3)]},
        r"V, layer 1, head 0: expected \(2, 2\) as in layer 0, head 0, got \[\[1.0",
    ),
    "a word among arrays": ({"V": [np.eye(2), "eye"]}, r"V, layer 1, head 0: expected \(2, 2\) .* got 'eye'"),
    "nothing": ({"beta": 1.0}, "no matrices; expected V, B or Q and K"),
    "times": (without(times=[0.0, np.inf]), "times: expected a list of finite numbers"),
}


@pytest.mark.parametrize("case", WRONG_ARRAYS, ids=list(WRONG_ARRAYS))
def test_arrays_that_do_not_fit_are_blamed_by_name_layer_and_head(tmp_path, case):
    arrays, sentence = WRONG_ARRAYS[case]
    with pytest.raises(InputError, match=sentence) as caught:
        check_layer_arrays(arrays)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250
    path = tmp_path / "weights.npz"
    if case not in ("ragged", "ragged layer", "words", "arrays of two sizes", "a word among arrays"):
        np.savez(path, **arrays)
        with pytest.raises(InputError, match=f"weights.npz: {sentence}"):
            load_layers(path, layer_time=1.0)


@pytest.mark.parametrize("content", [None, b"", b"hello", b"PK\x03\x04 no archive", b"\x89HDF\r\n\x1a\n cut short"])
def test_files_that_hold_no_layers(tmp_path, content):
    path = tmp_path / "weights.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="weights.npz: cannot be read"):
        load_layers(path, beta=1.0, layer_time=1.0)


def test_objects_and_groups_are_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", V=np.array([{}], dtype=object))
    np.save(tmp_path / "single.npy", np.ones((3, 2, 2)))
    with h5py.File(tmp_path / "groups.h5", "w") as file:
        file.create_group("V")
    for name in ("objects.npz", "single.npy", "groups.h5"):
        with pytest.raises(InputError, match=name):
            load_layers(tmp_path / name, beta=1.0, layer_time=1.0)


WRONG_ARGUMENTS = {
    "beta nowhere": (without("beta"), {"layer_time": 1.0}, "beta is given nowhere"),
    "beta twice": (stack(), {"layer_time": 1.0, "beta": 2.0}, "beta is given twice"),
    "negative beta": (without("beta"), {"layer_time": 1.0, "beta": -2.0}, "beta, layer 0, head 0: expected an inverse"),
    "times twice": (stack() | {"times": np.arange(4.0)}, {"layer_time": 1.0}, "times are given twice"),
    "no times": (stack(), {}, "expected either the times of the layers or layer_time, got neither"),
    "both": (stack(), {"layer_time": 1.0, "times": np.arange(4.0)}, "got both"),
    "too few": (stack(), {"times": [0.0, 1.0, 2.0]}, "expected 4 times, the beginning of each layer and the end"),
    "too many": (stack(), {"times": np.arange(4.0), "interpolate": True}, "expected 3 times, one for each layer"),
    "backwards": (stack(), {"times": [0.0, 1.0, 0.5, 2.0]}, "layer 1 would last from 1 to 0.5; expected times that"),
    "empty layer": (stack(), {"times": [0.0, 1.0, 1.0, 2.0]}, "layer 1 would last from 1 to 1"),
    "duration": (stack(), {"layer_time": -0.1}, "layer_time: expected a duration > 0, got -0.1"),
    "duration nan": (stack(), {"layer_time": float("nan")}, "layer_time: expected a duration > 0, got nan"),
}


@pytest.mark.parametrize("case", WRONG_ARGUMENTS, ids=list(WRONG_ARGUMENTS))
def test_times_and_temperatures_are_given_once_and_make_sense(case):
    arrays, arguments, sentence = WRONG_ARGUMENTS[case]
    with pytest.raises(InputError, match=sentence):
        Layers.from_arrays(arrays, **arguments)


def test_layers_must_be_of_one_kind():
    two, one, flat = [scalar(1.0)] * 2, scalar(1.0), scalar(1.0, dim=2)
    for layers, sentence in (
        ([two, two, one], "layer 2: 1 head.s., but 2 at layer 0"),
        ([one, flat], "layer 1: 2 dimensions, but 3 at layer 0"),
        ([one, "head"], "layer 1: attention: expected a Head or several"),
        ([one, 3], "layer 1: expected a Head or several, got 3"),
        ([[one], []], "layer 1: attention: expected at least one head"),
        ([], "at least one layer"),
    ):
        with pytest.raises(InputError, match=sentence):
            Layers(layers, layer_time=1.0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Softmax(None), "attention: expected a Head, several, layers or a function of time, got None"),
        (lambda: Softmax(3), "attention: expected a Head, several, layers or a function of time, got 3"),
        (lambda: Layers(None, layer_time=1.0), "expected a list with the head or heads of each layer"),
        (lambda: Layers((scalar(1.0) for _ in range(2)), layer_time=1.0), "expected a list with the head or heads"),
        (lambda: load_layers(None), "expected the name of an .npz or HDF5 file, got None"),
        (lambda: Layers.from_arrays(np.eye(2), layer_time=1.0), "layers: expected arrays by name, .* got array"),
        (lambda: Layers.from_arrays(None, layer_time=1.0), "layers: expected arrays by name, .* got None"),
    ],
)
def test_what_is_no_layers_at_all_is_one_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_functions_are_held_to_what_they_began_with():
    grows = Varying(lambda t: [scalar(1.0)] * (1 + (t > 0.5)))
    with pytest.raises(InputError, match=r"heads at t = 0.75: 2 head.s., but 1 at t = 0"):
        grows.heads_at(0.75)
    cools = Softmax(lambda t: scalar(1.0, beta=1.0 - t))
    with pytest.raises(InputError, match=r"heads at t = 1: head: expected an inverse temperature beta > 0, got 0.0"):
        cools.strength(0.0, 1.0)
    with pytest.raises(InputError, match=r"heads at t = 0: expected a Head or several, got 3"):
        Softmax(lambda t: 3)


def test_attention_says_which_layer_it_cannot_take():
    singular = Head(np.eye(3), np.diag([1.0, 1.0, 0.0]))
    with pytest.raises(InputError, match="layer 1: hardmax attention divides by"):
        Hardmax(Layers([scalar(1.0), singular], layer_time=1.0)).strength(0.0, 1.0)
    with pytest.raises(InputError, match="layer 2: unnormalised attention with"):
        Unnormalised(Layers([scalar(1.0), scalar(1.0), scalar(1.0, beta=301.0)], layer_time=1.0)).strength(0.0, 1.0)
    two = [scalar(1.0), singular]
    with pytest.raises(InputError, match="layer 1, head 1: hardmax attention divides by"):
        Hardmax(Layers([[scalar(1.0)] * 2, two], layer_time=1.0)).strength(0.0, 1.0)
    with pytest.raises(InputError, match="^head 1: hardmax attention divides by"):
        Hardmax(two).strength(0.0, 1.0)
    cold = [scalar(1.0), scalar(1.0, beta=301.0)]
    for schedule, where in (
        (Layers([[scalar(1.0)] * 2, cold], layer_time=1.0), "layer 1, head 1"),
        (lambda t: cold if t else [scalar(1.0)] * 2, "heads at t = 0.0078125, head 1"),
        (cold, "head 1"),
    ):
        with pytest.raises(InputError, match=f"^{where}: unnormalised attention with"):
            Unnormalised(schedule).strength(0.0, 1.0)


def rotation(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


@pytest.mark.parametrize(
    ("scores", "singular"),
    [
        ([np.eye(2), np.diag([1.0, -1.0])], True),  # det B changes sign
        ([np.eye(2), -np.eye(2)], True),  # it touches zero: B = 0 half-way
        ([rotation(0.3), rotation(0.3 + np.pi)], True),
        ([np.eye(2), rotation(2.0)], False),
        ([np.eye(2), rotation(2.0), -np.eye(2)], False),  # the long way round
        ([np.diag([1.0, -1.0]), np.diag([0.1, -3.0])], False),
    ],
)
def test_interpolated_hardmax_is_refused_where_a_score_is_singular_on_the_way(scores, singular):
    between = Layers([[Head(np.eye(2)), Head(np.eye(2), B)] for B in scores], layer_time=1.0, interpolate=True)
    path = np.linspace(0.0, 1.0, 2001)[:, None, None]
    smallest = min(np.linalg.svd(a + path * (b - a))[1][:, -1].min() for a, b in pairwise(scores))
    assert (smallest < 1e-12) == singular
    if singular:
        with pytest.raises(InputError, match="between layers 0 and 1, head 1: hardmax attention divides by"):
            Hardmax(between).source_degree(0.0, 1.0)
    else:
        assert Hardmax(between).source_degree(0.0, 1.0) == 0
    assert Hardmax(Layers(between.layers, layer_time=1.0)).source_degree(0.0, 1.0) == 0  # never on the way
