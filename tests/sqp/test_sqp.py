"""What SQP finds is what closed forms and SciPy's SLSQP say, and what cannot be is said."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize

from optdriver import SQP
from optdriver.constraints import ConstraintSet
from optdriver.errors import ConstraintError, InputError, InputTypeError, OptDriverError
from optdriver.sqp import quadratic, quasi_newton
from optdriver.sqp.quadratic import Rows
from tests.contracts.minimizer import plain


def drive(opt, function, most=300):
    """Tell the function until the end; return the points."""
    points = []
    while not opt.done:
        points.append(opt.ask())
        opt.tell(*function(points[-1]))
        assert len(points) < most
    return points


def circle(x):
    """The least x + 2 y on the unit circle: (-1, -2) / sqrt(5), with the multiplier sqrt(5) / 2."""
    return (
        [x[0] + 2.0 * x[1], x @ x - 1.0],
        [[1.0, 2.0], [2.0 * x[0], 2.0 * x[1]]],
    )


@pytest.mark.parametrize("kind", ["inequalities", "equalities"])
@pytest.mark.parametrize("start", [[0.3, 0.1], [4.0, -3.0]])
def test_a_closed_form_with_its_multiplier(kind, start):
    opt = SQP(start, **{kind: 1})
    points = drive(opt, circle)
    assert opt.result.success
    assert opt.result.x == pytest.approx(np.array([-1.0, -2.0]) / np.sqrt(5.0), abs=1e-6)
    assert opt.multipliers == pytest.approx([np.sqrt(5.0) / 2.0], rel=1e-5)
    assert opt.violation <= 1e-8
    assert len(points) < 20


def quadratic_problem(seed):
    """A strictly convex quadratic with curved and linear rows, feasible at a known point."""
    rng = np.random.default_rng(seed)
    n = 5
    root = rng.normal(size=(n, n))
    H, target, inside = root @ root.T + np.eye(n), rng.normal(size=n), 0.3 * rng.normal(size=n)
    bowls = [np.diag(rng.uniform(0.2, 1.0, n)) for _ in range(2)]
    plane = rng.normal(size=n)

    def function(x):
        away = x - 2.0 * target
        rows = [x @ bowl @ x - inside @ bowl @ inside - 0.5 for bowl in bowls]
        rows.append(plane @ (x - inside))
        slopes = [H @ away, *(2.0 * bowl @ x for bowl in bowls), plane]
        return [0.5 * away @ H @ away, *rows], slopes

    return function, n


@pytest.mark.parametrize("seed", range(8))
def test_the_minimum_is_that_of_slsqp(seed):
    function, n = quadratic_problem(seed)
    opt = SQP(np.zeros(n), [(-3.0, 3.0)] * n, inequalities=2, equalities=1)
    points = drive(opt, function)
    counted = []

    def objective(x):
        counted.append(1)
        return function(x)[0][0], np.array(function(x)[1][0])

    rows = [
        {
            "type": "eq" if k == 3 else "ineq",
            "fun": lambda x, k=k: (1.0 if k == 3 else -1.0) * function(x)[0][k],
            "jac": lambda x, k=k: (1.0 if k == 3 else -1.0) * function(x)[1][k],
        }
        for k in (1, 2, 3)
    ]
    peer = minimize(
        objective, np.zeros(n), jac=True, method="SLSQP", bounds=[(-3.0, 3.0)] * n,
        constraints=rows, options={"ftol": 1e-13, "maxiter": 300},
    )  # fmt: skip
    assert opt.result.success
    assert opt.result.fun == pytest.approx(peer.fun, rel=1e-6, abs=1e-8)
    assert all((x >= -3.0).all() and (x <= 3.0).all() for x in points)


@pytest.mark.parametrize("power", [-40, 40])
def test_the_unit_of_the_objective_changes_no_point(power):
    """A power of two scales without rounding; so does everything that is made of f."""
    function, n = quadratic_problem(3)
    factor = 2.0**power

    def scaled(x):
        values, slopes = function(x)
        return [factor * values[0], *values[1:]], [factor * slopes[0], *slopes[1:]]

    plain, other = (SQP(np.zeros(n), inequalities=2, equalities=1) for _ in range(2))
    first, second = drive(plain, function), drive(other, scaled)
    assert np.array_equal(np.array(first), np.array(second))
    assert plain.result.success
    assert other.result.success


def test_the_unit_of_a_row_changes_no_point():
    function, n = quadratic_problem(5)

    def scaled(x):
        values, slopes = function(x)
        return [values[0], 2.0**30 * values[1], *values[2:]], [
            slopes[0], 2.0**30 * slopes[1], *slopes[2:],
        ]  # fmt: skip

    plain, other = (SQP(np.zeros(n), inequalities=2, equalities=1) for _ in range(2))
    first, second = drive(plain, function), drive(other, scaled)
    assert len(first) == len(second)
    assert np.allclose(first, second, rtol=1e-9, atol=1e-9)


def test_contradicting_rows_end_where_they_are_violated_least_and_say_so():
    def function(x):  # x <= -1 and x >= 1
        return [(x[0] - 0.3) ** 2, x[0] + 1.0, 1.0 - x[0]], [[2.0 * (x[0] - 0.3)], [1.0], [-1.0]]

    opt = SQP([0.7], inequalities=2)
    drive(opt, function)
    assert not opt.result.success
    assert opt.stop == "infeasible"
    assert "NEARER" in opt.result.message
    assert opt.violation >= 1.0


def test_formulas_are_never_violated_on_the_way():
    rows = ConstraintSet("x1^2 + x2^2 <= 1.5", ["x1", "x2"], [(-2, 2), (-2, 2)])

    def function(x):  # the told row ends at the corner with the disc
        return [-x[0] - x[1], x[0] - x[1] ** 2], [[-1.0, -1.0], [1.0, -2.0 * x[1]]]

    opt = SQP([-1.0, 0.1], [(-2, 2), (-2, 2)], inequalities=1, constraints=rows)
    points = drive(opt, function)
    assert opt.result.success
    assert all(rows.is_feasible(x) for x in points)
    x, y = opt.result.x
    assert x == pytest.approx(y**2, abs=1e-6)
    assert x * x + y * y == pytest.approx(1.5, abs=1e-6)


def test_a_start_outside_the_formulas_is_moved():
    rows = ConstraintSet("x1 + x2 <= 1", ["x1", "x2"], [(-2, 2), (-2, 2)])
    opt = SQP([2.0, 2.0], constraints=rows)
    assert rows.is_feasible(opt.ask())


def test_a_line_in_a_narrow_valley_of_rows_is_followed():
    """Powell's (1969) problem: five variables, three curved equalities, known to 7 digits."""

    def function(x):
        product = np.prod(x)
        f = np.exp(product)
        values = [f, x @ x - 10.0, x[1] * x[2] - 5.0 * x[3] * x[4], x[0] ** 3 + x[1] ** 3 + 1.0]
        others = np.array([np.prod(np.delete(x, k)) for k in range(5)])
        slopes = [
            f * others, 2.0 * x, [0.0, x[2], x[1], -5.0 * x[4], -5.0 * x[3]],
            [3.0 * x[0] ** 2, 3.0 * x[1] ** 2, 0.0, 0.0, 0.0],
        ]  # fmt: skip
        return values, slopes

    opt = SQP([-2.0, 2.0, 2.0, -1.0, -1.0], equalities=3)
    points = drive(opt, function)
    assert opt.result.fun == pytest.approx(0.0539498, abs=1e-7)
    assert len(points) <= 12


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"inequalities": -1}, InputError, "at least 0"),
        ({"equalities": 1.5}, InputTypeError, "must be an integer"),
        ({"constraints": "x1 <= 1"}, InputTypeError, "ConstraintSet"),
        ({"gtol": 0.0}, InputError, "above 0"),
        ({"feasibility": None}, InputTypeError, "number"),
        ({"maxfun": 0}, InputError, "at least 1"),
        ({"constraints": ConstraintSet("a^2 <= 1", ["a"])}, InputError, "over 1 variables"),
    ],
)
def test_what_cannot_be_used_is_said(given, error, said):
    with pytest.raises(error, match=said):
        SQP([0.0, 0.0], **given)


def test_rows_that_come_and_go_are_refused():
    opt = SQP([0.0, 0.0], inequalities=2)
    with pytest.raises(InputError, match=r"shape \(2,\); expected \(3,\)"):
        opt.tell([1.0, 2.0], np.ones((2, 2)))
    with pytest.raises(InputError, match=r"\(2, 3\); expected \(3, 2\).*transposed"):
        opt.tell([1.0, 2.0, 3.0], np.ones((2, 3)))
    assert opt.nfev == 0


def test_states_that_contradict_themselves_are_refused():
    opt = SQP([0.3, 0.1], inequalities=1)
    for _ in range(3):
        opt.tell(*circle(opt.ask()))
    data = json.loads(json.dumps(opt.to_dict(), default=lambda array: array.tolist()))
    assert SQP.from_dict(data).ask().tolist() == opt.ask().tolist()
    changes = (
        {"scale": [1.0, -1.0]}, {"inequalities": 2}, {"penalty": [-1.0]}, {"d": None},
        {"pending": None}, {"bends": [[1.0]]}, {"x": None}, {"row_scale": [0.0]}, {"radius": 0.0},
        {"stop": "tired"}, {"nfail": 9}, {"options": {}}, {"values": [1.0, "a"]},
    )  # fmt: skip
    for change in changes:
        with pytest.raises(OptDriverError):
            SQP.from_dict(data | change)


# -- the pages by themselves ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_the_subproblem_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    n, p = 4, 3
    root = rng.normal(size=(n, n))
    B, g = root @ root.T + 0.1 * np.eye(n), rng.normal(size=n)
    A, E = rng.normal(size=(p, n)), rng.normal(size=(1, n))
    a, e = rng.uniform(0.1, 1.0, p), np.array([0.2])
    rows = Rows(A=A, a=a, E=E, e=e, soft_a=np.ones(p, bool), soft_e=np.ones(1, bool))
    made = quadratic.solve(g, B, rows, np.full(n, -1.0), np.full(n, 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = minimize(
            lambda d: (g @ d + 0.5 * d @ B @ d, g + B @ d), np.zeros(n), jac=True, method="SLSQP",
            bounds=[(-1.0, 1.0)] * n, options={"ftol": 1e-15, "maxiter": 500},
            constraints=[
                {"type": "ineq", "fun": lambda d: a - A @ d, "jac": lambda d: -A},
                {"type": "eq", "fun": lambda d: E @ d - e, "jac": lambda d: E},
            ],
        )  # fmt: skip
    assert made.consistent
    assert made.d == pytest.approx(peer.x, abs=1e-5)
    assert (made.inequalities >= 0.0).all()


def test_rows_without_a_common_point_are_missed_as_little_as_can_be():
    rows = Rows(
        A=np.array([[1.0, 0.0], [-1.0, 0.0]]), a=np.array([-1.0, -1.0]), E=np.zeros((0, 2)),
        e=np.zeros(0), soft_a=np.ones(2, bool), soft_e=np.zeros(0, bool),
    )  # fmt: skip
    made = quadratic.solve(np.array([0.0, 1.0]), np.eye(2), rows, np.full(2, -5.0), np.full(2, 5.0))
    assert not made.consistent
    assert made.d == pytest.approx([0.0, -1.0], abs=1e-6)  # x by least squares, y by the model


def test_the_matrix_knows_a_quadratic_after_as_many_steps_as_variables():
    rng = np.random.default_rng(2)
    n, rows = 3, 2
    hessians = [(lambda r: r @ r.T + np.eye(n))(rng.normal(size=(n, n))) for _ in range(rows + 1)]
    multipliers = np.array([0.5, 2.0])
    whole = hessians[0] + 0.5 * hessians[1] + 2.0 * hessians[2]
    directions = np.linalg.eigh(whole)[1].T  # conjugate: BFGS then ends with the matrix itself
    slopes = directions @ hessians[0]
    bends = np.array([[h @ s for h in hessians[1:]] for s in directions])
    made = quasi_newton.matrix(directions, slopes, bends, multipliers, 1.0)
    assert made == pytest.approx(whole, rel=1e-9, abs=1e-9)


def test_bends_are_foreseen_where_steps_have_shown_them():
    rng = np.random.default_rng(4)
    root = rng.normal(size=(3, 3))
    H = root + root.T
    steps = rng.normal(size=(3, 3))
    bends = (steps @ H)[:, None, :]
    d = rng.normal(size=3)
    assert quasi_newton.foreseen(steps, bends, d) == pytest.approx([0.5 * d @ H @ d], rel=1e-6)
    beside = np.array([1.0, 0.0, 0.0])
    seen = quasi_newton.foreseen(np.eye(3)[1:2], np.eye(3)[1:2] @ H[None], beside)
    assert seen == pytest.approx([0.0])


@pytest.mark.parametrize("unit", [1.0, 1e9])
@pytest.mark.parametrize("start", [5.0, 20.0])
def test_a_steep_start_makes_no_success_elsewhere(unit, start):
    """What is small beside the gradient of the start, which is e^20, is not small."""
    opt = SQP([start, start], [(-1e4, 1e4)] * 2, inequalities=1, maxfun=2000)
    while not opt.done:
        x = opt.ask()
        e = np.exp(x)
        opt.tell(
            [unit * (e @ [1.0, 1.0] - 2.0 * x[0] - x[1]), e[0] - 3.0],
            [unit * (e - [2.0, 1.0]), [e[0], 0.0]],
        )
    assert opt.result.success
    assert opt.result.x == pytest.approx([np.log(2.0), 0.0], abs=1e-3)
    assert opt.result.fun == pytest.approx(unit * (3.0 - 2.0 * np.log(2.0)), rel=1e-6)


def test_a_row_that_is_steep_at_the_start_is_kept_all_the_same():
    """Its violation is measured by the slope that it has where it is violated."""
    opt = SQP([20.0], [(-50.0, 50.0)], inequalities=1, maxfun=200)
    while not opt.done:
        (x,) = opt.ask()
        opt.tell([(x - 5.0) ** 2, np.exp(x) - 1.0], [[2.0 * (x - 5.0)], [np.exp(x)]])
    assert opt.result.success
    assert opt.result.x == pytest.approx([0.0], abs=1e-6)
    assert opt.violation <= 1e-8


def test_an_end_where_nothing_is_promised_any_more_is_restored():
    ended = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        A, c = rng.normal(size=(4, 2)), rng.normal(size=4)
        opt = SQP(rng.normal(size=2), inequalities=3, maxfun=60)
        while not opt.done:
            e = np.exp(3.0 * A @ opt.ask())
            opt.tell(c + e, 3.0 * A * e[:, None])
        again = SQP.from_dict(json.loads(json.dumps(opt.to_dict(), default=np.ndarray.tolist)))
        assert again.to_dict()["promised"] == opt.to_dict()["promised"]
        assert again.result.fun == opt.result.fun
        ended.add(opt.stop)
    assert len(ended) > 1


@pytest.mark.parametrize("power", [-250, -170, 160, 250])
def test_a_row_whose_square_no_number_holds_is_measured_all_the_same(power):
    unit = 10.0**power
    opt = SQP([0.2, 0.1], equalities=1)

    def function(x):
        values, slopes = circle(x)
        return np.array(values) * [1.0, unit], np.array(slopes) * [[1.0], [unit]]

    while not opt.done:
        opt = SQP.from_dict(opt.to_dict())
        opt.tell(*function(opt.ask()))
    with np.errstate(all="raise"):
        assert opt.result.success
        assert opt.violation <= 1e-8
    assert opt.result.x == pytest.approx(np.array([-1.0, -2.0]) / np.sqrt(5.0), abs=1e-6)
    assert SQP.from_dict(opt.to_dict()).result.fun == opt.result.fun


def test_a_start_that_no_formula_lets_in_is_refused_by_name():
    discs = ["x1^2 + x2^2 <= 1", "(x1 - 1.5)^2 + (x2 - 1.5)^2 <= 0.5"]  # which do not meet
    rows = ConstraintSet(discs, ["x1", "x2"], [(-2.0, 2.0)] * 2)
    with pytest.raises(ConstraintError, match=r"'x1\^2 \+ x2\^2 <= 1' resists"):
        SQP([1.0, 1.0], [(-2.0, 2.0)] * 2, constraints=rows)


def test_values_as_small_as_likelihoods_end_where_others_do():
    H, c = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([0.3, -0.2])

    def end(power, rule=4):
        opt = SQP([-0.7, 0.8], bounds=[(-1, 1)] * 2, inequalities=1, rule=rule)
        while not opt.done:
            x = opt.ask()
            f = math.ldexp(0.5 * (x - c) @ H @ (x - c), power)
            opt.tell([f, x[0] - 0.1], [np.ldexp(H @ (x - c), power), [1.0, 0.0]])
        assert opt.result.success
        return opt.result.x

    held = [0.1, -0.1]  # at the limit; the other coordinate by hand: -0.2 - (0.1 - 0.3)/2
    for power in (0, -300, -900):
        np.testing.assert_allclose(end(power), held, rtol=0, atol=1e-6)
    assert end(-300, rule=3)[0] < 0.0  # as 0.9.0 has it: a false end


def test_a_box_as_wide_as_the_numbers_leaves_a_state_that_can_be_restored():
    most = 1.7e308
    for x0 in (-0.99 * most, 0.5 * most, 0.99 * most):
        opt = SQP([x0, 0.2, 0.7], bounds=[(-most, most), (0, 1), (0, 1)], equalities=1, maxfun=40)
        while not opt.done:
            opt = SQP.from_dict(plain(opt.to_dict()))
            x = opt.ask()
            assert np.all(np.abs(x[0]) <= most)
            z, w = np.array([x[0] / most, x[1] - 0.5, x[2] - 1.0]), np.array([1 / most, 1.0, 1.0])
            opt.tell([1e6 * (z @ z), z.sum() - 1.0], [2e6 * z * w, w])
