"""Fits by differences of residuals that are printed with few digits."""

from __future__ import annotations

import json

import numpy as np
import pytest

import optdriver
from optdriver import MultiStart
from tests.leastsquares.test_rounding import ERRORS, TRUE, T, allowed, least, model, printed

BOX = [(0.1, 20.0), (0.05, 10.0), (0.0, 5.0)]
START = [3.0, 1.5, 1.0]


def multistart(**options):
    given = {"method": "least-squares", "jac": False, "max_num_minimizers": 1}
    return MultiStart(BOX, initial_samples=[START], **(given | options))


def fit(residuals, most=400, **options):
    made, points = multistart(**options), []
    while made.nfev < most and (asked := made.ask(1)) and asked[0].run == 0:
        points.append(asked[0].x.copy())
        made.tell(asked[0].id, residuals(points[-1]))
    return made, np.array(points)


@pytest.mark.parametrize("errors", [0.0 * ERRORS, ERRORS], ids=["exact", "errors"])
@pytest.mark.parametrize("digits", [4, 6, 8])
def test_steps_follow_the_digits_and_the_end_is_where_they_allow(digits, errors):
    data = model(TRUE) + errors
    made, points = fit(lambda x: printed(model(x), digits) - data)
    assert made.runs[0].state == "converged"
    assert len(points) <= 120
    above = float(np.sum((model(made.runs[0].x) - data) ** 2) / 2) - least(data)
    assert above <= allowed(digits, data)
    before, asked = fit(lambda x: printed(model(x), digits) - data, convergence_rule=12)
    assert before.runs[0].state != "converged"  # as 0.12.0 has it
    assert len(asked) > 2 * len(points)


def test_exact_residuals_are_differenced_as_before():
    data = model(TRUE) + ERRORS
    asked = [fit(lambda x: model(x) - data, convergence_rule=rule)[1] for rule in (13, 12)]
    np.testing.assert_array_equal(*asked)


def test_what_does_not_depend_on_a_parameter_costs_a_single_point():
    data = model(TRUE) + ERRORS

    def residuals(x):  # the last parameter is that of the last data only
        return np.where(T < 3.0, model([x[0], x[1], 0.5]), model(x)) - data

    (new, points), (old, before) = (fit(residuals, convergence_rule=k) for k in (13, 12))
    assert new.runs[0].state == old.runs[0].state == "converged"
    assert len(points) == len(before) + 1
    np.testing.assert_allclose(new.runs[0].x, old.runs[0].x, rtol=1e-8)


def test_it_goes_on_the_same_from_what_was_kept_after_every_tell():
    data = model(TRUE) + ERRORS
    made = multistart()
    while (asked := made.ask(1)) and asked[0].run == 0:
        text = json.dumps(made.to_dict(), default=np.ndarray.tolist)
        made = MultiStart.from_dict(json.loads(text))
        made.tell(asked[0].id, printed(model(asked[0].x), 4) - data)
    whole, points = fit(lambda x: printed(model(x), 4) - data)
    assert made.nfev == len(points)
    np.testing.assert_array_equal(made.runs[0].x, whole.runs[0].x)


@pytest.mark.parametrize(
    "options",
    [{"loss": "soft_l1", "f_scale": 0.05}, {"step_size": 1e-2}],
    ids=["loss", "steps"],
)
def test_studies_with_a_loss_and_steps(options):
    data = model(TRUE) + ERRORS
    study = optdriver.create_study(
        dict(zip("abc", BOX, strict=True)), driver="least-squares", max_num_minimizers=1,
        initial_samples=[START], **options,
    )  # fmt: skip
    study.run(lambda a, b, c: printed(model([a, b, c]), 5) - data)
    assert study.info()["success"]
    assert study.num_evaluations <= 150
    np.testing.assert_allclose(list(study.runs[0].params.values()), TRUE, rtol=0.1)


def test_uncertainties_of_the_data_are_heeded():
    data = model(TRUE) + ERRORS
    study = optdriver.create_study(
        dict(zip("abc", BOX, strict=True)), driver="least-squares", max_num_minimizers=1,
        initial_samples=[START],
    )  # fmt: skip
    study.run(
        lambda a, b, c: {"residuals": printed(model([a, b, c]), 5) - data, "uncertainty": 0.02}
    )
    assert study.info()["success"]
    np.testing.assert_allclose(list(study.runs[0].params.values()), TRUE, rtol=0.1)


def test_a_parameter_that_digits_do_not_show_is_no_success():
    data = model(TRUE) + ERRORS

    def residuals(x):
        return printed(model([x[0], x[1], 0.5]) + 1e-9 * x[2], 4) - data

    made, _ = fit(residuals)
    assert made.runs[0].state == "stopped"
    assert "too few digits" in made.runs[0].reason
