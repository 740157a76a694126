"""The constrained comparison counts what it says it counts, whatever a peer does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from benchmarks import constrained
from benchmarks.constrained_peers import METHODS, Case, Recorder, Trace
from benchmarks.hs import EQUALITIES, INEQUALITIES
from benchmarks.parallel import Report, last_reports

PROBLEMS = {problem.name: problem for problem in (*INEQUALITIES, *EQUALITIES)}


def count_to(n: int, report: Report) -> None:
    for i in range(n):
        report(i)


def hang(report: Report) -> None:
    report("before")
    while True:
        pass


def test_jobs_give_their_last_reports_even_if_they_die() -> None:
    jobs = [partial(count_to, 3), partial(count_to, 0), hang]
    assert dict(last_reports(jobs, seconds=0.0, processes=2)) == {0: 2, 1: None, 2: "before"}


@pytest.fixture(scope="module")
def case() -> Case:
    return Case.of(PROBLEMS["HS71"])


def test_a_point_counts_once_and_only_a_feasible_one_solves(case: Case) -> None:
    recorder = Recorder(case, "none")
    solution = np.array([1.0, 4.74299964, 3.82114999, 1.37940829])
    for x in (case.start, case.start, np.zeros(4), solution, solution - [1e-5, 0.0, 0.0, 0.0]):
        recorder(x)
    trace = recorder.trace
    assert (trace.count, trace.solved_at) == (4, 3)
    assert (trace.infeasible, trace.off_manifold) == (2, 3)  # the solution has eight digits


def test_a_run_ends_when_it_has_had_enough(case: Case) -> None:
    recorder = Recorder(case, "none", most=2)

    def walk() -> bool:
        for i in range(9):
            recorder(case.start + i)
        return True

    trace = recorder.run(walk)
    assert (trace.count, trace.success, trace.ended, trace.note) == (2, False, True, "evaluations")


def test_a_peer_that_gives_up_is_not_solved(case: Case) -> None:
    def refuse() -> bool:
        raise ValueError("no")

    trace = Recorder(case, "none").run(refuse)
    assert trace.note == "ValueError: no"
    assert trace.solved_at is None


@pytest.mark.parametrize("method", ["optdriver", "SLSQP", "trust-constr", "COBYQA"])
def test_scipy_methods_and_ours_solve_and_are_followed(method: str, case: Case) -> None:
    seen: list[int] = []
    trace = METHODS[method](replace(case, follow=lambda t: seen.append(t.count)))
    assert trace.solved_at is not None
    assert seen == list(range(1, trace.count + 1))
    assert (trace.infeasible == trace.off_manifold == 0) == (method == "optdriver")


def test_a_killed_run_keeps_what_it_had_seen() -> None:
    found = {
        "optdriver": [Trace(method="optdriver", problem="P", solved_at=4, ended=True, kkt=1e-7)],
        "SLSQP": [Trace(method="SLSQP", problem="P", solved_at=9, infeasible=3, ended=True)],
        "peer": [Trace(method="peer", problem="P", count=7, infeasible=2)],
    }
    table = constrained._summary(found, "caption")
    assert table.rows[1] == ("SLSQP", "1 of 1", "9", "1", "9", "4", "3 on 1", "-")
    assert table.rows[2] == ("peer", "0 of 1", "-", "0", "0", "0", "2 on 1", "1")


def test_the_section_has_targets_tables_and_details() -> None:
    section = constrained.run(["--quick", "--only", "HS35", "HS71"])
    assert [table.rows[0][0] for table in section.tables] == ["optdriver"] * 2
    assert [table.rows[0][0] for table in section.details] == ["HS35", "HS71"]
    assert all(target.met for target in section.targets if "infeasible" in target.claim)
    assert "Not measured: NLopt, Ipopt." in section.text
