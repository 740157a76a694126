"""Studies that are told residuals: every door, kept, resumed, in parallel, and wrong input."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import optdriver
from benchmarks.nist import SETS, digits
from optdriver.errors import GradientError, InputError, ObjectiveWarning
from optdriver.leastsquares import losses
from optdriver.study import Study

MISRA = SETS["Misra1a"]
SPACE = dict(zip(MISRA.names, map(tuple, MISRA.box), strict=True))


def residuals(**b):
    return MISRA.residuals(list(b.values()))


def with_jacobian(**b):
    return residuals(**b), MISRA.jacobian(list(b.values()))


def observed(**b):
    made = optdriver.Observation()
    made.add(residuals=residuals(**b))
    made.add(jacobian=dict(zip(b, MISRA.jacobian(list(b.values())).T, strict=True)))
    return made


def study_of(**given):
    return optdriver.create_study(SPACE, driver="least-squares", max_num_minimizers=2, **given)


def history(study):
    return study.history["value"].tobytes(), study.history.x.tobytes()


@pytest.mark.parametrize(("objective", "jac"), [(residuals, False), (with_jacobian, True)])
def test_a_fit_reaches_the_certified_parameters(objective, jac):
    study = study_of(jac=jac)
    study.run(objective)
    assert study.info()["success"]
    assert digits(study.minima[0].x, MISRA.b) > (9.0 if jac else 8.0)
    assert digits(2.0 * study.best.value, MISRA.rss) > 9.0


def test_all_ways_to_tell_are_the_same():
    by_run, by_observation, by_hand = (study_of(jac=True) for _ in range(3))
    by_run.run(with_jacobian)
    by_observation.run(observed)
    while (suggestion := by_hand.ask()) is not None:
        r, jacobian = with_jacobian(**suggestion.params)
        by_hand.tell(suggestion.id, residuals=r, jacobian=jacobian)
        by_hand.tell(suggestion.id, r, jacobian)  # the same again
    assert history(by_run) == history(by_observation) == history(by_hand)


@pytest.mark.parametrize("jac", [True, False])
def test_a_kept_fit_goes_on_to_the_bit_after_any_evaluation(tmp_path, jac):
    objective = with_jacobian if jac else residuals
    whole = study_of(jac=jac)
    whole.run(objective)
    path = tmp_path / "fit.db"
    study_of(jac=jac, storage=path).close()
    done = False
    while not done:
        with optdriver.load_study(path) as study:
            study.run(objective, max_evaluations=5)
            done = study.is_done()
            assert history(pickle.loads(pickle.dumps(Study.from_dict(study.to_dict())))) == (
                history(study)
            )
    with optdriver.load_study(path) as study:
        assert history(study) == history(whole)
        study.verify()
        exported = study.export(tmp_path / "fit.jsonl")
    with optdriver.import_study(exported, tmp_path / "again.db") as again:
        assert history(again) == history(whole)


def test_in_parallel_the_points_stay_in_the_box():
    study = study_of(num_parallel=4)
    with ThreadPoolExecutor(4) as executor:
        study.run(residuals, executor=executor)
    x, (low, high) = study.history.x, MISRA.box.T
    assert np.all((low <= x) & (x <= high))
    assert digits(study.minima[0].x, MISRA.b) > 8.0


def test_an_evaluation_that_fails_now_and_then_does_no_harm():
    calls = 0

    def fails(**b):
        nonlocal calls
        calls += 1
        if calls % 7 == 3:
            raise ArithmeticError("no convergence")
        return residuals(**b) * (np.nan if calls % 11 == 5 else 1.0)

    study = study_of()
    study.run(fails)
    assert study.info()["num_failed"] > 0
    assert digits(study.minima[0].x, MISRA.b) > 8.0


def test_an_outlier_costs_less_with_a_loss():
    y = np.array([1.0, 2.0, 3.0, 40.0, 5.0])
    t = np.arange(5.0)
    found = {}
    for loss in ("linear", "cauchy"):
        study = optdriver.create_study(
            {"a": (-50, 50), "b": (-50, 50)},
            driver="lm",
            max_num_minimizers=1,
            jac=True,
            loss=loss,
            f_scale=0.1,
        )
        study.run(lambda a, b: (a + b * t - y, np.column_stack([np.ones(5), t])))
        found[loss] = study.minima[0].x
    np.testing.assert_allclose(found["cauchy"], [1.0, 1.0], atol=0.02)
    slope, intercept = np.polyfit(t, y, 1)
    np.testing.assert_allclose(found["linear"], [intercept, slope], rtol=1e-9)


CORNER = ["b1*b2 <= 0.125"]  # the fit wants 0.1315


def in_the_corner(objective, **given):
    study = study_of(constraints=CORNER, **given)
    study.run(objective)
    assert np.all(study.history["b1"] * study.history["b2"] <= 0.125)
    assert study.info()["success"]
    return study


def test_under_constraints_a_fit_takes_the_gauss_newton_model():
    study = in_the_corner(with_jacobian, jac=True)
    found = study.minima[0].x

    def cost(b2):
        return float(np.sum(MISRA.residuals([0.125 / b2, b2]) ** 2))

    best = minimize_scalar(cost, bounds=(1e-4, 1e-3), method="bounded", options={"xatol": 1e-14})
    assert digits(found, [0.125 / best.x, best.x]) > 6.0
    assert "The constraint 'b1*b2 <= 0.125' is active" in repr(study.uncertainty())
    assert study.minima[0].value <= 0.5 * best.fun * (1.0 + 1e-12)
    as_before = in_the_corner(with_jacobian, jac=True, constraint_rule=4)
    assert study.num_evaluations < 0.7 * as_before.num_evaluations


def test_what_was_begun_under_constraints_before_goes_on_in_its_way():
    """As a value with its gradient, by L-BFGS-B and the feasible minimizer."""

    def value(**b):
        r, jacobian = with_jacobian(**b)
        return losses.value(r), losses.gradient(r, jacobian)

    before = in_the_corner(with_jacobian, jac=True, constraint_rule=4)
    same = optdriver.create_study(
        SPACE, jac=True, max_num_minimizers=2, constraints=CORNER, constraint_rule=4
    )
    same.run(value)
    np.testing.assert_array_equal(before.history.x, same.history.x)


@pytest.mark.parametrize("jac", [True, False])
def test_a_kept_fit_under_constraints_goes_on_to_the_bit(tmp_path, jac):
    objective = with_jacobian if jac else residuals
    whole = in_the_corner(objective, jac=jac)
    path = tmp_path / "fit.db"
    study_of(constraints=CORNER, jac=jac, storage=path).close()
    done = False
    while not done:
        with optdriver.load_study(path) as study:
            study.run(objective, max_evaluations=7 if jac else 31)
            done = study.is_done()
            again = pickle.loads(pickle.dumps(Study.from_dict(study.to_dict())))
            assert history(again) == history(study)
            assert again.is_done() == done
    with optdriver.load_study(path) as study:
        assert history(study) == history(whole)
        study.verify()


def test_check_grad_finds_a_jacobian_of_the_wrong_sign():
    def wrong(**b):
        r, jacobian = with_jacobian(**b)
        return r, jacobian * [1.0, -1.0]

    study = study_of(jac=True, check_grad=True)
    with pytest.raises(GradientError, match="'b2'"):
        study.run(wrong)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"residuals": [1.0, 2.0]}, "2 residuals, and there were 14 before"),
        ({"residuals": []}, "the residuals are empty"),
        ({"residuals": np.ones(14) + 1j}, "the residuals must be real numbers"),
        ({"residuals": np.ones((7, 2))}, r"shape \(7, 2\)"),
        ({"residuals": np.ones(14)}, "the Jacobian is missing"),
        ({"residuals": np.ones(14), "jacobian": np.ones((2, 14))}, "is it transposed"),
        ({"residuals": np.ones(14), "jacobian": {"b1": np.ones(14)}}, "'b2' is missing"),
        ({"residuals": np.ones(14), "value": 1.0}, "no value and gradient beside"),
    ],
)
def test_what_are_no_residuals_is_refused_and_nothing_is_lost(told, message):
    study = study_of(jac=True)
    first, second = study.ask(), None
    study.tell(first.id, *with_jacobian(**first.params))
    second = study.ask()
    with pytest.raises(InputError, match=message):
        study.tell(second.id, **told)
    study.tell(second.id, *with_jacobian(**second.params))
    assert study.num_evaluations == 2


def test_a_study_of_values_takes_no_residuals():
    study = optdriver.create_study({"x": (0, 1)})
    with pytest.raises(InputError, match="driver='least-squares'"):
        study.tell(study.ask().id, residuals=[1.0])


@pytest.mark.parametrize("given", [{"loss": "huber"}, {"f_scale": 2.0}, {"xtol": 1e-3}])
def test_what_only_fits_have_is_refused_elsewhere(given):
    with pytest.raises(InputError, match="driver='least-squares'"):
        optdriver.create_study({"x": (0, 1)}, driver="TNC", **given)


def test_all_residuals_zero_at_the_start_is_an_end():
    study = optdriver.create_study({"x": (-1, 1)}, driver="least-squares", max_num_minimizers=1)
    study.set_parameters(initial_samples=[[0.25]], jac=True)
    study.run(lambda x: ([x - 0.25, 0.0], [[1.0], [0.0]]))
    assert study.info()["success"]
    assert study.num_evaluations == 1


def test_fewer_residuals_than_parameters_are_allowed():
    study = optdriver.create_study(
        {"x": (-1, 1), "y": (-1, 1)}, driver="least-squares", max_num_minimizers=1
    )
    with pytest.warns(ObjectiveWarning, match="1 residual for 2 parameters"):
        study.run(lambda x, y: [x + y - 0.5])
    assert study.best.value < 1e-20
    assert study.uncertainty().together == (("x", "y"),)


def test_one_number_is_no_vector_of_residuals():
    study = study_of()
    with pytest.raises(InputError, match="a single residual is"):
        study.run(lambda b1, b2: b1 + b2)
    assert study.num_evaluations == 1  # it was called, and the point can be evaluated again


@pytest.mark.parametrize("constraints", [(), "a + c <= 8"])
def test_a_fit_whose_differences_are_all_zero_has_not_converged(constraints):
    t = np.linspace(0.0, 4.0, 40)

    def rounded(a, b, c):  # to two digits, as a program may print them
        far = a * np.exp(-b * t) + c - 2.5 * np.exp(-1.3 * t) - 0.5
        return np.array([float(f"{each:.1e}") for each in far])

    box = {"a": (0, 10), "b": (0, 10), "c": (-5, 5)}
    options = {"driver": "least-squares", "max_num_minimizers": 1, "constraints": constraints}
    study = optdriver.create_study(box, **options, max_iter=60)
    study.run(rounded)
    assert study.best.value < 1e-9  # longer differences show them
    steps = optdriver.create_study(box, **options, max_iter=60, step_size=1e-9)
    steps.run(rounded)
    assert steps.best.value > 0.1
    assert not steps.info()["success"]
    assert "no difference changes any residual" in steps.runs[0].reason
    before = optdriver.create_study(box, **options, max_iter=60, convergence_rule=9)
    before.run(rounded)
    assert before.info()["success"]  # as 0.9.0 has it: a false end

    hinge = optdriver.create_study({"x": (0, 1)}, **{**options, "constraints": ()}, max_iter=60)
    hinge.run(lambda x: [max(0.0, x - 2.0), 0.0])  # all zero where it is best
    assert hinge.info()["success"]
