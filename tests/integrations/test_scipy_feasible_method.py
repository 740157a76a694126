"""`minimize(method=scipy_feasible_method)`: SciPy's answers, and never a violated constraint."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.optimize import (
    Bounds,
    LinearConstraint,
    NonlinearConstraint,
    OptimizeResult,
    OptimizeWarning,
    minimize,
    rosen,
    rosen_der,
)

import optdriver
from optdriver.constraints import ConstraintSet
from optdriver.errors import ConstraintError, InputError, InputTypeError
from optdriver.feasible import Stop
from optdriver.integrations.scipy_feasible_method import scipy_feasible_method
from optdriver.objectives.feasible_differences import FeasibleDifferences


@dataclass(frozen=True)
class Problem:
    """A problem of Hock and Schittkowski from a feasible start; rows are g(x) >= 0, h(x) = 0."""

    fun: Callable[[Any], Any]
    gradient: Callable[[Any], Any]
    start: tuple[float, ...]
    best: float
    texts: tuple[str, ...]
    inequalities: Callable[[Any], Any] | None = None
    slopes: Callable[[Any], Any] | None = None
    equalities: Callable[[Any], Any] | None = None
    equal_slopes: Callable[[Any], Any] | None = None
    bounds: tuple[tuple[float | None, float | None], ...] | None = None

    def dictionaries(self) -> list[Any]:
        made = []
        for kind, fun, jac in self._rows():
            made.append({"type": kind, "fun": fun, "jac": jac})
        return made

    def objects(self) -> list[Any]:
        upper = {"ineq": np.inf, "eq": 0.0}
        return [
            NonlinearConstraint(fun, 0.0, upper[kind], jac=jac) for kind, fun, jac in self._rows()
        ]

    def _rows(self) -> list[Any]:
        rows = [
            ("ineq", self.inequalities, self.slopes),
            ("eq", self.equalities, self.equal_slopes),
        ]
        return [row for row in rows if row[1] is not None]

    def is_feasible(self, x: Any) -> bool:
        """Exactly for inequalities and bounds, 1e-9 for equalities."""
        sides = self.bounds or ((None, None),) * len(x)
        inside = all(
            (lo is None or lo <= xi) and (hi is None or xi <= hi)
            for xi, (lo, hi) in zip(x, sides, strict=True)
        )
        above = self.inequalities is None or np.all(np.asarray(self.inequalities(x)) >= 0.0)
        on = self.equalities is None or np.all(np.abs(self.equalities(x)) <= 1e-8)
        return bool(inside and above and on)


HS = {
    "HS12": Problem(
        fun=lambda x: 0.5 * x[0] ** 2 + x[1] ** 2 - x[0] * x[1] - 7 * x[0] - 7 * x[1],
        gradient=lambda x: np.array([x[0] - x[1] - 7, 2 * x[1] - x[0] - 7]),
        start=(0.0, 0.0),
        best=-30.0,
        texts=("25 - 4*x1^2 - x2^2 >= 0",),
        inequalities=lambda x: 25 - 4 * x[0] ** 2 - x[1] ** 2,
        slopes=lambda x: np.array([-8 * x[0], -2 * x[1]]),
    ),
    "HS28": Problem(
        fun=lambda x: (x[0] + x[1]) ** 2 + (x[1] + x[2]) ** 2,
        gradient=lambda x: 2 * np.array([x[0] + x[1], x[0] + 2 * x[1] + x[2], x[1] + x[2]]),
        start=(-4.0, 1.0, 1.0),
        best=0.0,
        texts=("x1 + 2*x2 + 3*x3 - 1 == 0",),
        equalities=lambda x: x[0] + 2 * x[1] + 3 * x[2] - 1,
        equal_slopes=lambda x: np.array([1.0, 2.0, 3.0]),
    ),
    "HS43": Problem(
        fun=lambda x: x @ x + x[2] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3],
        gradient=lambda x: 2 * x * [1, 1, 2, 1] + [-5, -5, -21, 7],
        start=(0.0, 0.0, 0.0, 0.0),
        best=-44.0,
        texts=(
            "8 - x1^2 - x2^2 - x3^2 - x4^2 - x1 + x2 - x3 + x4 >= 0",
            "10 - x1^2 - 2*x2^2 - x3^2 - 2*x4^2 + x1 + x4 >= 0",
            "5 - 2*x1^2 - x2^2 - x3^2 - 2*x1 + x2 + x4 >= 0",
        ),
        inequalities=lambda x: np.array(
            [
                8 - x[0] ** 2 - x[1] ** 2 - x[2] ** 2 - x[3] ** 2 - x[0] + x[1] - x[2] + x[3],
                10 - x[0] ** 2 - 2 * x[1] ** 2 - x[2] ** 2 - 2 * x[3] ** 2 + x[0] + x[3],
                5 - 2 * x[0] ** 2 - x[1] ** 2 - x[2] ** 2 - 2 * x[0] + x[1] + x[3],
            ]
        ),
        slopes=lambda x: np.array(
            [
                [-2 * x[0] - 1, -2 * x[1] + 1, -2 * x[2] - 1, -2 * x[3] + 1],
                [-2 * x[0] + 1, -4 * x[1], -2 * x[2], -4 * x[3] + 1],
                [-4 * x[0] - 2, -2 * x[1] + 1, -2 * x[2], 1],
            ]
        ),
    ),
    "HS71": Problem(
        fun=lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        gradient=lambda x: np.array(
            [
                x[3] * (2 * x[0] + x[1] + x[2]),
                x[0] * x[3],
                x[0] * x[3] + 1,
                x[0] * (x[0] + x[1] + x[2]),
            ]
        ),
        start=(1.0, 4.7, 3.9, 1.5),
        best=17.0140173,
        texts=("x1*x2*x3*x4 - 25 >= 0", "x1^2 + x2^2 + x3^2 + x4^2 - 40 == 0"),
        inequalities=lambda x: x[0] * x[1] * x[2] * x[3] - 25,
        slopes=lambda x: np.array(
            [x[1] * x[2] * x[3], x[0] * x[2] * x[3], x[0] * x[1] * x[3], x[0] * x[1] * x[2]]
        ),
        equalities=lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2 - 40,
        equal_slopes=lambda x: 2 * x,
        bounds=((1.0, 5.0),) * 4,
    ),
}
DISC = "x1^2 + x2^2 <= 1"


class Watched:
    """An objective that notes where it was called, and refuses infeasible points."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.points: list[Any] = []

    def __call__(self, x: Any) -> Any:
        assert self.problem.is_feasible(x), x
        self.points.append(x.copy())
        return self.problem.fun(x)


def bowl(x: Any) -> Any:
    assert x[0] ** 2 + x[1] ** 2 <= 1.0
    return np.sum((x - 2.0) ** 2)


def slope(x: Any) -> Any:
    return 2.0 * (x - 2.0)


def ours(fun: Any = bowl, x0: Any = (0.5, 0.0), **given: Any) -> OptimizeResult:
    given.setdefault("constraints", DISC)
    return minimize(fun, x0, method=scipy_feasible_method, **given)


# --- SciPy's answers, feasibly ------------------------------------------------------------------


@pytest.mark.parametrize("name", HS)
@pytest.mark.parametrize("form", ["texts", "dictionaries", "objects"])
def test_every_form_of_constraints_leads_to_the_known_solution(name: str, form: str) -> None:
    problem = HS[name]
    fun = Watched(problem)
    rows = problem.texts if form == "texts" else getattr(problem, form)()
    result = ours(fun, problem.start, jac=problem.gradient, bounds=problem.bounds, constraints=rows)
    assert result.success
    assert result.status == 0
    assert result.fun == pytest.approx(problem.best, rel=1e-6, abs=1e-8)
    assert result.kkt <= 1e-6
    assert result.maxcv <= 1e-9
    assert result.nfev == result.njev == len(fun.points)


@pytest.mark.parametrize("name", HS)
def test_all_forms_take_the_same_points(name: str) -> None:
    problem = HS[name]
    paths = []
    for rows in (problem.texts, problem.dictionaries(), problem.objects()):
        fun = Watched(problem)
        ours(fun, problem.start, jac=problem.gradient, bounds=problem.bounds, constraints=rows)
        paths.append(np.array(fun.points))
    for path in paths[1:]:
        assert len(path) == len(paths[0])
        np.testing.assert_allclose(path, paths[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", HS)
@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_scipys_methods_find_no_better_value(name: str, method: str) -> None:
    problem = HS[name]
    given = {"jac": problem.gradient, "bounds": problem.bounds}
    rows = problem.dictionaries() if method == "SLSQP" else problem.objects()
    with warnings.catch_warnings():  # trust-constr warns of a gradient that has not changed
        warnings.simplefilter("ignore", UserWarning)
        peer = minimize(problem.fun, problem.start, method=method, constraints=rows, **given)
    result = ours(problem.fun, problem.start, constraints=rows, **given)
    np.testing.assert_allclose(result.x, peer.x, rtol=1e-3, atol=1e-3)
    assert result.fun <= peer.fun + 1e-6 * abs(peer.fun) + 1e-7


@pytest.mark.parametrize("name", ["HS12", "HS43", "HS71"])
@pytest.mark.parametrize("scheme", ["2-point", "3-point"])
def test_differences_are_feasible_too(name: str, scheme: str) -> None:
    problem = HS[name]
    fun = Watched(problem)
    options = {"finite_diff_scheme": scheme, "gtol": 1e-5}
    result = ours(
        fun, problem.start, bounds=problem.bounds, constraints=problem.texts, options=options
    )
    assert result.fun == pytest.approx(problem.best, rel=1e-6)
    assert result.nfev == len(fun.points) > result.njev


def test_the_complex_step_needs_no_room() -> None:
    fun: Any = lambda x: (x[0] - 2) ** 2 + (x[1] - 2) ** 2  # noqa: E731
    result = ours(fun, options={"finite_diff_scheme": "cs"})
    assert result.success
    np.testing.assert_allclose(result.jac, slope(result.x), rtol=1e-14)


def test_mixed_forms_and_a_box() -> None:
    rows = [
        {"name": "disc", "constraint": DISC},
        LinearConstraint([[1.0, -1.0]], -np.inf, 0.25),
        {"type": "ineq", "fun": lambda x, top: top - x[1], "args": (0.5,)},
        Bounds([-1.0, -1.0], [0.6, 1.0]),
    ]
    result = ours(x0=[0.0, 0.0], jac=slope, bounds=Bounds(-2.0, 2.0), constraints=rows)
    assert result.success
    np.testing.assert_allclose(result.x, [0.6, 0.5], rtol=1e-9)
    assert len(result.multipliers) == 3
    assert result.bound_multipliers[0] == pytest.approx(2.8)


def test_the_result_says_what_is_active() -> None:
    rows = [{"name": "disc", "constraint": DISC}, {"name": "side", "constraint": "x1 <= 0.5"}]
    result = ours(jac=slope, x0=[0.0, 0.0], constraints=rows)
    assert set(result.active) == {"disc", "side"}
    g = slope(result.x)
    disc = -g[1] / (2 * result.x[1])
    assert result.multipliers["disc"] == pytest.approx(disc, rel=1e-5)
    assert result.multipliers["side"] == pytest.approx(-g[0] - disc * 2 * 0.5, rel=1e-5)
    assert result.certified


def test_a_result_without_rows_can_be_printed() -> None:
    result = ours(rosen, [0.0, 0.0], jac=rosen_der, constraints=())
    assert result.success
    assert "multipliers: {}" in str(result)
    assert ours(rosen, [0.0, 0.0], jac=rosen_der, constraints=None).success


def test_a_set_that_is_compiled_already() -> None:
    constraints = ConstraintSet("a^2 + b^2 <= r", ["a", "b"], [(-1, 1)] * 2, fixed={"r": 1.0})
    result = ours(jac=slope, constraints=constraints)
    np.testing.assert_allclose(result.x, [0.5**0.5] * 2, rtol=1e-6)
    with pytest.raises(InputError, match="has its own bounds"):
        ours(jac=slope, constraints=constraints, bounds=[(-1, 1)] * 2)


def test_names_and_fixed_values() -> None:
    options = {"names": ["a", "b"], "fixed": {"radius": 1.0}}
    result = ours(jac=slope, constraints=["a^2 + b^2 <= radius^2"], options=options)
    np.testing.assert_allclose(result.x, [0.5**0.5] * 2, rtol=1e-6)


def test_objective_arguments_and_a_pair() -> None:
    fun: Any = lambda x, c: (np.sum((x - c) ** 2), 2 * (x - c))  # noqa: E731
    result = ours(fun, jac=True, args=(2.0,))
    direct = scipy_feasible_method(fun, [0.5, 0.0], args=2.0, jac=True, constraints=DISC)
    assert np.array_equal(result.x, direct.x)
    assert result.success


# --- starts -------------------------------------------------------------------------------------


def test_a_violating_start_is_moved_and_noted() -> None:
    result = ours(jac=slope, x0=[3.0, -1.0])
    assert result.success
    assert "was moved by" in result.notes[0]
    assert result.message.endswith(result.notes[0])


def test_a_violating_start_can_be_an_error() -> None:
    with pytest.raises(InputError, match="the start violates"):
        ours(jac=slope, x0=[3.0, -1.0], options={"project_starts": False})


def test_an_empty_set_is_known_before_anything_is_evaluated() -> None:
    with pytest.raises(InputError):
        ours(x0=[0.0, 0.0], constraints=["x1*x2 >= 1", DISC])


# --- differences --------------------------------------------------------------------------------


def test_no_feasible_step_at_the_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeasibleDifferences, "possible", lambda self, x: False)
    with pytest.raises(InputError, match="at the start.*give the gradient as jac"):
        ours()


def test_a_point_without_feasible_steps_is_a_failed_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []
    possible = FeasibleDifferences.possible

    def second_is_not(self: FeasibleDifferences, x: Any) -> bool:
        asked.append(x)
        return len(asked) != 2 and possible(self, x)

    monkeypatch.setattr(FeasibleDifferences, "possible", second_is_not)
    result = ours(options={"gtol": 1e-5})
    assert result.nfail == 1
    np.testing.assert_allclose(result.x, [0.5**0.5] * 2, rtol=1e-5)


def test_steps_of_ones_own() -> None:
    for options in ({"eps": 1e-4}, {"finite_diff_rel_step": [1e-4, 1e-4]}):
        seen: list[Any] = []
        ours(lambda x, s=seen: (s.append(x), bowl(x))[1], options={**options, "maxfun": 3})
        assert seen[1][0] - 0.5 == pytest.approx(1e-4 if "eps" in options else 5e-5)


def test_differences_on_a_surface_go_along_it() -> None:
    def fun(x: Any) -> Any:
        assert abs(x @ x - 4.0) <= 1e-8
        return x[0] + 2 * x[1]

    result = ours(fun, [0.0, 2.0, 0.0], constraints="x1^2 + x2^2 + x3^2 == 4")
    assert result.fun == pytest.approx(-2 * 5**0.5, rel=1e-6)


def test_a_difference_that_fails_makes_the_point_fail() -> None:
    values = iter([1.0, np.nan])
    result = ours(lambda x: next(values, bowl(x)), options={"maxiter": 3})
    assert result.nfail == 1


def test_workers_take_the_points_of_a_gradient() -> None:
    with ThreadPoolExecutor(2) as pool:
        result = ours(options={"workers": pool.map})
    assert np.array_equal(result.x, ours().x)


# --- callbacks, limits --------------------------------------------------------------------------


def test_both_conventions_of_callbacks() -> None:
    old: list[Any] = []
    new: list[Any] = []
    first = ours(jac=slope, callback=old.append)

    def told(intermediate_result: OptimizeResult) -> None:
        new.append(intermediate_result)

    second = ours(jac=slope, callback=told)
    assert len(old) == len(new) == first.nit == second.nit
    for x, given in zip(old, new, strict=True):
        assert np.array_equal(x, given.x)
        assert given.fun == bowl(x)


def test_stop_iteration_ends_the_run() -> None:
    def stop(x: Any) -> None:
        raise StopIteration

    result = ours(jac=slope, callback=stop)
    assert (result.success, result.status, result.nit) == (False, 99, 1)
    assert result.message == "`callback` raised `StopIteration`."
    assert result.stop is Stop.HALTED


@pytest.mark.parametrize("jac", [slope, None])
def test_limits_are_never_exceeded(jac: Any) -> None:
    full = ours(jac=jac, options={"gtol": 1e-5})
    for maxfun in range(3, full.nfev):
        result = ours(jac=jac, options={"maxfun": maxfun})
        assert (result.nfev <= maxfun, result.success, result.status) == (True, False, 1)
        assert result.stop is Stop.MAX_EVALUATIONS
    result = ours(jac=jac, options={"maxiter": 1})
    assert (result.nit, result.stop) == (1, Stop.MAX_ITERATIONS)


def test_tol_sets_gtol() -> None:
    loose = ours(jac=slope, tol=0.5)
    assert loose.success
    assert loose.kkt <= 0.5
    assert loose.nfev <= ours(jac=slope).nfev


def test_an_objective_that_always_fails() -> None:
    result = ours(lambda x: np.nan, jac=slope)
    assert not result.success
    assert np.isnan(result.fun)


def test_all_variables_fixed() -> None:
    result = ours(jac=slope, bounds=[(0.5, 0.5), (0.0, 0.0)], constraints=())
    assert result.success
    assert result.x.tolist() == [0.5, 0.0]
    assert ours(bounds=[(0.5, 0.5), (0.0, 0.0)], constraints=()).nfev == 1


# --- what is given wrongly ----------------------------------------------------------------------


def test_an_unknown_option_is_warned_of_with_the_nearest() -> None:
    with pytest.warns(OptimizeWarning, match=r"maxfum \(did you mean 'maxfun'\?\)") as caught:
        ours(jac=slope, options={"maxfum": 3})
    assert caught[0].filename == __file__


def test_second_derivatives_are_warned_of() -> None:
    with pytest.warns(RuntimeWarning, match="scipy_feasible_method does not use Hess"):
        ours(jac=slope, hess=lambda x: np.eye(2))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"constraints": "x1^2 + y2 <= 1"}, ConstraintError, "did you mean 'x2'"),
        ({"constraints": 3}, InputTypeError, "constraints are texts such as"),
        ({"constraints": [3]}, InputTypeError, "constraint 1 is a text"),
        ({"jac": 1.5}, InputTypeError, "jac must be callable"),
        ({"options": {"maxfun": 2}}, InputError, "maxfun must be at least 3"),
        ({"options": {"finite_diff_scheme": "4-point"}}, InputError, "unknown difference scheme"),
        ({"options": {"eps": [1.0, 2.0, 3.0]}}, InputError, "abs_step must be"),
        ({"options": {"gtol": -1.0}}, InputError, "gtol must not be negative"),
        ({"options": {"names": ["a"]}}, InputError, "1 names for 2 variables"),
        ({"options": {"workers": 0}}, InputError, "workers must be"),
        ({"x0": [np.nan, 0.0]}, InputError, "finite numbers"),
    ],
)
def test_errors_say_what_is_expected(given: Any, error: type[Exception], message: str) -> None:
    if "jac" in given:  # `minimize` makes None of it
        with pytest.raises(error, match=message):
            scipy_feasible_method(bowl, [0.5, 0.0], constraints=DISC, **given)
        return
    with pytest.raises(error, match=message):
        ours(**given)


# --- imports ------------------------------------------------------------------------------------


def test_the_public_name_is_lazy_and_functions_need_no_sympy() -> None:
    program = """
import sys, numpy as np, optdriver
assert not any(name.startswith("optdriver.integrations") for name in sys.modules)
from scipy.optimize import NonlinearConstraint, minimize
disc = NonlinearConstraint(lambda x: x @ x, -np.inf, 1.0, jac=lambda x: 2 * x)
fun = lambda x: np.sum((x - 2) ** 2)
assert minimize(fun, [0, 0], method=optdriver.scipy_feasible_method, constraints=disc).x @ [1, 1]
assert "sympy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert optdriver.scipy_feasible_method is scipy_feasible_method
