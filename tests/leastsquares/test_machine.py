"""What the least-squares machine does beside keeping the contract: NIST's sets, ends, units."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from benchmarks.nist import SETS, digits
from optdriver import LeastSquares
from optdriver.errors import InputError
from optdriver.leastsquares import Stop, losses
from tests.recorded.cases import parts


def fitted(residuals, jacobian, x0, bounds=None, **options):
    opt = LeastSquares(x0, bounds, **{"maxfun": 500, **options})
    while not opt.done:
        x = opt.ask()
        opt.tell(residuals(x), jacobian(x))
    return opt


@pytest.mark.parametrize("name", SETS)
def test_certified_parameters_to_nine_digits_from_the_near_start(name):
    data = SETS[name]
    opt = fitted(data.residuals, data.jacobian, data.starts[1])
    assert opt.result.success
    assert digits(opt.result.x, data.b) > 9.0


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_certified_parameters_to_nine_digits_from_the_far_start(name):
    data = SETS[name]
    opt = fitted(data.residuals, data.jacobian, data.starts[0])
    assert opt.result.success
    assert digits(opt.result.x, data.b) > 9.0


@pytest.mark.parametrize("name", ["Misra1a", "Rat42", "Chwirut2"])
def test_the_path_does_not_depend_on_units(name):
    data = SETS[name]
    unit = 2.0 ** np.array([40, -30, 7])[: data.b.size]  # powers of two: no digit changes
    plain = fitted(data.residuals, data.jacobian, data.starts[0])
    scaled = fitted(
        lambda z: data.residuals(z * unit) * 2.0**-50,
        lambda z: data.jacobian(z * unit) * unit * 2.0**-50,
        data.starts[0] / unit,
    )
    assert scaled.nfev == plain.nfev
    np.testing.assert_allclose(scaled.result.x * unit, plain.result.x, rtol=1e-12)


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_a_loss_ends_where_scipys_ends(loss):
    t = np.linspace(0.0, 3.0, 20)
    y = 3.0 * np.exp(-0.9 * t) + 0.02 * np.cos(50.0 * t)
    y[[3, 11]] += [2.0, -1.5]

    def residuals(x):
        return x[0] * np.exp(-x[1] * t) - y

    def jacobian(x):
        e = np.exp(-x[1] * t)
        return np.column_stack([e, -x[0] * t * e])

    options = {"loss": loss, "f_scale": 0.1}
    ours = fitted(residuals, jacobian, [2.5, 1.0], [(0, 10), (0, 10)], **options)
    theirs = least_squares(
        residuals, [2.5, 1.0], jacobian, ([0, 0], [10, 10]), xtol=1e-14, ftol=1e-14, **options
    )
    assert ours.result.success
    np.testing.assert_allclose(ours.result.x, theirs.x, rtol=1e-6)
    np.testing.assert_allclose(ours.result.fun, theirs.cost, rtol=1e-10)
    np.testing.assert_allclose(ours.result.jac, theirs.grad, atol=1e-6)


def test_linear_least_squares_in_a_box_take_two_evaluations():
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((12, 5)), rng.standard_normal(12)
    opt = fitted(lambda x: a @ x - b, lambda _: a, np.zeros(5), [(-0.1, 0.1)] * 5)
    truth = least_squares(lambda x: a @ x - b, np.zeros(5), bounds=(-0.1, 0.1), xtol=1e-15).x
    assert opt.result.success
    assert opt.nfev <= 5
    np.testing.assert_allclose(opt.result.x, truth, atol=1e-6)
    assert np.any(np.abs(opt.result.x) == 0.1)


def test_a_run_that_creeps_along_a_pole_ends_without_success():
    data = SETS["Thurber"]
    box = [(500, 2500), (500, 2500), (100, 1000), (10, 200), (0.1, 2), (0.05, 1), (0.01, 0.2)]
    start = [1159.0, 2028.0, 992.0, 148.0, 1.51184997, 0.518417509, 0.0398885667]
    opt = fitted(data.residuals, data.jacobian, start, box, maxfun=5000)
    assert opt.stop in (Stop.STALLED, Stop.CONVERGED)
    assert opt.nfev < 1000


def test_all_residuals_zero_is_success_at_once():
    opt = fitted(lambda x: np.array([x[0] - 1.0]), lambda _: np.ones((1, 1)), [1.0])
    assert (opt.result.success, opt.nfev, opt.result.fun) == (True, 1, 0.0)


def test_a_jacobian_of_the_wrong_sign_is_no_success():
    data = SETS["Misra1a"]
    opt = fitted(data.residuals, lambda b: -data.jacobian(b), data.starts[1])
    assert opt.stop == Stop.STALLED


def test_a_fixed_variable_stays_and_no_variable_at_all_is_an_end():
    data = SETS["Misra1a"]
    opt = fitted(data.residuals, data.jacobian, data.starts[1], [(240.0, 240.0), (None, None)])
    assert opt.result.success
    assert opt.result.x[0] == 240.0
    nothing = fitted(data.residuals, data.jacobian, data.b, list(zip(data.b, data.b, strict=True)))
    assert nothing.result.success
    assert nothing.nfev == 1


@pytest.mark.parametrize("size", [1e-140, 1e-60, 1e60, 1e140, 1e160])
@pytest.mark.parametrize("what", ["residuals", "parameters"])
def test_numbers_at_the_ends_of_what_a_float_holds(size, what):
    data = SETS["Misra1a"]
    unit, scale = (1.0, size) if what == "residuals" else (1.0 / size, 1.0)
    opt = fitted(
        lambda z: data.residuals(z * unit) * scale,
        lambda z: data.jacobian(z * unit) * unit * scale,
        data.starts[1] / unit,
        [(0.0, None), (0.0, None)],
    )
    if opt.result.success:
        assert digits(opt.result.x * unit, data.b) > 9.0
    else:
        assert what == "residuals"
        assert size == 1e160  # the squares overflow
        assert "overflow" in opt.result.message


def test_a_state_that_was_forged_stays_in_the_box_and_ends():
    rng = np.random.default_rng(7)
    data = SETS["Rat42"]
    opt = LeastSquares(data.starts[0], data.box)
    for _ in range(5):
        opt.tell(data.residuals(opt.ask()), data.jacobian(opt.ask()))
    whole = opt.to_dict()
    names = ("radius", "promised", "damping", "scale", "p", "bend", "along", "f", "r", "jacobian")
    for name in names:
        for factor in (0.0, 1e-200, -1.0, 1e30, 1e200):
            forged = {**whole, name: np.asarray(whole[name]) * factor}
            if not np.ndim(whole[name]):
                forged[name] = float(forged[name])
            try:
                again = LeastSquares.from_dict(forged)
            except InputError:
                continue
            while not again.done and again.nfev < 60:
                x = again.ask()
                assert np.all((data.box[:, 0] <= x) & (x <= data.box[:, 1]))
                if rng.random() < 0.1:
                    again.tell_failure("forged")
                else:
                    again.tell(data.residuals(x), data.jacobian(x))


def begun():
    """Return a run that knows a bend, in the middle of a curved valley."""
    opt = LeastSquares([-1.2, 1.0], [(-2, 2), (-2, 2)])
    while opt.to_dict()["bend"] is None:
        opt.tell(*parts(*opt.ask()))
    return opt


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_length_of_a_bend_may_have_no_square(size):
    data = begun().to_dict()
    data["along"] = data["along"] * (size / np.linalg.norm(data["along"]))
    opt = LeastSquares.from_dict(data)
    opt.tell(*parts(*opt.ask()))
    assert not opt.done


def test_numbers_that_allow_no_step_end_the_run():
    data = begun().to_dict()
    data["jacobian"] = np.full_like(data["jacobian"], 1e300)
    data["r"] = np.full_like(data["r"], 1e300)
    opt = LeastSquares.from_dict(data)
    opt.tell_failure("no licence")
    assert opt.stop == "failed"
    assert "numeric error: LinAlgError" in opt.result.message
    assert opt.nfev == begun().nfev + 1
