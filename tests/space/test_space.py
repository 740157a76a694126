from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.errors import InputError, InputTypeError, UnknownOptionError
from optdriver.space.space import Parameter, Space

ENTRIES = [
    {"name": "x1", "type": "continuous", "domain": (-1.5, 1.5)},
    {"name": "radius", "type": "Fixed", "domain": 2},
    {"name": "x2", "type": "CONTINUOUS", "domain": [0, 10]},
]
finite = st.floats(-1e12, 1e12)


def test_all_forms_give_the_same_space():
    by_name = Space({"x1": (-1.5, 1.5), "radius": 2, "x2": np.array([0, 10])})
    assert Space(ENTRIES) == by_name == Space(Space(ENTRIES)) == Space(tuple(ENTRIES))
    assert by_name.names == ("x1", "radius", "x2")
    assert by_name.free == ("x1", "x2")
    assert by_name.fixed == {"radius": 2}
    assert len(by_name) == 3
    assert by_name.size == 2
    assert Space({"x1": {"type": "continuous", "domain": (0, 1)}}).free == ("x1",)
    assert Space([Parameter("x1", 0.0, 1.0)]) == Space({"x1": (0, 1)})


def test_environment_adds_fixed_parameters():
    space = Space({"x": (0, 1)}, {"temperature": 300})
    assert space.params(np.array([0.5])) == {"x": 0.5, "temperature": 300}
    entries = [{"name": "temperature", "type": "fixed", "domain": 300}]
    assert Space({"x": (0, 1)}, entries) == space
    with pytest.raises(InputError, match="'temperature' must have a fixed value"):
        Space({"x": (0, 1)}, {"temperature": (1, 2)})


def test_params_are_in_the_order_of_the_domain():
    assert list(Space(ENTRIES).params(np.array([1.0, 5.0])).items()) == [
        ("x1", 1.0), ("radius", 2), ("x2", 5.0),
    ]  # fmt: skip
    assert type(Space({"x": (0, 1), "n": 3}).fixed["n"]) is int


@pytest.mark.parametrize("kind", ["integer", "discrete", "categorical", "categorial", "Integer"])
def test_other_kinds_are_refused_with_the_reason(kind):
    with pytest.raises(InputError, match=r"'material' is \w+: this driver follows gradients"):
        Space([{"name": "material", "type": kind, "domain": [1, 2, 3]}])


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ([], "no continuous parameter"),
        ({"radius": 2}, "no continuous parameter"),
        ({"x": (1, 0)}, "'x' are crossed"),
        ({"x": (math.nan, 0)}, "lower bound of 'x' must not be NaN"),
        ({"x": ("a", 0)}, "lower bound of 'x' must be one real number, not 'a'"),
        ({"x": (math.inf, None)}, "no finite value"),
        ({"x": (1, 2, 3)}, r"pair \(lower, upper\) or one fixed number, not \(1, 2, 3\)"),
        ({"x": "a"}, "the text 'a' is a formula of other parameters"),
        ({"x": (0, 1), "r": math.inf}, "'r' must be finite"),
        ({"x": (0, 1), "r": True}, "'r' must be one real number, not True"),
        ({"x": (0, 1), "r": 10**400}, "'r' is too large"),
        ({"": (0, 1)}, "must not be empty"),
        ({"study": (0, 1)}, "cannot be called 'study'"),
        ({7: (0, 1)}, "name is a string, not 7"),
        (7, "a domain is a dictionary"),
        ("x1", "a domain is a dictionary"),
        ([7], "an entry of the domain is a dictionary"),
        ([{"name": "x"}], "needs 'domain'"),
        ([{"domain": (0, 1)}], "needs 'name'"),
        ([{"name": "x", "type": 1, "domain": (0, 1)}], "type of parameter 'x' is a string"),
        ([{"name": "x", "type": "continuous", "domain": 1.0}], "for a constant use type 'fixed'"),
        ([{"name": "x", "type": "fixed", "domain": (0, 1)}], "must be one real number"),
        ([*ENTRIES, ENTRIES[0]], "'x1' is given twice"),
    ],
)
def test_what_cannot_be_used_is_named(domain, message):
    with pytest.raises(InputError, match=message):
        Space(domain)


def test_misspelled_keys_and_types_name_the_nearest():
    with pytest.raises(UnknownOptionError, match="did you mean 'domain'"):
        Space([{"name": "x", "type": "continuous", "domian": (0, 1)}])
    with pytest.raises(UnknownOptionError, match="did you mean 'continuous'"):
        Space([{"name": "x", "type": "continous", "domain": (0, 1)}])


def test_open_bounds():
    space = Space({"x": (None, 1), "y": (-math.inf, math.inf)})
    assert space.lower.tolist() == [-math.inf, -math.inf]
    assert space.upper.tolist() == [1.0, math.inf]
    assert space.scale.tolist() == [1.0, 1.0]


@given(finite, st.floats(1e-6, 1e12), st.floats(0, 1))
def test_the_way_to_the_driver_and_back_is_exact(lower, width, share):
    upper = lower + width
    space = Space({"x": (lower, upper)})
    low, high = space.driver_bounds[0]
    factor = float(space.scale[0])
    assert math.frexp(factor)[0] == 0.5  # a power of two
    if upper > lower:
        assert 0.7 <= high - low <= 1.42 or factor == 1.0
    assert space.to_user(np.array([low])) == lower
    assert space.to_user(np.array([high])) == upper
    x = np.array([min(max(lower + share * width, lower), upper)])
    assert space.to_user(space.to_driver(x)).tobytes() == x.tobytes()
    assert low <= space.to_driver(x)[0] <= high


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1e300))
def test_bounds_are_exact_at_any_size(lower, width):
    space = Space({"x": (lower, lower + width if math.isfinite(lower + width) else None)})
    low, high = space.driver_bounds[0]
    assert space.to_user(np.array([low, high])).tolist() == [space.lower[0], space.upper[0]]


def test_scaling_can_be_switched_off():
    space = Space({"x": (0, 1000)}, scale=False)
    assert space.driver_bounds.tolist() == [[0.0, 1000.0]]
    assert Space(space) == space
    assert Space(space).scale.tolist() == [1.0]
    assert Space({"x": (0, 1000)}) != space


def test_gradients_follow_the_chain_rule():
    space = Space({"x": (0, 1000)})
    assert space.gradient_to_driver(np.array([2.0]), np.ones(1)) == 2.0 * space.scale


def test_vectors_by_name_and_in_order():
    space = Space(ENTRIES)
    assert space.vector({"x2": 1, "x1": 0.5}).tolist() == [0.5, 1.0]
    assert space.vector({"x2": 1, "x1": 0.5, "radius": 2.0}).tolist() == [0.5, 1.0]
    assert space.vector(np.array([0.5, 1.0])).tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x1": 0.5}, "no value for parameter 'x2'"),
        ({"x1": 0.5, "x2": 1, "x3": 0}, "unknown parameter 'x3'"),
        ({"x1": 0.5, "x2": 1, "radius": 3}, "'radius' is fixed at 2, and cannot be 3"),
        ([0.5], r"1 values for 2 continuous parameters \(x1, x2\)"),
        ([0.5, 20], r"'x2' is 20.0, outside its domain \[0.0, 10.0\]"),
        ([0.5, math.nan], "'x2' must be finite"),
        ([0.5, "a"], "'x2' must be one real number"),
        ("ab", "a point is a sequence"),
        (7, "a point is a sequence"),
    ],
)
def test_points_that_are_none(values, message):
    with pytest.raises(InputError, match=message):
        Space(ENTRIES).vector(values)


def test_wrong_kinds_are_type_errors_too():
    with pytest.raises(InputTypeError):
        Space(ENTRIES).vector(7)


def test_round_trips():
    space = Space({"x": (None, 1), "y": (0, 3), "n": 3}, scale=False)
    assert Space.from_dict(space.to_dict()) == space
    copy = pickle.loads(pickle.dumps(space))
    assert copy == space
    assert copy.driver_bounds.tolist() == space.driver_bounds.tolist()
    assert repr(space) == "Space({'x': (-inf, 1.0), 'y': (0.0, 3.0), 'n': 3})"
    assert space != "another thing"


def test_derivatives_too_large_for_the_driver_become_infinite_without_a_warning():
    space = Space({"x": (0, 1024.0)})
    assert space.gradient_to_driver(np.array([-1e308]), np.ones(1)).tolist() == [-np.inf]


@pytest.mark.parametrize("bounds", [(0.0, 1.7e308), (-1.7e308, 0.0), (0.0, 1e-320)])
def test_ranges_at_the_ends_of_what_a_float_holds(bounds):
    space = Space({"x": bounds})
    np.testing.assert_array_equal(space.scale, [1.0])
    np.testing.assert_array_equal(space.driver_bounds, [bounds])
