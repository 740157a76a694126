"""Claim: with noisy outputs a tolerance of three standard deviations is met, and enough for an end.

``python -m benchmarks outputs-noise`` runs twenty problems of `benchmarks.hs` as studies, whose
constraints are outputs that carry noise, once with the tolerance that limits on outputs have, and
once with ``feasibility=`` three standard deviations of the noise.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.hs import EQUALITIES, INEQUALITIES, Problem
from benchmarks.outputs import begun, case_of, limits
from benchmarks.report import Section, Table, Target
from optdriver.errors import ConstraintWarning
from optdriver.feasible.region import sizes
from optdriver.sqp.told import row_sizes

NAMES = (
    "HS12", "HS24", "HS29", "HS35", "HS43", "HS64", "HS76", "HS100", "HS113", "HS6", "HS7",
    "HS28", "HS39", "HS40", "HS48", "HS52", "HS63", "HS71", "HS78", "HS79",
)  # fmt: skip
NOISES = (1e-4, 1e-2)
SEEDS = (0, 1)
MOST = 300
SIGMAS = 3.0
TEXT = """Twenty problems of Hock and Schittkowski as studies from the book's start. Values and
outputs carry noise, with a standard deviation of that part of what each changes by over the sizes
of the parameters, there; gradients are exact, and the noise of the value is told. *Violation* is
the largest true one of the ends that claim success, in standard deviations: the median, and how
many are above four."""


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks outputs-noise", description=__doc__)
    parser.parse_args(arguments)
    problems = [each for each in (*INEQUALITIES, *EQUALITIES) if each.name in NAMES]
    rows, claims = [], []
    for noise in NOISES:
        for words, feasibility in (("default", 1e-8), (f"{SIGMAS:g} sigma", SIGMAS * noise)):
            ends = [one(each, noise, seed, feasibility) for each in problems for seed in SEEDS]
            found = [violation for violation, _ in ends if violation is not None]
            claims.append(len(found))
            rows.append(
                (
                    f"{noise:g}",
                    words,
                    f"{len(found)} of {len(ends)}",
                    f"{np.median(found):.2g}",
                    f"{sum(each > SIGMAS + 1.0 for each in found)}",
                    f"{sum(count for _, count in ends)}",
                )
            )
    more = sum(claims[1::2]) / max(1, sum(claims[::2]))
    return Section(
        name="outputs-noise",
        title="Limits on outputs that are noisy",
        text=TEXT,
        targets=[
            Target(claim="successes beside the default's", value=more, limit=1.5, at_least=True)
        ],
        tables=[
            Table(
                header=("noise", "feasibility", "success", "violation", "above 4", "evaluations"),
                rows=rows,
            )
        ],
    )


def one(problem: Problem, noise: float, seed: int, tolerance: float) -> tuple[float | None, int]:
    """Return the true violation of a run that claims success, and the evaluations."""
    case, random = case_of(problem), np.random.default_rng(seed)
    rows, n = case.constraints, case.start.size
    p, named = rows.n_inequalities, limits(case)
    scale = sizes(case.start, case.region.lower, case.region.upper)

    def all_at(x: Any) -> tuple[Any, Any]:
        f, g = case.objective(x)
        slopes = np.vstack([g[None], np.asarray(rows.jacobian(x)).reshape(-1, n)])
        return np.concatenate([[f], rows.values(x)]), slopes

    values, slopes = all_at(case.start)
    sigma = noise * np.concatenate(
        [[max(abs(values[0]), np.linalg.norm(slopes[0] * scale))], row_sizes(values, slopes, scale)]
    )

    def objective(**given: float) -> Any:
        values, slopes = all_at(np.array([given[f"x{i}"] for i in range(n)]))
        values = values + sigma * random.standard_normal(1 + len(named))
        told = dict(zip(named, zip(values[1:], slopes[1:], strict=True), strict=True))
        return {"value": values[0], "uncertainty": sigma[0], "gradient": slopes[0], **told}

    study = begun(case, jac=True, max_iter=MOST, feasibility=tolerance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstraintWarning)  # the ends say it
        study.run(objective)
    if not study.minima:
        return None, len(study.history)
    c = all_at(np.array(study.minima[0].x))[0][1:]
    violated = np.concatenate([np.maximum(c[:p], 0.0), np.abs(c[p:])])
    return float(np.max(violated / sigma[1:])), len(study.history)
