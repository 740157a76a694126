"""Methods of SciPy's under constraints: handed to some, kept for others, refused by the rest."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pytest
from scipy import optimize

from optdriver.constraints import ConstraintSet
from optdriver.coroutine import CallbackMinimizer, method_names
from optdriver.coroutine.constraints import CLEAN, TOLERANCE, is_admitted
from optdriver.coroutine.scipy_methods import GIVEN, KEPT
from optdriver.errors import InputError
from tests.contracts.minimizer import plain

BOX = [(-1.5, 1.5), (-1.5, 1.5)]
DISC = "(x1 - 0.2)^2 + x2^2 <= 0.81"
LINES = ("x1 + 2*x2 <= 0.7", "x2 >= x1 - 1")
CURVE = "x1^2 + x2 == 0.4"

SETS = {
    "disc": ([DISC], lambda x, y: (x - 0.2) ** 2 + y**2 - 0.81 <= 0.0),
    "lines": (LINES, lambda x, y: (x + 2 * y <= 0.7) & (y >= x - 1)),
    "curve": ([CURVE], lambda x, y: np.abs(x**2 + y - 0.4) <= 1e-3),
    "hole": (
        ["x1^2 + x2^2 >= 0.5", DISC],
        lambda x, y: (x**2 + y**2 >= 0.5) & ((x - 0.2) ** 2 + y**2 <= 0.81),
    ),
}


def banana(x):
    a, b = 1.0 - x[0], x[1] - x[0] ** 2
    return a**2 + 20.0 * b**2, np.array([-2.0 * a - 80.0 * x[0] * b, 40.0 * b])


@functools.cache
def grid_minimum(inside):
    """Return the least value on a fine grid: an oracle that knows no method."""
    x, y = np.meshgrid(*(np.linspace(-1.5, 1.5, 1201) for _ in range(2)))
    values = (1.0 - x) ** 2 + 20.0 * (y - x**2) ** 2
    return float(values[inside(x, y)].min())


def whole(opt, restored=lambda _: False, most=4000, objective=banana):
    """Run to the end; return the end and the points."""
    points = []
    while not opt.done and len(points) < most:
        if restored(len(points)):
            opt = CallbackMinimizer.from_dict(plain(opt.to_dict()))
        points.append(opt.ask())
        opt.tell(*objective(points[-1]))
    return opt, points


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("method", ["SLSQP", "Nelder-Mead", "Powell", "COBYQA", "trust-constr"])
def test_the_minimum_is_that_of_a_grid(method, name):
    texts, inside = SETS[name]
    ends = []
    for start in ([-0.3, 0.31], [0.8, 0.5]):
        opt = CallbackMinimizer(method, start, BOX, constraints=texts, cautious=True)
        opt, points = whole(opt)
        assert opt.done
        ends.append(opt.result)
        if method in method_names(constraints=KEPT):
            assert all(opt.constraints.is_feasible(x) for x in points)
    best = min((end for end in ends if end.success), key=lambda end: end.fun, default=None)
    if best is None:
        assert (method, name) == ("COBYQA", "curve")  # it does not meet the equality itself
        return
    assert best.maxcv <= TOLERANCE
    assert abs(best.fun - grid_minimum(inside)) <= 2e-3
    assert best.fun == banana(best.x)[0]


def test_slsqp_is_scipys_own():
    """The same points as SciPy's asks when it is given the same, in the unit of its rows."""
    seen = []

    def fun(x):
        if not (seen and np.array_equal(seen[-1], x)):
            seen.append(x.copy())
        return banana(x)[0]

    def row(x):
        return 0.81 - (x[0] - 0.2) ** 2 - x[1] ** 2

    made = ConstraintSet([DISC], ["x1", "x2"], BOX)
    scale = float(made.scales[0])
    constraint = {"type": "ineq", "fun": lambda x: row(x) / scale}
    constraint["jac"] = lambda x: np.array([-2.0 * (x[0] - 0.2), -2.0 * x[1]]) / scale
    optimize.minimize(
        fun, [-0.3, 0.31], jac=lambda x: banana(x)[1], method="SLSQP", bounds=BOX,
        constraints=[constraint],
    )  # fmt: skip
    opt, points = whole(CallbackMinimizer("SLSQP", [-0.3, 0.31], BOX, constraints=made))
    assert np.allclose(points[: len(seen)], seen, atol=1e-9)
    assert opt.result.success


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("method", ["Nelder-Mead", "Powell"])
def test_no_infeasible_point_is_asked(method, seed):
    """Discs and half-planes of any kind around a random point: what is asked is in all of them."""
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 5))
    inside = random.uniform(-0.8, 0.8, n)
    texts, checks = [], []
    for _ in range(int(random.integers(1, 4))):
        centre, room = random.uniform(-1.0, 1.0, n), float(random.uniform(0.05, 1.0))
        if random.random() < 0.5:
            level = float((inside - centre) @ (inside - centre)) + room
            terms = [f"(x{i + 1} - ({float(c)!r}))^2" for i, c in enumerate(centre)]
            checks.append(lambda x, c=centre, level=level: float(np.sum((x - c) ** 2)) - level)
        else:
            level = float(inside @ centre) + room
            terms = [f"({float(c)!r})*x{i + 1}" for i, c in enumerate(centre)]
            checks.append(lambda x, c=centre, level=level: float(x @ c) - level)
        texts.append(" + ".join(terms) + f" <= {level!r}")
    goal = random.uniform(-2.0, 2.0, n)

    def objective(x):
        return float(np.sum((x - goal) ** 4)), None

    start = random.uniform(-1.5, 1.5, n)
    opt = CallbackMinimizer(method, start, [(-1.5, 1.5)] * n, constraints=texts, maxfun=150)
    one, points = whole(opt, objective=objective)
    for x in points:
        assert np.all(np.abs(x) <= 1.5)
        assert max(check(x) for check in checks) <= 1e-12
    assert one.feasible
    assert one.result.maxcv == 0.0


@pytest.mark.parametrize("method", method_names(constraints=GIVEN) + method_names(constraints=KEPT))
def test_it_goes_on_bit_for_bit_wherever_it_was_stored(method):
    def fresh():
        return CallbackMinimizer(
            method, [-0.3, 0.31], BOX, constraints=[DISC], cautious=True, maxfun=60
        )

    one, points = whole(fresh())
    other, again = whole(fresh(), lambda count: count % 5 == 3)
    assert [x.tobytes() for x in points] == [x.tobytes() for x in again]
    assert one.result.message == other.result.message
    assert one.result.active == other.result.active
    pickled = pickle.loads(pickle.dumps(one))
    assert pickled.result.maxcv == one.result.maxcv
    assert one.copy().constraints is one.constraints


def test_multipliers_are_those_of_the_feasible_minimizer():
    import optdriver

    opt, _ = whole(CallbackMinimizer("SLSQP", [0.0, 0.0], BOX, constraints=[DISC], ftol=1e-12))
    known = optdriver.FeasibleMinimizer([0.0, 0.0], [DISC], BOX)
    while not known.done:
        known.tell(*banana(known.ask()))
    assert opt.result.active == known.result.active == (DISC,)
    assert opt.result.multipliers[DISC] == pytest.approx(known.result.multipliers[DISC], rel=1e-3)


def test_a_lower_point_that_violates_constraints_is_no_result():
    """The unconstrained minimum is far lower: SLSQP begins there, and does not come back to it."""
    opt = CallbackMinimizer("SLSQP", [1.0, 1.0], BOX, constraints=[DISC])
    assert opt.ask().tolist() == [1.0, 1.0]  # it may begin where it likes
    opt.tell(*banana(opt.ask()))
    assert not opt.feasible
    assert opt.result.maxcv > 0.1
    opt, _ = whole(opt)
    assert opt.feasible
    assert opt.result.fun > banana([1.0, 1.0])[0]


def test_no_feasible_point_is_no_success():
    """Two discs apart: no method can satisfy both, and none says that it has."""
    apart = ["(x1 - 1)^2 + x2^2 <= 0.04", "(x1 + 1)^2 + x2^2 <= 0.04"]
    for method in method_names(constraints=GIVEN):
        opt, _ = whole(CallbackMinimizer(method, [0.0, 0.0], BOX, constraints=apart, maxfun=80))
        assert not opt.result.success
        assert not opt.feasible
    for method in method_names(constraints=KEPT):
        with pytest.raises(InputError, match="no feasible point was found"):
            CallbackMinimizer(method, [0.0, 0.0], BOX, constraints=apart)


def test_functions_are_constraints_too_but_no_data():
    rows = {"type": "ineq", "fun": lambda x: 0.81 - (x[0] - 0.2) ** 2 - x[1] ** 2}
    opt, _ = whole(CallbackMinimizer("SLSQP", [-0.3, 0.31], BOX, constraints=rows))
    assert abs(opt.result.fun - grid_minimum(SETS["disc"][1])) <= 2e-3
    with pytest.raises(InputError):
        opt.to_dict()
    data = opt.to_dict(constraints=False)
    assert CallbackMinimizer.from_dict(data, opt.constraints).result.maxcv == opt.result.maxcv


def test_fixed_variables_are_no_variables_of_the_rows():
    box = [(-1.5, 1.5), (0.25, 0.25), (-1.5, 1.5)]
    text = "a^2 + b^2 + c^2 <= radius"

    def objective(x):
        return float(np.sum((x - 1.0) ** 2)), 2.0 * (x - 1.0)

    for method in ("SLSQP", "Nelder-Mead", "trust-constr"):
        opt = CallbackMinimizer(
            method, [0.0, 0.0, 0.1], box, constraints=text, names=["a", "b", "c"],
            fixed={"radius": 0.5625},
        )  # fmt: skip
        opt, points = whole(opt, objective=objective)
        assert {x[1] for x in points} == {0.25}
        assert np.allclose(opt.result.x, [0.5, 0.25, 0.5], atol=2e-3)


@pytest.mark.filterwarnings("ignore:.*has no real value:UserWarning")
def test_where_a_formula_has_no_value_a_method_goes_on():
    texts = ["log(x1 + 0.5) >= -1", "sqrt(x2 + 1) <= 1.2"]

    def objective(x):
        away = x - np.array([-1.0, 1.0])
        return float(away @ away), 2.0 * away

    expected = [np.exp(-1.0) - 0.5, 0.44]
    for method in ("SLSQP", "Nelder-Mead", "Powell"):
        opt = CallbackMinimizer(method, [0.5, 0.0], BOX, constraints=texts)
        opt, _ = whole(opt, objective=objective)
        assert np.allclose(opt.result.x, expected, atol=1e-3), method


def test_a_method_without_constraints_says_which_have_them():
    with pytest.raises(InputError, match="'TNC' takes no constraints.*'Nelder-Mead'.*'SLSQP'"):
        CallbackMinimizer("TNC", [0.0, 0.0], BOX, constraints=[DISC])
    made = CallbackMinimizer("TNC", [0.0, 0.0], BOX, constraints=["x1 <= 0.5"])  # a bound
    assert made.bounds[1].tolist() == [0.5, 1.5]


def test_constraints_of_other_variables_are_refused():
    made = ConstraintSet(["x1 + x2 + x3 <= 1"], ["x1", "x2", "x3"], [(-1, 1)] * 3)
    with pytest.raises(InputError, match="3 parameters, the start 2"):
        CallbackMinimizer("SLSQP", [0.0, 0.0], BOX, constraints=made)
    with pytest.raises(InputError, match="1 names for 2 variables"):
        CallbackMinimizer("SLSQP", [0.0, 0.0], BOX, constraints=["a <= 0"], names=["a"])
    opt = CallbackMinimizer("SLSQP", [0.0, 0.0], BOX, constraints=[DISC])
    with pytest.raises(InputError, match="2 variables, constraints of 3"):
        CallbackMinimizer.from_dict(opt.to_dict(constraints=False), made)


def test_the_step_of_a_difference_is_no_best_point():
    made = ConstraintSet(["x1 + x2 == 1"], ["x1", "x2"], BOX)
    off = np.array([0.5, 0.5 + 0.5 * TOLERANCE])
    assert is_admitted(made, off, "iterate")
    assert not is_admitted(made, off, "difference")
    assert is_admitted(made, np.array([0.5, 0.5 + 0.1 * CLEAN]), "difference")


@pytest.mark.parametrize("method", ["Nelder-Mead", "COBYLA", "SLSQP"])
@pytest.mark.parametrize("told", [0, 9])
def test_a_result_can_be_shown_whatever_is_known(method, told):
    """Before anything was told, and without gradients, there are no multipliers."""
    opt = CallbackMinimizer(method, [-0.3, 0.31], BOX, constraints=[DISC])
    for _ in range(told):
        if not opt.done:
            opt.tell(*banana(opt.ask()))
    assert "multipliers" in repr(opt.result)
    assert opt.result.certified
    kinked = CallbackMinimizer(method, [0.0, 0.5], BOX, constraints=["min(x1, x2) <= 0"])
    assert not kinked.result.certified
