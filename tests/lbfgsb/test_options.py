"""Options, bounds and starts: what is read, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import fractions
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import Bounds

from optdriver.errors import InputError, InputTypeError, UnknownOptionError
from optdriver.lbfgsb import LBFGSB, Options, start
from optdriver.lbfgsb.options import NO_LIMIT, limit, read_bounds, read_point, real_array

INF = math.inf


def test_the_defaults_are_scipys():
    assert dataclasses.asdict(Options()) == {
        "maxcor": 10,
        "ftol": 2.220446049250313e-09,
        "gtol": 1e-5,
        "maxfun": 15000,
        "maxiter": 15000,
        "maxls": 20,
        "initial_step": None,
        "noise": 0.0,
        "cautious": False,
    }
    assert Options.read({}) == Options()
    assert Options.read({"maxcor": 3}) == Options(maxcor=3)


@pytest.mark.parametrize(
    "good",
    [
        {"maxcor": 1},
        {"maxcor": 3.0},
        {"maxcor": np.int32(4)},
        {"maxfun": INF, "maxiter": INF},
        {"maxfun": 10**30},
        {"maxiter": 0},
        {"ftol": 0, "gtol": 0, "noise": 0},
        {"ftol": INF},
        {"gtol": np.float32(0.1)},
        {"initial_step": None},
        {"initial_step": 1e-300},
    ],
)
def test_good_options(good):
    LBFGSB([1.0], **good)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"maxcor": 0}, "maxcor is 0; expected a whole number >= 1"),
        ({"maxcor": 10**6}, "maxcor is 1000000; expected at most"),
        ({"maxcor": 2.5}, "maxcor is 2.5; expected a whole number"),
        ({"maxcor": INF}, "maxcor is inf; expected a whole number >= 1$"),
        ({"maxcor": True}, "maxcor is True; expected a number"),
        ({"maxls": 0}, "maxls is 0"),
        ({"maxls": math.nan}, "maxls is nan"),
        ({"maxfun": 0}, "maxfun is 0; expected a whole number >= 1 or infinity"),
        ({"maxfun": 1.5}, "maxfun is 1.5"),
        ({"maxiter": -1}, "maxiter is -1"),
        ({"maxiter": "9"}, "maxiter is '9'; expected a number"),
        ({"ftol": -1e-9}, "ftol is -1e-09; expected a number that is 0 or more"),
        ({"gtol": math.nan}, "gtol is nan"),
        ({"gtol": None}, "gtol is None"),
        ({"gtol": 1j}, "gtol is 1j"),
        ({"noise": np.complex128(1)}, "noise is"),
        ({"noise": -1}, "noise is -1"),
        ({"initial_step": 0}, "initial_step is 0; expected a positive length, or None"),
        ({"initial_step": INF}, "initial_step is inf"),
        ({"initial_step": -1.0}, "initial_step is -1.0"),
    ],
)
def test_bad_options(bad, message):
    with pytest.raises(InputError, match=message):
        LBFGSB([1.0], **bad)


@pytest.mark.parametrize(
    ("name", "hint"), [("gtoll", "gtol"), ("max_iter", "maxiter"), ("m", ""), ("Ftol", "ftol")]
)
def test_an_unknown_option_names_the_nearest(name, hint):
    with pytest.raises(UnknownOptionError, match=f"unknown option '{name}'") as caught:
        LBFGSB([1.0], **{name: 1})
    assert hint in str(caught.value)
    assert "known: " in str(caught.value)


def test_options_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().maxcor = 3


def test_limits():
    assert limit(7.0) == 7
    assert limit(INF) == limit(2**62) == NO_LIMIT


# -- starts


@pytest.mark.parametrize(
    "x0",
    [
        [1, -2],
        (1.0, -2.0),
        np.array([1, -2], dtype=np.int8),
        np.array([1, -2], dtype=">f8"),
        np.array([1, -2], dtype=np.float32),
        np.array([1.0, 9.0, -2.0])[::2],
        [fractions.Fraction(1), fractions.Fraction(-2)],
        [np.float64(1), np.int64(-2)],
    ],
)
def test_starts_in_many_forms(x0):
    x = read_point(x0)
    assert x.dtype == np.dtype("=f8")
    np.testing.assert_array_equal(x, [1.0, -2.0])


def test_the_start_is_copied():
    x0 = np.array([1.0, 2.0])
    opt = LBFGSB(x0)
    x0[:] = 7.0
    np.testing.assert_array_equal(opt.ask(), [1.0, 2.0])


@pytest.mark.parametrize(
    ("x0", "message"),
    [
        (1.0, r"x0 has shape \(\); expected a one-dimensional"),
        ([[1.0]], r"x0 has shape \(1, 1\)"),
        ([0.0, math.nan], r"x0\[1\] is nan; expected a finite number"),
        ([-INF], r"x0\[0\] is -inf"),
    ],
)
def test_bad_starts(x0, message):
    with pytest.raises(InputError, match=message):
        LBFGSB(x0)


@pytest.mark.parametrize(
    "x0",
    [
        "ab",
        ["1", "2"],
        [b"1"],
        [1j],
        np.array([1j]),
        None,
        [None],
        [[1.0], [1.0, 2.0]],
        object(),
        [object()],
        {"a": 1},
        np.array(["2020-01-01"], dtype="datetime64[D]"),
    ],
)
def test_what_is_no_vector_of_numbers_is_a_type_error(x0):
    with pytest.raises(InputTypeError, match="x0 must be real numbers"):
        LBFGSB(x0)


def test_arrays_of_numbers_are_not_copied():
    array = np.ones(3)
    assert real_array("it", array) is array


# -- bounds


@pytest.mark.parametrize(
    "bounds",
    [
        [(None, 1), (-2, None), (3, 3)],
        [[-INF, 1], [-2, INF], [3, 3]],
        ((None, np.float32(1)), (np.int64(-2), None), (3, 3)),
        np.array([[-INF, 1], [-2, INF], [3, 3]]),
        np.array([[None, 1], [-2, None], [3, 3]], dtype=object),
        np.array([[-INF, 1], [-2, INF], [3, 3]], dtype=">f4"),
        Bounds([-INF, -2, 3], [1, INF, 3]),
        zip((None, -2, 3), (1, None, 3), strict=True),
    ],
)
def test_bounds_in_many_forms(bounds):
    lower, upper = read_bounds(bounds, 3)
    np.testing.assert_array_equal(lower, [-INF, -2, 3])
    np.testing.assert_array_equal(upper, [1, INF, 3])


@pytest.mark.parametrize("bounds", [None, [(None, None)] * 2, Bounds(), Bounds(-INF, [INF])])
def test_no_bounds(bounds):
    lower, upper = read_bounds(bounds, 2)
    np.testing.assert_array_equal(lower, [-INF, -INF])
    np.testing.assert_array_equal(upper, [INF, INF])


def test_one_number_may_bound_all():
    lower, upper = read_bounds(Bounds(0, [2]), 3)
    np.testing.assert_array_equal(lower, [0, 0, 0])
    np.testing.assert_array_equal(upper, [2, 2, 2])


def test_nothing_has_no_bounds():
    for bounds in (None, [], np.zeros((0, 2))):
        assert [side.shape for side in read_bounds(bounds, 0)] == [(0,), (0,)]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([(0, 1)], "bounds has 1 entries; expected one pair for each of the 2 variables"),
        ([(0, 1)] * 3, "bounds has 3 entries"),
        ([], "bounds has 0 entries"),
        ([(0, 1, 2)] * 2, r"bounds has shape \(2, 3\); expected \(2, 2\)"),
        ([0, 1], r"bounds has shape \(2,\)"),
        ([(0, 1), (2, 1)], r"bounds of variable 1 are \(2.0, 1.0\); expected lower <= upper"),
        ([(0, 1), (math.nan, 1)], "bounds of variable 1"),
        ([(0, 1), (0, math.nan)], "bounds of variable 1"),
        ([(None, math.nan), (0, 1)], "bounds of variable 0"),
        ([(INF, INF), (0, 1)], "bounds of variable 0"),
        ([(-INF, -INF), (0, 1)], "bounds of variable 0"),
        ([(INF, -INF), (0, 1)], "bounds of variable 0"),
        (Bounds([0, 0, 0], 1), r"bounds.lb has shape \(3,\); expected \(2,\) or a single number"),
        (SimpleNamespace(lb=0, ub=[1, 1, 1]), r"bounds.ub has shape \(3,\)"),
    ],
)
def test_bad_bounds(bounds, message):
    with pytest.raises(InputError, match=message):
        LBFGSB([0.5, 0.5], bounds)


@pytest.mark.parametrize(
    "bounds",
    [
        5,
        "ab",
        [("0", "1")] * 2,
        [(0, 1j)] * 2,
        np.array([[0, 1j]] * 2),
        [(0, 1), (0,)],
        [(0, 1), None],
        [(0, None), (0,)],
        [(None, "1"), (0, 1)],
        [(None, [1]), (0, 1)],
        [(0, 10**400)] * 2,
        {"a": 1, "b": 2},
        object(),
    ],
)
def test_what_is_no_bounds_is_a_type_error(bounds):
    with pytest.raises(InputTypeError, match="expected pairs"):
        LBFGSB([0.5, 0.5], bounds)


def test_masked_entries_are_not_read_as_numbers():
    masked = np.ma.array([0.5, 7.0], mask=[False, True])
    with pytest.raises(InputTypeError, match="x0 has masked entries"):
        LBFGSB(masked)
    with pytest.raises(InputTypeError, match="bounds has masked entries"):
        LBFGSB([0.5, 0.5], np.ma.array([[0, 1], [0, 1]], mask=[[0, 0], [0, 1]]))
    opt = LBFGSB(np.ma.array([0.5, 0.5]))
    with pytest.raises(InputTypeError, match="the gradient has masked entries"):
        opt.tell(1.0, masked)
    with pytest.raises(InputTypeError, match="the value has masked entries"):
        opt.tell(np.ma.masked, [1.0, 1.0])
    assert opt.nfev == 0


def test_values_beyond_float64_are_failures_without_a_warning():
    opt = LBFGSB([0.5, 0.5])
    opt.tell(np.longdouble("1e4000"), [1.0, 1.0])
    assert opt.nfail == 1


def test_long_values_are_shortened_in_messages():
    with pytest.raises(InputError) as error:
        LBFGSB([10**400])
    assert len(str(error.value)) < 300
    with pytest.raises(InputTypeError, match=r"bounds is \[\('0', '1'\)\]; expected pairs"):
        LBFGSB([0.5], [("0", "1")])


def test_options_are_no_dictionary():
    with pytest.raises(InputTypeError, match=r"expected Options\(maxcor"):
        start([1.0], None, {"maxcor": 3})
