"""Residuals told to the feasible minimizer: right minima, few evaluations, last digits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from benchmarks.nist import SETS, digits
from optdriver import FeasibleMinimizer, LeastSquares
from optdriver.errors import InputError
from optdriver.leastsquares import losses


def drive(opt, data, *, fits=True, most=500):
    while not opt.done and opt.nfev < most:
        x = opt.ask()
        r, jacobian = data.residuals(x), data.jacobian(x)
        if fits:
            opt.tell(r, jacobian)
        else:
            opt.tell(losses.value(r), losses.gradient(r, jacobian))
        assert opt.result.maxcv <= 0.0
    return opt


def ball(data, part):
    """An ellipsoid round the origin; with a part of 1 the certified parameters are on it."""
    sizes = [f"(x{i + 1}/{abs(b)!r})^2" for i, b in enumerate(data.b.tolist())]
    return f"{' + '.join(sizes)} <= {part * data.b.size!r}"


def oracle(data, part, loss="linear", f_scale=1.0):
    """SLSQP's minimum at a tight tolerance, in units of the parameters, from the end of ours."""

    def value(u):
        x = u * data.b
        r, jacobian = data.residuals(x), data.jacobian(x) * data.b
        f = losses.value(r, loss, f_scale)
        return f / data.rss, losses.gradient(r, jacobian, loss, f_scale) / data.rss

    inside = {"type": "ineq", "fun": lambda u: part * u.size - u @ u, "jac": lambda u: -2.0 * u}
    start = np.full(data.b.size, np.sqrt(part))
    found = minimize(value, start, jac=True, method="SLSQP", constraints=inside, tol=1e-15)
    return found.fun * data.rss


@pytest.mark.parametrize("name", ["Chwirut2", "DanWood", "Gauss1", "Misra1b", "Rat42", "Thurber"])
def test_an_active_constraint(name):
    data = SETS[name]
    opt = drive(FeasibleMinimizer(data.starts[1] * 0.9, ball(data, 0.95), residuals=True), data)
    assert opt.result.success
    assert opt.result.active
    assert opt.result.fun <= oracle(data, 0.95) * (1.0 + 1e-9)


@pytest.mark.parametrize("name", ["Chwirut2", "ENSO", "Hahn1", "Roszman1", "Thurber"])
def test_an_inactive_constraint_does_not_matter(name):
    data = SETS[name]
    opt = drive(FeasibleMinimizer(data.starts[1], ball(data, 9.0), residuals=True), data)
    assert opt.result.success
    assert digits(opt.result.x, data.b) > 9.0


def test_what_the_residuals_leave_of_the_hessian_is_learnt():
    """Residuals that stay large: J'J alone converges linearly, 0.8 a step here."""
    data = SETS["ENSO"]
    fit = drive(FeasibleMinimizer(data.starts[0], ball(data, 9.0), residuals=True), data)
    plain = drive(
        FeasibleMinimizer(data.starts[0], ball(data, 9.0), gtol=1e-9, ftol=0.0), data, fits=False
    )
    assert fit.result.success
    assert fit.nfev <= 0.6 * plain.nfev


def test_a_robust_loss_under_a_constraint():
    data = SETS["Chwirut2"]
    opt = FeasibleMinimizer(
        data.starts[1] * 0.9, ball(data, 0.95), residuals=True, loss="soft_l1", f_scale=2.0
    )
    drive(opt, data)
    assert opt.result.success
    assert opt.result.fun <= oracle(data, 0.95, "soft_l1", 2.0) * (1.0 + 1e-9)


def valley(x):
    return np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]]), [[-20.0 * x[0], 10.0], [-1.0, 0.0]]


def run(opt, function):
    while not opt.done:
        opt.tell(*function(opt.ask()))
    return opt


def test_residuals_that_vanish():
    opt = run(FeasibleMinimizer([-1.2, 1.0], "x1 + x2 <= 2", residuals=True), valley)
    assert opt.result.success
    np.testing.assert_allclose(opt.result.x, 1.0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-9, 1e7])
def test_units_of_parameters_and_residuals_do_not_matter(scale):
    def scaled(x):
        r, jacobian = valley(x / [scale, 1.0])
        return 1e6 * r, 1e6 * np.array(jacobian) / [scale, 1.0]

    text = f"x1/{scale!r} + x2 <= 1"
    plain = run(FeasibleMinimizer([-1.2, 1.0], "x1 + x2 <= 1", residuals=True), valley)
    opt = run(FeasibleMinimizer([-1.2 * scale, 1.0], text, residuals=True), scaled)
    assert plain.result.success
    assert opt.result.success
    np.testing.assert_allclose(opt.result.x / [scale, 1.0], plain.result.x, rtol=1e-9)


def test_a_robust_loss_that_rounds_to_nothing_is_at_its_end():
    """rho(z) of soft_l1 is 0 in floating point for |z| below 1e-16."""
    for given in ({}, {"loss": "soft_l1"}):
        opt = FeasibleMinimizer([0.2, 0.1], "x1 + x2 <= 9", residuals=True, **given)
        run(opt, lambda x: (x - np.array([0.5, 0.25]), np.eye(2)))
        assert opt.result.success
        np.testing.assert_allclose(opt.result.x, [0.5, 0.25], atol=1e-8)
        own = run(LeastSquares([0.2, 0.1], **given), lambda x: (1e-9 * x, 1e-9 * np.eye(2)))
        assert own.result.success


def test_residuals_less_curved_than_the_constraint():
    """At the end J is zero along the circle: no offset tells what the circle holds."""

    def one(x):
        return [x[0] + x[1] + 4.0], [[1.0, 1.0]]

    opt = run(FeasibleMinimizer([0.5, 0.8], "x1^2 + x2^2 <= 2", residuals=True), one)
    assert opt.result.success
    np.testing.assert_allclose(opt.result.x, [-1.0, -1.0], atol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_no_success_is_false_and_no_point_outside(seed):
    """Random residuals and constraints in random units; SLSQP goes on from where a run ends."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 5), rng.integers(1, 9)
    a, b = rng.standard_normal((2, m, n))
    y, u0, unit = 3.0 * rng.standard_normal(m), rng.uniform(-1, 1, n), 10.0 ** rng.uniform(-4, 4, n)
    loss = ("linear", "soft_l1", "cauchy")[seed % 3]

    def residuals(u):
        e = np.exp(0.5 * b @ u)
        return a @ u + e - y, a + 0.5 * e[:, None] * b

    most = float(u0 @ u0) + 0.3
    text = " + ".join(f"(x{i + 1}/{size!r})^2" for i, size in enumerate(unit.tolist()))
    box = np.column_stack([-3.0 * unit, 3.0 * unit])
    opt = FeasibleMinimizer(u0 * unit, f"{text} <= {most!r}", box, residuals=True, loss=loss)
    while not opt.done:
        x = opt.ask()
        assert opt.constraints.is_feasible(x)
        assert np.all((box[:, 0] <= x) & (x <= box[:, 1]))
        r, jacobian = residuals(x / unit)
        opt.tell(r, jacobian / unit)
    if not opt.converged:
        return

    def value(u):
        r, jacobian = residuals(u)
        return losses.value(r, loss), losses.gradient(r, jacobian, loss)

    inside = {"type": "ineq", "fun": lambda u: most - u @ u, "jac": lambda u: -2.0 * u}
    end, fun = opt.result.x / unit, opt.result.fun
    for moved in (0.0, 1e-3):
        start = np.clip(end + moved * rng.standard_normal(n), -3, 3)
        found = minimize(
            value, start, jac=True, method="SLSQP", bounds=[(-3, 3)] * n, constraints=inside,
            tol=1e-14,
        )  # fmt: skip
        near = np.max(np.abs(found.x - end)) < 0.1 and found.x @ found.x <= most * (1 + 1e-9)
        assert not near or found.fun >= fun - 1e-7 * max(fun, 1e-6)


def test_fewer_residuals_than_parameters():
    def one(x):
        return [x[0] * x[1] - 2.0], [[x[1], x[0]]]

    opt = run(FeasibleMinimizer([0.5, 0.5], "x1^2 + x2^2 <= 2", residuals=True), one)
    assert opt.result.success
    np.testing.assert_allclose(opt.result.x, [1.0, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": "cauchy"}, "give residuals=True"),
        ({"residuals": "yes"}, "residuals is True or False"),
        ({"residuals": True, "loss": "cauchi"}, "did you mean 'cauchy'"),
        ({"residuals": True, "pairs": ([], [])}, "begins without them"),
    ],
)
def test_wrong_input(given, message):
    with pytest.raises(InputError, match=message):
        FeasibleMinimizer([0.0, 0.0], "x1 <= 1", **given)
