"""Points that are known are not evaluated again, and other studies' evaluations are known."""

from __future__ import annotations

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, InputTypeError
from optdriver.studies import create_study
from optdriver.study import Study
from optdriver.study.events import Recalled, pack, unpack
from tests.study.tools import BOX, Clock, rastrigin, rastrigin_value, same

TWICE = [[0.5, 0.25], [0.5, 0.25]]
SETTINGS = {
    "simplex": {"driver": "Nelder-Mead"},
    "gradients": {"jac": True},
    "differences": {},
    "SLSQP": {"driver": "SLSQP", "jac": True},
}


class Counted:
    def __init__(self, jac):
        self.points, self.jac = [], jac

    def __call__(self, x1, x2, radius):
        self.points.append((x1, x2))
        return rastrigin(x1, x2) if self.jac else rastrigin_value(x1, x2, radius)


def study_of(setting, **more):
    given = {"initial_samples": TWICE, "max_num_minimizers": 2, "clock": Clock()}
    return create_study(BOX, **(given | SETTINGS[setting] | more))


def run(study):
    counted = Counted(study.parameters["jac"])
    study.run(counted)
    return counted.points


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_point_is_evaluated_twice(setting):
    without = study_of(setting, memory=False)
    points = run(without)
    study = study_of(setting)
    assert run(study) == list(dict.fromkeys(points))
    assert len(points) > 1.5 * study.num_evaluations
    assert [row.value for row in study.runs] == [row.value for row in without.runs]
    assert [row.state for row in study.runs] == ["converged"] * 2


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_was_recalled_is_an_event(setting, tmp_path):
    journal, path = [], tmp_path / "study.db"
    study = study_of(setting, journal=journal)
    points = run(study)
    recalled = [event for event in journal if isinstance(event, Recalled)]
    assert len(recalled) == len(points)
    again = Study.from_events(study.spec, [unpack(pack(event)) for event in journal])
    assert same(again.to_dict(), study.to_dict())
    with study_of(setting, storage=path) as kept:
        half = Counted(kept.parameters["jac"])
        kept.run(half, max_evaluations=len(points) // 2)
        kept.export(tmp_path / "study.jsonl")
    with optdriver.load_study(path) as kept:
        assert half.points + run(kept) == points
        assert kept.verify().events == kept._desk.journal.last
    with optdriver.import_study(tmp_path / "study.jsonl", tmp_path / "other.db") as kept:
        assert half.points + run(kept) == points


def test_noise_is_asked_again():
    study = study_of("simplex", noise=1e-3)
    points = run(study)
    assert len(set(points)) < len(points)


def test_what_failed_is_tried_again_by_the_rule_of_before():
    study = study_of("gradients", max_num_minimizers=1, memory_rule=1)
    first = study.ask()
    study.tell_failure(first.id)
    second = study.ask()  # the same start, given twice
    assert second.x.tolist() == first.x.tolist()


def test_a_value_without_a_gradient_is_no_answer_where_one_is_wanted():
    study = study_of("gradients")
    study.add_point(TWICE[0], rastrigin(*TWICE[0])[0])
    assert study.best.value == rastrigin(*TWICE[0])[0]
    assert study.ask().x.tolist() == TWICE[0]
    study = study_of("gradients")
    study.add_point(TWICE[0], *rastrigin(*TWICE[0]))
    assert study.ask().x.tolist() != TWICE[0]
    study = study_of("differences")
    study.add_point(TWICE[0], rastrigin(*TWICE[0])[0])
    assert study.ask().x.tolist() != TWICE[0]


def test_rounds_recall_what_was_added():
    study = study_of("differences", num_parallel=8)
    study.add_point(TWICE[0], rastrigin(*TWICE[0])[0])
    ids, x = study.ask_arrays()
    assert len(ids) > 0
    assert TWICE[0] not in x.tolist()
    study = study_of("gradients", num_parallel=4)
    study.add_point(TWICE[0], *rastrigin(*TWICE[0]))
    ids, x = study.ask_arrays()
    assert TWICE[0] not in x.tolist()
    values, gradients = zip(*(rastrigin(*row) for row in x), strict=True)
    study.tell_arrays(ids, values, np.array(gradients))
    again = Study.from_dict(study.to_dict())
    assert same(again.ask_arrays(), study.ask_arrays())


def test_rounds_evaluate_no_point_twice():
    journal, seen = [], []
    given = {"num_parallel": 7, "max_num_minimizers": 20, "initial_samples": ()}
    study = study_of("gradients", journal=journal, **given)
    while len((round_ := study.ask_arrays())[0]):
        ids, x = round_
        seen += map(tuple, x.tolist())
        values, gradients = zip(*(rastrigin(*row) for row in x), strict=True)
        study.tell_arrays(ids, values, np.array(gradients))
    recalled = [event for event in journal if isinstance(event, Recalled)]
    assert len(recalled) >= 3  # corners of the box, to which steps are cut
    twice = len(seen) - len(set(seen))
    assert twice <= 7  # those that are out together
    again = Study.from_events(study.spec, [unpack(pack(event)) for event in journal])
    assert same(again.to_dict(), study.to_dict())


def test_one_call_recalls_so_many_points_and_no_more(monkeypatch):
    from optdriver.study import asking

    monkeypatch.setattr(asking, "RECALLED", 5)
    study = study_of("simplex")
    points = run(study)
    assert len(set(points)) < len(points) < 1.5 * len(set(points))


def test_a_forged_source_is_refused(tmp_path):
    journal = []
    study = study_of("simplex", journal=journal)
    run(study)
    k = next(k for k, event in enumerate(journal) if isinstance(event, Recalled))
    wrong = [*map(pack, journal[:k]), {**pack(journal[k]), "source": 10**6}]
    with pytest.raises(optdriver.OptDriverError, match="which is not known"):
        Study.from_events(study.spec, map(unpack, wrong))


# -- other studies ----------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_study_with_the_history_of_the_same_study_evaluates_nothing(setting):
    first = study_of(setting)
    points = run(first)
    second = study_of(setting)
    ids = second.add_history(first)
    assert len(ids) == len(points)
    assert second.add_history(first) == []
    assert run(second) == []
    assert second.num_evaluations == 0
    assert second.best.value == first.best.value
    assert second.runs[0].value == first.runs[0].value


def test_what_cannot_be_used_is_left_out():
    first = study_of("gradients", max_num_minimizers=3)
    run(first)
    first.add_point([1.4, 1.4], 50.0)
    smaller = {"x2": (-0.6, 0.6), "x1": (-0.6, 0.6), "radius": 2}
    second = create_study(smaller, constraints=["x1 + x2 <= 0.75"], jac=True)
    ids = second.add_history(first)
    x1, x2 = (np.array(second.history[name]) for name in ("x1", "x2"))
    assert 0 < len(ids) == len(x1) < len(first.history["id"])
    assert (x1 + x2 <= 0.75 + 1e-9).all()
    assert (abs(np.stack([x1, x2])) <= 0.6).all()
    values = [rastrigin(*each)[0] for each in zip(x1, x2, strict=True)]
    assert np.array_equal(np.array(second.history["value"]), values)


def test_other_parameters_are_refused(tmp_path):
    study = study_of("gradients")
    with pytest.raises(InputError, match="the other study has other parameters"):
        study.add_history(create_study({"x1": (0, 1), "x3": (0, 1), "radius": 2}))
    with pytest.raises(InputError, match="fixed"):
        study.add_history(create_study({**BOX, "radius": 3}))
    with pytest.raises(InputTypeError, match="takes a study"):
        study.add_history("study.db")


def test_studies_of_earlier_versions_have_no_memory():
    data = study_of("simplex").spec.to_dict()
    del data["parameters"]["memory"]
    from optdriver.study.spec import Spec

    assert Spec.from_dict(data).parameters["memory"] is False
