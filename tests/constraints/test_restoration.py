"""Infeasible points are moved onto the constraints, by little, or the one that resists is named."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import NonlinearConstraint, minimize

from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError
from optdriver.feasible import FeasibleMinimizer

NAMES = ("x", "y")
BOX = [(-3.0, 3.0)] * 2

SHAPES = {
    "disc": ["x^2 + y^2 <= 1"],
    "disc by a root": ["sqrt(x^2 + y^2) - 1"],
    "outside of a disc": ["x^2 + y^2 >= 1"],
    "annulus": ["1 <= x^2 + y^2 <= 1.21"],
    "two discs": ["min((x - 2)^2 + y^2, (x + 2)^2 + y^2) <= 0.25"],
    "sickle": ["x^2 + y^2 <= 1", "(x - 0.1)^2 + y^2 >= 0.9"],
    "cusp": ["(1 - x)^3 - y >= 0", "x >= 0", "y >= 0"],
    "line": ["x + y == 0.5"],
    "circle": ["x^2 + y^2 == 1"],
    "two points": ["x^2 + y^2 == 1", "x == 2*y"],
    "parallel": ["x + y <= 1", "2*x + 2*y <= 2", "x + y <= 1.5", "x + y >= 0.999999"],
    "wedge": ["y <= x/100", "y >= -x/100", "x <= 2"],
    "diamond": ["abs(x) + abs(y) <= 0.5"],
    "banana": ["(y - x^2)^2 <= 0.01", "x >= 0.5"],
    "steps": ["y <= sin(3*x)", "exp(x) <= 2"],
}


@functools.cache
def shape(name: str) -> ConstraintSet:
    return ConstraintSet(SHAPES[name], NAMES, BOX)


@pytest.mark.parametrize("name", SHAPES)
@given(st.tuples(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0)))
def test_points_of_the_box_are_moved_onto_the_set(name: str, start: tuple[float, float]) -> None:
    cs = shape(name)
    made = cs.project(start)
    assert ((cs.lower <= made.x) & (made.x <= cs.upper)).all()
    assert made.steps <= 15 or made.distance > 0.005
    if made.strict:
        assert cs.is_feasible(made.x)
        assert made.feasible
        assert made.violation <= 1e-10
    else:
        assert made.feasible or made.resisting in cs.names
        assert made.violation == cs.violation(made.x) > 0.0


@pytest.mark.parametrize("name", SHAPES)
def test_nearly_all_points_of_the_box_succeed(name: str) -> None:
    cs = shape(name)
    starts = np.random.default_rng(3).uniform(-3.0, 3.0, size=(100, 2))
    assert sum(cs.project(start).strict for start in starts) >= 90


def test_a_feasible_point_stays_where_it_is() -> None:
    made = shape("disc").project([0.5, 0.5])
    assert made.x.tolist() == [0.5, 0.5]
    assert (made.steps, made.distance, made.violation, made.resisting) == (0, 0.0, 0.0, "")


def test_a_step_onto_a_line_is_the_shortest_in_the_weighted_norm() -> None:
    cs = ConstraintSet("x + y == 0", NAMES)
    made = cs.project([3.0, 1.0], weights=[1.0, 1.0])
    assert made.x == pytest.approx([1.0, -1.0])
    assert made.distance == pytest.approx(np.sqrt(8.0))
    made = cs.project([3.0, 1.0], weights=[2.0, 1.0])
    assert made.x == pytest.approx([3.0 - 4.0 * 0.8, 1.0 - 0.8])
    made = cs.project([3.0, 1.0])
    assert made.x == pytest.approx([3.0 - 4.0 * 0.9, 1.0 - 4.0 * 0.1])


def test_bounds_are_kept_on_the_way() -> None:
    cs = ConstraintSet("x + y >= 3", NAMES, [(0.0, 1.0), (0.0, 5.0)])
    made = cs.project([0.0, 0.0], weights=[1.0, 1.0])
    assert made.x == pytest.approx([1.0, 2.0])
    assert made.strict


@pytest.mark.parametrize(
    ("texts", "point"),
    [
        (["x^2 + y^2 <= 0"], (0.0, 0.0)),
        (["x^4 + y^4 <= 0"], (0.0, 0.0)),
        (["x^2 <= y", "y <= -x^2"], (0.0, 0.0)),
        (["(x - 1)^2 + y^2 <= 1", "(x + 1)^2 + y^2 <= 1"], (0.0, 0.0)),
    ],
)
def test_a_set_without_interior_is_reached_to_1e_9(
    texts: list[str], point: tuple[float, float]
) -> None:
    cs = ConstraintSet(texts, NAMES, BOX)
    made = cs.project([0.5, 0.25], max_steps=40)
    assert made.feasible
    assert made.violation <= 1e-9
    assert made.x == pytest.approx(point, abs=1e-2)


@pytest.mark.parametrize(
    "texts",
    [
        ["x^2 + y^2 <= 1", "x + y >= 5"],
        ["x^2 + y^2 <= 1", "(x - 2.5)^2 + y^2 <= 1"],
        ["x*y == 1", "x + y == 0"],
        ["exp(x) <= y", "y <= x"],
    ],
)
def test_an_empty_set_is_a_result_that_names_the_constraint(texts: list[str]) -> None:
    cs = ConstraintSet(texts, NAMES, BOX)
    for move in (cs.project, cs.nearest):
        for start in ([0.1, 0.2], [-1.0, 2.0], [0.0, 0.0]):
            made = move(start)
            assert not made.feasible
            assert made.violation > 1e-3
            assert made.resisting in cs.names


def test_a_start_without_a_value_is_a_result_too() -> None:
    with pytest.warns(match="no real value"):
        cs = ConstraintSet("log(x + y) <= 0", NAMES, BOX)
    made = cs.project([-1.0, 0.0])
    assert not made.feasible
    assert made.violation == np.inf


def test_a_start_beyond_the_end_of_a_function_is_moved_to_where_it_has_values() -> None:
    with pytest.warns(match="no real value"):
        cs = ConstraintSet("sqrt(x) + y <= 0", NAMES, BOX)
    made = cs.project([-1.0, 0.5])
    assert made.feasible
    assert made.x[0] >= 0.0
    assert np.sqrt(made.x[0]) + made.x[1] <= 0.0


@pytest.mark.parametrize("start", [[np.nan, 0.0], [np.inf, 0.0]])
def test_a_start_must_be_finite(start: list[float]) -> None:
    with pytest.raises(InputError, match="finite point"):
        shape("disc").project(start)


@pytest.mark.parametrize("weights", [0.0, -1.0, [1.0, np.inf]])
def test_weights_are_positive_and_finite(weights: object) -> None:
    with pytest.raises(InputError, match="positive and finite"):
        shape("disc").nearest([2.0, 2.0], weights=weights)


@pytest.mark.parametrize("start", [(2.5, 1.0), (0.3, 0.4), (-2.0, 2.0), (0.01, -0.02)])
@pytest.mark.parametrize("name", ["disc", "outside of a disc", "annulus", "circle"])
def test_the_nearest_point_of_round_sets_is_along_the_radius(
    name: str, start: tuple[float, float]
) -> None:
    cs = shape(name)
    made = cs.nearest(start, weights=[1.0, 1.0])
    if cs.is_feasible(start):
        assert made.x.tolist() == list(start)
        return
    radius = np.hypot(*start)
    expected = np.array(start) / radius * np.clip(radius, 1.0, 1.1 if name == "annulus" else 1.0)
    assert made.strict
    assert made.x == pytest.approx(expected, abs=1e-6)


@given(st.tuples(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0)))
def test_the_nearest_point_of_a_convex_set_is_as_near_as_slsqp_finds(
    start: tuple[float, float],
) -> None:
    cs = ConstraintSet(["x^2/4 + y^2 <= 1", "exp(x) + y <= 2", "x + y >= -1.5"], NAMES, BOX)
    made = cs.nearest(start, weights=[1.0, 2.0])
    assert made.strict

    def distance(z: np.ndarray) -> float:
        return float((z[0] - start[0]) ** 2 + ((z[1] - start[1]) / 2.0) ** 2)

    rule = NonlinearConstraint(cs.values, -np.inf, 0.0, jac=cs.jacobian)
    peer = minimize(distance, [0.0, 0.0], method="SLSQP", constraints=rule, tol=1e-12)
    assert made.distance <= np.sqrt(peer.fun) + 1e-5


def test_a_thousand_parameters_are_restored_too() -> None:
    n = 1000
    names = [f"v{i}" for i in range(n)]
    neighbours = list(itertools.pairwise(names))
    products = ConstraintSet([f"{a}*{b} <= 0.5" for a, b in neighbours], names, [(-5, 5)] * n)
    chain = ConstraintSet([f"{a}^2 + {b} == 1" for a, b in neighbours], names, [(-5, 5)] * n)
    for cs in (products, chain):
        made = cs.project(np.full(n, 2.0))
        assert made.strict
        assert made.steps <= 15


@given(st.tuples(*[st.floats(-1.0, 1.0)] * 3))
def test_restoration_ends_strictly_inside(start: tuple[float, float, float]) -> None:
    texts = ["x^2 + y^2 + z^2 <= 1", "exp(x) <= 1.5 + y", "z >= x*y"]
    cs = ConstraintSet(texts, ["x", "y", "z"], [(-2.0, 2.0)] * 3)
    assert cs.is_feasible(cs.project(start).x)


def test_the_nearest_point_of_a_set_that_is_not_convex_agrees_with_slsqp() -> None:
    cs = ConstraintSet(["x*y >= 1", "x + y^2 >= 0"], NAMES, [(-3.0, 0.5), (-5.0, 5.0)])
    made = cs.nearest([-1.0, 1.0], weights=1.0)
    peer = minimize(
        lambda x: float((x - [-1.0, 1.0]) @ (x - [-1.0, 1.0])),
        made.x + 0.01,
        constraints=[{"type": "ineq", "fun": lambda x: -cs.values(x)}],
        bounds=[(-3.0, 0.5), (-5.0, 5.0)],
    )
    assert made.strict
    assert made.distance**2 <= peer.fun + 1e-6


def test_a_row_whose_square_overflows_is_neither_warned_of_nor_called_empty():
    opt = FeasibleMinimizer([0.5, 0.5], "1e300*x1^2 <= 1e290", [(-1, 1)] * 2)
    assert 1e300 * opt.x0[0] ** 2 <= 1e290
