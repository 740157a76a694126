"""The objective was changed on purpose: the former one's evaluations are history."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import optdriver
from optdriver.errors import (
    GradientError,
    InputTypeError,
    ObjectiveWarning,
    StorageError,
    StudyDoneError,
)
from optdriver.studies import create_study
from optdriver.study.study import Study

BOX = {"x": (-2.0, 2.0), "y": (-1.0, 2.0)}
GIVEN = {"jac": True, "num_parallel": 2, "max_num_minimizers": 4}


def former(x, y):
    """Two minima, the lower one, -1.6, near x = -1."""
    return (x * x - 1.0) ** 2 + 0.3 * x + (y - 0.5) ** 2, [
        4.0 * x * (x * x - 1.0) + 0.3,
        2.0 * (y - 0.5),
    ]


def new(x, y):
    """The minima exchanged, and higher everywhere."""
    value, (slope, other) = former(-x, y)
    return value + 5.0, [-slope, other]


def evaluate(study, function, most=None):
    """Evaluate one after the other, `most` of them or to the end."""
    left = most
    while (left is None or left > 0) and (each := study.ask()) is not None:
        study.tell(each.id, *function(*each.x))
        left = None if left is None else left - 1
    return study


def twins(study, other):
    return np.array_equal(study.history.x, other.history.x) and np.array_equal(
        study.history["value"], other.history["value"], equal_nan=True
    )


def test_best_and_minima_are_the_new_objectives():
    study = evaluate(create_study(BOX, **GIVEN), former)
    before, found = study.best, [m.x for m in study.minima]
    assert before.value < 0.0
    ended = study.num_evaluations
    study.reevaluate(new)
    assert study.best is None
    assert study.objective is new
    assert (len(study.minima), len(study.runs), study.num_evaluations) == (0, 0, 0)
    assert study.stop_reason is None
    assert study.info()["num_former"] == ended
    first = study.ask()
    assert np.array_equal(first.x, found[0])  # the best minimum of the former one comes first
    study.tell(first.id, *new(*first.x))
    study.run()
    lowest = min(new(x, 0.5)[0] for x in np.linspace(-2, 2, 4001))
    assert study.best.value == pytest.approx(lowest, abs=1e-5)
    assert all(row.value > 4.0 for row in study.minima)
    table = study.history
    assert (table["objective"][:ended] == 0).all()
    assert (table["objective"][ended:] == 1).all()
    assert table["value"][:ended].min() == before.value
    assert len(table["id"]) == ended + study.num_evaluations


def test_a_point_of_the_former_objective_is_evaluated_again():
    study = evaluate(create_study(BOX, **GIVEN), former)
    study.reevaluate()
    first = study.ask()
    assert any(np.array_equal(first.x, row) for row in study.history.x)


def test_without_a_minimum_the_best_point_comes_first():
    study = evaluate(create_study(BOX, **GIVEN), former, 3)
    best = study.best.x
    study.reevaluate()
    assert np.array_equal(study.ask().x, best)


@pytest.mark.parametrize("cut", [0, 1, 5, 9])
def test_it_goes_on_bit_for_bit_wherever_it_was_broken_off(cut, tmp_path):
    whole = evaluate(create_study(BOX, **GIVEN), former, 12)
    whole.reevaluate()
    evaluate(whole, new)
    path = tmp_path / "kept.db"
    study = evaluate(create_study(BOX, storage=path, **GIVEN), former, 12)
    study.reevaluate()
    evaluate(study, new, cut)
    memory = Study.from_dict(
        json.loads(json.dumps(study.to_dict(), default=lambda array: array.tolist()))
    )
    study.close()
    with optdriver.load_study(path) as loaded:
        copies = (loaded, memory, pickle.loads(pickle.dumps(memory)))
        for each in copies:
            assert each.info()["num_former"] == 12
            evaluate(each, new)
            assert twins(each, whole)
            assert [m.value for m in each.minima] == [m.value for m in whole.minima]
        assert loaded.verify().points == len(whole.history["id"])


def test_a_kept_study_is_exported_and_imported_with_its_former_objective(tmp_path):
    with create_study(BOX, storage=tmp_path / "a.db", **GIVEN) as study:
        evaluate(study, former, 8)
        study.reevaluate()
        evaluate(study, new, 8)
        study.export(tmp_path / "a.jsonl")
        with optdriver.import_study(tmp_path / "a.jsonl", tmp_path / "b.db") as other:
            assert twins(other, study)
            evaluate(study, new)
            evaluate(other, new)
            assert twins(other, study)


def test_results_that_come_late_have_no_effect():
    study = create_study(BOX, num_initial=3, **GIVEN)
    one, two = study.ask(), study.ask()
    study.tell(one.id, *former(*one.x))
    study.reevaluate()
    study.tell(two.id, -1000.0, [0.0, 0.0])
    study.tell_failure(two.id, "late as well")
    assert study.best is None
    assert study.open_suggestions == ()
    assert study.history["reason"][two.id] == "given up when the objective was changed"
    evaluate(study, new)
    assert study.best.value > 4.0


def test_the_cap_counts_the_present_objective_and_a_limit_ends_no_other():
    study = evaluate(create_study(BOX, max_iter=7, **GIVEN), former)
    assert study.stop_kind == "max_iter"
    with pytest.raises(StudyDoneError):
        study.get_suggestion()
    study.reevaluate()
    evaluate(study, new)
    assert (study.num_evaluations, study.info()["num_former"]) == (7, 7)


def test_limits_that_were_changed_stay_changed():
    study = evaluate(create_study(BOX, **GIVEN), former)
    study.set_parameters(max_num_minimizers=2)
    study.reevaluate()
    evaluate(study, new)
    assert study.stop_reason == "2 minimizers have converged"


def test_again_and_again():
    study = create_study(BOX, **GIVEN)
    for number in range(3):
        evaluate(study, lambda x, y, s=number: (former(x, y)[0] + s, former(x, y)[1]), 6)
        assert study.objective_number == number
        study.reevaluate()
    assert study.history["objective"].tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert study.info()["num_former"] == 18


def test_differences_constraints_and_logarithms_begin_anew_too():
    space = [
        {"name": "d", "type": "continuous", "domain": (0.01, 100.0), "scale": "log"},
        {"name": "y", "type": "continuous", "domain": (-1.0, 2.0)},
    ]
    study = create_study(space, constraints=["d + y <= 3"], max_num_minimizers=2)

    def at(d):
        return lambda suggestion: (suggestion.x[0] - d) ** 2 + suggestion.x[1] ** 2

    for value, wanted in ((at(1.0), 1.0), (at(2.5), 2.5)):
        while (each := study.ask()) is not None:
            study.tell(each.id, value(each))
        assert study.best.x[0] == pytest.approx(wanted, abs=1e-3)
        last = study.minima[0].x
        study.reevaluate()
    assert np.array_equal(study.ask().x, last)


def test_residuals_may_become_more():
    study = create_study(BOX, driver="least-squares", jac=True, max_num_minimizers=1)
    for rows in (2, 5):
        weights = np.arange(1.0, rows + 1)[:, None] * np.array([[1.0, 0.5]]) + np.eye(rows, 2)
        while (each := study.ask()) is not None:
            study.tell(each.id, residuals=weights @ (each.x - 0.25), jacobian=weights)
        assert study.best.x == pytest.approx([0.25, 0.25])
        study.reevaluate()


def test_the_gradient_of_the_new_objective_is_checked_too():
    study = create_study(BOX, check_grad=True, **GIVEN)
    study.run(former, max_evaluations=10)
    study.reevaluate(lambda x, y: (new(x, y)[0], [-v for v in new(x, y)[1]]))
    with pytest.raises(GradientError, match="derivative"):
        study.run()


def test_an_uncertainty_is_that_of_the_present_objective():
    study = create_study(BOX, jac=True, max_num_minimizers=1)
    for curvature in (1.0, 25.0):
        study.reevaluate(lambda x, y, c=curvature: (0.5 * c * (x * x + y * y), [c * x, c * y]))
        study.run()
        assert study.uncertainty().standard_errors == pytest.approx(curvature**-0.5, rel=1e-6)


def test_history_is_taken_over_of_the_present_objective_only():
    study = evaluate(create_study(BOX, **GIVEN), former, 5)
    study.reevaluate()
    evaluate(study, new, 4)
    other = create_study(BOX, **GIVEN)
    assert len(other.add_history(study)) == 4


def test_an_objective_that_cannot_be_called_changes_nothing():
    study = evaluate(create_study(BOX, **GIVEN), former, 5)
    with pytest.raises(InputTypeError, match="must be callable"):
        study.reevaluate(3)
    assert study.best is not None
    fresh = create_study(BOX, **GIVEN)
    fresh.reevaluate(new)  # nothing has happened yet: the objective is set, no more
    assert fresh.objective is new
    assert fresh.objective_number == 0


def test_a_flat_objective_is_seen_although_the_former_was_none():
    study = evaluate(create_study(BOX, **GIVEN | {"max_num_minimizers": 40}), former, 6)
    study.reevaluate(lambda x, y: (3.0, [0.0, 0.0]))
    with pytest.warns(ObjectiveWarning, match="returned 3, with a gradient of zero"):
        study.run()
    assert study.stop_kind == "flat"


def test_where_it_cannot_be_recorded_the_former_objective_stays(tmp_path):
    path = tmp_path / "kept.db"
    with create_study(BOX, storage=path, **GIVEN) as study:
        evaluate(study, former, 3)
        with optdriver.load_study(path, read_only=True) as looked_at:
            looked_at.set_objective(former)
            with pytest.raises(StorageError, match="read_only"):
                looked_at.reevaluate(new)
            assert looked_at.objective is former
            assert looked_at.objective_number == 0
            assert looked_at.best.value == study.best.value
