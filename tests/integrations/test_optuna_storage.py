"""What Optuna shows of a study is what the study has."""

from __future__ import annotations

import math

import pytest

import optdriver
from optdriver.errors import InputError
from optdriver.integrations.optuna_storage import to_optuna

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def new(**arguments):
    domain = {"D": {"domain": (1e-6, 1.0), "scale": "log"}, "y": (-math.inf, math.inf), "n": 3}
    return optdriver.create_study(
        domain,
        name="film",
        seed=1,
        num_parallel=2,
        initial_samples=[[0.1, 1.0]],
        max_num_minimizers=1,
        **arguments,
    )


def go_on(study, n):
    for k in range(n):
        suggestion = study.ask()
        if k % 5 == 4:
            study.tell_failure(suggestion.id, "no mesh")
        else:
            D, y, _ = suggestion.params.values()
            study.tell(suggestion.id, math.log(D) ** 2 + y * y)


def test_values_points_failures_and_attributes():
    study = new()
    go_on(study, 12)
    trials = to_optuna(study).trials
    assert [t.state.name for t in trials].count("FAIL") == 2
    told = [t for t in trials if t.state.name == "COMPLETE"]
    assert [t.value for t in told] == study.history["value"][
        study.history["state"] == "told"
    ].tolist()
    assert [list(t.params.values()) for t in trials] == study.history.x.tolist()
    assert trials[0].user_attrs == {"optdriver_id": 0, "minimizer": 0, "kind": "iterate", "n": 3}
    assert trials[4].user_attrs["reason"] == "no mesh"
    assert trials[0].distributions["D"].log
    assert all(t.datetime_start <= t.datetime_complete for t in trials)


def test_called_again_it_adds_what_is_new(tmp_path):
    pytest.importorskip("sqlalchemy")
    place = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = new()
    assert to_optuna(study, place).trials == []
    for n in (3, 0, 6):
        go_on(study, n)
        target = to_optuna(study, place)
        assert len(target.trials) == study.num_evaluations
    assert target.best_value == study.best.value
    assert [t.user_attrs["optdriver_id"] for t in target.trials] == list(range(9))


def test_trials_of_others_are_left_alone():
    other = optuna.create_study(study_name="film", storage=(s := optuna.storages.InMemoryStorage()))
    other.optimize(lambda trial: trial.suggest_float("D", 0, 1), n_trials=2)
    study = new()
    go_on(study, 2)
    with pytest.raises(InputError, match="of its own"):
        to_optuna(study, s)
    assert len(other.trials) == 2
    assert len(to_optuna(study, s, "another").trials) == 2


def test_limits_on_outputs_are_constraints_there():
    study = optdriver.create_study(
        {"x": (-2, 2)}, outputs={"u": ">= 1"}, max_num_minimizers=1, initial_samples=[[0.1]]
    )
    study.run(lambda x: {"value": x**2, "u": x})
    trials = to_optuna(study).trials
    assert [trial.user_attrs["u"] for trial in trials] == study.history["u"].tolist()
    violated = [trial.system_attrs["constraints"][0] > 0.0 for trial in trials]
    assert violated == (~study.history["feasible"]).tolist()
    assert any(violated)
    assert to_optuna(study).best_trial.value >= 1.0 - 1e-7
