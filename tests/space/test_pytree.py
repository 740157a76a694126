"""Structured parameters and the vector: there and back, and what no structure is."""

from __future__ import annotations

import pickle
from collections import OrderedDict, defaultdict, namedtuple
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds

from optdriver import Interval
from optdriver.errors import InputError, InputTypeError
from optdriver.space.pytree import Structure

Pair = namedtuple("Pair", ["left", "right"])
BOX = (-1.0, 1.0)

leaves = st.one_of(
    st.just(BOX),
    st.just([0, None]),
    st.builds(lambda n: (np.zeros(n), 2.0), st.integers(1, 3)),
    st.just((np.zeros((2, 1), np.float32), np.ones((2, 1), np.float32))),
    st.just(Interval([0, 0], 5)),
    st.just(Bounds([0, 0], [1, 1])),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from("zyxa"), inner, min_size=1, max_size=3),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=6,
)


def shape_of(node):
    """Describe containers, keys in their order, shapes and types."""
    if isinstance(node, dict):
        return type(node), [(key, shape_of(value)) for key, value in node.items()]
    if isinstance(node, list | tuple):
        return type(node), [shape_of(value) for value in node]
    return np.shape(node), np.asarray(node).dtype


@given(trees)
def test_a_vector_goes_there_and_back(bounds):
    structure = Structure(bounds)
    vector = np.arange(structure.n, dtype=float)
    params = structure.build(vector)
    np.testing.assert_array_equal(structure.flatten(params), vector)
    assert shape_of(structure.build(vector + 1)) == shape_of(params)
    assert len(set(structure.names)) == structure.n == len(structure.lower)
    assert np.all(structure.lower <= structure.upper)


def test_containers_and_the_order_of_their_keys_stay():
    bounds = OrderedDict(b=BOX, a=[BOX, {"z": (np.zeros(2), 1), "y": BOX}], p=Pair(BOX, (0, 2)))
    params = Structure(bounds).build(np.arange(7.0))
    assert type(params) is OrderedDict
    assert list(params) == ["b", "a", "p"]
    assert list(params["a"][1]) == ["z", "y"]
    assert params["p"] == Pair(5.0, 6.0)


def test_a_dictionary_with_defaults_comes_back_plain():
    bounds = defaultdict(list, z=(-1, 1), a=(0, 1))
    made = Structure(bounds).build(np.array([0.5, 0.25]))
    assert made == {"z": 0.5, "a": 0.25}
    assert list(made) == ["z", "a"]


def test_what_jax_knows_as_a_pytree_is_a_container():
    @partial(jax.tree_util.register_dataclass, data_fields=["w", "b"], meta_fields=["size"])
    class Layer:
        def __init__(self, w, b, size=3):
            self.w, self.b, self.size = w, b, size

    structure = Structure(Layer((np.zeros(2), 1.0), BOX))
    layer = structure.build(np.array([0.5, 0.25, -0.5]))
    assert isinstance(layer, Layer)
    np.testing.assert_array_equal(layer.w, [0.5, 0.25])
    assert layer.b == -0.5


@pytest.mark.parametrize(
    ("bounds", "shapes"),
    [
        (BOX, [()]),
        ([BOX, BOX], [(), ()]),
        ((BOX, BOX), [(), ()]),
        ([[0, 1]], [()]),
        ((np.zeros(3), np.ones(3)), [(3,)]),
        ([np.zeros(3), 1.0], [(3,)]),
        ({"w": (np.zeros((3, 1)), np.ones(2))}, [(3, 2)]),
        ({"w": (None, None)}, [()]),
        ({"w": Interval(-1, 1, shape=(3, 2))}, [(3, 2)]),
        ({"w": Interval(-1, 1, shape=4)}, [(4,)]),
        ([Interval([0, 1], [2, 3])], [(2,)]),
        (([0, 1], [2, 3]), [(), ()]),
        ([(jnp.zeros(2), 1.0)], [(2,)]),
    ],
)
def test_what_a_pair_is(bounds, shapes):
    assert [leaf.shape for leaf in Structure(bounds).leaves] == shapes


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ([], "empty"),
        ({}, "empty"),
        ((1, 2, 3), "neither a pair"),
        ([(0, 1), 3], "neither a pair"),
        ([(0, (1, 2))], r"at \[0\].*Interval"),
        ({"a": None}, r"at \['a'\].*expected a pair"),
        ({"a": "0 + 1"}, "at least one pair"),
        ({"a": ("0", "1")}, "expected a pair"),
        (np.zeros((3, 2)), "expected a pair"),
        (7, "expected a pair"),
        ([(2, 1)], r"low <= high, not \(2.0, 1.0\)"),
        ([(np.nan, 1)], "low <= high"),
        ([(np.inf, np.inf)], "leave nothing"),
        ([(np.zeros(2), np.ones(3))], "shapes"),
        ([Interval(np.zeros(2), 1, shape=(3,))], r"shape=\(3,\)"),
        ([(1j * np.ones(2), 2)], "real numbers"),
        ([(True, False)], "expected a pair"),
        ([(0, 2**1024)], "too large for a float"),
        ([Interval(0, 1, dtype=int)], "floating-point"),
    ],
)
def test_what_no_pair_is(bounds, words):
    with pytest.raises(InputError, match=words):
        Structure(bounds)


def test_parameters_that_do_not_fit_are_refused():
    structure = Structure({"a": BOX, "w": (np.zeros(2), 1.0)})
    for params in ({"a": 1}, {"a": 1, "w": [1, 2], "c": 3}, [1, 2], {"a": [1], "w": np.ones(2)}):
        with pytest.raises(InputError):
            structure.flatten(params)
    with pytest.raises(InputError, match=r"w needs numbers of shape \(2,\)"):
        structure.flatten({"a": 1, "w": np.ones(3)})
    np.testing.assert_array_equal(structure.flatten({"w": np.ones(2), "a": 0.5}), [0.5, 1, 1])


def test_arrays_give_shapes_to_pairs_of_numbers():
    structure = Structure({"w": BOX, "b": BOX}, {"w": np.zeros((2, 3)), "b": 0.0})
    assert [leaf.shape for leaf in structure.leaves] == [(2, 3), ()]
    np.testing.assert_array_equal(structure.upper, np.ones(7))


def test_types_are_those_of_the_sides():
    bounds = [(np.float32(0), 1), (np.zeros(2, np.float16), 1), (0, 1), (np.zeros(2, int), 1)]
    assert [leaf.dtype for leaf in Structure(bounds).leaves] == [np.float32, np.float16, None, None]


def test_places_are_named_for_people_and_for_constraints():
    structure = Structure([BOX, {"w w": (np.zeros((1, 2)), 1.0)}])
    assert structure.names == ("x1", "x2_w_w_0_0", "x2_w_w_0_1")
    assert structure.names_for(["a", "b"]) == ("a", "b_w_w_0_0", "b_w_w_0_1")
    assert structure.where(2) == "[1].w w[0, 1]"


def test_a_wrong_kind_is_a_type_error_too():
    with pytest.raises(InputTypeError):
        Structure({"a": object()})


def test_intervals_that_were_pickled_by_the_first_version_are_found():
    pickled = b"coptdriver.objectives.pytree\nInterval\n."
    assert pickle.loads(pickled) is Interval
