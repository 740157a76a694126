"""The start rule 'auto': links, pauses, gaps; and its ordering beside the other rules."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest

from benchmarks.problems.multimodal import DISTINCT, camel, generated
from benchmarks.searches import search
from optdriver import MultiStart
from optdriver.errors import InputError
from optdriver.multistart import linkage
from tests.multistart.problems import rastrigin

HUMPS, ACKLEY = DISTINCT[0], DISTINCT[-1]
CAMEL = HUMPS.bounds
PLACES = np.array([[0.0898, -0.7127], [1.7036, -0.7961], [1.6071, 0.5687]])
PLACES = np.concatenate([PLACES, -PLACES])
"""The six minima of the six-hump camel (Dixon and Szego 1978)."""


def bowl(x):
    return float(np.sum((x - 0.3) ** 2)), 2 * (x - 0.3)


def drive(ms, function, places=1, until=math.inf):
    """Evaluate until it is done, or so many have been told; return the points that were asked."""
    asked = []
    while not ms.done and ms.nfev < until:
        for point in ms.ask(places):
            asked.append(point.x)
            ms.tell(point.id, *function(point.x))
    return np.array(asked)


def known(n, points):
    """Return a table of points (run, x, f, slope)."""
    made = linkage.empty(n)
    made.samples = 4
    for run, x, f, slope in points:
        linkage.add(made, run, np.array(x), f, None if slope is None else np.array(slope))
    return made


def parabola(x, centre=0.5):
    return (x - centre) ** 2, [2 * (x - centre)]


def test_points_of_one_bowl_are_linked_down_to_the_lowest():
    made = known(1, [(k, [x], *parabola(x)) for k, x in enumerate([0.3, 0.5, 0.8])])
    assert made.target[:3].tolist() == [1, -1, 1]
    assert made.gap[0] == pytest.approx(0.2)
    assert not linkage.leads(made, 0)
    assert linkage.leads(made, 1)


@pytest.mark.parametrize(
    "slope, why",
    [
        (2.0, "it rises toward the lower point"),
        (-40.0, "it falls so steeply that it must rise again"),
        (-0.05, "it is flat, and must have fallen steeply later"),
    ],
)
def test_a_point_from_which_the_way_is_barred_is_not_linked(slope, why):
    lower = (0, [0.6], 0.0, [-0.5])
    made = known(1, [lower, (1, [0.5], 0.1, [slope])])
    assert linkage.leads(made, 1), why


def test_points_of_one_run_and_added_ones_are_no_company():
    slope = [-0.4]
    made = known(1, [(linkage.NOBODY, [0.4], 0.01, None), (0, [0.35], 0.02, slope)])
    assert linkage.leads(made, 1)
    made = known(1, [(0, [0.3], *parabola(0.3)), (0, [0.35], *parabola(0.35))])
    assert linkage.leads(made, 0)


def test_who_waits_for_a_run_that_is_lost_leads_again():
    made = known(1, [(0, [0.42], *parabola(0.42)), (1, [0.3], *parabola(0.3))])
    linkage.put_aside(made, 1, 1, counted=True)
    assert linkage.next_waiting(made, leaders=True, anyway=False) is None
    made.lost.append(0)
    assert linkage.next_waiting(made, leaders=True, anyway=False) == (1, True)
    assert not made.row_of


@pytest.mark.parametrize(("rule", "stopped"), [(11, 3), (12, 2)])
def test_where_two_runs_have_stopped_at_one_place_no_third_one_leads_there(rule, stopped):
    ms = MultiStart(ACKLEY.bounds, start_rule="auto", convergence_rule=rule)
    drive(ms, ACKLEY.function, until=1050)
    ends = [run for run in ms.runs if run.state == "stopped"]
    assert len(ends) == stopped
    assert all(math.hypot(*run.x) < 1e-3 for run in ends)  # a cusp, which passes no test


def test_what_waits_with_the_longest_link_goes_on_first_and_paused_descents_before_samples():
    made = known(1, [(k, [x], *parabola(x)) for k, x in enumerate([0.5, 0.3, 0.86, 0.62])])
    for run, wait in ((1, linkage.pause), (2, None), (3, linkage.pause)):
        if wait is None:
            linkage.put_aside(made, run, run, counted=True)
        else:
            wait(made, run, run)
    assert made.gap[1:4] == pytest.approx([0.2, 0.24, 0.12])
    copy = linkage.from_dict(linkage.to_dict(made), 1, lambda x: x)
    linkage.note_paused(copy, [0, 1, 3])
    for each in (made, copy):
        assert [linkage.most_doubtful(each) for _ in range(4)] == [1, 3, 2, None]
        assert not each.row_of and not each.waits.any()


def test_of_those_that_lead_the_one_that_promises_the_lowest_value_begins():
    """The second is higher, but steeper; the third is steepest, but far too high."""
    points = [
        (0, [0.1], 1.0, np.array([0.0])),
        (1, [0.5], 1.5, np.array([9.0])),
        (2, [0.9], 99.0, np.array([10.0])),
        (3, [0.3], 1.2, None),
    ]
    for by_slope, first in ((True, [1, 0, 3, 2]), (False, [0, 3, 1, 2])):
        made = known(1, points)
        made.gap[:4], made.samples = math.inf, 10
        for row in range(4):
            linkage.put_aside(made, row, row, counted=False)
        took = [
            linkage.next_waiting(made, leaders=True, anyway=False, by_slope=by_slope)
            for _ in range(4)
        ]
        assert took == [(run, True) for run in first]


def test_a_slope_of_which_the_square_overflows_promises_most():
    made = known(1, [(0, [0.1], 1.0, np.array([1.0])), (1, [0.9], 2.0, np.array([1.0]))])
    made.gap[:2], made.slope[1] = math.inf, 1e300
    for row in range(2):
        linkage.put_aside(made, row, row, counted=False)
    took = linkage.next_waiting(made, leaders=True, anyway=False, by_slope=True)
    assert took == (1, True)


def test_a_start_that_is_lower_than_all_that_is_known_begins_at_once():
    """However much descents have taken: 0.9.0 let it wait for more samples."""

    def tilted(x):
        return float(np.cos(20 * x[0]) + 3 * x[0]), -20 * np.sin(20 * x) + 3

    for rule in (9, 10):
        ms = MultiStart([(0.0, 1.0)], start_rule="auto", seed=1, convergence_rule=rule)
        waited = 0
        while ms.nfev < 60:
            (point,) = ms.ask(1)
            best = ms.best
            f, g = tilted(point.x)
            ms.tell(point.id, f, g)
            run = ms.runs[point.run]
            waited += run.state == "waiting" and run.nfev == 1 and (best is None or f < best.f)
        assert (waited > 0) == (rule == 9)


def test_links_are_doubted_only_while_descents_have_taken_little():
    made = known(1, [(k, [x], *parabola(x)) for k, x in enumerate([0.1, 0.3, 0.5, 0.7])])
    assert linkage.may_doubt(made, 1)
    for step in range(4):
        linkage.add(made, 0, np.array([0.1 + step / 100]), 1.0, None)
    assert not linkage.may_doubt(made, 1)
    assert not linkage.may_doubt(linkage.from_dict(linkage.to_dict(made), 1, lambda x: x), 1)


def test_offered_starts_beside_a_face_have_the_gap_that_it_leaves_them():
    x = np.array([[0.5, 0.01], [0.9, 0.5]])
    for from_faces, gaps in ((True, [0.03, 0.3]), (False, [math.inf] * 2)):
        made = linkage.empty(2)
        linkage.offer(made, 0, x, x, from_faces=from_faces)
        assert made.offered.gap.tolist() == pytest.approx(gaps)


def test_no_minimum_is_given_up_for_a_link_that_crosses_a_barrier():
    """A function of which a paused run leads to the last minimum, and waited for long."""
    problem = generated(2, 1)
    found = [
        search(problem, problem.places, -1.0, 600, 1, start_rule="auto", convergence_rule=rule)
        for rule in (6, 7)
    ]
    assert found[0].all is None and found[1].all is not None


@pytest.mark.parametrize(("rule", "found"), [(9, 9), (10, 10)])
def test_a_run_that_is_at_a_minimum_is_not_paused_for_a_deeper_one_beside_it(rule, found):
    """Shekel's minimum at (5, 5, 3, 3), where 0.9.0 paused all runs."""
    problem = next(each for each in DISTINCT if each.name == "Shekel 10")
    ms = MultiStart(problem.bounds, start_rule="auto", seed=1, convergence_rule=rule)
    drive(ms, problem.function, until=600)
    assert len(ms.minima) == found


def test_where_runs_lead_is_the_same_for_one_and_for_all_at_once():
    """In chains, and in a ring of links, which only a state made by hand can have."""
    rng = np.random.default_rng(5)
    for case in range(60):
        made = known(1, [(run, [0.0], 1.0, None) for run in range(-1, 12)])
        rows = np.arange(1, 13)
        made.target[rows] = rng.integers(-1, 13 if case % 2 else rows)
        waiting = rng.permutation(12)[: 1 + case % 12]
        made.row_of = {int(run): int(run) + 1 for run in waiting}
        one = [linkage.followed(made, int(run) + 1) for run in waiting]
        assert linkage._all_followed(made, waiting, waiting + 1).tolist() == one


def test_a_slope_of_which_the_square_overflows_crosses_a_barrier():
    for size in (1e200, 1e300):
        slope, step = np.array([-size]), np.array([1.0])
        assert linkage.crosses(slope, slope, step, -1.0)
        assert not linkage.crosses(slope, -slope, step, -1.0)


def test_steep_slopes_end_no_run():
    """Values of 1 beside gradients of 1e200: no step is right, and none is an error of ours."""
    ms = MultiStart([(-1, 1)] * 2, start_rule="auto", seed=5)
    drive(ms, lambda x: (float(np.sum(np.cos(9 * x))), -1e200 * np.sin(9 * x)), until=120)
    assert not [run.reason for run in ms.runs if "error" in run.reason]


def test_a_start_in_a_known_basin_costs_one_evaluation():
    ms = MultiStart([(-1, 1)] * 2, start_rule="auto")
    drive(ms, bowl, until=60)
    rows = ms.runs
    assert len(ms.minima) == 1
    assert (
        sum(run.nfev - 1 for run in rows[1:]) <= linkage.DOUBTED * len(rows) + 3
    )  # a last descent
    assert all(run.nfev <= 3 for run in rows if run.state == "waiting")
    assert sum(run.nfev for run in rows if run.state == "waiting") < 1.3 * len(rows)


def test_a_run_that_enters_a_known_basin_is_paused_and_can_be_gone_on_with():
    ms = MultiStart([(-1.5, 1.5)] * 2, start_rule="auto", seed=0)
    drive(ms, rastrigin, until=300)
    paused = [run for run in ms.runs if run.reason.startswith("paused")]
    assert paused
    assert all(run.state == "waiting" and 1 < run.nfev < 10 for run in paused)
    ends = MultiStart.from_dict(ms.to_dict())
    ends.configure(max_num_minimizers=len(ms.runs))
    drive(ends, rastrigin, until=900)
    waited = [run.index for run in ms.runs if run.state == "waiting"]
    assert [ends.runs[index].state for index in waited].count("converged") > 5


def test_samples_keep_away_from_each_other_and_the_kth_start_lies_where_it_did():
    def least_gap(rule):
        ms = MultiStart([(0, 1)] * 2, start_rule=rule, num_initial=64)
        points = np.array([point.x for point in ms.ask(64)])
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        return np.min(apart + 9 * np.eye(64)), ms

    gap, ms = least_gap("auto")
    assert gap > 2 * least_gap("sobol")[0]
    plain = MultiStart([(0, 1)] * 2, num_initial=1000)
    where = {run.start: run.x0 for run in (plain.ask(1000) and plain.runs)}
    assert all(np.array_equal(run.x0, where[run.start]) for run in ms.runs if run.start in where)


def test_a_first_step_stays_in_the_gap_where_a_descent_begins():
    ms = MultiStart([(-1, 1)] * 2, start_rule="auto", num_initial=5)
    first = ms.ask(5)
    for point in first[1:]:
        ms.tell(point.id, 1e9, np.zeros(2))
    ms.tell(first[0].id, 0.0, np.array([1e6, 0.0]))
    (point,) = [p for p in ms.ask(5) if p.run == first[0].run]
    gap = min(np.linalg.norm(other.x - first[0].x) for other in first[1:])
    assert 0 < np.linalg.norm(point.x - first[0].x) <= gap


def test_all_minima_are_found_with_far_fewer_evaluations_than_by_the_other_rules():
    spent = {"sobol": 0, "mlsl": 0, "auto": 0}
    for rule in spent:
        for seed in (1, 2):
            found = search(HUMPS, PLACES, 9.0, 600, seed, start_rule=rule)
            spent[rule] += found.all or 600
    assert spent["auto"] < 0.35 * min(spent["mlsl"], spent["sobol"])


def test_given_starts_are_followed_to_their_ends():
    given = [[0.1, 0.1], [0.12, 0.1], [0.5, -0.5]]
    ms = MultiStart([(-1, 1)] * 2, start_rule="auto", initial_samples=given)
    drive(ms, bowl, until=60)
    assert [run.state for run in ms.runs[:3]] == ["converged"] * 3


def test_a_wanted_number_of_minimizers_is_reached_where_there_is_one_minimum():
    ms = MultiStart([(-1, 1)] * 2, start_rule="auto", max_num_minimizers=5)
    drive(ms, bowl, until=1000)
    assert ms.stop_reason == "5 minimizers have converged"
    assert ms.nfev < 120


def test_it_stops_when_all_minima_are_likely_found():
    ms = MultiStart(CAMEL, start_rule="auto", stop_when="all minima likely found")
    drive(ms, camel, until=3000)
    assert ms.stop_reason.startswith("all minima likely found (6; probability 0.9")
    assert ms.probability >= 0.9
    ms.configure(stop_when=None)
    assert not ms.done
    drive(ms, camel, until=ms.nfev + 20)
    assert ms.probability > 0.9


def test_what_is_no_condition_to_stop_is_refused():
    with pytest.raises(InputError, match="stop_when is None or 'all minima likely found'"):
        MultiStart(CAMEL, stop_when="all minima")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_initial": 7},
        {"jac": False},
        {"max_num_minimizers": 6},
        {"constraints": ["x1^2/4 + x2^2 <= 1"]},
        {"method": "SLSQP"},
        {"method": "Nelder-Mead"},
    ],
)
def test_restored_at_any_point_it_asks_the_same(options):
    def session(copy_at):
        ms = MultiStart(CAMEL, start_rule="auto", seed=2, **options)
        asked = []
        for step in range(40):
            if step % copy_at == 0:
                data = json.loads(json.dumps(ms.to_dict(), default=lambda a: a.tolist()))
                ms = MultiStart.from_dict(data) if step % 2 else pickle.loads(pickle.dumps(ms))
            if ms.done:
                break
            for point in ms.ask(3):
                asked.append(point.x.tolist())
                f, g = camel(point.x)
                if point.id % 11 == 5:
                    ms.tell_failure(point.id, "chance")
                else:
                    ms.tell(point.id, f, g)
        return asked

    assert session(7) == session(1000)


def test_many_places_are_served():
    ms = MultiStart(CAMEL, start_rule="auto", num_initial=64)
    asked = drive(ms, camel, places=64, until=800)
    assert len(np.unique(asked, axis=0)) > 0.99 * len(asked)
    assert len(ms.minima) == 6


def test_rounds_ask_what_single_points_would():
    def rounds(arrays):
        ms = MultiStart(CAMEL, start_rule="auto", num_initial=8, seed=1)
        asked = []
        for _ in range(40):
            if arrays:
                made = ms.ask_arrays(8)
                values = [camel(x) for x in made.x]
                f, g = np.array([f for f, _ in values]), np.array([g for _, g in values])
                ms.tell_arrays(made.ids, f, g)
                asked.extend(made.x.tolist())
                continue
            points = ms.ask(8)
            for point in points:
                ms.tell(point.id, *camel(point.x))
            asked.extend(point.x.tolist() for point in points)
        return asked

    assert rounds(True) == rounds(False)


@pytest.mark.parametrize("first, second", [("mlsl", "auto"), ("auto", "mlsl"), ("auto", "sobol")])
def test_the_rule_can_be_changed_on_the_way(first, second):
    ms = MultiStart(CAMEL, start_rule=first, num_initial=3)
    drive(ms, camel, places=3, until=60)
    out = ms.ask(2)
    ms.configure(start_rule=second)
    for point in out:
        ms.tell(point.id, *camel(point.x))
    drive(ms, camel, places=3, until=600)
    assert len(ms.minima) >= 4
    assert not any("error" in run.reason for run in ms.runs)


def test_a_forged_table_is_refused():
    ms = MultiStart(CAMEL, start_rule="auto")
    drive(ms, camel, until=40)
    data = ms.to_dict()
    data["linkage"]["target"][0] = 10**6
    with pytest.raises(InputError, match="a link to a row that is not there"):
        MultiStart.from_dict(data)
    data = ms.to_dict()
    data["linkage"]["waiting"][0][1] -= 1
    with pytest.raises(InputError, match="a run waits at a row of another one"):
        MultiStart.from_dict(data)
