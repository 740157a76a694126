"""Starts beside the lowest minimum: where they pay, what they cost, and what is claimed."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest

from benchmarks.problems.multimodal import ackley, himmelblau
from optdriver import MultiStart
from optdriver.errors import InputError
from optdriver.multistart import hops, linkage
from optdriver.multistart.completeness import estimate
from optdriver.multistart.hops import Hops
from optdriver.space import sampling

BOX = [(-30.0, 33.0)] * 3
"""Of Ackley's function, with some 250,000 minima; the lowest is 0, at 0."""

RIPPLES = [(-5.1, 6.3)] * 2


def rippled(x):
    """A bowl with a minimum near each integer point; the lowest is 0, at 0."""
    f = np.sum(x * x / 4 + 1 - np.cos(2 * np.pi * x))
    return float(f), x / 2 + 2 * np.pi * np.sin(2 * np.pi * x)


def drive(ms, function, until, places=1, values=False):
    """Evaluate until so many have been told; return all points that were asked."""
    asked = []
    while not ms.done and ms.nfev < until:
        for point in ms.ask(places):
            asked.append(point.x)
            f, g = function(point.x)
            ms.tell(point.id, f, *([] if values else [g]))
    return np.array(asked)


def of(ms):
    return ms._state.linkage.hops


def met(ms, function, until, places=1, values=False):
    """Return after how many evaluations the lowest value is met, to 1e-6."""
    asked = drive(ms, function, until, places, values)
    return next((k for k, x in enumerate(asked, 1) if function(x)[0] <= 1e-6), math.inf)


def test_at_the_bottom_of_a_funnel_it_arrives():
    starts = MultiStart(BOX, start_rule="auto", seed=0)
    assert met(starts, ackley, 600) < 600
    before = MultiStart(BOX, start_rule="auto", seed=0, convergence_rule=12)
    assert met(before, ackley, 600) == math.inf
    assert not of(before).base


@pytest.mark.parametrize(
    "options",
    [
        {"num_initial": 8},
        {"jac": False},
        {"constraints": ["x1^2 + x2^2 <= 30", "x1 + x2 >= -4"]},
        {"constraints": ["x1 + 2 * x2 == 0"]},
        {"method": "SLSQP"},
    ],
)
def test_it_does_so_by_every_way(options):
    starts = MultiStart(RIPPLES, start_rule="auto", seed=3, **options)
    places = options.get("num_initial", 1)
    values = not options.get("jac", True)
    asked = drive(starts, rippled, 900 if values else 400, places, values)
    assert starts.best.f < 1e-6
    assert of(starts).base and of(starts).spent <= hops.MOST * starts.nfev + 60
    sums = asked @ [1.0, 2.0]
    for text in options.get("constraints", []):
        if "==" in text:
            assert np.abs(sums).max() < 1e-9
        elif "^" in text:
            assert np.sum(asked**2, axis=1).max() <= 30.0
        else:
            assert np.sum(asked, axis=1).min() >= -4.0
    assert asked.min() >= RIPPLES[0][0] and asked.max() <= RIPPLES[0][1]


def test_where_nothing_is_to_be_found_they_take_a_fiftieth():
    starts = MultiStart([(-5.0, 5.0)] * 2, start_rule="auto", seed=1)
    drive(starts, himmelblau, 500)
    known = of(starts)
    assert len(starts.minima) == 4 and known.base and not known.found
    longest = max(starts.runs[run].nfev for run in known.base)
    assert known.spent == sum(starts.runs[run].nfev for run in known.base)
    assert known.spent <= hops.DEBT * 500 + longest


def test_they_are_no_starts_from_anywhere_where_completeness_is_claimed():
    starts = MultiStart(RIPPLES, start_rule="auto", seed=3)
    drive(starts, rippled, 800)
    beside, known = set(of(starts).base), starts._state.linkage
    ends = [run for run in starts.runs if run.state == "converged" and run.index not in beside]
    assert of(starts).found > 10
    waits = [row for run, row in known.row_of.items() if run not in beside]
    linked = int(np.count_nonzero(known.gap[waits] <= linkage.reach(known)))
    assert starts.probability == estimate(len(ends), linked, len(starts.minima))
    assert known.samples == sum(run.index not in beside for run in starts.runs if run.nfev)


@pytest.mark.parametrize(
    "options",
    [{}, {"jac": False}, {"constraints": ["x1^2 + x2^2 <= 30"]}, {"max_num_minimizers": 20}],
)
def test_restored_at_any_point_it_asks_the_same(options):
    def session(copy_at):
        ms = MultiStart(RIPPLES, start_rule="auto", seed=2, num_initial=3, **options)
        asked = []
        for step in range(80):
            if step % copy_at == 0:
                data = json.loads(json.dumps(ms.to_dict(), default=lambda a: a.tolist()))
                ms = MultiStart.from_dict(data) if step % 2 else pickle.loads(pickle.dumps(ms))
            for point in [] if ms.done else ms.ask(4)[::-1]:
                asked.append(point.x.tolist())
                f, g = rippled(point.x)
                if point.id % 17 == 5:
                    ms.tell_failure(point.id, "chance")
                else:
                    ms.tell(point.id, f, *([g] if options.get("jac", True) else []))
        return asked, of(ms)

    plain, known = session(1000)
    assert known.base
    assert session(5) == (plain, known)


def test_64_places_are_served():
    starts = MultiStart(RIPPLES, start_rule="auto", num_initial=64)
    asked = drive(starts, rippled, 1000, places=64)
    assert starts.best.f < 1e-6 and of(starts).base
    assert len(np.unique(asked, axis=0)) > 0.99 * len(asked)


def test_a_start_has_the_number_of_one_of_the_sequence_that_is_passed_over():
    starts = MultiStart(RIPPLES, start_rule="auto", seed=3)
    drive(starts, rippled, 500)
    where = sampling.starts("sobol", 3, 0, 2**12, *np.transpose(RIPPLES))
    numbers = [run.start for run in starts.runs]
    assert len(set(numbers)) == len(numbers)
    for run in starts.runs:
        assert np.array_equal(run.x0, where[run.start]) == (run.index not in of(starts).base)


def test_limits_that_are_raised_go_on_with_what_was_cut_short():
    starts = MultiStart(RIPPLES, start_rule="auto", seed=3, max_num_minimizers=8, num_initial=6)
    drive(starts, rippled, 2000, places=6)
    assert starts.done and of(starts).base
    starts.configure(max_num_minimizers=40)
    drive(starts, rippled, 4000, places=6)
    assert starts.stop_reason == "40 minimizers have converged"
    assert starts.best.f < 1e-6


def test_a_place_where_evaluations_fail_ends_nothing():
    def holed(x):
        f, g = rippled(x)
        return (math.nan if f < 1.2 else f), g

    starts = MultiStart(RIPPLES, start_rule="auto", seed=3)
    drive(starts, holed, 700)
    known = of(starts)
    failed = [run for run in known.base if starts.runs[run].nfail]
    assert failed and not set(failed) & set(known.open)
    assert not any("internal" in run.reason for run in starts.runs)


def test_one_in_three_leads_back_where_the_width_stays():
    known = Hops(radius=0.1)
    for k in range(200):
        known.begin(k, 0)
        known.lead(k, back=k % 20 < 7)  # 0.355 would leave it as it is
    assert 0.01 < known.radius <= hops.WIDEST
    known.begin(0, 0)
    radius = known.radius
    known.lead(0, back=False, lower=True)
    assert known.radius == radius and not known.open


def test_a_new_minimum_pays_what_others_were_paid_and_little_is_lent():
    known = Hops()
    assert known.pay(0)
    for _ in range(21):
        known.spend()
    assert not known.pay(1000) and known.pay(1050)
    known.find(1021, 51, lower=False)  # 50 others for 1000 evaluations
    assert known.owed == 1.0 and known.pay(1021)
    known.find(1021, 52, lower=True)
    assert known.owed == -hops.CREDIT * 20.0 + 1.0
    for minima in range(53, 99):
        known.find(1021, minima, lower=True)
    assert known.owed == pytest.approx(-60.0)
    for _ in range(2000):
        known.spend()
    known.owed = 0.0
    assert not known.pay(2200)  # that is most of all


def test_what_was_forged_is_refused():
    starts = MultiStart(RIPPLES, start_rule="auto", seed=3)
    drive(starts, rippled, 300)
    assert of(starts).base
    for name, value, why in [
        ("open", [999], "beside no minimum"),
        ("base", [[999, 0]], "minima that are not there"),
        ("radius", 7.0, "radius"),
        ("radius", math.nan, "radius"),
        ("owed", math.inf, "owed"),
        ("spent", -1, "spent"),
    ]:
        data = starts.to_dict()
        data["linkage"]["hops"][name] = value
        if name == "base":
            data["linkage"]["hops"]["open"] = []
        with pytest.raises(InputError, match=why):
            MultiStart.from_dict(data)
    data = starts.to_dict()
    del data["linkage"]["hops"]  # as 0.12.0 wrote it
    assert not of(MultiStart.from_dict(data)).base
