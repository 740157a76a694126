"""Values as JSON: the quick way and the careful one say the same, and bits survive."""

from __future__ import annotations

import json
import math
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.messages import encoded, numbers, plain

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(),
    st.floats().map(np.float64), st.integers(-(2**31), 2**31).map(np.int64),
    st.booleans().map(np.bool_),
    st.lists(st.floats(), max_size=4).map(np.array),
    st.floats().map(lambda x: SimpleNamespace(mantissa=x, unit="mV")),
    st.lists(st.floats(), max_size=3).map(lambda x: SimpleNamespace(magnitude=np.array(x))),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(), inner, max_size=4),
        st.dictionaries(st.text(), inner, max_size=4).map(MappingProxyType),
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_sent_is_what_the_careful_way_says(value):
    assert json.loads(encoded(value)) == json.loads(json.dumps(plain(value), allow_nan=False))


@given(st.lists(st.floats(), max_size=8))
def test_bits_survive(values):
    found = np.array(numbers(json.loads(encoded({"x": np.array(values)})))["x"], dtype=float)
    here = np.array(values, dtype=float)
    assert np.array_equal(found, here, equal_nan=True)
    assert np.array_equal(np.signbit(found[found == 0.0]), np.signbit(here[here == 0.0]))


def test_what_json_does_not_know():
    for wrong in (object(), {"a": [1, {2, 3}]}, b"bytes", {"a": 1j}):
        with pytest.raises(TypeError):
            encoded(wrong)
    endless: list = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        encoded(endless)


def test_names_that_are_no_texts_become_some():
    assert json.loads(encoded({1: math.inf, (2, 3): 4})) == {"1": "inf", "(2, 3)": 4}
