"""The short run of the benchmark that makes whole studies of drawn parts."""

from __future__ import annotations

from benchmarks import fuzzed_studies


def test_no_study_of_drawn_parts_breaks():
    report = fuzzed_studies.fuzz(8, seed=4)
    assert not report.faults
    assert {what.split(":")[0] for what in report.seen} == {"driven", "refused"}
