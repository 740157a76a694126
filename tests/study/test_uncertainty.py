"""Standard errors and correlations: certified ones, what is held, and what is not determined."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.optimize import curve_fit

import optdriver
from benchmarks.nist import SETS, digits
from optdriver.errors import InputError, ProtocolError

EASY = ("DanWood", "Misra1b", "Rat42", "Roszman1", "Chwirut2", "Eckerle4", "Nelson")


def fitted(data, *, jac=True, **given):
    def objective(**b):
        x = list(b.values())
        return (data.residuals(x), data.jacobian(x)) if jac else data.residuals(x)

    box = dict(zip(data.names, map(tuple, data.box), strict=True))
    near = np.clip(data.starts[1], *data.box.T)
    study = optdriver.create_study(
        box,
        driver="least-squares",
        jac=jac,
        max_num_minimizers=1,
        initial_samples=[near],
        **given,
    )
    study.run(objective)
    return study


@pytest.mark.parametrize("name", EASY)
def test_certified_standard_deviations(name):
    data = SETS[name]
    found = fitted(data).uncertainty()
    assert digits(found.standard_errors, data.sd) > 9.0
    assert digits(found.sigma**2 * found.degrees, data.rss) > 9.0
    assert digits(fitted(data, jac=False).uncertainty().standard_errors, data.sd) > 5.0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(SETS) - set(EASY) - {"Lanczos1"}))
def test_certified_standard_deviations_of_the_other_sets(name):
    data = SETS[name]
    assert digits(fitted(data).uncertainty().standard_errors, data.sd) > 9.0
    assert digits(fitted(data, jac=False).uncertainty().standard_errors, data.sd) > 5.0


T = np.linspace(0.0, 4.0, 25)
NOISE = 0.05 * np.sin(37.0 * np.arange(25.0))
Y = 2.0 * np.exp(-0.7 * T) + 0.3 + NOISE


def decay(a, k, c):
    e = np.exp(-k * T)
    return a * e + c - Y, np.column_stack([e, -a * T * e, np.ones_like(T)])


def study_of(objective, space, *, driver="least-squares", **given):
    study = optdriver.create_study(space, driver=driver, jac=True, max_num_minimizers=1, **given)
    study.run(objective)
    return study


DECAY = {"a": (0.1, 10), "k": (0.01, 10), "c": (-1, 1)}


def test_the_covariance_is_that_of_curve_fit():
    found = study_of(decay, DECAY).uncertainty()
    x, covariance = curve_fit(lambda t, a, k, c: a * np.exp(-k * t) + c, T, Y, [1.0, 1.0, 0.0])
    np.testing.assert_allclose(found.x, x, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-4)
    errors = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.correlation, covariance / np.outer(errors, errors), rtol=1e-4)
    low, high = found.intervals(0.95)["k"]
    np.testing.assert_allclose(high - low, 2.0 * 2.0738731 * errors[1], rtol=1e-4)  # Student, 22
    absolute = study_of(decay, DECAY).uncertainty(absolute_sigma=True)
    np.testing.assert_allclose(absolute.covariance * found.sigma**2, found.covariance, rtol=1e-9)


def test_it_does_not_depend_on_the_units_or_on_a_logarithm():
    plain = study_of(decay, DECAY).uncertainty()
    space = optdriver.Space(
        [
            {"name": "a", "type": "continuous", "domain": (0.1, 10)},
            {"name": "k", "type": "continuous", "domain": (0.01, 10), "scale": "log"},
            {"name": "c", "type": "continuous", "domain": (-1e6, 1e6)},
        ]
    )

    def other(a, k, c):
        r, jacobian = decay(a, k, c * 1e-6)
        return r, jacobian * [1.0, 1.0, 1e-6]

    found = study_of(other, space).uncertainty()
    np.testing.assert_allclose(
        found.standard_errors / [1.0, 1.0, 1e6], plain.standard_errors, rtol=1e-6
    )


def test_a_parameter_at_a_bound_is_held_and_said():
    found = study_of(decay, DECAY | {"c": (-1, 0.2)}).uncertainty()
    assert found.held == {"c": "upper bound"}
    assert found.standard_errors[2] == 0.0
    assert any("c is held at its upper bound" in note for note in found.notes)
    assert "held at its upper bound" in repr(found)
    covariance = curve_fit(lambda t, a, k: a * np.exp(-k * t) + 0.2, T, Y, [1.0, 1.0])[1]
    np.testing.assert_allclose(found.covariance[:2, :2], covariance, rtol=1e-5)
    assert found.degrees == 23


@pytest.mark.parametrize("jac", [True, False])
def test_nothing_varies_across_an_active_constraint(jac):
    """As if `a` were not there, but the other two in it: curve_fit of two parameters."""

    def model(k, c):
        return 1.35 / k * np.exp(-k * T) + c

    def told(a, k, c):
        r, jacobian = decay(a, k, c)
        return (r, jacobian) if jac else r

    study = optdriver.create_study(
        DECAY,
        driver="least-squares",
        jac=jac,
        max_num_minimizers=1,
        constraints=["a*k <= 1.35", "a + c >= 0.2"],
    )
    study.run(told)
    assert np.all(study.history["a"] * study.history["k"] <= 1.35)
    found = study.uncertainty()
    (k, c), covariance = curve_fit(lambda t, k, c: model(k, c), T, Y, [1.0, 0.0])
    slope = np.array([[-1.35 / k**2, 0.0], [1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(found.x, [1.35 / k, k, c], rtol=1e-5)
    np.testing.assert_allclose(
        found.covariance, slope @ covariance @ slope.T, rtol=1e-4, atol=1e-12
    )
    assert found.degrees == 23
    assert "The constraint 'a*k <= 1.35' is active: nothing varies across it." in found.notes
    logarithms = [
        {"name": "a", "type": "continuous", "domain": (0.1, 10), "scale": "log"},
        {"name": "k", "type": "continuous", "domain": (0.01, 10), "scale": "log"},
        {"name": "c", "type": "continuous", "domain": (-1, 1)},
    ]
    given = {"driver": "least-squares", "jac": jac, "max_num_minimizers": 1}
    other = optdriver.create_study(logarithms, constraints=["a*k<=1.35"], **given)
    other.run(told)
    np.testing.assert_allclose(other.uncertainty().covariance, found.covariance, rtol=1e-4)


def test_parameters_that_are_only_determined_together_are_named():
    def model(a, b, c, d):
        e = np.exp(-c * T)
        column = np.zeros_like(T)
        return a * b * e - Y + 0.3, np.column_stack([b * e, a * e, -a * b * T * e, column])

    space = {"a": (0.1, 10), "b": (0.1, 10), "c": (0.01, 10), "d": (0, 1)}
    found = study_of(model, space).uncertainty()
    assert found.together == (("a", "b"), ("d",)) or found.together == (("d",), ("a", "b"))
    assert "a and b are only determined together." in found.notes
    assert "d is not determined: nothing depends on it here." in found.notes
    assert np.isinf(found.standard_errors[[0, 1, 3]]).all()
    assert math.isfinite(found.standard_errors[2])


def test_a_minimum_that_no_minimizer_has_reached_has_none():
    study = optdriver.create_study(DECAY, driver="least-squares", jac=True, max_iter=3)
    study.run(decay)
    with pytest.raises(ProtocolError, match="let the study go on"):
        study.uncertainty()
    with pytest.raises(ProtocolError, match="there is no minimum 7"):
        study_of(decay, DECAY).uncertainty(minimum=7)


def likelihood(a, k, c):
    r, jacobian = decay(a, k, c)
    return 0.5 * float(r @ r) / 0.05**2, jacobian.T @ r / 0.05**2


def test_gradients_give_the_inverse_of_the_hessian(tmp_path):
    study = study_of(likelihood, DECAY, driver="L-BFGS-B", ftol=0, storage=tmp_path / "x.db")
    before = study.num_evaluations
    with ThreadPoolExecutor(3) as executor:
        found = study.uncertainty(executor=executor, objective=likelihood)
    x, step = found.x, 1e-4
    hessian = np.array(
        [
            (likelihood(*(x + step * e))[1] - likelihood(*(x - step * e))[1]) / (2.0 * step)
            for e in np.eye(3)
        ]
    )
    np.testing.assert_allclose(found.covariance, np.linalg.inv(hessian), rtol=1e-5)
    assert study.num_evaluations == before  # they count for themselves: they were added
    assert np.count_nonzero(study.history["kind"] == "added") == 6
    study.close()
    with optdriver.load_study(tmp_path / "x.db") as again:  # they are there, and no more are made
        assert again.uncertainty().covariance.tobytes() == found.covariance.tobytes()


def test_a_constraint_that_is_active_takes_a_direction_away():
    limit = {"name": "sum", "constraint": "a + 2*k + c <= 3"}
    study = study_of(likelihood, DECAY, driver="L-BFGS-B", ftol=0, constraints=[limit])
    found = study.uncertainty(likelihood)
    assert any("'sum' is active" in note for note in found.notes)
    normal = np.array([1.0, 2.0, 1.0])
    np.testing.assert_allclose(found.covariance @ normal, 0.0, atol=1e-12)
    assert np.linalg.matrix_rank(found.covariance, tol=1e-10) == 2


def test_without_gradients_and_residuals_it_is_refused():
    study = optdriver.create_study({"x": (-1, 1)}, max_num_minimizers=1)
    study.run(lambda x: x**2)
    with pytest.raises(InputError, match="jac=True"):
        study.uncertainty()


def test_a_robust_loss_makes_a_sandwich():
    rng = np.random.default_rng(1)
    t = np.linspace(-1.0, 1.0, 1000)
    x = np.column_stack([np.ones_like(t), t])
    errors = []
    for _ in range(12):
        y = x @ [1.0, 2.0] + 0.1 * rng.standard_t(3, t.size)

        def line(a, b, y=y):
            return a + b * t - y, x

        study = study_of(line, {"a": (-5, 5), "b": (-5, 5)}, loss="huber", f_scale=0.15)
        found = study.uncertainty()
        errors.append((found.x - [1.0, 2.0]) / found.standard_errors)
    assert 0.7 < np.sqrt(np.mean(np.square(errors))) < 1.35


@pytest.mark.parametrize("sign", [1, -1])
def test_the_hessian_of_jax_needs_no_evaluation(sign):
    jnp = pytest.importorskip("jax.numpy")
    domain = [
        {"name": "D", "type": "continuous", "domain": (1e-4, 10), "scale": "log"},
        {"name": "x", "type": "continuous", "domain": (-1, 1)},
        {"name": "z", "type": "dependent", "domain": "2*x + D"},
    ]

    def loss(D, x, z):
        return sign * ((z - 0.3) ** 2 + (x - 0.1) ** 2 + 2 * jnp.log(D / 0.1) ** 2)

    direction = "minimize" if sign > 0 else "maximize"
    study = optdriver.create_study(domain, jac=True, max_num_minimizers=1, direction=direction)
    study.set_objective(optdriver.jax_objective(loss))
    study.run()
    before = study.num_evaluations
    found = study.uncertainty()
    expected = [[2 + 400.0, 4.0], [4.0, 10.0]]
    np.testing.assert_allclose(np.linalg.inv(found.covariance), expected, rtol=1e-5)
    assert found.source == "JAX's Hessian"
    assert study.num_evaluations == before
    assert len(study.history["id"]) == before


def test_what_was_evaluated_for_it_is_kept_when_it_is_broken_off():
    study = optdriver.create_study({"x": (-2, 2), "y": (-2, 2)}, jac=True, max_num_minimizers=1)

    def bowl(x, y):
        return (x - 0.5) ** 2 + x * y + y**2, [2 * (x - 0.5) + y, x + 2 * y]

    study.run(bowl)
    before, calls = len(study.history["id"]), []

    def breaks(x, y):
        calls.append(x)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return bowl(x, y)

    with pytest.raises(KeyboardInterrupt):
        study.uncertainty(breaks)
    assert len(study.history["id"]) == before + 2
    found = study.uncertainty(breaks)
    assert len(calls) == 5
    np.testing.assert_allclose(np.linalg.inv(found.covariance), [[2, 1], [1, 2]], rtol=1e-6)
