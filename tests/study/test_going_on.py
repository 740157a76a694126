"""A study can always go on: limits are raised and starts added after its end."""

from __future__ import annotations

import math

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, ProtocolError, StudyDoneError, StudyDoneWarning
from optdriver.studies import create_study
from optdriver.study.study import Study
from tests.study.test_suspension import WAYS
from tests.study.tools import BOX, Clock, rastrigin, same


def finished(**parameters):
    study = create_study(BOX, **({"jac": True, "max_num_minimizers": 3, "seed": 2} | parameters))
    study.run(rastrigin)
    assert study.is_done()
    return study


def test_another_night():
    study = finished()
    study.set_parameters(max_num_minimizers=7)
    assert study.stop_reason is None
    study.run(rastrigin)
    assert study.stop_reason == "7 minimizers have converged"
    whole = finished(max_num_minimizers=7)
    assert study.history.x.tobytes() == whole.history.x.tobytes()


@pytest.mark.parametrize(
    ("first", "change"),
    [
        ({"max_iter": 10}, {"max_iter": 20}),
        ({"min_val": 30.0}, {"min_val": -math.inf}),
        ({"eps": 1.0}, {"eps": 0.0}),
        ({"max_num_minimizers": 2}, {"max_num_minimizers": 4, "num_initial": 2}),
        ({"max_num_minimizers": 2}, {"max_num_minimizers": 4, "start_rule": "mlsl"}),
    ],
)
def test_every_limit_can_be_raised(first, change):
    study = finished(**first)
    before = study.num_evaluations
    study.set_parameters(**change)
    assert not study.is_done()
    study.run(rastrigin)
    assert study.num_evaluations > before


def test_run_on_a_finished_study_says_why_and_what_to_raise():
    study = finished()
    before = study.to_dict()
    with pytest.warns(StudyDoneWarning, match=r"3 minimizers have converged.*max_num_minimizers="):
        study.run(rastrigin)
    assert same(study.to_dict(), before)
    with pytest.raises(StudyDoneError, match="max_num_minimizers="):
        study.get_suggestion()
    assert "max_num_minimizers=" in study.how_to_go_on()
    study.set_parameters(max_iter=study.num_evaluations, max_num_minimizers=9)
    with pytest.warns(StudyDoneWarning, match=r"a larger max_iter"):
        study.run(rastrigin)
    study.set_parameters(max_iter=math.inf)
    assert study.how_to_go_on() is None


def test_a_study_that_has_likely_found_all_minima_goes_on_by_what_it_says():
    def bowl(x, y):
        return x**2 + y**2, [2 * x, 2 * y]

    study = create_study(
        {"x": (-2, 2), "y": (-2, 2)}, jac=True, stop_when="all minima likely found", max_iter=999
    )
    study.run(bowl)
    before = study.num_evaluations
    assert study.stop_reason.startswith("all minima likely found")
    assert study.how_to_go_on().endswith("to go on: study.set_parameters(stop_when=None)")
    study.set_parameters(stop_when=None)
    study.run(bowl, max_evaluations=5)
    assert study.num_evaluations == before + 5


def test_starts_are_added_and_come_next():
    study = finished(initial_samples=[[0.4, 0.4]])
    new = [[1.1, -1.3], {"x1": -0.7, "x2": 0.2}]
    study.set_parameters(max_num_minimizers=6, initial_samples=new)
    study.run(rastrigin)
    starts = [tuple(run.start[name] for name in ("x1", "x2")) for run in study.runs]
    assert starts[0] == (0.4, 0.4)
    assert starts[3:5] == [(1.1, -1.3), (-0.7, 0.2)]
    # The sequence goes on where it was.
    plain = finished(initial_samples=[[0.4, 0.4]], max_num_minimizers=4)
    assert starts[5] == tuple(plain.runs[3].start[name] for name in ("x1", "x2"))
    assert study.parameters["initial_samples"] == ((0.4, 0.4), (1.1, -1.3), (-0.7, 0.2))
    study.set_parameters(initial_samples=[[0.4, 0.4]])  # it was given before
    assert len(study.parameters["initial_samples"]) == 3


def test_where_all_starts_are_used_new_ones_are_enough():
    space = {"x1": (-math.inf, math.inf), "x2": (-math.inf, math.inf)}
    study = create_study(space, jac=True, initial_samples=[[0.1, 0.2]], max_num_minimizers=5)
    study.run(rastrigin)
    assert study.stop_reason == "all starts are used"
    study.set_parameters(initial_samples=[[2.1, 1.1], [3.1, 0.2]])
    study.run(rastrigin)
    assert len(study.runs) == 3


def test_what_cannot_be_used_changes_nothing():
    study = finished()
    before = study.to_dict()
    for wrong in ({"initial_samples": [[9, 9]]}, {"start_rule": "mlls"}, {"num_initial": 0}):
        with pytest.raises(InputError):
            study.set_parameters(max_num_minimizers=9, **wrong)
    with pytest.raises(ProtocolError, match="'seed' cannot be changed"):
        study.set_parameters(max_num_minimizers=9, seed=4)
    assert same(study.to_dict(), before)


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_what_goes_on_is_restored_and_replayed_exactly(way):
    def play(change):
        clock, journal = Clock(), []
        study = create_study(
            BOX, jac=True, max_num_minimizers=2, num_initial=3, clock=clock, journal=journal
        )
        nights = [{}, {"max_num_minimizers": 5}, {"initial_samples": [[1.2, 1.2]]}]
        nights.append({"max_num_minimizers": 8, "start_rule": "mlsl", "num_initial": 1})
        for night in nights:
            study.set_parameters(**night)
            study = change(study, journal, clock)
            while (suggestion := study.ask()) is not None:
                study.tell(suggestion.id, *rastrigin(**suggestion.params))
            study = change(study, journal, clock)
        return study

    straight = play(lambda study, journal, clock: study)
    broken = play(WAYS[way])
    assert same(broken.to_dict(), straight.to_dict())
    assert len(straight.runs) > 6


def test_a_kept_study_goes_on(tmp_path):
    path = tmp_path / "study.db"
    with optdriver.create_study(BOX, jac=True, max_num_minimizers=2, storage=path) as study:
        study.run(rastrigin)
    with optdriver.load_study(path) as study:
        study.set_parameters(max_num_minimizers=4, initial_samples=[[1.2, -1.2]])
    with optdriver.load_study(path) as study:
        assert study.parameters["max_num_minimizers"] == 4
        study.run(rastrigin)
        assert study.runs[2].start == {"x1": 1.2, "x2": -1.2, "radius": 2}
        assert study.verify().points == study.num_evaluations
        assert study.stop_reason == "4 minimizers have converged"


def test_runs_that_the_end_cut_short_are_taken_up_again():
    study = create_study(BOX, jac=True, num_initial=4, num_parallel=4, max_num_minimizers=1, seed=3)
    while opened := study.ask(4):
        for suggestion in opened:
            study.tell(suggestion.id, *rastrigin(**suggestion.params))
    cut = [run for run in study.runs if run.state == "stopped"]
    assert cut
    study.set_parameters(max_num_minimizers=4)
    study.run(rastrigin)
    assert [study.runs[run.index].state for run in cut] == ["converged"] * len(cut)
    assert all(study.runs[run.index].evaluations > run.evaluations for run in cut)
    alone = create_study(BOX, jac=True, max_num_minimizers=1, initial_samples=[
        cut[0].start])  # fmt: skip
    alone.run(rastrigin)
    assert study.runs[cut[0].index].value == alone.runs[0].value


def test_starts_under_constraints_are_moved_like_the_first(tmp_path):
    study = create_study(
        BOX, constraints=["x1^2 + x2^2 <= 1"], jac=True, max_num_minimizers=1, seed=1
    )
    study.run(rastrigin)
    study.set_parameters(max_num_minimizers=2, initial_samples=[[1.2, 1.2]])
    study.run(rastrigin)
    start = study.runs[1].start
    assert math.hypot(start["x1"], start["x2"]) <= 1.0
    assert math.hypot(start["x1"], start["x2"]) == pytest.approx(1.0)
    assert "initial sample 0 violates" in study.info()["notes"][-1]


def test_a_population_goes_on():
    def bowl(x1, x2, radius):
        return x1**2 + x2**2

    study = create_study(BOX, driver="CMA-ES", max_num_minimizers=1, seed=4)
    study.run(bowl)
    study.set_parameters(max_num_minimizers=2, initial_samples=[[0.5, 0.5]])
    study.run(bowl)
    assert [run.state for run in study.runs] == ["converged", "converged"]
    twin = Study.from_dict(study.to_dict())
    assert np.array_equal(twin.history.x, study.history.x)
