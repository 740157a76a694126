"""What the page is sent stays small, and looks the same."""

from __future__ import annotations

import numpy as np

import optdriver
from optdriver.server.leases import Leases
from optdriver.server.overview import POINTS, failures, overview, thinned


def test_a_short_history_is_sent_whole():
    values = np.array([3.0, np.nan, 1.0, np.inf, 2.0])
    found = thinned(values, np.array([False, True, False, True, False]))
    assert found["number"].tolist() == [0, 2, 4]
    assert found["value"].tolist() == [3.0, 1.0, 2.0]
    assert found["best"].tolist() == [3.0, 1.0, 1.0]
    assert found["failed"].tolist() == [1, 3]
    assert found["rows"] == 5


def test_of_a_long_one_every_extreme_stays():
    rng = np.random.default_rng(3)
    values = rng.normal(size=100_000) - np.linspace(0, 5, 100_000)
    failed = rng.random(100_000) < 0.3
    values[failed] = np.nan
    values[12_345], values[54_321] = 99.0, -99.0
    failed[[12_345, 54_321]] = False
    found = thinned(values, failed)
    assert len(found["number"]) <= 2 * POINTS
    assert len(found["failed"]) <= POINTS
    assert {99.0, -99.0} <= set(found["value"])
    best = np.minimum.accumulate(np.where(failed, np.inf, values))
    np.testing.assert_array_equal(found["best"], best[found["number"]])
    assert not failed[found["number"]].any()


def test_an_empty_study_has_an_overview():
    study = optdriver.create_study({"x": (-1, 1), "value": 2.0, "state": (0, 1)})
    found = overview(study, Leases(study))
    assert found["best"] is None
    assert found["history"]["rows"] == 0
    study.tell_failure(study.ask().id, "no\nmesh")
    assert overview(study, Leases(study))["failures"] == {"no": 1}


def test_reasons_are_counted_by_their_first_line():
    rows = np.array(["a\nb", "a\nc", "", "x" * 400])
    assert failures(rows) == {"a": 2, "no reason given": 1, "x" * 297 + "...": 1}


def test_reasons_that_differ_in_numbers_only_are_one():
    ends = "R = matches nothing in out.txt, which ends: 'step 3\\n G = -1.25E+01'"
    rows = np.array([ends, "died by 9", ends.replace("3", "17").replace("-1.25E+01", ".5")])
    assert failures(rows) == {ends: 2, "died by 9": 1}


def test_of_a_maximum_the_best_is_the_highest():
    values = np.array([1.0, np.nan, 3.0, 2.0])
    found = thinned(values, np.isnan(values), sign=-1.0)
    assert found["best"].tolist() == [1.0, 3.0, 3.0]


def test_evaluations_of_a_former_objective_are_not_drawn():
    study = optdriver.create_study({"x": (-1, 1)}, jac=True)
    study.tell(study.ask().id, -9.0, [1.0])
    study.reevaluate()
    study.tell(study.ask().id, 4.0, [1.0])
    found = overview(study, Leases(study))
    assert found["history"]["value"].tolist() == [4.0]
    assert found["info"]["num_former"] == 1


def test_the_best_counts_from_the_first_point_that_satisfies_all_limits():
    values = np.array([3.0, 1.0, 4.0, 2.0])
    counted = np.array([False, False, True, True])
    found = thinned(values, np.isnan(values), counted=counted)
    assert found["best"] == [None, None, 4.0, 2.0]
    up = thinned(values, np.isnan(values), sign=-1.0, counted=counted)
    assert up["best"] == [None, None, 4.0, 4.0]


def test_the_best_point_shows_what_was_put_out_there():
    study = optdriver.create_study({"x": (-1, 1)}, outputs={"u": ">= 0"})
    study.tell(study.ask().id, 1.0, outputs={"u": -1.0})
    seen = overview(study, Leases(study))
    assert (seen["best"], seen["history"]["best"]) == (None, [None])
    study.add_point([0.5], 2.0, outputs={"u": 3.0})
    seen = overview(study, Leases(study))
    assert (seen["best"]["outputs"], seen["history"]["best"]) == ({"u": 3.0}, [None, 2.0])
