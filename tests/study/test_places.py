"""Places: which are filled, by what, and what that changes."""

from __future__ import annotations

import pytest

from optdriver.multistart import MultiStart
from optdriver.studies import create_study
from tests.study.test_suspension import WAYS
from tests.study.tools import BOX, Clock, rastrigin, same


def rounds(study, **how):
    """Tell all that is open, round by round; return how many were open in each."""
    sizes = []
    while opened := study.ask(99, **how):
        sizes.append(len(opened))
        for suggestion in opened:
            gradient = rastrigin(**suggestion.params)[1] if study.parameters["jac"] else None
            study.tell(suggestion.id, rastrigin(**suggestion.params)[0], gradient)
    return sizes


@pytest.mark.parametrize("parameters", [{"jac": True}, {"driver": "Nelder-Mead"}])
def test_no_place_idles_while_work_remains(parameters):
    study = create_study(BOX, num_parallel=6, max_num_minimizers=6, memory_rule=1, **parameters)
    sizes = rounds(study)
    assert set(sizes) == {6}
    assert study.stop_reason.endswith("minimizers have converged")


def test_a_place_stays_free_only_where_a_minimizer_waits_for_a_point_that_is_open():
    study = create_study(BOX, num_parallel=6, max_num_minimizers=6, jac=True)
    sizes = []
    while opened := study.ask(99):
        aside = sum(map(len, study._desk.state.aside.values()))
        sizes.append(len(opened))
        assert len(opened) + aside == 6
        for suggestion in opened:
            study.tell(suggestion.id, *rastrigin(**suggestion.params))
    assert min(sizes) < 6
    assert study.stop_reason.endswith("minimizers have converged")


def test_no_more_than_max_num_minimizers_run():
    study = create_study(BOX, jac=True, num_parallel=6, max_num_minimizers=2)
    assert set(rounds(study)) == {2}


def test_where_a_start_leads_depends_on_its_own_evaluations_only():
    crowded = create_study(BOX, jac=True, num_parallel=6, max_num_minimizers=6, seed=7)
    rounds(crowded)
    plain = create_study(BOX, jac=True, max_num_minimizers=len(crowded.runs), seed=7)
    plain.run(rastrigin)
    for run, alone in zip(crowded.runs, plain.runs, strict=True):
        assert run.start == alone.start
        if run.state == "converged":
            assert (run.value, run.evaluations) == (alone.value, alone.evaluations)


def test_the_users_own_starts_are_finished():
    samples = [[0.52, 0.52], [-0.49, 0.51], [0.0, 0.0]]  # the last one is there already
    study = create_study(
        BOX, jac=True, num_parallel=3, max_num_minimizers=3, initial_samples=samples
    )
    rounds(study)
    assert [run.state for run in study.runs[:3]] == ["converged"] * 3
    assert len(study.runs) > 3


@pytest.mark.parametrize("jac", [True, False])
def test_fill_gives_exactly_so_many(jac):
    study = create_study(BOX, jac=jac, max_num_minimizers=2, max_iter=200)
    assert len(study.ask(7)) == 1  # num_parallel
    assert len(study.ask(7, fill=True)) == 7
    assert len(study.ask(5, fill=True)) == 5
    assert len(study.open_suggestions) == 13
    sizes = [1]
    while not study.is_done():
        for suggestion in study.open_suggestions:
            value, gradient = rastrigin(**suggestion.params)
            study.tell(suggestion.id, value, gradient if jac else None)
        if not study.is_done():
            room = 200 - study.num_evaluations
            sizes.append(len(study.ask(9, fill=True)))
            assert sizes[-1] == min(9, room)
    assert study.num_evaluations <= 200


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_filled_places_are_restored_and_replayed_exactly(way):
    def play(change):
        clock, journal = Clock(), []
        study = create_study(
            BOX, jac=True, max_num_minimizers=3, num_parallel=4, clock=clock, journal=journal
        )
        step = 0
        while not study.is_done() and step < 30:
            opened = study.ask(2 + step % 3, fill=step % 2 == 0)
            study = change(study, journal, clock)
            for suggestion in [*opened][::-1]:
                study.tell(suggestion.id, *rastrigin(**suggestion.params))
            step += 1
        return study

    assert same(play(WAYS[way]).to_dict(), play(lambda study, *_: study).to_dict())


def test_a_multi_start_gives_exactly_so_many():
    ms = MultiStart([(-1.5, 1.5)] * 2, max_num_minimizers=2)
    assert len(ms.ask(5)) == 2
    assert len(ms.ask(5, fill=True)) == 5
    assert len(ms.ask(1)) == 0
    given = MultiStart([(-float("inf"), float("inf"))], initial_samples=[[0.0], [1.0]])
    assert len(given.ask(5, fill=True)) == 2  # there are no other starts
