"""Short runs of the benchmarks of fits, and of the augmented Lagrangian beside `SQP`."""

from __future__ import annotations

import pytest

from benchmarks import fits, fits_constrained, fits_errors, outputs
from benchmarks.augmented import augmented
from benchmarks.hs import INEQUALITIES


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (fits, ["--only", "DanWood"]),
        (fits_errors, ["--only", "Misra1b"]),
        (fits_constrained, ["--quick", "--only", "Rat42"]),
    ],
)
def test_a_short_run_meets_its_targets(script, options):
    section = script.run(options)
    assert all(target.met for target in section.targets)
    assert section.markdown().count("| optdriver") <= 5
    assert section.long()


def test_an_augmented_lagrangian_arrives_and_takes_more():
    problem = next(problem for problem in INEQUALITIES if problem.name == "HS43")
    case = outputs.case_of(problem)
    theirs, ours = augmented(case), outputs.ours(case)
    assert theirs.success
    assert ours.solved_at < theirs.solved_at < 500
