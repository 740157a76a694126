"""The peers do what they are taken to do; the kinds of bad objective are what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import failures, overhead, standard, wasted
from benchmarks.peers import bare_kernel, scipy_minimize
from benchmarks.problems import Problem, all_problems, by_name
from benchmarks.timing import interleaved, ratio


@pytest.mark.parametrize("name", ["MGH01 Rosenbrock", "HS5", "MGH14 Wood, bounded", "BIGGSB1"])
def test_the_bare_kernel_makes_the_same_run_as_scipy(name: str) -> None:
    problem = by_name(name)
    result = scipy_minimize(problem.fun, problem.start, problem.bounds)
    evaluations, x = bare_kernel(problem.fun, problem.start, problem.bounds, 10, 15000)
    assert evaluations == result.nfev
    np.testing.assert_array_equal(x, result.x)


@pytest.mark.parametrize("name", wasted.PROBLEMS)
def test_coarse_problems_are_evaluated_in_single_precision(name: str) -> None:
    problem = by_name(name)
    f, g = problem.fun(problem.start.astype(np.float32))
    assert np.asarray(f).dtype == np.float32
    assert g.dtype == np.float32


@pytest.mark.parametrize("n", [2, 10, 100])
def test_the_timed_problem_has_a_right_gradient_and_active_bounds(n: int) -> None:
    fun = overhead.Rosenbrock(n)
    x = fun.x0 + 0.01
    for i in range(n):
        step = 1e-6 * np.eye(n)[i]
        slope = (fun(x + step)[0] - fun(x - step)[0]) / 2e-6
        assert slope == pytest.approx(fun(x)[1][i], rel=1e-5, abs=1e-5)
    end = scipy_minimize(fun, fun.x0, fun.bounds).x
    assert (end[::2] == 0.5).all()
    assert fun.calls > 0
    assert fun.seconds > 0


def test_the_three_timed_runs_take_as_many_evaluations() -> None:
    counts = set()
    for run in overhead.RUNS.values():
        fun = overhead.Rosenbrock(2)
        run(fun)
        counts.add(fun.calls)
    assert len(counts) == 1


def test_interleaving_calls_everything_once_a_round_in_turn() -> None:
    order: list[str] = []

    def work(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = interleaved({"a": lambda: work("a"), "b": lambda: work("b")}, 2)
    assert order == ["a", "b", "b", "a"]
    assert found == {"a": [1.0, 4.0], "b": [2.0, 3.0]}
    assert ratio([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == 2.0


def trace(*points: float) -> standard.Trace:
    return standard.Trace(
        points=[np.array([p, 1.0]) for p in points],
        values=[0.0] * len(points),
        x=np.array([points[-1], 1.0]),
        fun=0.0,
        nfev=len(points),
        success=True,
        message="",
        gradient=0.0,
        fault="",
    )


def test_sequences_part_where_a_point_differs_or_one_of_them_ends() -> None:
    assert standard.first_difference(trace(1, 2, 3), trace(1, 2, 3)) is None
    assert standard.first_difference(trace(1, 2, 3), trace(1, 2 + 1e-9, 3)) is None
    assert standard.first_difference(trace(1, 2, 3), trace(1, 2.1, 3)) == 2
    assert standard.first_difference(trace(1, 2, 3), trace(1, 2)) == 3


@pytest.fixture(scope="module")
def comparisons() -> list[standard.Comparison]:
    return [standard.compare(problem, {}) for problem in quick()]


def quick() -> list[Problem]:
    return [problem for problem in all_problems() if problem.n <= 100]


def test_every_problem_that_scipy_solves_is_solved(comparisons: list[standard.Comparison]) -> None:
    lost = [
        c.problem.name
        for c in comparisons
        if standard.solved(c.problem, c.scipy) and not standard.solved(c.problem, c.ours)
    ]
    assert lost == []


def test_sequences_agree_with_scipy_on_nine_problems_in_ten(
    comparisons: list[standard.Comparison],
) -> None:
    parted = [c.problem.name for c in comparisons if not c.agree]
    assert len(parted) <= 0.1 * len(comparisons), parted


def test_results_are_the_best_seen_in_bounds_and_agree_with_their_values(
    comparisons: list[standard.Comparison],
) -> None:
    assert [c.problem.name for c in comparisons if c.ours.fault] == []


@pytest.mark.parametrize("kind", failures.KINDS)
def test_no_bad_evaluation_ruins_a_run(kind: str) -> None:
    found = failures.outcomes(kind, "optdriver")
    assert len(found) > 15
    assert not any(one.ruined or one.false or one.astray for one in found)
