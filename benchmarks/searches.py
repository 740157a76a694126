"""Driving a multi-start until all minima are catalogued, or the lowest value is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from benchmarks.global_peers import CLOSE, Found, is_listed, is_outside
from benchmarks.kept import Kept
from benchmarks.problems.multimodal import Problem, known
from optdriver import MultiStart, __version__
from optdriver.multistart.rules import CONVERGENCE_RULES

Vector = NDArray[np.float64]

RULES: dict[str, dict[str, Any]] = {
    "sobol": {},
    "uniform": {"sobol_sequence": False},
    "mlsl": {"start_rule": "mlsl"},
    "auto": {"start_rule": "auto"},
}

PRESENT = f"optdriver {__version__}, convergence_rule {CONVERGENCE_RULES[-1]}"
"""What searches are of, since versions and rules ask other points."""


def whole(problem: Problem, name: str, kept: Kept) -> Problem:
    """Return a problem with its minima, which are looked for once and kept by its name."""
    if problem.places is not None:
        return problem

    def look() -> list[list[float]]:
        return [list(map(float, place)) for place in known(problem)]

    places = kept.get(f"{name}|known", look, f"scipy {scipy.__version__}")
    return replace(problem, places=np.array(look() if places is None else places))


def search(
    problem: Problem, places: Vector | None, least: float, cap: int, seed: int, **options: Any
) -> Found:
    """Drive a multi-start with one point at a time.

    Parameters
    ----------
    problem : Problem
    places : ndarray or None
        The minima that are to be catalogued; None if only the lowest value is looked for.
    least : float
        That value.
    cap, seed : int
    **options
        Of `optdriver.MultiStart`.
    """
    width = np.array([high - low for low, high in problem.bounds])
    if problem.texts:
        options = {**options, "constraints": list(problem.texts)}
    starts = MultiStart(problem.bounds, seed=seed, **options)
    missing = [] if places is None else list(places)
    limit, lowest, turns, outside = least + CLOSE * max(1.0, abs(least)), None, -1, 0
    while starts.nfev < cap and not starts.done:
        (point,) = starts.ask(1)
        f, g = problem.function(point.x)
        starts.tell(point.id, f, g)
        outside += is_outside(problem, point.x)
        if lowest is None and f <= limit:
            lowest = starts.nfev
        if missing and starts.turns != turns:
            turns = starts.turns
            listed = np.array([minimum.x for minimum in starts.minima])
            missing = [x for x in missing if not is_listed(x, listed, width)]
        if lowest is not None and not missing:
            return Found(None if places is None else starts.nfev, lowest, outside)
    some = None if places is None else len(places) - len(missing)
    return Found(None, lowest, outside, some)


def middle(counts: Sequence[int | None], cap: int) -> float:
    """Return the median of evaluations, those beyond the cap taken for it."""
    return median(cap if count is None else count for count in counts)


def cell(counts: Sequence[int | None], cap: int) -> str:
    """Return median, quartiles if they differ, and in brackets how many did not get there."""
    values = [cap if count is None else count for count in counts]
    low, high = np.percentile(values, [25, 75])
    missed = sum(count is None for count in counts)
    text = f"{middle(counts, cap):.0f}" + f" [{low:.0f}, {high:.0f}]" * bool(low < high)
    return text + (f" ({missed})" if missed else "")
