"""Claim: constraints that are told with the objective take fewer evaluations than SLSQP's.

``python -m benchmarks outputs`` runs the problems of `benchmarks.hs` through `optdriver.SQP`, with
all constraints told with the objective and their gradients, through an augmented Lagrangian on
L-BFGS-B, and through every peer that is installed, from the book's start moved into the box.
``python -m benchmarks outputs-study`` runs them through a study that has the constraints as
outputs, with gradients and without.  ``--quick`` takes SLSQP as the only peer; ``--only HS43 HS71``
takes those problems, and ``--without trust-constr``, which takes most of the time, leaves it out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.augmented import NAME as AUGMENTED
from benchmarks.augmented import augmented
from benchmarks.constrained import OPTIONAL, _details, _missing, _solved, _summary
from benchmarks.constrained_peers import (
    INEQUALITIES_ONLY,
    METHODS,
    MOST,
    MOST_VALUES,
    SECONDS,
    Case,
    Recorder,
    Trace,
)
from benchmarks.hs import EQUALITIES, INEQUALITIES, Problem
from benchmarks.parallel import Report, last_reports
from benchmarks.report import Section, Target
from optdriver.execution.calling import output_names
from optdriver.sqp import SQP
from optdriver.studies import create_study
from optdriver.study import Study
from optdriver.study.observation import parts

OURS, PEER = "optdriver", "SLSQP"
STUDY, DIFFERENCES = "a study", "a study, differences"
"""The same method as a study runs it, from one start; by gradients, or by values alone."""
PEERS = (PEER, "trust-constr", *OPTIONAL, "NLopt MMA", "NLopt CCSAQ")
TEXT = f"""The {len(INEQUALITIES)} problems of Hock and Schittkowski (1981) with inequalities and
the {len(EQUALITIES)} with equalities, from the book's start moved into the box. All constraints are
told with the objective: an evaluation is one point, with values and gradients of all of them.
*Solved*: the value is within 1e-6 max(1, abs(best)) of the best known, at a point that is feasible
to 1e-6 of a unit gradient; ours and the peers' points may violate constraints on the way. The
columns are those of the table of constraints that are formulas."""
BESIDE = f"""`{AUGMENTED}` is Birgin and Martinez's on our L-BFGS-B (`benchmarks.augmented`): what
`optdriver.SQP` gains over it."""
IN_STUDIES = f"""`{STUDY}` has the constraints as outputs of its objective, and one start;
`{DIFFERENCES}` is told values only, of which each counts, {MOST_VALUES} at most."""


def run(options: Sequence[str]) -> Section:
    """Run the comparison and return its section of the results."""
    parser = argparse.ArgumentParser(prog="outputs", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--without", nargs="*", default=[], metavar="METHOD")
    parser.add_argument("--study", action="store_true", help=IN_STUDIES)
    given = parser.parse_args(list(options))
    peers = [PEER] if given.quick else [name for name in PEERS if name in METHODS]
    methods = [OURS, STUDY, DIFFERENCES, PEER] if given.study else [OURS, AUGMENTED, *peers]
    methods = [name for name in methods if name not in given.without]
    ours_here = STUDY if given.study else OURS
    wanted = partial(_wanted, only=given.only)
    inequalities = trace(wanted(INEQUALITIES), methods)
    equalities = trace(
        wanted(EQUALITIES), [name for name in methods if name not in INEQUALITIES_ONLY]
    )
    return Section(
        name="outputs-study" if given.study else "outputs",
        title="Constraints on outputs: Hock and Schittkowski's problems"
        + ", in studies" * given.study,
        text=f"{TEXT} {IN_STUDIES}"
        if given.study
        else " ".join([TEXT, BESIDE, *_missing(methods)]),
        targets=_targets(ours_here, inequalities, equalities),
        tables=[
            _summary(inequalities, "Inequalities."),
            _summary(equalities, "With equalities."),
        ],
        details=[
            _details(inequalities, "Inequalities: evaluations, problem by problem."),
            _details(equalities, "With equalities: evaluations, problem by problem."),
        ],
        packages=("nlopt", "cyipopt", "cyipopt-wheels"),
    )


def _wanted(problems: Sequence[Problem], only: Sequence[str]) -> list[Problem]:
    return [problem for problem in problems if not only or problem.name in only]


def case_of(problem: Problem) -> Case:
    """Compile a problem; its start is the book's in the box, feasible or not."""
    case = Case.of(problem)
    book = np.array(problem.start, dtype=float)
    return replace(case, start=np.clip(book, case.region.lower, case.region.upper))


def trace(problems: Sequence[Problem], methods: Sequence[str]) -> dict[str, list[Trace]]:
    """Run every method on every problem, each in a process of its own."""
    cases = [case_of(problem) for problem in problems]
    grid = [(case, method) for case in cases for method in methods]
    last = dict(last_reports([partial(_one, *pair) for pair in grid], seconds=SECONDS + 5.0))
    found: dict[str, list[Trace]] = {method: [] for method in methods}
    for index, (case, method) in enumerate(grid):
        nothing = Trace(method=method, problem=case.problem.name)
        found[method].append(last[index] or nothing)
    return found


def _one(case: Case, method: str, report: Report) -> None:
    followed = replace(case, follow=report)
    own = {
        OURS: ours,
        AUGMENTED: augmented,
        STUDY: study,
        DIFFERENCES: partial(study, jac=False),
    }
    report({**METHODS, **own}[method](followed))


def ours(case: Case, **options: Any) -> Trace:
    """Run `SQP` on a problem, with all constraints told."""
    recorder = Recorder(case, OURS)
    rows = case.constraints
    equalities = getattr(rows, "n_equalities", 0)

    def run() -> bool:
        box = np.column_stack([case.region.lower, case.region.upper])
        opt = SQP(
            case.start,
            box,
            inequalities=rows.n_inequalities,
            equalities=equalities,
            **options,
        )
        while not opt.done:
            x = opt.ask()
            f, g = recorder(x)
            opt.tell(
                np.concatenate([[f], rows.values(x)]),
                np.vstack([g[None], np.asarray(rows.jacobian(x)).reshape(-1, g.size)]),
            )
        recorder.trace.note = str(opt.stop)
        return opt.converged

    return recorder.run(run)


def study(case: Case, *, jac: bool = True) -> Trace:
    """Run a study on a problem, with all constraints as outputs of its objective."""
    recorder = Recorder(case, STUDY, MOST) if jac else Recorder(case, DIFFERENCES, MOST_VALUES)
    rows, named, n = case.constraints, limits(case), case.start.size

    def objective(**given: float) -> Any:
        x = np.array([given[f"x{i}"] for i in range(n)])
        f, g = recorder(x)
        values = dict(zip(named, rows.values(x), strict=True))
        if not jac:
            return {"value": f, **values}
        slopes = np.asarray(rows.jacobian(x)).reshape(-1, n)
        pairs = zip(values.items(), slopes, strict=True)
        return {"value": f, "gradient": g, **{name: (v, slope) for (name, v), slope in pairs}}

    def run() -> bool:
        made = begun(case, jac=jac)
        while (suggestion := made.ask()) is not None and not made.minima:
            made.tell(suggestion.id, **told(made, objective(**suggestion.params)))
            if made.runs[0].state != "running":
                break
        recorder.trace.note = made.runs[0].reason
        return made.runs[0].state == "converged"

    return recorder.run(run)


def limits(case: Case) -> dict[str, str]:
    """Return the constraints of a problem as limits on outputs, by their names."""
    p = case.constraints.n_inequalities
    m = p + int(getattr(case.constraints, "n_equalities", 0))
    return {f"c{k}": "<= 0" if k < p else "== 0" for k in range(m)}


def begun(case: Case, **given: Any) -> Study:
    """Return a study of a problem with these limits, of one run from the book's start."""
    box = zip(case.region.lower, case.region.upper, strict=True)
    return create_study(
        {f"x{i}": (float(low), float(high)) for i, (low, high) in enumerate(box)},
        outputs=limits(case),
        max_num_minimizers=1,
        initial_samples=[case.start],
        **given,
    )


def told(made: Study, result: Any) -> dict[str, Any]:
    """Return what an objective returned as it is told."""
    return parts(result, outputs=output_names(made))


def _targets(ours: str, *tables: dict[str, list[Trace]]) -> list[Target]:
    own = [trace for table in tables for trace in table[ours]]
    theirs = [trace for table in tables for trace in table[PEER]]
    both = [
        (a.solved_at, b.solved_at)
        for a, b in zip(own, theirs, strict=True)
        if a.solved_at is not None and b.solved_at is not None
    ]
    return [
        Target(
            claim=f"solved, {PEER} solves",
            value=_solved(own),
            limit=_solved(theirs),
            at_least=True,
        ),
        Target(
            claim=f"evaluations beside {PEER}'s",
            value=sum(a for a, _ in both) / max(sum(b for _, b in both), 1),
            limit=0.8,
        ),
    ]
