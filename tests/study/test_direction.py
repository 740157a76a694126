"""A study that maximises is the study that minimises minus the objective, in the user's sign."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import optdriver
from optdriver.errors import GradientError, InputError, OptDriverError, ProtocolError
from optdriver.studies import create_study
from optdriver.study.study import Study
from tests.study.tools import BOX, rastrigin

SETTINGS = {
    "gradients": {"jac": True, "num_parallel": 3, "num_initial": 2},
    "differences": {"num_parallel": 2},
    "constraint": {"jac": True, "constraints": ["x1^2 + x2^2 <= 1"]},
    "simplex": {"driver": "Nelder-Mead"},
    "population": {"driver": "CMA-ES"},
    "check": {"jac": True, "check_grad": True},
}


def hill(x1, x2, radius=2):
    value, gradient = rastrigin(x1, x2)
    return -value, -gradient


def evaluated(study, function, suggestion):
    value, gradient = function(suggestion.params["x1"], suggestion.params["x2"])
    return value, gradient if study.parameters["jac"] else None


def drive(study, function, most=60, fail=()):
    """Tell up to `most` evaluations; those with an id in `fail` fail."""
    while study.num_evaluations < most and (asked := study.ask(2)):
        for each in asked:
            if each.id in fail:
                study.tell_failure(each.id, "no licence")
            else:
                study.tell(each.id, *evaluated(study, function, each))
    return study


@pytest.mark.parametrize("name", SETTINGS)
def test_it_asks_the_points_of_minus_the_objective(name):
    given = SETTINGS[name]
    down = drive(create_study(BOX, **given), rastrigin, fail={7})
    up = drive(create_study(BOX, direction="maximize", **given), hill, fail={7})
    assert up.num_evaluations > 20
    assert np.array_equal(up.history.x, down.history.x)
    assert np.array_equal(up.history["value"], -down.history["value"], equal_nan=True)
    assert up.best.value == -down.best.value
    assert np.array_equal(up.best.x, down.best.x)
    assert [m.value for m in up.minima] == [-m.value for m in down.minima]
    assert [r.value and -r.value for r in up.runs] == [r.value for r in down.runs]
    assert up.info()["min_objective"] == up.best.value == np.nanmax(up.history["value"])
    assert up.info()["multipliers"] == down.info()["multipliers"]
    assert up.info()["success"] == down.info()["success"]


@pytest.mark.parametrize("name", ["gradients", "constraint", "check"])
def test_rounds_and_single_points_are_one_and_the_same(name):
    given = SETTINGS[name]
    single = drive(create_study(BOX, direction="maximize", **given), hill, 40)
    rounds = create_study(BOX, direction="maximize", **given)
    while rounds.num_evaluations < 40:
        ids, x = rounds.ask_arrays(2)
        told = [hill(*row) for row in x]
        rounds.tell_arrays(ids, [value for value, _ in told], [slope for _, slope in told])
    assert np.array_equal(rounds.history.x, single.history.x)
    assert rounds.best.value == single.best.value


@pytest.mark.parametrize("name", SETTINGS)
def test_it_goes_on_from_text_from_a_file_and_from_a_pickle(name, tmp_path):
    given = SETTINGS[name] | {"direction": "maximize"}
    whole = drive(create_study(BOX, **given), hill, 40)
    part = drive(create_study(BOX, **given), hill, 17)
    kept = drive(create_study(BOX, storage=tmp_path / "up.db", **given), hill, 17)
    kept.close()
    texts = json.loads(json.dumps(part.to_dict(), default=lambda array: array.tolist()))
    for study in (
        Study.from_dict(texts),
        pickle.loads(pickle.dumps(part)),
        optdriver.load_study(tmp_path / "up.db"),
    ):
        with drive(study, hill, 40):
            assert np.array_equal(study.history.x, whole.history.x)
            assert study.best.value == whole.best.value
    with optdriver.load_study(tmp_path / "up.db", read_only=True) as study:
        assert study.verify().points == len(whole.history["id"])


def test_points_of_ones_own_and_a_known_history_count_with_their_sign():
    study = create_study(BOX, direction="maximize", jac=True)
    study.add_point([0.5, 0.5], -3.0)
    study.add_point([0.2, 0.5], -7.0)
    assert study.best.value == -3.0
    other = create_study(BOX, direction="maximize", jac=True)
    other.add_history(study)
    assert other.best.value == -3.0


def test_a_value_is_the_best_although_its_gradient_cannot_be_used():
    study = create_study(BOX, direction="maximize", jac=True)
    study.tell(study.ask().id, -1.0, [np.nan, 0.0])
    assert study.best.value == -1.0
    assert pickle.loads(pickle.dumps(study)).best.value == -1.0


def test_the_target_is_max_val():
    study = create_study(BOX, direction="maximize", jac=True, max_val=-30.0)
    study.run(hill)
    assert study.stop_kind == "max_val"
    assert "at or above max_val = -30" in study.stop_reason
    assert "a higher max_val" in study.how_to_go_on()
    before = study.num_evaluations
    study.set_parameters(max_val=-1.0, max_iter=400)
    study.run(hill)
    assert study.num_evaluations > before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"direction": "maximise"}, "maximize"),
        ({"direction": True}, "'minimize', 'maximize'"),
        ({"direction": "maximize", "min_val": 1.0}, "max_val"),
        ({"max_val": 1.0}, "min_val"),
        ({"direction": "maximize", "driver": "least-squares"}, "residuals"),
        ({"maximize": True}, "direction='maximize'"),
    ],
)
def test_what_has_no_meaning_is_refused(given, said):
    with pytest.raises(OptDriverError, match=said):
        create_study(BOX, **given)


def test_the_direction_stays():
    study = create_study(BOX, jac=True)
    study.set_parameters(direction="maximize")
    drive(study, hill, 3)
    with pytest.raises(ProtocolError, match="'direction' cannot be changed"):
        study.set_parameters(direction="minimize")
    study.set_parameters(direction="maximize")
    with pytest.raises(InputError, match="max_val"):
        study.set_parameters(min_val=0.0)


def test_a_wrong_gradient_is_reported_in_the_users_sign():
    study = create_study(
        {"x": (0.5, 2.0)}, direction="maximize", jac=True, check_grad=True, max_iter=9
    )
    with pytest.raises(GradientError):
        study.run(lambda x: (-(x**2), [4.0 * x]))
    assert study.stop_kind == "check_grad"
    assert "supplies " in study.stop_reason
    given, observed = (
        float(study.stop_reason.split(word)[1].split(",")[0]) for word in ("supplies ", "give ")
    )
    assert given > 0.0 > observed


def test_the_error_bar_of_a_maximum_of_likelihood():
    sigma = np.array([0.3, 2.0])

    def logarithm(a, b):
        x = np.array([a - 1.0, b + 0.5])
        return float(-0.5 * np.sum((x / sigma) ** 2)), -x / sigma**2

    study = create_study(
        {"a": (-5, 5), "b": (-5, 5)}, direction="maximize", jac=True, max_num_minimizers=1
    )
    study.run(logarithm)
    found = study.uncertainty(logarithm)
    assert found.standard_errors == pytest.approx(sigma, rel=1e-6)
    assert "the logarithm of a likelihood" in str(found)
    least = study.uncertainty(logarithm, num_data=3)
    assert least.value == study.minima[0].value
