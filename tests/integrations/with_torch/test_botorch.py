"""Our drop-in beside BoTorch's own function, on plain objectives and inside the real BoTorch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from botorch.acquisition import (
    LogExpectedImprovement,
    UpperConfidenceBound,
    qLogExpectedImprovement,
)
from botorch.exceptions.errors import OptimizationGradientError
from botorch.fit import fit_gpytorch_mll
from botorch.generation import gen, gen_candidates_scipy
from botorch.models import SingleTaskGP
from botorch.models.transforms.outcome import Standardize
from botorch.optim import batched_lbfgs_b, optimize_acqf
from gpytorch.mlls import ExactMarginalLogLikelihood

from optdriver.batch import Batch
from optdriver.integrations.botorch import fmin_l_bfgs_b_batched, installed
from tests.integrations.batched_problems import BOUNDS, FUNCTIONS, rosenbrock, starts

theirs = batched_lbfgs_b.fmin_l_bfgs_b_batched
ours = fmin_l_bfgs_b_batched

Seen = list[tuple[list[int], Any]]


def recorded(fun: Callable[[Any], Any], seen: Seen) -> Callable[..., Any]:
    def func(x: Any, *, batch_indices: list[int]) -> Any:
        seen.append((batch_indices, x.copy()))
        return fun(x)

    return func


def test_the_arguments_and_their_defaults_are_botorchs() -> None:
    a, b = (inspect.signature(f).parameters.values() for f in (theirs, ours))
    assert [(p.name, p.default, p.kind) for p in a] == [(p.name, p.default, p.kind) for p in b]


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
@pytest.mark.parametrize("fun", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("count", [1, 12])
def test_the_same_minima_by_the_same_way(count: int, fun: Any, bounds: Any) -> None:
    x0 = starts(count)
    seen: tuple[Seen, Seen] = [], []
    x, f, results = theirs(recorded(fun, seen[0]), x0, bounds, pass_batch_indices=True)
    our_x, our_f, our_results = ours(recorded(fun, seen[1]), x0, bounds, pass_batch_indices=True)
    for (a, points), (b, our_points) in zip(seen[0][:2], seen[1][:2], strict=True):
        assert a == b
        np.testing.assert_allclose(our_points, points, rtol=0, atol=1e-8)
    assert (our_x.shape, our_x.dtype, our_f.dtype) == (x.shape, x.dtype, f.dtype)
    np.testing.assert_allclose(our_x, x, rtol=0, atol=1e-6)
    np.testing.assert_allclose(our_f, f, rtol=0, atol=1e-11)
    for a, b in zip(results, our_results, strict=True):
        assert (a.success, a.status, a.message) == (b.success, b.status, b.message)
        assert abs(a.nfev - b.nfev) <= 2
    assert sum(b.nfev for b in our_results) <= 1.01 * sum(a.nfev for a in results)


def test_the_results_have_botorchs_fields() -> None:
    _, _, (theirs_, *_) = theirs(rosenbrock, starts(3), BOUNDS["half"])
    our_x, our_f, results = ours(rosenbrock, starts(3), BOUNDS["half"])
    assert type(results) is list
    for i, one in enumerate(results):
        assert set(one) == set(theirs_)
        assert type(one) is type(theirs_)
        assert {k: type(one[k]) for k in one if k != "hess_inv"} == {
            k: type(theirs_[k]) for k in theirs_ if k != "hess_inv"
        }
        np.testing.assert_array_equal(one.x, our_x[i])
        assert one.fun == our_f[i] == rosenbrock(one.x[None])[0][0]
        np.testing.assert_array_equal(one.jac, rosenbrock(one.x[None])[1][0])


@pytest.mark.parametrize("maxiter", [0, 1, 3])
def test_the_limit_of_iterations_is_counted_and_said_alike(maxiter: int) -> None:
    x, f, results = theirs(rosenbrock, starts(5), maxiter=maxiter)
    our_x, our_f, our_results = ours(rosenbrock, starts(5), maxiter=maxiter)
    np.testing.assert_allclose(our_x, x, rtol=1e-9)
    np.testing.assert_allclose(our_f, f, rtol=1e-9)
    for a, b in zip(results, our_results, strict=True):
        fields = ("nit", "nfev", "status", "success", "message")
        assert [a[k] for k in fields] == [b[k] for k in fields]


OPTIONS = [
    {"maxcor": 3},
    {"factr": 1e12},
    {"factr": None, "ftol": 1e-3},
    {"pgtol": 0.1},
    {"tol": 0.1, "pgtol": 1e-9},
    {"maxls": 3},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_options_mean_the_same(options: dict[str, Any]) -> None:
    x, _, results = theirs(rosenbrock, starts(6), BOUNDS["box"], **options)
    our_x, _, our_results = ours(rosenbrock, starts(6), BOUNDS["box"], **options)
    np.testing.assert_allclose(our_x, x, rtol=0, atol=1e-6)
    assert [r.nit for r in our_results] == [r.nit for r in results]
    assert [r.message for r in our_results] == [r.message for r in results]


def test_the_callback_sees_the_same_iterates_in_the_same_order() -> None:
    seen: tuple[list[Any], list[Any]] = [], []
    for run, iterates in ((theirs, seen[0]), (ours, seen[1])):
        run(rosenbrock, starts(3), maxiter=6, callback=iterates.append)
    np.testing.assert_allclose(seen[1], seen[0], rtol=1e-9)


def test_the_callback_may_want_the_value_too() -> None:
    def gather(into: list[Any]) -> Callable[..., None]:
        def callback(*, intermediate_result: Any) -> None:
            into.append([*intermediate_result.x, intermediate_result.fun])

        return callback

    seen: tuple[list[Any], list[Any]] = [], []
    for run, iterates in ((theirs, seen[0]), (ours, seen[1])):
        run(rosenbrock, starts(3), maxiter=6, callback=gather(iterates))
    np.testing.assert_allclose(seen[1], seen[0], rtol=1e-9)


def test_the_callback_ends_the_run_from_one_start_only() -> None:
    def callback(x: Any) -> None:
        if x[0] < 0:
            raise StopIteration

    x0 = np.array([[-1.2, 1.0], [0.5, 0.5], [-3.0, 2.0]])
    x, f, results = theirs(rosenbrock, x0, callback=callback)
    our_x, our_f, our_results = ours(rosenbrock, x0, callback=callback)
    np.testing.assert_allclose(our_x, x, rtol=1e-6)
    np.testing.assert_allclose(our_f, f, rtol=1e-6, atol=1e-12)
    for a, b in zip(results, our_results, strict=True):
        fields = ("nit", "nfev", "status", "success", "message")
        assert [a[k] for k in fields] == [b[k] for k in fields]
    assert {r.status for r in results} == {0, 2}


def test_a_halt_in_the_last_iteration_is_reported_as_botorch_does() -> None:
    def callback(x: Any) -> None:
        raise StopIteration

    for options in ({"maxiter": 1}, {"pgtol": 1e3}):
        _, _, results = theirs(rosenbrock, starts(2), callback=callback, **options)
        _, _, our_results = ours(rosenbrock, starts(2), callback=callback, **options)
        for a, b in zip(results, our_results, strict=True):
            assert (a.status, a.success, a.message) == (b.status, b.success, b.message)


def test_an_error_in_the_callback_or_the_objective_comes_out() -> None:
    def fail(*arguments: Any) -> None:
        raise ArithmeticError("mine")

    for options in ({"func": fail}, {"func": rosenbrock, "callback": fail}):
        for run in (theirs, ours):
            with pytest.raises(ArithmeticError, match="mine"):
                run(x0=starts(2), **options)


@pytest.mark.parametrize("which", [0, 1])
def test_a_start_that_fails_disturbs_no_other(which: int) -> None:
    """Of a start without any value ours says that it has failed; theirs may do anything."""

    def broken(x: Any, *, batch_indices: list[int]) -> Any:
        told = rosenbrock(x)
        told[which][[i for i, lane in enumerate(batch_indices) if lane == 1]] = np.nan
        return told

    x, _, _ = theirs(rosenbrock, starts(4))
    our_x, our_f, results = ours(broken, starts(4), pass_batch_indices=True)
    others = [0, 2, 3]
    np.testing.assert_allclose(our_x[others], x[others], rtol=1e-6)
    np.testing.assert_array_equal(our_x[1], starts(4)[1])
    assert np.isnan(our_f[1])
    assert (results[1].status, results[1].success, results[1].nit) == (2, False, 0)
    assert all(results[i].success for i in others)


def test_values_of_float32_are_taken_as_by_botorch() -> None:
    def single(x: Any) -> Any:
        return tuple(part.astype(np.float32) for part in rosenbrock(x))

    x0 = starts(4)
    x, f, _ = theirs(single, x0)
    our_x, our_f, _ = ours(single, x0)
    np.testing.assert_allclose(our_f, f, atol=1e-4)
    assert our_x.dtype == x.dtype


def mixture(d: int, outputs: int = 1) -> SingleTaskGP:
    generator = torch.Generator().manual_seed(d)
    x = torch.rand(12 + 2 * d, d, dtype=torch.double, generator=generator)
    y = [
        -((x - 0.4 + 0.1 * k) ** 2).sum(-1) + 0.3 * torch.sin(7 * x).sum(-1) for k in range(outputs)
    ]
    return SingleTaskGP(x, torch.stack(y, dim=-1), outcome_transform=Standardize(outputs))


@pytest.fixture(scope="module")
def model() -> SingleTaskGP:
    made = mixture(3)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(made.likelihood, made))
    return made


BOX = torch.tensor([[0.0] * 3, [1.0] * 3], dtype=torch.double)
FIXED = [0.0, 0.25, 0.5, 0.75, 1.0]
ACQUISITIONS = {
    "logEI": (lambda m: LogExpectedImprovement(m, 0.1), 1),
    "UCB": (lambda m: UpperConfidenceBound(m, 2.0), 1),
    "qLogEI": (lambda m: qLogExpectedImprovement(m, 0.1), 2),
}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of starts of the batches that BoTorch has had from us."""
    sizes: list[int] = []

    def batch(x0: Any, *args: Any, **options: Any) -> Batch:
        sizes.append(len(x0))
        return Batch(x0, *args, **options)

    monkeypatch.setattr("optdriver.integrations.botorch.Batch", batch)
    return sizes


def optimised(kind: str, model: SingleTaskGP, inside: AbstractContextManager[None]) -> Any:
    make, q = ACQUISITIONS[kind]
    torch.manual_seed(5)
    with inside:
        return optimize_acqf(
            make(model), BOX, q=q, num_restarts=6, raw_samples=32, return_best_only=False
        )


@pytest.mark.parametrize("kind", ACQUISITIONS)
def test_optimize_acqf_gives_the_same_candidates(
    kind: str, model: SingleTaskGP, batches: list[int]
) -> None:
    x, f = optimised(kind, model, nullcontext())
    assert batches == []
    our_x, our_f = optimised(kind, model, installed())
    assert batches == [6]
    torch.testing.assert_close(our_x, x, rtol=0, atol=1e-6)
    torch.testing.assert_close(our_f, f, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {"lower_bounds": 0.0, "upper_bounds": 1.0},
        {"lower_bounds": BOX[0], "upper_bounds": BOX[1]},
        {"lower_bounds": BOX[0], "options": {"maxiter": 4}},
        {"upper_bounds": 1.0, "fixed_features": {1: 0.25}},
        {
            "lower_bounds": 0.0,
            "upper_bounds": 1.0,
            "fixed_features": {1: torch.linspace(0, 1, 5).double()},
        },
        {"lower_bounds": 0.0, "upper_bounds": 1.0, "use_parallel_mode": True},
    ],
    ids=["numbers", "tensors", "one side, few iterations", "fixed", "fixed one by one", "forced"],
)
def test_gen_candidates_scipy_gives_the_same(
    options: dict[str, Any], model: SingleTaskGP, batches: list[int]
) -> None:
    x0 = torch.rand(5, 2, 3, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    acquisition = qLogExpectedImprovement(model, 0.1)
    results = []
    for inside in (nullcontext(), installed()):
        torch.manual_seed(4)
        with inside:
            results.append(gen_candidates_scipy(x0, acquisition, **options))
    assert batches == [5]
    for theirs_, ours_ in zip(*results, strict=True):
        torch.testing.assert_close(ours_, theirs_, rtol=0, atol=1e-6)


def test_a_model_of_several_outputs_is_fitted_to_the_same_parameters(batches: list[int]) -> None:
    """BoTorch imports its function anew, by name, for every fit of this kind."""
    fitted = []
    for inside in (nullcontext(), installed()):
        made = mixture(2, outputs=3)
        with inside:
            fit_gpytorch_mll(ExactMarginalLogLikelihood(made.likelihood, made))
        fitted.append({name: p.detach() for name, p in made.named_parameters()})
    assert batches == [3]
    torch.testing.assert_close(fitted[1], fitted[0], rtol=1e-4, atol=1e-4)


def test_botorchs_function_is_back_after_the_block() -> None:
    with installed():
        assert gen.fmin_l_bfgs_b_batched is ours
        assert batched_lbfgs_b.fmin_l_bfgs_b_batched is ours
    assert gen.fmin_l_bfgs_b_batched is theirs
    assert batched_lbfgs_b.fmin_l_bfgs_b_batched is theirs


def test_botorchs_own_shortcut_for_tests_works_inside(
    model: SingleTaskGP, batches: list[int]
) -> None:
    """It exchanges the same function, and holds it by a name of its own."""
    from botorch.test_utils import mock

    with installed():
        with mock.mock_optimize_context_manager():
            optimised("logEI", model, nullcontext())
        assert gen.fmin_l_bfgs_b_batched is ours
    assert batches
    assert mock.fmin_l_bfgs_b_batched is gen.fmin_l_bfgs_b_batched is theirs


def test_an_error_of_the_acquisition_function_comes_out(model: SingleTaskGP) -> None:
    class Broken(UpperConfidenceBound):
        def forward(self, X: Any) -> Any:
            return super().forward(X) * float("nan")

    with pytest.raises(OptimizationGradientError), installed():
        gen_candidates_scipy(torch.rand(2, 1, 3).double(), Broken(model, 2.0))
    assert gen.fmin_l_bfgs_b_batched is theirs
