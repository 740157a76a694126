"""What a multi-start refuses at its beginning, and in which words."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from scipy.optimize import Bounds

from optdriver.errors import InputError, InputTypeError, UnknownOptionError
from optdriver.multistart import MultiStart
from optdriver.multistart.options import check_bounds, check_samples

BOX = [(0.0, 1.0), (-1.0, 2.0)]


@pytest.mark.parametrize(
    "bounds",
    [BOX, np.array(BOX), Bounds([0, -1], [1, 2]), tuple(BOX), [[0, 1], [-1, 2]]],
)
def test_bounds_in_every_form(bounds):
    lower, upper = check_bounds(bounds)
    assert (lower.tolist(), upper.tolist()) == ([0, -1], [1, 2])


def test_open_sides():
    lower, upper = check_bounds([(None, 1), (0, None), (-math.inf, math.inf)])
    assert lower.tolist() == [-math.inf, 0, -math.inf]
    assert upper.tolist() == [1, math.inf, math.inf]
    lower, upper = check_bounds(Bounds([0, 1], 5.0))
    assert upper.tolist() == [5, 5]


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        (None, "missing"),
        ([], "empty"),
        (3, "pairs"),
        ("ab", "pairs"),
        ([(0, 1, 2)], "shape|pair"),
        ([0, 1], "shape|pair"),
        ([(0, "x")], "numbers"),
        ([(math.nan, 1)], "NaN"),
        ([(0, 1), (2, 1)], "variable 1"),
        ([(math.inf, math.inf)], "variable 0"),
        ([(0, 1j)], "numbers"),
    ],
)
def test_bad_bounds(bounds, said):
    with pytest.raises(InputError, match=said):
        MultiStart(bounds)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([0.5, 0.5], r"shape \(2,\)"),
        ([[0.5]], r"shape \(1, 1\)"),
        ([[0.5, 0.5], [0.5, 3.0]], "sample 1 has 3.0 for variable 1"),
        ([[math.nan, 0.0]], "sample 0"),
        ([["a", "b"]], "numbers"),
        ([[1, 0], [1]], "numbers|ragged"),
        ([[1j, 0]], "complex|real"),
    ],
)
def test_bad_samples(samples, said):
    with pytest.raises(InputError, match=said):
        MultiStart(BOX, initial_samples=samples)


@pytest.mark.parametrize("samples", [None, [], np.empty((0, 2))])
def test_no_samples(samples):
    lower, upper = check_bounds(BOX)
    assert check_samples(samples, lower, upper).shape == (0, 2)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("num_initial", 0, "at least 1"),
        ("num_initial", 1.5, "integer"),
        ("num_initial", math.inf, "integer"),
        ("num_initial", True, "integer"),
        ("max_num_minimizers", 0, "at least 1"),
        ("max_num_minimizers", "many", "integer or math.inf"),
        ("max_num_minimizers", math.nan, "integer or math.inf"),
        ("max_failures", 0, "at least 1"),
        ("seed", -1, "at least 0"),
        ("seed", None, "integer"),
        ("sobol_sequence", "yes", "True or False"),
        ("jac", 1, "True or False"),
        ("two_sided", None, "True or False"),
        ("step_size", 0.0, "above 0"),
        ("step_size", math.inf, "finite"),
        ("step_size", "1e-6", "number"),
        ("x_tolerance", -1.0, "0 or more"),
        ("f_tolerance", math.nan, "0 or more"),
        ("start_rule", "mslsl", "did you mean 'mlsl'"),
        ("start_rule", 3, "'sobol' or 'mlsl'"),
        ("ftol", -1.0, "ftol"),
        ("ftol", [1e-9], "ftol is .* expected a number"),
        ("maxcor", 0, "maxcor"),
        ("maxfun", "lots", "maxfun"),
        ("initial_step", 0.0, "initial_step"),
    ],
)
def test_bad_options(option, value, said):
    with pytest.raises(InputError, match=said):
        MultiStart(BOX, **{option: value})


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(UnknownOptionError, match="did you mean 'max_failures'"):
        MultiStart(BOX, max_failure=3)


def test_kinds_are_errors_of_type_too():
    with pytest.raises(InputTypeError):
        MultiStart(BOX, seed="x")


def test_open_bounds_need_starts():
    with pytest.raises(InputError, match="initial_samples"):
        MultiStart([(0, None)])
    with pytest.raises(InputError, match="initial_samples"):
        MultiStart([(0, None)], num_initial=2, initial_samples=[[1.0]])
    assert MultiStart([(0, None)], num_initial=2, initial_samples=[[1.0], [2.0]]).ask(2)


def test_points_at_infinity_are_none():
    with pytest.raises(InputError, match="sample 0 has inf"):
        MultiStart([(0, None)], initial_samples=[[math.inf]])
    with pytest.raises(InputError, match="the point has inf"):
        MultiStart([(0, None)], initial_samples=[[1.0]]).add_point([math.inf], 1.0)


def test_numpy_integers_are_integers():
    ms = MultiStart(BOX, seed=np.int64(3), num_initial=np.int32(2))
    options = ms.to_dict()["options"]
    assert type(options["seed"]) is int
    assert type(options["num_initial"]) is int


def test_more_variables_than_a_sobol_sequence_has_dimensions():
    """Starts of one's own, then drawn ones; what 0.10.0 recorded has only the first."""
    n = 21_210
    given = {"bounds": [(0, 1)] * n, "initial_samples": [[0.5] * n], "num_initial": 2}
    driver = MultiStart(**given)
    copy = pickle.loads(pickle.dumps(driver))
    first, second = driver.ask(2)
    assert np.all(first.x == 0.5)
    assert second.x.tobytes() == copy.ask(2)[1].x.tobytes()
    assert len(np.unique(second.x)) == n
    before = MultiStart(**given | {"num_initial": 1}, convergence_rule=10)
    while points := before.ask():
        away = points[0].x - 0.3
        before.tell(points[0].id, float(away @ away), 2.0 * away)
    assert before.stop_reason == "all starts are used"
