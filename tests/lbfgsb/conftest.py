"""Branch coverage of the kernel without what takes most of its time, and passes no branch alone."""

import sys
import warnings

import pytest

UNTRACED = {
    "test_a_floor_is_followed_to_its_end",
    "test_adversaries",
    "test_failures_in_a_row_anywhere_but_at_the_start",
    "test_in_units_far_apart_fewer_ends_are_claimed_where_much_is_left",
    "test_no_success_is_claimed_in_a_valley_of_any_units",
    "test_one_bad_evaluation_anywhere",
    "test_one_huge_value_ends_no_run",
    "test_runs_of_threads_are_those_of_one_thread",
    "test_the_unit_of_f_outweighs_no_objection_where_units_are_far_apart",
}


@pytest.fixture(autouse=True)
def _coverage_of_the_quick(request):
    """Let these, and the long tests, run untraced, which is three to four times as fast."""
    coverage = sys.modules.get("coverage")
    measured = coverage.Coverage.current() if coverage else None
    node = request.node
    if measured and (node.originalname in UNTRACED or node.get_closest_marker("slow")):
        measured.stop()
        yield
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the kernel is imported already
            measured.start()
    else:
        yield
