"""Claim: the algebra of a fit in a fixed order takes no longer than LAPACK's.

``python -m benchmarks factors`` times what `LeastSquares` does once an evaluation, orthogonal
factors of a Jacobian with the residuals reduced by them, beside `numpy.linalg.qr` and the product
of Q with the residuals; and a damped step from them beside `numpy.linalg.lstsq` of the same rows.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.report import Section, Table, Target
from benchmarks.timing import interleaved, ratio, timed
from optdriver.geometry.damped import damped
from optdriver.geometry.tall import Tall

SIZES = ((30, 3), (250, 9), (2000, 10), (10000, 10), (100000, 10))
WORK = 200_000  # rows times columns in one timing
TEXT = """Wall time of one call as a ratio to LAPACK's through NumPy in the same round (medians);
*us* is ours. BLAS has one thread."""


def works(m: int, n: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """Return what is timed for a Jacobian of this size: ours and LAPACK's."""
    source = np.random.default_rng((m, n))
    a, b, ones, endless = source.normal(size=(m, n)), source.normal(size=m), np.ones(n), np.inf
    upper, q = Tall(a).upper, Tall(a).reduced(b)
    free = np.full(n, endless)

    def lapack() -> Any:
        side, triangle = np.linalg.qr(a)
        return triangle, side.T @ b

    def least_squares() -> Any:
        rows = np.concatenate([upper, np.eye(n)])
        return np.linalg.lstsq(rows, np.concatenate([-q, np.zeros(n)]), rcond=None)[0]

    return {
        "factors": {"ours": lambda: Tall(a).reduced(b), "LAPACK": lapack},
        "damped step": {
            "ours": lambda: damped(upper, q, ones, 1.0, -free, free),
            "LAPACK": least_squares,
        },
    }


def measure(rounds: int) -> Section:
    """Measure all sizes."""
    targets, lines = [], []
    for m, n in SIZES:
        for what, pair in works(m, n).items():
            repeats = max(1, WORK // (m * n))
            measured = interleaved(
                {name: (lambda w=work, r=repeats: timed(w, r) / r) for name, work in pair.items()},
                rounds,
            )
            found = ratio(measured["ours"], measured["LAPACK"])
            micros = 1e6 * statistics.median(measured["ours"])
            targets.append(Target(claim=f"{what}, {m} x {n}", value=found, limit=1.0))
            lines.append((what, f"{m} x {n}", f"{found:.2f}", f"{micros:.1f}"))
    header = ("what", "Jacobian", "/ LAPACK", "us")
    return Section(
        name="factors",
        title="Factors of fits in a fixed order",
        text=TEXT,
        targets=targets,
        tables=[Table(header=header, rows=lines)],
    )


def run(options: Sequence[str]) -> Section:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser("factors", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    return measure(parser.parse_args(options).rounds)
