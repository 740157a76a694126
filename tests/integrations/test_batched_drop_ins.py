"""The drop-ins for BoTorch and Optuna without these: what a single minimizer does, lane by lane."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optdriver import LBFGSB
from optdriver.errors import InputError, InputTypeError, MissingExtraError
from optdriver.integrations import botorch, optuna
from optdriver.integrations.botorch import fmin_l_bfgs_b_batched
from optdriver.integrations.optuna import batched_lbfgsb
from tests.integrations.batched_problems import BOUNDS, FUNCTIONS, ripples, rosenbrock, starts

EPSILON = np.finfo(float).eps


def single(fun: Callable[[Any], Any], x0: Any, bounds: Any, **options: Any) -> Any:
    opt = LBFGSB(x0, bounds, **options)
    while not opt.done:
        f, g = fun(opt.ask()[None])
        opt.tell(f[0], g[0])
    return opt.result


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
@pytest.mark.parametrize("fun", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_start_goes_the_way_of_a_single_minimizer(fun: Any, bounds: Any) -> None:
    x0 = starts(7)
    x, f, results = fmin_l_bfgs_b_batched(fun, x0, bounds, factr=1e3, pgtol=1e-7, maxcor=4)
    other_x, other_f, nit = batched_lbfgsb(fun, x0, (), bounds, 4, 1e3, 1e-7)
    for i in range(7):
        one = single(fun, x0[i], bounds, ftol=1e3 * EPSILON, gtol=1e-7, maxcor=4)
        assert one.x.tobytes() == x[i].tobytes() == other_x[i].tobytes()
        assert one.fun == f[i] == other_f[i]
        assert one.nit == nit[i]
        mine = results[i]
        for name in ("x", "fun", "jac", "nfev", "nit", "status", "success", "message"):
            assert np.array_equal(mine[name], one[name]), name
        np.testing.assert_array_equal(mine.hess_inv.todense(), one.hess_inv.todense())


def test_no_point_leaves_the_bounds_and_the_indices_belong_to_the_rows() -> None:
    seen: dict[int, list[Any]] = {}

    def fun(x: Any, *, batch_indices: list[int]) -> Any:
        assert type(batch_indices) is list
        assert batch_indices == sorted(batch_indices)
        for i, row in zip(batch_indices, x, strict=True):
            seen.setdefault(i, []).append(row)
        return ripples(x)

    _, _, results = fmin_l_bfgs_b_batched(fun, starts(9), [(-1, 1)] * 4, pass_batch_indices=True)
    assert [len(seen[i]) for i in range(9)] == [r.nfev for r in results]
    assert max(np.abs(points).max() for points in seen.values()) <= 1


def test_the_points_may_be_spoilt_by_the_objective() -> None:
    def spoil(x: Any) -> Any:
        told = rosenbrock(x)
        x[:] = np.nan
        return told

    x, _, _ = fmin_l_bfgs_b_batched(spoil, starts(3))
    np.testing.assert_array_equal(x, fmin_l_bfgs_b_batched(rosenbrock, starts(3))[0])


def test_no_starts_give_an_empty_answer() -> None:
    x, f, results = fmin_l_bfgs_b_batched(rosenbrock, np.empty((0, 4)), BOUNDS["half"])
    assert (x.shape, f.shape, results) == ((0, 4), (0,), [])
    x, f, nit = batched_lbfgsb(rosenbrock, np.empty((0, 4)), bounds=BOUNDS["half"])
    assert (x.shape, f.shape, nit.shape) == ((0, 4), (0,), (0,))


def test_a_failed_evaluation_on_the_way_is_stepped_over() -> None:
    """Every fifth round fails for one of the starts; the minimum is found all the same."""
    rounds: list[int] = []

    def broken(x: Any, *, batch_indices: list[int]) -> Any:
        f, g = rosenbrock(x)
        rounds.append(0)
        if len(rounds) % 5 == 0 and 1 in batch_indices:
            f[batch_indices.index(1)] = np.inf
        return f, g

    x, _, results = fmin_l_bfgs_b_batched(broken, starts(3, 2), pass_batch_indices=True)
    assert all(r.success for r in results)
    np.testing.assert_allclose(x, 1.0, atol=1e-4)


def test_the_callback_is_called_once_an_iteration_with_copies() -> None:
    seen: list[Any] = []

    def callback(x: Any) -> None:
        seen.append(x.copy())
        x[:] = np.nan

    x, _, results = fmin_l_bfgs_b_batched(rosenbrock, starts(4), callback=callback)
    assert len(seen) == sum(r.nit for r in results)
    np.testing.assert_array_equal(x, fmin_l_bfgs_b_batched(rosenbrock, starts(4))[0])
    for row in x:
        assert any(np.array_equal(row, point) for point in seen)


@pytest.mark.parametrize("last", range(4))
def test_the_callback_ends_one_run_after_the_other(last: int) -> None:
    def callback(x: Any) -> None:
        if x[0] in ended:
            raise StopIteration

    plain: list[Any] = []
    fmin_l_bfgs_b_batched(rosenbrock, starts(4), callback=lambda x: plain.append(x[0]))
    ended = plain[last : 12 : 4 + last]
    _, _, results = fmin_l_bfgs_b_batched(rosenbrock, starts(4), callback=callback)
    halted = [r for r in results if r.message == "STOP: CALLBACK REQUESTED HALT"]
    assert halted
    for one in halted:
        assert (one.status, one.success) == (2, False)
        assert one.x[0] in ended


def test_disp_is_said_to_do_nothing() -> None:
    with pytest.warns(DeprecationWarning, match="disp"):
        fmin_l_bfgs_b_batched(rosenbrock, starts(1), disp=0)


def test_the_limit_of_evaluations_is_kept() -> None:
    calls: list[int] = []

    def fun(x: Any) -> Any:
        calls.append(len(x))
        return rosenbrock(x)

    x, f, _ = batched_lbfgsb(fun, starts(3), max_evals=5)
    assert calls == [3] * 5
    np.testing.assert_array_equal(f, rosenbrock(x)[0])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"x0": np.zeros(4)}, r"x0 has shape \(4,\)"),
    ({"x0": [[1.0, 2.0], [3.0]]}, "x0 must be real numbers"),
    ({"x0": [["a", "b"]]}, "x0 must be real numbers, not .*a"),
    ({"x0": [[np.nan] * 4]}, "finite"),
    ({"bounds": [(0, 1)]}, "bounds has 1 entries"),
    ({"bounds": [(1, 0)] * 4}, "lower <= upper"),
    ({"maxcor": 0}, "maxcor is 0"),
    ({"maxls": 0}, "maxls is 0"),
    ({"pgtol": -1.0}, "pgtol is -1.0"),
    ({"tol": -1.0}, "tol is -1.0"),
    ({"factr": None}, "factr is None"),
    ({"factr": -2.0}, "factr is -2.0"),
    ({"ftol": 1e-3}, "give factr=None"),
    ({"ftol": "a", "factr": None}, "ftol is 'a'"),
    ({"maxiter": "many"}, "maxiter must be a number"),
    ({"func": lambda x: 0.0}, "the objective returned 0.0"),
    ({"func": lambda x: (np.zeros(len(x) + 1), x)}, "the values have shape"),
    ({"func": lambda x: (np.zeros((len(x), 1)), x)}, "the values have shape"),
    ({"func": lambda x: (np.zeros(len(x)), x[0])}, "the gradients have shape"),
    ({"func": lambda x: (["a"] * len(x), x)}, "the values"),
]


@pytest.mark.parametrize(("changed", "message"), WRONG, ids=[m for _, m in WRONG])
def test_botorchs_wrong_arguments_are_named(changed: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {"func": rosenbrock, "x0": starts(3)}
    with pytest.raises(InputError, match=message):
        fmin_l_bfgs_b_batched(**(usual | changed))


WRONG_TOO: list[tuple[dict[str, Any], str]] = [
    ({"x0_batched": np.zeros(4)}, r"x0_batched has shape \(4,\)"),
    ({"batched_args": ([1, 2, 3], [1])}, r"batched_args\[1\] has length 1; expected 3"),
    ({"m": 0}, "m is 0"),
    ({"m": 2.5}, "m is 2.5"),
    ({"factr": -1.0}, "factr is -1.0"),
    ({"pgtol": np.nan}, "pgtol is nan"),
    ({"max_evals": 0}, "max_evals is 0"),
    ({"max_iters": None}, "max_iters must be a number"),
    ({"max_line_search": 0}, "max_line_search is 0"),
    ({"func_and_grad": lambda x: None}, "the objective returned None"),
]


@pytest.mark.parametrize(("changed", "message"), WRONG_TOO, ids=[m for _, m in WRONG_TOO])
def test_optunas_wrong_arguments_are_named(changed: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {"func_and_grad": rosenbrock, "x0_batched": starts(3)}
    with pytest.raises(InputError, match=message):
        batched_lbfgsb(**(usual | changed))


def test_wrong_kinds_are_type_errors_too() -> None:
    with pytest.raises(InputTypeError):
        fmin_l_bfgs_b_batched(lambda x: None, starts(1))
    with pytest.raises(InputTypeError):
        batched_lbfgsb(rosenbrock, starts(1), pgtol="small")  # type: ignore[arg-type]


@pytest.mark.parametrize("integration", [botorch, optuna], ids=["botorch", "optuna"])
def test_a_package_that_is_missing_is_named_with_its_extra(
    integration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = integration.__name__.rpartition(".")[2]
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"optdriver\[{name}\]"), integration.installed():
        pass
