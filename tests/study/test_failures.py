from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.studies import create_study, load_study
from optdriver.study import Observation
from tests.contracts.positions import POSITIONS
from tests.study.tools import BOX, answer


def bowl(x, y, z):
    point = np.array([x - 0.3, y + 0.2, z])
    curvature = np.array([1.0, 10.0, 100.0])
    return float(np.sum(curvature * point**2)) + 1.0, 2 * curvature * point


def rosenbrock(x, y, z):
    value = 100 * (y - x**2) ** 2 + (1 - x) ** 2 + 100 * (z - y**2) ** 2 + (1 - y) ** 2
    return value, np.array(
        [
            -400 * x * (y - x**2) - 2 * (1 - x),
            200 * (y - x**2) - 400 * y * (z - y**2) - 2 * (1 - y),
            200 * (z - y**2),
        ]
    )


CUBE = {"x": (-2, 2), "y": (-2, 2), "z": (-2, 2)}


def by_nan(study, id, value, gradient):
    study.tell(id, math.nan, None)


def by_infinity(study, id, value, gradient):
    study.tell(id, math.inf, gradient if study.parameters["jac"] else None)


def by_gradient(study, id, value, gradient):
    if study.parameters["jac"]:
        study.tell(id, value, gradient * np.array([1, math.inf, 1]))
    else:
        study.tell(id, None)


def by_clearing(study, id, value, gradient):
    study.clear_suggestion(id, "cleared")


def by_observation(study, id, value, gradient):
    observation = Observation()
    observation.add(None)
    study.add_observation(observation, id)


def by_failure(study, id, value, gradient):
    study.tell_failure(id, "crashed")


WAYS = [by_nan, by_infinity, by_gradient, by_clearing, by_observation, by_failure]


def play(way, position, jac, function=bowl, **parameters):
    """Run to the end with one bad evaluation at `position`."""
    study = create_study(CUBE, jac=jac, num_parallel=2, max_num_minimizers=1, **parameters)
    while not study.is_done():
        for suggestion in study.ask(2):
            value, gradient = function(**suggestion.params)
            if suggestion.id == position:
                way(study, suggestion.id, value, gradient)
            else:
                study.tell(suggestion.id, value, gradient if jac else None)
    return study


@pytest.mark.parametrize("every", POSITIONS)
@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_one_failure_at_any_position_does_no_harm(way, jac, every):
    length = play(way, -1, jac).num_evaluations
    for position in range(WAYS.index(way) % every, length, every):
        study = play(way, position, jac)
        assert study.stop_kind == "driver", position
        assert study.best.value == pytest.approx(1.0, abs=1e-7), position
        for minimum in study.minima:
            assert minimum.value == pytest.approx(1.0, abs=1e-7), position
        failed = study.history["state"] == "failed"
        assert np.flatnonzero(failed).tolist() == [position]
        observed = bool(np.isfinite(study.history["value"][position]))
        assert observed == (way is by_gradient and jac)
        assert study.history["reason"][position]


def test_a_harder_function_with_a_failure_at_every_position():
    length = play(by_nan, -1, True, rosenbrock, initial_samples=[[-1, 1, -1]]).num_evaluations
    for position in range(length):
        study = play(by_nan, position, True, rosenbrock, initial_samples=[[-1, 1, -1]])
        assert study.best.value < 1e-8, position
        assert all(minimum.value < 1e-6 for minimum in study.minima)


def test_a_step_back_keeps_the_minimizer():
    study = create_study(CUBE, jac=True, initial_samples=[[1, 1, 1]], max_num_minimizers=1)
    study.tell((start := study.ask()).id, *bowl(**start.params))
    trial = study.ask()
    study.tell_failure(trial.id, "crashed")
    nearer = study.ask()
    assert nearer.run == trial.run == start.run
    assert np.linalg.norm(nearer.x - start.x) < np.linalg.norm(trial.x - start.x)


def test_at_a_start_the_next_start_is_taken():
    study = create_study(CUBE, jac=True, initial_samples=[[1, 1, 1], [0, 0, 0]])
    study.tell_failure(study.ask().id, "crashed")
    assert study.ask().x.tolist() == [0, 0, 0]
    assert study.runs[0].state == "failed"


def test_retries_hand_the_same_point_out_again():
    study = create_study(BOX, jac=True, retries=2)
    seen = []
    for _ in range(3):
        suggestion = study.ask()
        seen.append((suggestion.id, suggestion.params["x1"]))
        study.tell_failure(suggestion.id, "crashed")
    assert len(set(seen)) == 1
    assert study.ask().id == 1
    assert study.num_evaluations == 3
    assert study.info()["num_failed"] == 3
    assert study.history["attempts"].tolist() == [3]


def test_a_dead_worker_gets_another_try():
    study = create_study(BOX, jac=True)
    first = study.ask()
    study.tell_failure(first.id, "killed", worker_died=True)
    assert study.ask().id == first.id
    study.tell_failure(first.id, "killed", worker_died=True)
    assert study.ask().id == 1


def test_nan_is_tried_again_too_and_a_success_then_counts():
    study = create_study(BOX, jac=True, retries=1)
    first = study.ask()
    study.tell(first.id, math.nan)
    answer(study, study.ask())
    assert study.history["state"].tolist() == ["told"]
    assert study.best.id == first.id


def test_a_late_result_of_the_first_try_is_taken():
    study = create_study(BOX, jac=True, retries=1)
    first = study.ask()
    study.tell_failure(first.id, "timed out")
    study.tell_failure(first.id, "timed out")  # known already
    answer(study, first)
    assert study.num_evaluations == 1
    assert study.best.id == first.id


def test_clearing_does_not_retry():
    study = create_study(BOX, jac=True, retries=5)
    first = study.ask()
    study.clear_suggestion(first.id)
    assert not study.wants(first.id)
    assert study.history["reason"].tolist() == ["cleared"]


def test_so_many_failures_in_a_row_stop_the_study():
    study = create_study(BOX, jac=True, stop_after_failures=3)
    answer(study, study.ask())
    for number in range(3):
        assert not study.is_done()
        study.tell_failure(study.ask().id, f"crash {number}")
    assert study.is_done()
    assert study.stop_kind == "failures"
    assert study.stop_reason.startswith("3 iterates in a row failed; the last: crash 2. Is the")
    assert "raise stop_after_failures" in study.stop_reason
    study.resume()
    assert not study.is_done()
    study.tell_failure(study.ask().id, "crash 4")
    assert not study.is_done()


def test_a_success_between_starts_the_count_again():
    study = create_study(BOX, jac=True, stop_after_failures=3)
    for _ in range(4):
        for _ in range(2):
            study.tell_failure(study.ask().id, "crash")
        answer(study, study.ask())
    assert not study.is_done()


@pytest.mark.parametrize("number", [1, 5])
def test_how_many_failures_stop_is_settable(number):
    study = create_study(BOX, jac=True, stop_after_failures=number)
    for _ in range(number):
        assert not study.is_done()
        study.tell_failure(study.ask().id, "crash")
    assert study.is_done()


def test_clearing_all_is_one_failure_in_a_row():
    study = create_study(BOX, jac=True, num_parallel=5, stop_after_failures=2)
    study.ask(5)
    study.clear_all_suggestions("restarted the cluster")
    assert study.open_suggestions == ()
    assert not study.is_done()
    assert study.info()["num_failed"] == 5
    assert set(study.history["reason"]) == {"restarted the cluster"}


def test_a_minimizer_is_retired_after_max_failures():
    study = create_study(
        CUBE, jac=True, max_failures=4, stop_after_failures=math.inf, initial_samples=[[1, 1, 1]]
    )
    study.tell((start := study.ask()).id, *bowl(**start.params))
    for _ in range(4):
        suggestion = study.ask()
        assert suggestion.run == 0
        study.tell_failure(suggestion.id, "crash")
    assert study.runs[0].state == "failed"
    assert study.ask().run == 1


def test_only_failures_leave_no_best_and_no_success():
    study = create_study(CUBE, jac=True, max_iter=50, stop_after_failures=math.inf)
    while (suggestion := study.ask()) is not None:
        study.tell(suggestion.id, math.nan)
    assert study.best is None
    assert study.minima == ()
    assert study.info()["min_objective"] is None
    assert not any(run.state == "converged" for run in study.runs)


def test_a_stencil_that_fails_with_its_iterate_is_one_failure():
    study = create_study(CUBE, num_parallel=4, stop_after_failures=3)
    for number in range(2):  # the first start with its three neighbours, then another one
        asked = study.ask(4)
        assert len({suggestion.run for suggestion in asked if suggestion.kind != "iterate"}) < 2
        for suggestion in asked:
            study.tell_failure(suggestion.id, "crash")
        assert study.is_done() == (number == 1)
    assert study.info()["num_failed"] == 8


def test_after_a_failure_the_iterate_goes_first():
    """A crash then costs one evaluation: its neighbours are asked where it is good."""
    study = create_study(
        CUBE, num_parallel=4, initial_samples=[[1, 1, 1]], max_num_minimizers=1, step_size=1e-5,
        memory=False,
    )  # fmt: skip
    for suggestion in study.ask(4):
        study.tell(suggestion.id, bowl(**suggestion.params)[0])
    trial = study.ask(4)
    assert [suggestion.kind for suggestion in trial] == ["iterate"] + 3 * ["difference"]
    for suggestion in trial:
        study.tell_failure(suggestion.id, "crash")
    for _ in range(2):
        (alone,) = study.ask(4)
        assert (alone.kind, alone.run) == ("iterate", 0)
        study.tell_failure(alone.id, "crash")
    (alone,) = study.ask(4)
    study.tell(alone.id, bowl(**alone.params)[0])
    around = study.ask(4)
    assert [suggestion.kind for suggestion in around] == 3 * ["difference"]
    for suggestion in around:
        assert np.count_nonzero(suggestion.x != alone.x) == 1
        study.tell(suggestion.id, bowl(**suggestion.params)[0])
    assert len(study.ask(4)) == 4


def test_difference_points_that_fail_round_good_iterates_stop_it_too():
    study = create_study(CUBE, stop_after_failures=4)
    while (suggestion := study.ask()) is not None:
        if suggestion.kind == "iterate":
            study.tell(suggestion.id, 1.0)
        else:
            study.tell_failure(suggestion.id, "crash")
    assert study.stop_kind == "failures"
    assert study.stop_reason.startswith("4 iterates in a row failed")
    assert len(study.runs) == 4


def test_starts_beyond_the_given_ones_are_reached():
    given = [[1.0, y, z] for y in (0.5, 1.0, 1.5) for z in (0.0, 0.5, 1.0, 1.5)]
    study = create_study(CUBE, jac=True, initial_samples=given, stop_after_failures=5)
    for _ in range(len(given) + 5):
        assert not study.is_done()
        study.tell_failure((last := study.ask()).id, "crash")
    assert last.run == len(given) + 4
    assert study.stop_kind == "failures"
    assert study.stop_reason.startswith("no evaluation has succeeded, and 5 starts failed")


def test_values_that_were_told_where_limits_are_violated_are_no_failures():
    study = create_study(CUBE, outputs={"load": "<= -1"}, stop_after_failures=4)
    for load in (1.0, 2.0):
        study.tell(study.ask().id, 3.0, outputs={"load": load})
    while (suggestion := study.ask()) is not None:
        study.tell_failure(suggestion.id, "crash")
    assert study.stop_kind == "failures"
    assert study.stop_reason.startswith(
        "2 values were told, at points that violate limits on outputs, and 4 iterates in a row"
    )


@pytest.mark.parametrize("retries", [0, 1])
def test_a_value_counts_where_only_the_gradient_failed(retries):
    study = create_study(CUBE, jac=True, initial_samples=[[1, 1, 1]], retries=retries)
    study.tell((start := study.ask()).id, 7.0, [1.0, math.nan, 2.0])
    if retries:
        assert study.best.value == 7.0  # the same point is tried once more
        study.tell_failure(study.ask().id, "crash")
    assert (study.best.value, study.best.id, study.best.gradient) == (7.0, start.id, None)
    assert study.info()["min_objective"] == 7.0
    assert study.history["state"].tolist() == ["failed"]
    assert study.history["value"].tolist() == [7.0]
    assert study.info()["num_failed"] == 1 + retries
    assert study.get_observation_data(start.id)["value"] == 7.0
    assert study.get_observation_data()["suggestion_id"] == [start.id]
    assert study.ask().run == 1  # the minimizer has no gradient to begin with
    study.tell(1, 9.0, [0.0, 0.0, 0.0])
    assert study.best.id == start.id
    again = type(study).from_dict(study.to_dict())
    assert again.best.value == 7.0
    assert again.history["value"].tolist() == [7.0, 9.0]


def slopeless_by_tell(study):
    study.tell(study.ask().id, 7.0, [1.0, math.nan, 2.0])


def slopeless_by_tell_arrays(study):
    ids = study.ask_arrays(1)[0]
    study.tell_arrays(ids, [7.0], [[1.0, math.inf, 2.0]])


def slopeless_by_run(study):
    study.run(lambda x, y, z: (7.0, [1.0, math.nan, 2.0]), max_evaluations=1)


def slopeless_by_outputs(study):
    study.tell(study.ask().id, 7.0, [0.0, math.nan, 0.0], outputs={"q": (0.0, np.zeros(3))})


def slopeless_by_residuals(study):
    jacobian = np.full((2, 3), math.nan)
    study.tell(study.ask().id, residuals=[3.0, math.sqrt(5.0)], jacobian=jacobian)


SLOPELESS = {
    slopeless_by_tell: {},
    slopeless_by_tell_arrays: {},
    slopeless_by_run: {},
    slopeless_by_outputs: {"outputs": {"q": "<= 1"}},
    slopeless_by_residuals: {"driver": "least-squares"},
}


def stopped_by_hand(study):
    study.stop()


def only_closed(study):
    """It may go on, and is opened again."""


@pytest.mark.parametrize("end", [None, stopped_by_hand, only_closed])
@pytest.mark.parametrize("way", SLOPELESS)
def test_a_value_counts_while_its_point_waits_for_another_try(way, end, tmp_path):
    limit = {"max_iter": 1} if end is None else {}
    path = tmp_path / "study.db"
    study = create_study(CUBE, jac=True, retries=2, storage=path, **limit, **SLOPELESS[way])
    way(study)
    if end is not None:
        end(study)
    for each in (study, type(study).from_dict(study.to_dict())):
        assert each.best.value == pytest.approx(7.0)
        assert each.history["value"] == pytest.approx([7.0])
        assert each.history["state"].tolist() == ["waiting"]
        assert np.isfinite(each.history["ended"]).all()
        assert each.get_observation_data(0)["value"] == pytest.approx(7.0)
        assert each.info()["min_objective"] == pytest.approx(7.0)
        assert not each.info()["success"]
    study.close()
    with load_study(path) as again:
        assert again.best.value == pytest.approx(7.0)
        again.set_parameters(max_iter=3)
        again.resume()
        suggestion = again.ask()
        assert suggestion.id == 0
        assert again.history["state"].tolist() == ["open"]
        again.tell_failure(suggestion.id, "crash")
        assert again.best.value == pytest.approx(7.0)


def test_what_comes_of_another_try_is_the_value_of_the_point():
    study = create_study(CUBE, jac=True, retries=3, num_parallel=3)
    ids = study.ask_arrays(3)[0]
    study.tell_arrays(ids, [1.0, 2.0, 3.0], np.full((3, 3), math.nan))
    assert (study.best.id, study.best.value) == (0, 1.0)
    study.tell(study.ask().id, 4.0, np.ones(3))
    assert (study.best.id, study.best.value) == (1, 2.0)
    study.ask_arrays(2)
    study.tell_arrays(ids[1:], [5.0, 6.0], [[1.0, 1.0, 1.0], [math.nan, 1.0, 1.0]])
    assert (study.best.id, study.best.value) == (0, 4.0)
    study.tell(study.ask().id, 0.5, np.full(3, math.nan))
    assert (study.best.id, study.best.value) == (2, 0.5)
    assert study.history["value"].tolist() == [4.0, 5.0, 0.5]


def test_a_limit_that_another_try_does_not_satisfy_is_violated():
    study = create_study(CUBE, jac=True, retries=3, outputs={"q": "<= 1"})
    rows = {"uncertain": np.full(3, math.nan), "sure": np.zeros(3)}
    for q, slope, counts in ((0.0, "uncertain", True), (9.0, "uncertain", False),
                             (0.0, "uncertain", True), (9.0, "sure", False)):  # fmt: skip
        study.tell(study.ask().id, 7.0, rows[slope], outputs={"q": (q, np.zeros(3))})
        assert (study.best is not None) == counts
        assert (type(study).from_dict(study.to_dict()).best is not None) == counts


def test_a_snapshot_in_which_such_values_did_not_count_is_read():
    """Of 0.10.0 and before."""
    study = create_study(CUBE, jac=True, retries=1)
    study.tell(study.ask().id, 7.0, np.full(3, math.nan))
    data = study.to_dict()
    data["ledger"]["best"] = -1
    data["ledger"]["ended"][:] = math.nan
    again = type(study).from_dict(data)
    assert (again.best.value, again.history["value"].tolist()) == (7.0, [7.0])


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_region_that_fails_stops_no_study(share, jac):
    """Slabs and stripes that crash, six parameters, the minimum known."""
    names, weights = "abcdef", np.arange(1.0, 7.0)
    at = np.array([0.3, -0.4, 0.5, -0.6, 0.7, -0.2])

    def evaluate(x):
        d = x - at
        value = np.sum(weights * d**2 + 0.1 * (1 - np.cos(3 * d)))
        return float(value), 2 * weights * d + 0.3 * np.sin(3 * d)

    def crashes(x, seed):
        place = (x[seed % 6] + 2) / 4
        if seed % 2:
            return place > 1 - share
        return (7 * (place - (at[seed % 6] + 2) / 4) + share / 2) % 1 > 1 - share

    for seed in range(6):
        study = create_study(
            dict.fromkeys(names, (-2, 2)), jac=jac, seed=seed, num_parallel=7, max_iter=3000,
            max_num_minimizers=1,
        )  # fmt: skip
        while not study.is_done():
            for suggestion in study.ask(7):
                if crashes(suggestion.x, seed):
                    study.tell_failure(suggestion.id, "diverged")
                else:
                    value, gradient = evaluate(suggestion.x)
                    study.tell(suggestion.id, value, gradient if jac else None)
        assert study.stop_kind == "driver"
        assert study.info()["success"]
        assert study.best.value == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("reason", ["no file 'a\udcff.msh'", "\ud800", "\x00 ends"])
def test_a_reason_that_cannot_be_written_is_recorded_all_the_same(tmp_path, reason):
    with create_study({"x": (-2, 2)}, storage=tmp_path / "kept.db") as study:
        study.tell_failure(study.ask().id, reason)
        study.clear_suggestion(study.ask().id, reason)
        study.ask()
        study.clear_all_suggestions(reason)
        study.stop(reason)
    with load_study(tmp_path / "kept.db") as again:
        assert again.num_evaluations == 3
        written = reason.encode("utf-8", "backslashreplace").decode()
        assert set(again.history["reason"]) == {written}
        assert again.stop_reason == written
