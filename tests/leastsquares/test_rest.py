"""What J'J leaves of the Hessian is learnt, and only where that is worth it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.nist import SETS, digits
from optdriver import LeastSquares, MultiStart
from optdriver.errors import InputError, InputTypeError
from tests.leastsquares.test_machine import fitted


@pytest.mark.parametrize(("name", "start", "most"), [("Thurber", 1, 15), ("ENSO", 0, 20)])
def test_large_residuals_take_a_third_of_the_evaluations(name, start, most):
    data = SETS[name]
    ends = [
        fitted(data.residuals, data.jacobian, data.starts[start], secant=secant)
        for secant in (True, False)
    ]
    assert all(digits(end.result.x, data.b) > 9.0 for end in ends)
    assert ends[0].nfev <= most
    assert 3 * ends[0].nfev <= ends[1].nfev


def large(n):
    """Return residuals that stay as large as they are curved, and their Jacobian."""
    rng = np.random.default_rng(n)
    a, b, c = rng.standard_normal((3, 3 * n, n))

    def residuals(x):
        return 1.0 + a @ x + 0.3 * np.sin(b @ x) * (c @ x)

    def jacobian(x):
        u, v = b @ x, c @ x
        return a + 0.3 * (np.cos(u) * v)[:, None] * b + 0.3 * np.sin(u)[:, None] * c

    return residuals, jacobian


@pytest.mark.parametrize("loss", ["linear", "soft_l1", "cauchy"])
@pytest.mark.parametrize("n", [2, 5])
def test_it_ends_where_the_former_rule_ends_or_lower(n, loss):
    residuals, jacobian = large(n)
    for seed in range(6):
        x0 = np.random.default_rng(seed).uniform(-1.0, 1.0, n)
        new, old = (
            fitted(residuals, jacobian, x0, [(-2, 2)] * n, secant=secant, loss=loss)
            for secant in (True, False)
        )
        assert new.result.success
        assert np.max(np.abs(new.result.jac[np.abs(new.result.x) < 2.0]), initial=0.0) < 1e-8
        assert new.result.fun <= old.result.fun * 1.5


def test_a_run_under_way_of_a_version_that_did_not_learn_goes_on_as_it_did():
    data = SETS["Thurber"]
    run, twin = (LeastSquares(data.starts[0], secant=False) for _ in range(2))
    for _ in range(5):
        x = run.ask()
        run.tell(data.residuals(x), data.jacobian(x))
        twin.tell(data.residuals(x), data.jacobian(x))
    written = run.to_dict()
    for name in ("steps", "changes", "scores"):
        del written[name]
    del written["options"]["secant"]
    run = LeastSquares.from_dict(written)
    while not run.done:
        x = run.ask()
        assert np.array_equal(x, twin.ask())
        run.tell(data.residuals(x), data.jacobian(x))
        twin.tell(data.residuals(x), data.jacobian(x))
    assert twin.done


def test_the_units_of_the_parameters_do_not_matter():
    data = SETS["Thurber"]
    unit = 2.0 ** np.array([10, -20, 7, 0, 3, -5, 30])
    plain = fitted(data.residuals, data.jacobian, data.starts[1])
    scaled = fitted(
        lambda z: data.residuals(z * unit),
        lambda z: data.jacobian(z * unit) * unit,
        data.starts[1] / unit,
    )
    assert scaled.nfev == plain.nfev
    np.testing.assert_allclose(scaled.result.x * unit, plain.result.x, rtol=1e-12)


def peaks(p):
    """Return two peaks of one width at m + d and m - d, and their derivatives."""
    m, d, a, w = p
    z = (np.linspace(-5.0, 5.0, 60) - np.array([[m + d], [m - d]])) / w
    q = 1.0 / (1.0 + z * z)
    c = 2.0 * z / w * q * q
    slopes = [a * c.sum(axis=0), a * (c[0] - c[1]), q.sum(axis=0), a * (z * c).sum(axis=0)]
    return a * q.sum(axis=0), np.stack(slopes, axis=1)


def two_peaks(**options):
    """Fit two peaks from a start where they are one: the slope of d is 0."""
    true, start = [0.6, 1.7, 1.6, 0.65], [0.3, 0.0, 2.0, 1.0]
    data = peaks(true)[0]
    return fitted(lambda p: peaks(p)[0] - data, lambda p: peaks(p)[1], start, **options), true


def test_a_parameter_without_a_slope_does_not_take_the_rest_from_the_others():
    free = (None, None)
    held, _ = two_peaks(bounds=[free, (0, 0), free, free], beside=0)
    stays, before = (two_peaks(beside=0, secant=rule)[0] for rule in (2, 1))
    assert stays.converged
    assert stays.result.x[1] == 0.0
    assert stays.nfev <= held.nfev + 2
    assert before.nfev >= 3 * stays.nfev
    found, true = two_peaks()
    assert np.abs(found.result.x) == pytest.approx(true)
    assert found.nfev <= 50


def test_options_of_0_9_0_are_read_as_they_were_meant():
    data = LeastSquares([0.0, 0.0]).to_dict()
    for written, meant in ((True, 1), (False, 0), (2, 2)):
        data["options"]["secant"] = written
        assert LeastSquares.from_dict(data).to_dict()["options"]["secant"] == meant
    data["options"]["secant"] = 4
    with pytest.raises(InputError, match="secant"):
        LeastSquares.from_dict(data)


@pytest.mark.parametrize(("rule", "secant"), [(11, 3), (10, 2), (9, 1), (8, 1), (7, 0)])
def test_the_rule_of_a_multi_start(rule, secant):
    data = SETS["ENSO"]
    x0 = np.clip(data.starts[0], *data.box.T)
    driver = MultiStart(
        data.box,
        method="least-squares",
        jac=True,
        max_num_minimizers=1,
        initial_samples=[x0],
        convergence_rule=rule,
    )
    while driver.stop_reason is None and (points := driver.ask(1)) and not points[0].run:
        driver.tell(points[0].id, data.residuals(points[0].x), data.jacobian(points[0].x))
    bare = fitted(data.residuals, data.jacobian, x0, data.box, secant=secant)
    assert driver.runs[0].nfev == bare.nfev
    assert np.array_equal(driver.runs[0].x, bare.result.x)


T = np.linspace(-3.0, 3.0, 31)


def waves(p, data):
    """Return the residuals of a product of two waves, their derivatives, and the Hessian."""
    a, b, c = p
    u, v = np.sin(a * T), np.sin(b * T)
    du, dv = T * np.cos(a * T), T * np.cos(b * T)
    r = u * v + c - data
    jacobian = np.stack([du * v, u * dv, np.ones(T.size)], axis=1)
    hessian = jacobian.T @ jacobian
    hessian[0, 0] -= r @ (T**2 * u * v)
    hessian[1, 1] -= r @ (T**2 * u * v)
    hessian[0, 1] = hessian[1, 0] = hessian[0, 1] + r @ (du * dv)
    return r, jacobian, hessian


def fitted_waves(true=(0.9, 1.4, 0.2), start=(0.0, 0.0, 0.0), told=lambda jacobian: jacobian, **kw):
    """Fit waves from where both have no slope, which leads to a = -b: two columns are parallel."""
    a, b, c = true
    data = np.sin(a * T) * np.sin(b * T) + c
    end = fitted(lambda p: waves(p, data)[0], lambda p: told(waves(p, data)[1]), start, **kw)
    return end, waves(end.result.x, data)


@pytest.mark.parametrize("true", [(0.9, 1.4, 0.2), (0.7, 1.2, -0.4), (1.1, 0.6, 0.3)])
def test_a_minimum_at_which_the_jacobian_has_lost_its_rank_is_an_end(true):
    end, (r, jacobian, hessian) = fitted_waves(true)
    assert np.linalg.cond(jacobian) > 1e6
    assert np.linalg.norm(jacobian.T @ r) < 1e-6
    assert np.linalg.eigvalsh(hessian)[0] > 0.5
    assert end.converged
    before = fitted_waves(true, secant=2)[0]
    assert not before.converged
    assert np.allclose(before.result.x, end.result.x, atol=1e-7)


def spoilt(jacobian):
    """Return a Jacobian with a column of the wrong sign, of which no step is a descent."""
    return jacobian * [-1.0, 1.0, 1.0]


@pytest.mark.parametrize("start", [(0.3, -0.3, 0.7), (0.5, 0.2, 0.0), (0.2, 0.9, 0.3)])
def test_what_was_learnt_of_wrong_derivatives_makes_no_end(start):
    end, (r, jacobian, _) = fitted_waves(start=start, told=spoilt, maxfun=400)
    assert not end.converged or np.linalg.norm(jacobian.T @ r) < 1e-6


def test_a_variable_of_which_the_jacobian_says_nothing_makes_no_end():
    """At p0 = 0 the slope of p1 vanishes, and f falls with p0 p1^2: along no single variable."""

    def residuals(p):
        return p[0] ** 2 * T**2 * 0.1 + p[0] * np.cos(p[1] * T) + p[2] - data

    def jacobian(p):
        u = p[1] * T
        slopes = [2 * p[0] * T**2 * 0.1 + np.cos(u), -p[0] * T * np.sin(u), np.ones(T.size)]
        return np.stack(slopes, axis=1)

    for seed in (1118, 1119, 1128, 1143):
        rng = np.random.default_rng(seed)
        k = rng.normal(size=3)
        data = k[0] - 0.2 * k[1] * T**2 + k[2] * np.sin(T)
        start = rng.choice([0.0, 1.0, -1.0, 0.5], 3)
        assert not fitted(residuals, jacobian, start, [(-8, 8)] * 3, maxfun=400).converged


def test_what_is_no_flag():
    with pytest.raises(InputTypeError, match="secant"):
        LeastSquares([1.0], secant="yes")
