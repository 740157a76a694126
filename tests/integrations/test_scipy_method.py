"""`scipy.optimize.minimize(method=scipy_method)`: SciPy's conventions, field by field."""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import (
    Bounds,
    OptimizeResult,
    OptimizeWarning,
    basinhopping,
    dual_annealing,
    minimize,
    rosen,
    rosen_der,
)

from optdriver.errors import InputError
from optdriver.integrations.scipy_method import scipy_method
from optdriver.lbfgsb import Stop

X0 = np.array([-1.2, 1.0, 0.3, 0.1])
BOX = [(-2.0, -0.8), (None, 3.0), (0.0, None), (None, None)]
PG = "CONVERGENCE: NORM OF PROJECTED GRADIENT <= PGTOL"
REDUCTION = "CONVERGENCE: RELATIVE REDUCTION OF F <= FACTR*EPSMCH"
MAXFUN = "STOP: TOTAL NO. OF F,G EVALUATIONS EXCEEDS LIMIT"
MAXITER = "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT"
STOPPED = "`callback` raised `StopIteration`."


def both(x: np.ndarray) -> tuple[float, np.ndarray]:
    return rosen(x), rosen_der(x)


def ours(fun: Any = rosen, x0: Any = X0, **given: Any) -> OptimizeResult:
    return minimize(fun, x0, method=scipy_method, **given)


class Counted:
    """An objective that notes where it was called."""

    def __init__(self, fun: Any = rosen) -> None:
        self.fun = fun
        self.points: list[np.ndarray] = []

    def __call__(self, x: np.ndarray) -> Any:
        self.points.append(x)
        return self.fun(x)


# --- results ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [None, BOX])
@pytest.mark.parametrize("jac", [rosen_der, None])
@pytest.mark.parametrize("options", [{}, {"gtol": 1e-3, "ftol": 0.0}, {"maxiter": 4}])
def test_the_run_and_its_report_are_scipys(bounds: Any, jac: Any, options: Any) -> None:
    given = {"jac": jac, "bounds": bounds, "options": options}
    peer = minimize(rosen, X0, method="L-BFGS-B", **given)
    result = ours(**given)
    assert set(peer) <= set(result)
    for name in ("status", "success", "message", "nfev", "njev", "nit"):
        assert result[name] == peer[name], name
    assert type(result.success) is bool
    np.testing.assert_allclose(result.x, peer.x, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(result.fun, peer.fun, rtol=1e-8, atol=1e-12)
    assert result.jac.shape == X0.shape
    assert result.hess_inv.todense().shape == (4, 4)


def test_value_and_gradient_belong_to_the_point() -> None:
    result = ours(fun=both, jac=True, bounds=BOX, options={"maxiter": 3})
    assert result.fun == rosen(result.x)
    assert np.array_equal(result.jac, rosen_der(result.x))


def test_jac_true_calls_the_objective_once_an_evaluation() -> None:
    fun = Counted(both)
    result = ours(fun=fun, jac=True)
    assert len(fun.points) == result.nfev == result.njev
    direct = scipy_method(both, X0, jac=True)
    assert np.array_equal(direct.x, result.x)
    assert direct.nfev == result.nfev


def test_arguments_are_passed_on() -> None:
    shift = lambda x, a, b: np.sum((x - a) ** 2) + b  # noqa: E731
    slope = lambda x, a, b: 2 * (x - a)  # noqa: E731
    result = ours(fun=shift, x0=[0.0, 0.0], args=(3.0, 1.0), jac=slope)
    assert np.allclose(result.x, 3.0)
    assert result.fun == pytest.approx(1.0)
    single = scipy_method(lambda x, a: np.sum((x - a) ** 2), [0.0], args=2.0)
    assert np.allclose(single.x, 2.0)


def test_a_number_is_a_start_in_one_dimension() -> None:
    result = ours(fun=lambda x: np.sum(x**2), x0=17, bounds=[(-100, 100)])
    assert result.success
    assert result.x.shape == (1,)


# --- statuses and messages ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "status", "message", "stop"),
    [
        ({"ftol": 0.0}, 0, PG, Stop.PROJECTED_GRADIENT),
        ({"gtol": 0.0}, 0, REDUCTION, Stop.REDUCTION),
        ({"maxfun": 5}, 1, MAXFUN, Stop.MAX_EVALUATIONS),
        ({"maxiter": 5}, 1, MAXITER, Stop.MAX_ITERATIONS),
        ({"maxiter": 4.1}, 1, MAXITER, Stop.MAX_ITERATIONS),
    ],
)
def test_endings(options: Any, status: int, message: str, stop: Stop) -> None:
    result = ours(jac=rosen_der, options=options)
    assert (result.status, result.message, result.stop) == (status, message, stop)
    assert result.success == (status == 0)
    assert result.nit == 5 or stop is not Stop.MAX_ITERATIONS


def test_a_wrong_gradient_ends_abnormally_with_the_best_point() -> None:
    result = ours(fun=lambda x: (x[0] - 1) ** 2, x0=[2.0], jac=lambda x: -2 * (x - 1) - 2)
    assert result.status == 2
    assert not result.success
    assert result.message.startswith("ABNORMAL: ")
    assert result.fun == (result.x[0] - 1) ** 2 <= 1.0


@pytest.mark.parametrize("jac", [rosen_der, None])
def test_a_start_that_cannot_be_evaluated_is_no_success(jac: Any) -> None:
    fun = Counted(lambda x: math.nan)
    result = ours(fun=fun, jac=jac)
    assert not result.success
    assert result.status == 2
    assert np.array_equal(result.x, X0)
    assert math.isnan(result.fun)
    assert np.isnan(result.jac).all()
    assert result.nfev == len(fun.points) == result.nfail
    assert result.njev == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("jac", [rosen_der, None])
@pytest.mark.parametrize("position", range(2, 30, 3))
def test_one_bad_value_does_not_keep_a_run_from_the_minimum(
    bad: float, jac: Any, position: int
) -> None:
    calls = iter(range(1, 10**6))
    result = ours(fun=lambda x: bad if next(calls) == position else rosen(x), x0=X0[:3], jac=jac)
    assert result.success
    assert result.message in (PG, REDUCTION)
    assert result.fun < 1e-8
    assert np.isfinite(result.x).all()


def test_a_run_that_fails_too_often_says_why() -> None:
    result = ours(fun=lambda x: math.nan)
    assert result.message == f"{Stop.FAILED.message}: the objective is nan"


@given(
    x0=st.lists(st.floats(-2.0, 2.0), min_size=4, max_size=4),
    sides=st.lists(st.tuples(st.floats(-2.0, 1.0), st.floats(0.0, 2.0)), min_size=4, max_size=4),
    bad=st.sets(st.integers(6, 80)),  # after the start and its differences, which are needed
    jac=st.sampled_from([rosen_der, None]),
)
def test_no_point_outside_and_the_best_is_returned(
    x0: list[float], sides: list[tuple[float, float]], bad: set[int], jac: Any
) -> None:
    lower = np.array([low for low, _ in sides])
    upper = np.array([low + width for low, width in sides])
    fun = Counted()
    fun.fun = lambda x: math.nan if len(fun.points) in bad else rosen(x)
    result = ours(fun=fun, x0=x0, jac=jac, bounds=Bounds(lower, upper), options={"maxfun": 120})
    assert all(np.all(lower <= point) and np.all(point <= upper) for point in fun.points)
    assert len(fun.points) == result.nfev <= 120
    assert result.fun == rosen(result.x)
    assert result.fun <= rosen(np.clip(x0, lower, upper))


# --- SciPy's global methods as clients ----------------------------------------------------------


def test_basinhopping_runs_on_our_method() -> None:
    kwargs = {"method": scipy_method, "jac": rosen_der}
    result = basinhopping(rosen, X0, niter=3, minimizer_kwargs=kwargs, rng=1)
    assert result.lowest_optimization_result.stop.success
    assert result.success


def test_dual_annealing_runs_on_our_method() -> None:
    kwargs = {"method": scipy_method, "bounds": [(-2.0, 2.0)] * 2}
    result = dual_annealing(rosen, [(-2.0, 2.0)] * 2, maxiter=10, minimizer_kwargs=kwargs, rng=1)
    assert result.success
    assert result.fun < 1e-6


# --- the limit of calls -------------------------------------------------------------------------


@given(
    maxfun=st.integers(9, 120),
    scheme=st.sampled_from(["2-point", "3-point", "cs", None, rosen_der, True]),
)
def test_no_call_beyond_maxfun(maxfun: int, scheme: Any) -> None:
    fun = Counted(both if scheme is True else rosen)
    result = scipy_method(fun, X0, jac=scheme, maxfun=maxfun)
    assert len(fun.points) == result.nfev <= maxfun
    if result.message == MAXFUN:
        cost = {"3-point": 9, rosen_der: 1, True: 1}.get(scheme, 5)
        assert result.nfev + cost > maxfun
        assert (result.status, result.success) == (1, False)
        assert result.fun == rosen(result.x)


def test_a_limit_too_small_for_one_evaluation_is_refused() -> None:
    with pytest.raises(InputError, match=r"maxfun must be at least 5.*got 4"):
        ours(options={"maxfun": 4})
    with pytest.raises(InputError, match=r"maxfun must be at least 1.*got 0"):
        ours(jac=rosen_der, options={"maxfun": 0})
    with pytest.raises(InputError, match=r"maxfun must be at least 1.*got nan"):
        ours(jac=rosen_der, options={"maxfun": math.nan})


# --- differences --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["2-point", "3-point", "cs"])
def test_schemes_take_scipys_path(scheme: str) -> None:
    fun, twin = Counted(), Counted()
    options = {"ftol": 1e-6}
    peer = minimize(fun, X0, jac=scheme, method="L-BFGS-B", options=options)
    result = ours(fun=twin, options={"finite_diff_scheme": scheme, **options})
    assert (result.nfev, result.njev, result.nit) == (peer.nfev, peer.njev, peer.nit)
    for a, b in zip(twin.points[:30], fun.points[:30], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7)
    assert np.array_equal(scipy_method(rosen, X0, jac=scheme, **options).x, result.x)


def test_a_relative_step_means_relative_differences() -> None:
    fun = Counted()
    ours(fun=fun, options={"finite_diff_rel_step": 2.0**-10, "maxiter": 1})
    steps = [np.max(point - X0) or np.min(point - X0) for point in fun.points[1:5]]
    assert steps == pytest.approx(list(X0 * 2.0**-10))


def test_eps_is_the_absolute_step() -> None:
    fun = Counted()
    ours(fun=fun, options={"eps": 2.0**-12, "maxiter": 1})
    assert [np.max(point - X0) for point in fun.points[1:5]] == (pytest.approx([2.0**-12] * 4))


@pytest.mark.parametrize("scheme", ["2-point", "3-point", None])
def test_differences_respect_the_bounds(scheme: str | None) -> None:
    fun = Counted()
    ours(fun=fun, x0=[-0.8, 3.0, 0.0, 2.0], bounds=BOX, options={"finite_diff_scheme": scheme})
    points = np.array(fun.points)
    assert np.all(points[:, 0] <= -0.8)
    assert np.all(points[:, 1] <= 3.0)
    assert np.all(points[:, 2] >= 0.0)


@pytest.mark.parametrize("options", [{"eps": math.nan}, {"eps": [1.0, 2.0]}, {"eps": "big"}])
def test_steps_that_cannot_be_used_are_refused(options: Any) -> None:
    with pytest.raises(InputError, match="abs_step must be"):
        ours(options=options)


# --- workers ------------------------------------------------------------------------------------


def test_a_map_evaluates_the_differences() -> None:
    serial = ours()
    with ThreadPoolExecutor(2) as pool:
        result = ours(options={"workers": pool.map})
    assert np.array_equal(result.x, serial.x)
    assert result.nfev == serial.nfev


# Other threads of this process, of a BLAS for one, do not touch what the pool's processes do.
@pytest.mark.filterwarnings("ignore:This process .*multi-threaded:DeprecationWarning")
def test_a_number_of_workers_starts_a_pool() -> None:
    given = {"options": {"workers": 2, "maxiter": 2}}
    assert np.array_equal(ours(**given).x, ours(options={"maxiter": 2}).x)
    assert np.array_equal(ours(options={"workers": 1, "maxiter": 2}).x, ours(**given).x)


@pytest.mark.parametrize("workers", [0, -2, 1.5, "two"])
def test_unusable_workers_are_refused(workers: Any) -> None:
    with pytest.raises(InputError, match="workers must be a map-like"):
        ours(options={"workers": workers})


# --- callbacks ----------------------------------------------------------------------------------


def test_a_callback_of_the_old_convention_gets_the_iterate() -> None:
    seen: list[np.ndarray] = []
    result = ours(jac=rosen_der, callback=lambda xk: seen.append(xk))
    assert len(seen) == result.nit
    assert len({id(x) for x in seen}) == len(seen)
    assert np.array_equal(seen[-1], result.x)
    peer: list[np.ndarray] = []
    minimize(rosen, X0, jac=rosen_der, method="L-BFGS-B", callback=lambda xk: peer.append(xk))
    for a, b in zip(seen, peer, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_callback_of_the_new_convention_gets_a_result() -> None:
    seen: list[OptimizeResult] = []

    def callback(*, intermediate_result: OptimizeResult) -> None:
        seen.append(intermediate_result)

    result = ours(jac=rosen_der, callback=callback)
    assert len(seen) == result.nit
    assert all(at.fun == rosen(at.x) for at in seen)
    values = [at.fun for at in seen]
    assert values == sorted(values, reverse=True)


def test_a_callback_without_a_signature_gets_the_iterate() -> None:
    seen: dict[str, Any] = {}
    with pytest.raises(TypeError, match="cannot convert dictionary update sequence"):
        ours(jac=rosen_der, callback=seen.update)  # dict.update was given an array


def test_a_callback_may_spoil_what_it_gets() -> None:
    def spoil(xk: np.ndarray) -> None:
        xk[:] = np.nan

    assert np.array_equal(ours(jac=rosen_der, callback=spoil).x, ours(jac=rosen_der).x)


@pytest.mark.parametrize("at", [1, 5])
def test_stop_iteration_ends_the_run_as_maxiter_would(at: int) -> None:
    count = []

    def callback(xk: np.ndarray) -> None:
        count.append(xk)
        if len(count) == at:
            raise StopIteration

    fun = Counted()
    result = ours(fun=fun, jac=rosen_der, callback=callback)
    limited = ours(jac=rosen_der, options={"maxiter": at})
    assert (result.status, result.success, result.message) == (99, False, STOPPED)
    assert result.nit == limited.nit == at
    assert np.array_equal(result.x, limited.x)
    assert result.nfev == limited.nfev == len(fun.points)
    peer = minimize(rosen, X0, jac=rosen_der, method="L-BFGS-B", callback=_stop_at_once)
    assert (peer.status, peer.success, peer.message) == (99, False, STOPPED)


def _stop_at_once(xk: np.ndarray) -> None:
    raise StopIteration


def test_stop_iteration_at_the_last_iterate_is_no_success() -> None:
    nit = ours(jac=rosen_der).nit
    count = iter(range(1, nit + 1))

    def callback(xk: np.ndarray) -> None:
        if next(count) == nit:
            raise StopIteration

    result = ours(jac=rosen_der, callback=callback)
    assert (result.nit, result.status, result.success) == (nit, 99, False)


def test_what_the_user_raises_is_not_touched() -> None:
    def fun(x: np.ndarray) -> float:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ours(fun=fun)
    with pytest.raises(ZeroDivisionError):
        ours(jac=rosen_der, callback=lambda xk: 1 / 0)


# --- bounds and fixed variables -----------------------------------------------------------------


@pytest.mark.parametrize(
    "bounds",
    [
        BOX,
        tuple(BOX),
        zip(*zip(*BOX, strict=True), strict=True),
        np.array([(-2.0, -0.8), (-np.inf, 3.0), (0.0, np.inf), (-np.inf, np.inf)]),
        Bounds([-2.0, -np.inf, 0.0, -np.inf], [-0.8, 3.0, np.inf, np.inf]),
    ],
    ids=["list", "tuple", "iterator", "array", "Bounds"],
)
def test_every_form_of_bounds_is_the_same(bounds: Any) -> None:
    fun = Counted()
    result = ours(fun=fun, jac=rosen_der, bounds=bounds)
    assert np.array_equal(result.x, ours(jac=rosen_der, bounds=BOX).x)
    assert result.x[0] == -0.8
    assert all(point[0] <= -0.8 and point[2] >= 0.0 for point in fun.points)


def test_one_number_bounds_all_variables() -> None:
    assert np.all(ours(jac=rosen_der, bounds=Bounds(-1.0, 0.5)).x <= 0.5)


def test_a_start_outside_is_moved_inside() -> None:
    fun = Counted()
    ours(fun=fun, x0=np.full(4, 9.0), jac=rosen_der, bounds=[(0.0, 1.0)] * 4)
    assert np.array_equal(fun.points[0], np.ones(4))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([(0.0, 1.0)] * 3, "bounds has 3 entries.*4 variables"),
        ([(1.0, 0.0)] * 4, r"variable 0 .*\(1.0, 0.0\)"),
        ([(math.nan, 0.0)] * 4, "variable 0.*nan"),
        ([(0.0, 1.0, 2.0)] * 4, r"shape \(4, 3\)"),
    ],
)
def test_unusable_bounds_are_refused(bounds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ours(jac=rosen_der, bounds=bounds)


@pytest.mark.parametrize("jac", [rosen_der, None])
def test_fixed_variables(jac: Any) -> None:
    bounds = [(-2.0, 2.0), (0.7, 0.7), (-2.0, 2.0), (None, None)]
    fun = Counted()
    result = ours(fun=fun, jac=jac, bounds=bounds)
    peer = minimize(rosen, X0, jac=rosen_der, bounds=bounds, method="L-BFGS-B")
    assert result.success
    assert result.nfev == len(fun.points)
    assert all(point[1] == 0.7 for point in fun.points)
    np.testing.assert_allclose(result.x, peer.x, rtol=1e-4)
    assert np.isnan(result.jac).tolist() == [False, jac is None, False, False]


@pytest.mark.parametrize("jac", [rosen_der, None])
def test_all_variables_fixed(jac: Any) -> None:
    fun = Counted()
    bounds = [(0.5, 0.5)] * 4
    result = ours(fun=fun, jac=jac, bounds=bounds)
    peer = minimize(rosen, X0, jac=jac, bounds=bounds, method="L-BFGS-B")
    assert result.success == peer.success is True
    assert result.message == peer.message
    assert result.fun == peer.fun
    assert np.array_equal(result.x, peer.x)
    assert len(fun.points) == result.nfev == 1


# --- options and errors -------------------------------------------------------------------------


@given(tol=st.floats(1e-8, 1e-2))
def test_tol_sets_both_tolerances_unless_they_are_given(tol: float) -> None:
    result = ours(jac=rosen_der, tol=tol)
    twin = ours(jac=rosen_der, options={"ftol": tol, "gtol": tol})
    assert np.array_equal(result.x, twin.x)
    given = ours(jac=rosen_der, tol=1e-1, options={"ftol": tol, "gtol": tol})
    assert np.array_equal(given.x, twin.x)


def test_an_unknown_option_is_warned_of_with_the_nearest() -> None:
    with pytest.warns(OptimizeWarning, match="Unknown solver options: maxitr .*'maxiter'") as seen:
        ours(jac=rosen_der, options={"maxitr": 3})
    assert seen[0].filename == __file__


@pytest.mark.parametrize("name", ["disp", "iprint"])
def test_deprecated_options_are_taken_and_warned_of(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=name) as seen:
        result = ours(jac=rosen_der, options={name: 1})
    assert result.success
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hess": lambda x: np.eye(4)}, "Hessian"),
        ({"hessp": lambda x, p: p}, "Hessian"),
        ({"constraints": {"type": "ineq", "fun": lambda x: x[0]}}, "cannot handle constraints"),
    ],
)
def test_what_cannot_be_used_is_warned_of(given: Any, message: str) -> None:
    with pytest.warns(RuntimeWarning, match=message):
        ours(jac=rosen_der, **given)


def test_nothing_is_warned_of_otherwise() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours(bounds=BOX, constraints=(), tol=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"maxcor": 0},
        {"maxls": 0},
        {"ftol": -1.0},
        {"gtol": math.nan},
        {"maxiter": "many"},
        {"maxiter": -1},
        {"noise": -1.0},
        {"initial_step": 0.0},
        {"finite_diff_scheme": "5-point"},
    ],
)
def test_unusable_options_are_refused_by_name(options: Any) -> None:
    name = "5-point" if "finite_diff_scheme" in options else next(iter(options))
    with pytest.raises(InputError, match=name):
        ours(options=options)


def test_our_own_options_reach_the_minimizer() -> None:
    fun = Counted()
    first = ours(fun=fun, jac=rosen_der, options={"initial_step": 0.125})
    assert np.linalg.norm(fun.points[1] - fun.points[0]) == pytest.approx(0.125)
    again = ours(x0=first.x + 0.01, jac=rosen_der, options={"pairs": first.hess_inv.pairs})
    cold = ours(x0=first.x + 0.01, jac=rosen_der)
    assert again.success
    assert again.nfev != cold.nfev


@pytest.mark.parametrize("jac", ["4-point", 3, np.ones(4)])
def test_what_is_no_gradient_is_refused(jac: Any) -> None:
    with pytest.raises(ValueError, match=r"jac|4-point|ambiguous"):
        scipy_method(rosen, X0, jac=jac)


@pytest.mark.parametrize("gradient", [np.zeros(3), np.zeros((2, 2, 2)), None, "g", 1j * X0])
def test_unusable_gradients_are_refused(gradient: Any) -> None:
    with pytest.raises(InputError, match="gradient"):
        ours(jac=lambda x: gradient)


@pytest.mark.parametrize("x0", [[math.nan, 0.0], [1j, 0.0], ["a", "b"]])
def test_unusable_starts_are_refused(x0: Any) -> None:
    with pytest.raises(ValueError, match="x0"):
        scipy_method(rosen, x0, jac=rosen_der)
