from __future__ import annotations

import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from optdriver.studies import create_study
from tests.study.tools import BOX, answer, rastrigin

COLUMNS = [
    "x1", "x2", "id", "run", "kind", "state", "value", "attempts", "asked", "ended", "reason",
    "objective",
]  # fmt: skip


@pytest.fixture
def study():
    return driven()


def driven(**parameters):
    study = create_study(
        BOX, jac=True, num_initial=3, num_parallel=3, max_num_minimizers=8, **parameters
    )
    while not study.is_done():
        for suggestion in study.ask(3):
            if suggestion.id == 11:
                study.tell_failure(11, "crashed")
            else:
                answer(study, suggestion)
    return study


def test_the_best_point_was_observed_as_it_stands(study):
    best = study.best
    value, gradient = rastrigin(best.params["x1"], best.params["x2"])
    assert (
        best.value == value == study.history["value"][best.id] == np.nanmin(study.history["value"])
    )
    assert best.gradient.tobytes() == gradient.tobytes()
    assert best.x.tolist() == [best.params["x1"], best.params["x2"]]
    assert best.params["radius"] == 2
    assert study.history["run"][best.id] == best.run
    info = study.info()
    assert info["min_objective"] == best.value
    assert info["min_params"] == best.params


def test_minima_are_distinct_and_named(study):
    minima = study.minima
    assert sum(minimum.times_found for minimum in minima) == 8
    assert [m.value for m in minima] == sorted(m.value for m in minima)
    for minimum in minima:
        point = [minimum.params["x1"], minimum.params["x2"]]
        assert minimum.x.tolist() == point
        assert minimum.value == rastrigin(*point)[0]
        assert minimum.times_found == len(minimum.runs) == len(minimum.starts)
        for run, start in zip(minimum.runs, minimum.starts, strict=True):
            assert study.runs[run].start == start
            assert study.runs[run].state == "converged"
    assert study.info()["num_minima"] == len(minima)


def test_runs_have_a_row_each(study):
    runs = study.runs
    assert [run.index for run in runs] == list(range(len(runs)))
    assert sum(run.evaluations for run in runs) >= study.num_evaluations  # what is known, too
    assert sum(run.failures for run in runs) == 1
    for run in runs:
        assert run.start.keys() == {"x1", "x2", "radius"}
        if run.state == "converged":
            assert run.value == rastrigin(run.params["x1"], run.params["x2"])[0]
            assert run.reason


def test_without_a_memory_each_evaluation_is_that_of_one_run():
    study = driven(memory=False)
    assert sum(run.evaluations for run in study.runs) == study.num_evaluations


def test_history_has_every_evaluation(study):
    history = study.history
    assert list(history) == COLUMNS
    assert {len(column) for column in history.values()} == {study.num_evaluations}
    assert history["state"][11] == "failed"
    assert history["reason"][11] == "crashed"
    assert math.isnan(history["value"][11])
    assert np.isnan(history.gradient[11]).all()
    assert history.x.shape == history.gradient.shape == (study.num_evaluations, 2)
    for row in (0, 5, 17):
        value, gradient = rastrigin(*history.x[row])
        assert history["value"][row] == value
        assert history.gradient[row].tobytes() == gradient.tobytes()


def test_history_can_be_pickled(study):
    again = pickle.loads(pickle.dumps(study.history))
    assert list(again) == COLUMNS
    assert again.x.tobytes() == study.history.x.tobytes()


def test_history_is_a_snapshot(study):
    history = study.history
    history["x1"][:] = 7
    history.x[:] = 7
    assert study.history.x.max() <= 1.5


def test_pandas_reads_the_history(study):
    frame = pd.DataFrame(study.history)
    assert list(frame.columns) == COLUMNS
    assert len(frame) == study.num_evaluations
    assert frame["value"].min() == study.best.value
    assert frame["state"].value_counts()["failed"] == 1
    assert frame["x1"].dtype == np.float64


def test_polars_reads_the_history(study):
    frame = pl.DataFrame(study.history)
    assert frame.columns == COLUMNS
    assert frame["value"].drop_nans().min() == study.best.value
    assert frame.schema["x1"] == pl.Float64
    assert frame.schema["id"] == pl.Int64
    assert frame.schema["kind"] == pl.String


def test_an_empty_history_can_be_read_too():
    study = create_study(BOX)
    assert pd.DataFrame(study.history).shape == (0, len(COLUMNS))
    assert pl.DataFrame(study.history).shape == (0, len(COLUMNS))
    study.ask()
    assert pl.DataFrame(study.history).shape == (0, len(COLUMNS))


def test_parameters_may_have_the_names_of_columns():
    study = create_study({"value": (0, 1), "id": (0, 1), "id_": (0, 1)}, jac=True)
    suggestion = study.ask()
    study.tell(suggestion.id, 3.0, [1, 1, 1])
    history = study.history
    assert history["value"].tolist() == [suggestion.params["value"]]
    assert history["value_"].tolist() == [3.0]
    assert history["id__"].tolist() == [0]


def test_the_ledger_grows():
    study = create_study(BOX, jac=True, max_iter=100)
    study.run(lambda x1, x2, radius: rastrigin(x1, x2))
    assert study.history["id"].tolist() == list(range(100))
    assert study.history.gradient.shape == (100, 2)
    assert not np.isnan(study.history.gradient).any()


def test_the_summary_has_what_programs_of_the_other_dialect_read():
    study = create_study({"x": (0, 1)}, jac=True, num_parallel=3, max_iter=4)
    first, second = study.ask(2)
    info = study.info()
    assert info["open_suggestions"] == [first.id, second.id]
    assert (info["num_parallel"], info["is_done"]) == (3, False)
    study.stop()
    assert study.info()["is_done"]
    full = create_study({"x": (0, 1)}, jac=True, num_parallel=3, max_iter=2)
    full.ask(3)
    assert full.info()["is_done"]


def test_active_bounds_have_their_multipliers():
    def slope(x, y, z):
        return 3 * x - 2 * y + (z - 1) ** 2, [3.0, -2.0, 2 * (z - 1)]

    study = create_study(
        {"x": (0.5, 4), "y": (-1, 7), "z": (-3, 3)}, jac=True, max_num_minimizers=1
    )
    study.run(slope)
    info = study.info()
    assert info["success"]
    assert info["active_bounds"] == {"x": "lower", "y": "upper"}
    assert info["multipliers"] == {"x": 3.0, "y": 2.0}
    assert info["kkt_residual"] <= 1e-5
    by_differences = create_study({"x": (0.5, 4)}, max_num_minimizers=1)
    by_differences.run(lambda x: 3 * x)
    assert by_differences.info()["multipliers"] == pytest.approx({"x": 3.0})
