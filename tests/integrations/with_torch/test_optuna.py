"""Our drop-in beside Optuna's own function, on plain objectives and inside the real Optuna."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import optuna
import pytest
from optuna._gp import batched_lbfgsb as home
from optuna._gp import optim_mixed

from optdriver.batch import Batch
from optdriver.integrations.optuna import batched_lbfgsb, installed
from tests.integrations.batched_problems import BOUNDS, FUNCTIONS, rosenbrock, starts

theirs = home.batched_lbfgsb
ours = batched_lbfgsb


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Run without Optuna's own log."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(verbosity)


def pairs(bounds: Any) -> Any:
    """Return bounds with infinities for None."""
    if bounds is None:
        return None
    return [(-np.inf if l is None else l, np.inf if u is None else u) for l, u in bounds]


def test_the_arguments_and_their_defaults_are_optunas() -> None:
    a, b = (inspect.signature(f).parameters.values() for f in (theirs, ours))
    assert [(p.name, p.default, p.kind) for p in a] == [(p.name, p.default, p.kind) for p in b]


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
@pytest.mark.parametrize("fun", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("count", [0, 1, 12])
def test_the_same_minima(count: int, fun: Any, bounds: Any) -> None:
    x, f, nit = theirs(fun, starts(count), bounds=pairs(bounds))
    our_x, our_f, our_nit = ours(fun, starts(count), bounds=pairs(bounds))
    for a, b in ((x, our_x), (f, our_f), (nit, our_nit)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    np.testing.assert_allclose(our_x, x, rtol=0, atol=1e-6)
    np.testing.assert_allclose(our_f, f, rtol=0, atol=1e-11)
    assert abs(our_nit - nit).max(initial=0) <= 1


@pytest.mark.parametrize("count", [1, 3])
def test_every_start_has_its_own_arguments(count: int) -> None:
    """Starts end at different times; what is left keeps what belongs to it."""
    scale, centre = 10.0 ** np.arange(count), list(starts(count, 3))
    calls: list[int] = []

    def fun(x: Any, scales: Any, centres: Any) -> Any:
        assert len(scales) == len(centres) == len(x)
        calls.append(len(x))
        s, c = np.array(scales), np.array(centres)
        return (s * ((x - c) ** 4).sum(axis=1)), 4 * s[:, None] * (x - c) ** 3

    x, _, nit = theirs(fun, np.ones((count, 3)), (scale, centre))
    theirs_calls = calls.copy()
    calls.clear()
    our_x, _, our_nit = ours(fun, np.ones((count, 3)), (scale, centre))
    np.testing.assert_allclose(our_x, x, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(our_nit, nit)
    assert sum(calls) == sum(theirs_calls)


OPTIONS: list[dict[str, Any]] = [
    {"m": 3},
    {"factr": 1e12},
    {"pgtol": 0.1},
    {"max_iters": 0},
    {"max_iters": 4},
    {"max_line_search": 3},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_options_mean_the_same(options: dict[str, Any]) -> None:
    x, _, nit = theirs(rosenbrock, starts(6), bounds=BOUNDS["box"], **options)
    our_x, _, our_nit = ours(rosenbrock, starts(6), bounds=BOUNDS["box"], **options)
    np.testing.assert_allclose(our_x, x, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(our_nit, nit)


def test_a_start_that_fails_disturbs_no_other() -> None:
    def broken(x: Any, lanes: Any) -> Any:
        f, g = rosenbrock(x)
        f[np.array(lanes) == 1] = np.nan
        return f, g

    x, _, _ = theirs(rosenbrock, starts(4))
    our_x, our_f, nit = ours(broken, starts(4), (range(4),))
    np.testing.assert_allclose(our_x[[0, 2, 3]], x[[0, 2, 3]], rtol=1e-6)
    assert np.isnan(our_f[1])
    assert nit[1] == 0


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of starts of the batches that Optuna has had from us."""
    sizes: list[int] = []

    def batch(x0: Any, *args: Any, **options: Any) -> Batch:
        sizes.append(len(x0))
        return Batch(x0, *args, **options)

    monkeypatch.setattr("optdriver.integrations.optuna.Batch", batch)
    return sizes


def mixed(trial: optuna.Trial) -> float:
    x = [trial.suggest_float(f"x{i}", -5, 5) for i in range(2)]
    k = trial.suggest_int("k", 1, 40)
    kind = trial.suggest_categorical("kind", ["plain", "offset"])
    waves = sum((t - 1) ** 2 + 0.5 * float(np.sin(3 * t)) for t in x)
    return waves + 0.01 * (k - 12) ** 2 + (kind == "offset")


def study(inside: AbstractContextManager[None], trials: int = 15) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.GPSampler(seed=3, n_startup_trials=6)
    made = optuna.create_study(sampler=sampler)
    with inside:
        made.optimize(mixed, n_trials=trials)
    return made


def test_gp_sampler_suggests_the_same_trials(batches: list[int]) -> None:
    before = study(nullcontext())
    assert batches == []
    inside = study(installed())
    assert len(batches) >= 9
    assert max(batches) == 10
    for a, b in zip(before.trials, inside.trials, strict=True):
        assert (a.params["kind"], a.params["k"]) == (b.params["kind"], b.params["k"])
        for name in ("x0", "x1"):
            assert b.params[name] == pytest.approx(a.params[name], abs=1e-6)
        assert b.value == pytest.approx(a.value, abs=1e-5)


def test_optunas_function_is_back_after_the_block() -> None:
    """Also where its lazy import has copied it."""
    assert home.batched_lbfgsb is theirs
    with installed():
        assert home.batched_lbfgsb is ours
        assert optim_mixed.batched_lbfgsb.batched_lbfgsb is ours
    assert home.batched_lbfgsb is theirs
    assert optim_mixed.batched_lbfgsb.batched_lbfgsb is theirs


def test_optunas_function_is_back_after_an_error() -> None:
    def broken(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0, 1)
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"), installed():
        optuna.create_study().optimize(broken, n_trials=1)
    assert optim_mixed.batched_lbfgsb.batched_lbfgsb is theirs


def test_wrong_input_is_an_error_with_both() -> None:
    wrong: list[dict[str, Any]] = [
        {"x0_batched": np.zeros(2)},
        {"bounds": [(0, 1)]},
        {"bounds": [(1, 0)] * 4},
        {"batched_args": ([1],)},
        {"max_line_search": 0},
    ]
    for changed in wrong:
        arguments = {"func_and_grad": rosenbrock, "x0_batched": starts(3)} | changed
        for run, kinds in ((theirs, (ValueError, AssertionError)), (ours, ValueError)):
            with pytest.raises(kinds):
                run(**arguments)
