"""Suspended methods against SciPy's own runs, and what they refuse."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from scipy.optimize import Bounds, minimize, rosen

import optdriver
from optdriver.coroutine import (
    METHODS,
    CallbackMinimizer,
    ReplayWarning,
    Stop,
    method_names,
    named,
)
from optdriver.coroutine import program as programs
from optdriver.errors import InputError, ProtocolError, UnknownOptionError
from tests.contracts.minimizer import equal, objective, plain

BOX = [(-1.5, 0.8), (-2.0, 2.0), (None, None)]
START = np.array([-0.5, 0.4, 0.3])
CONVEX = np.array([0.99, 0.98, 0.97])
OWN_HESSIAN = ("dogleg", "trust-exact")


def hessian(x):
    h = np.diag(np.append(1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0, 0.0))
    h += np.diag(np.append(0.0, np.full(x.size - 1, 200.0)))
    return h - np.diag(400.0 * x[:-1], 1) - np.diag(400.0 * x[:-1], -1)


def drive(opt):
    """Run to the end; return the points at which values were asked."""
    points = []
    while not opt.done:
        x = opt.ask()
        if opt.wanted == "value":
            points.append(x)
            opt.tell(*objective(x))
        else:
            h = hessian(x)
            opt.tell_hessian(h if opt.wanted == "hessian" else h @ opt.direction)
    return points


def called(method, bounds, start=START, **keywords):
    """Run SciPy's own; return the distinct points that it evaluated, and its result."""
    points = []

    def seen(x):
        if not any(np.array_equal(x, y) for y in points):
            points.append(x.copy())
        return objective(x)

    if named(method).gradient:
        keywords["jac"] = lambda x: seen(x)[1]
    if bounds is not None:
        lower, upper = CallbackMinimizer(method, START, bounds).bounds
        keywords["bounds"] = Bounds(lower, upper, keep_feasible=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = minimize(lambda x: seen(x)[0], start, method=method, **keywords)
    return points, result


CASES = [(m.name, None) for m in METHODS if m.name not in OWN_HESSIAN]
CASES += [(name, BOX) for name in method_names(bounds=True)]


@pytest.mark.parametrize(("method", "bounds"), CASES)
def test_the_points_are_those_of_scipy_bit_for_bit(method, bounds):
    if method == "Powell" and bounds is not None:
        bounds = [(-1.5, 1.8), (-2.0, 2.0), (-2.0, 2.0)]  # where its result is its best point
    keywords = {"hess": "2-point"} if method in ("trust-ncg", "trust-krylov") else {}
    options = {"maxiter": 40} if method in ("COBYLA", "COBYQA", "Powell", "trust-constr") else {}
    expected, result = called(method, bounds, options=options, **keywords)
    opt = CallbackMinimizer(method, START, bounds, **options)
    points = drive(opt)
    assert [x.tolist() for x in points] == [x.tolist() for x in expected]
    assert opt.result.success == result.success
    assert opt.result.fun <= result.fun
    assert opt.nit == result.get("nit", opt.nit)


@pytest.mark.parametrize(
    ("method", "form"), [(m.name, form) for m in METHODS for form in m.hessian]
)
def test_told_second_derivatives_give_the_points_of_scipy(method, form):
    second = {"matrix": {"hess": hessian}, "product": {"hessp": lambda x, p: hessian(x) @ p}}
    start = CONVEX if method == "dogleg" else START
    expected, _ = called(method, None, start, **second[form])
    opt = CallbackMinimizer(method, start, hessian=form)
    assert opt.needs == ("f", "g", {"matrix": "hessian", "product": "product"}[form])
    points = drive(opt)
    assert [x.tolist() for x in points] == [x.tolist() for x in expected]
    assert opt.nhev > 0
    twin = CallbackMinimizer(method, start, hessian=form)
    while not twin.done and len(twin.to_dict()["values"]) < 12:
        twin = CallbackMinimizer.from_dict(plain(twin.to_dict()))
        x = twin.ask()
        if twin.wanted == "value":
            twin.tell(*objective(x))
        else:
            h = hessian(x)
            twin.tell_hessian(h if twin.wanted == "hessian" else h @ twin.direction)
    drive(twin)
    assert equal(twin.to_dict(), opt.to_dict())


@pytest.mark.parametrize("method", OWN_HESSIAN)
def test_hessians_of_differences_lead_to_the_minimum(method):
    opt = CallbackMinimizer(method, [0.9, 0.8])
    drive(opt)
    assert opt.result.success
    np.testing.assert_allclose(opt.result.x, 1.0, atol=1e-3)


def test_many_methods_at_a_time_do_not_disturb_each_other():
    names = [name for name in method_names() if name not in ("trust-constr", "COBYLA")]
    alone = [CallbackMinimizer(name, START, maxfun=40) for name in names]
    together = [CallbackMinimizer(name, START, maxfun=40) for name in names]
    for opt in alone:
        drive(opt)
    while any(not opt.done for opt in together):
        for opt in together:
            if not opt.done:
                opt.tell(*objective(opt.ask()))
    for one, other in zip(alone, together, strict=True):
        assert equal(one.to_dict(), other.to_dict()), one.method


@pytest.mark.parametrize("method", ["SLSQP", "TNC", "Nelder-Mead", "COBYQA"])
def test_any_thread_may_go_on(method):
    alone = CallbackMinimizer(method, START, maxfun=25)
    drive(alone)
    opt = CallbackMinimizer(method, START, maxfun=25)
    while not opt.done:
        thread = threading.Thread(target=lambda: opt.tell(*objective(opt.ask())))
        thread.start()
        thread.join()
    assert equal(opt.to_dict(), alone.to_dict())


def test_several_threads_at_a_time():
    alone = CallbackMinimizer("TNC", START)
    drive(alone)
    opts = [CallbackMinimizer("TNC", START) for _ in range(4)]
    threads = [threading.Thread(target=drive, args=(opt,)) for opt in opts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for opt in opts:
        assert equal(opt.to_dict(), alone.to_dict())


# -- replays that go elsewhere


def begun(evaluations=6):
    opt = CallbackMinimizer("BFGS", START)
    for _ in range(evaluations):
        opt.tell(*objective(opt.ask()))
    return opt


def test_recorded_points_that_differ_by_rounding_count():
    data = begun().to_dict()
    data["points"][4] *= 1.0 + 1e-12
    opt = CallbackMinimizer.from_dict(data)
    with pytest.warns(ReplayWarning, match="differ from them by rounding"):
        opt.tell(*objective(opt.ask()))
    assert opt.nfev == 7
    assert opt.legs == 0


def test_a_replay_that_goes_elsewhere_starts_again_at_the_best_point():
    opt = begun()
    data = opt.to_dict()
    data["points"][4] += 0.1
    other = CallbackMinimizer.from_dict(data)
    with pytest.warns(ReplayWarning, match="starts again at the best point"):
        other.tell(*objective(other.ask()))
    assert (other.nfev, other.legs) == (7, 1)
    twin = CallbackMinimizer.from_dict(plain(other.to_dict()))
    drive(other)
    drive(twin)  # without a warning
    assert equal(twin.to_dict(), other.to_dict())
    assert other.result.success


# -- failures


@pytest.mark.parametrize("method", method_names(bounds=True))
def test_a_region_without_values_is_never_believed(method):
    """The objective fails beyond a line that the way to the minimum crosses."""
    most = 120 if method == "COBYQA" else 400
    opt = CallbackMinimizer(method, [-1.0, 1.0], [(-2, 2), (-2, 2)], maxfun=most)
    while not opt.done:
        x = opt.ask()
        if 0.2 < x[0] + x[1] < 0.4:
            opt.tell_failure("no value here")
        else:
            opt.tell(*objective(x))
    f, g = objective(opt.result.x)
    assert opt.result.fun == f
    if opt.result.success and named(method).gradient:
        assert np.max(np.abs(g)) < 0.05


def test_a_start_that_fails_twice_ends_the_run():
    opt = CallbackMinimizer("SLSQP", START)
    opt.tell_failure("power cut")
    np.testing.assert_array_equal(opt.ask(), START)
    opt.tell(math.nan, np.zeros(3))
    assert opt.stop is Stop.FAILED
    assert not opt.result.success


# -- what is refused


@pytest.mark.parametrize("method", [m.name for m in METHODS if not m.bounds])
def test_bounds_are_refused_where_they_would_be_left(method):
    with pytest.raises(InputError, match=r"does not keep to bounds.*'L-BFGS-B', 'SLSQP'"):
        CallbackMinimizer(method, [0.0, 0.0], [(None, None), (0, 1)])
    opt = CallbackMinimizer(method, [0.9, 0.8, 0.5], [(None, None), (None, None), (0.5, 0.5)])
    while not opt.done and opt.nfev < 30:
        x = opt.ask()
        assert x[2] == 0.5
        f, g = objective(x[:2])
        opt.tell(f, [*g, 1.0])


@pytest.mark.parametrize("method", ["TNC", "COBYQA"])
def test_where_all_is_fixed_one_evaluation_is_enough(method):
    opt = CallbackMinimizer(method, [0.0, 3.0], [(1, 1), (2, 2)])
    assert opt.ask().tolist() == [1.0, 2.0]
    opt.tell(5.0, [1.0, 1.0])
    assert opt.result.success
    assert opt.result.fun == 5.0


def test_a_constraint_that_is_a_bound_is_one_for_a_method_without_bounds_too():
    with pytest.raises(InputError, match="'BFGS' does not keep to bounds.*'L-BFGS-B'"):
        CallbackMinimizer("BFGS", [0.0], constraints=["x1 <= 1"])
    assert CallbackMinimizer("SLSQP", [0.0], constraints=["x1 <= 1"]).bounds[1] == 1.0
    CallbackMinimizer("BFGS", [0.0], constraints=())


@pytest.mark.parametrize(
    ("method", "options", "error", "message"),
    [
        ("Nelder-Mede", {}, InputError, "did you mean 'Nelder-Mead'"),
        (3, {}, InputError, "a string"),
        ("SLSQP", {"gtol": 1e-3}, UnknownOptionError, "known: ftol, maxiter"),
        ("BFGS", {"maxiter": 0}, InputError, "maxiter"),
        ("BFGS", {"maxfun": -1}, InputError, "maxfun"),
        ("BFGS", {"hessian": "matrix"}, InputError, "uses no Hessian"),
        ("dogleg", {"hessian": "product"}, InputError, "'matrix' or None"),
        ("BFGS", {"gtol": print}, InputError, "a number"),
        ("trust-ncg", {"initial_trust_radius": -1.0}, InputError, "cannot begin"),
    ],
)
def test_bad_input_is_refused(method, options, error, message):
    with pytest.raises(error, match=message):
        CallbackMinimizer(method, START, **options)


def test_second_derivatives_are_told_when_they_are_wanted():
    opt = CallbackMinimizer("trust-exact", START, hessian="matrix")
    with pytest.raises(ProtocolError, match=r"tell\(f, g\)"):
        opt.tell_hessian(np.eye(3))
    opt.tell(*objective(opt.ask()))
    assert opt.wanted == "hessian"
    with pytest.raises(ProtocolError, match="tell_hessian"):
        opt.tell(*objective(opt.ask()))
    with pytest.raises(InputError, match="shape"):
        opt.tell_hessian(np.eye(2))


def test_scipy_keeps_its_lock_free_while_a_run_waits():
    opt = CallbackMinimizer("COBYQA", START)
    opt.tell(*objective(opt.ask()))
    assert minimize(lambda x: float(x @ x), [1.0], method="COBYQA").success
    lock = programs._cobyqa_lock()
    assert lock is None or not lock.locked()


def test_greenlet_is_imported_when_it_is_needed():
    code = "import optdriver, optdriver.study, sys; sys.exit('greenlet' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert optdriver.CallbackMinimizer is CallbackMinimizer


def test_tolerances_that_cannot_be_met_cost_a_bounded_time():
    """The simplex collapses onto points that are known, and would ask no other for ever."""
    opt = CallbackMinimizer(
        "Nelder-Mead", [0.3, 0.2], [(-1, 1)] * 2, xatol=0.0, fatol=-1.0, maxfun=np.inf
    )
    while not opt.done and opt.nfev < 5000:
        x = opt.ask()
        opt.tell((x[0] - 0.1) ** 2 + (x[1] - 0.4) ** 2)
    assert opt.done
    assert not opt.result.success
    assert "the tolerances cannot be met" in opt.result.message
    assert opt.result.x == pytest.approx([0.1, 0.4], abs=1e-6)


@pytest.mark.parametrize(
    ("method", "limit"),
    [
        ("Nelder-Mead", {"maxfev": 190}),
        ("Nelder-Mead", {"maxiter": 108}),
        ("COBYQA", {"maxfev": 90}),
    ],
)
def test_limits_of_a_method_count_all_legs(method, limit):
    opt = CallbackMinimizer(method, [-1.2, 1.0], [(-2, 2), (-2, 2)], cautious=True, **limit)
    while not opt.done:
        opt.tell(float(rosen(opt.ask())))
    assert opt.result.nfev <= limit.get("maxfev", np.inf)
    assert opt.nit <= limit.get("maxiter", np.inf)
    assert not opt.result.success
    assert opt.result.status != 0
