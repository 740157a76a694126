"""Whether a run has found another minimum or one that is known: what is asked between two ends.

A run that has converged is closed at once, or after points between its end and a known minimum
have been evaluated (`optdriver.multistart.barriers`, `optdriver.multistart.paths`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.constraints import has_rows
from optdriver.multistart import barriers, heard, local
from optdriver.multistart.barriers import Between
from optdriver.multistart.catalogue import NEW
from optdriver.multistart.endings import close
from optdriver.multistart.local import Minimizer
from optdriver.multistart.paths import Path
from optdriver.multistart.run import Search
from optdriver.multistart.state import MultiStartState, line_up
from optdriver.multistart.stencil import BASE
from optdriver.multistart.steps import Learnt, wanted

Vector = NDArray[np.float64]


def converge(state: MultiStartState, search: Search, minimizer: Minimizer) -> None:
    """Close a run, or first evaluate what lies between its end and a known minimum."""
    options, catalogue = state.options, state.catalogue
    if minimizer.best is not None and options.convergence_rule > 2 and not options.row_names:
        x, f, _ = minimizer.best
        near = catalogue.close(x, f) if _tells_close_ends_apart(state, search) else []
        search.between = _comparison(
            state, minimizer, near or _all_ends(state, catalogue.apart(x, f)), near=bool(near)
        )
    if search.between is None:
        close(state, search, "converged", why_converged(state, search, minimizer))
    else:
        line_up(state, search, (BASE,))


def why_converged(state: MultiStartState, search: Search, minimizer: Minimizer) -> str:
    """Return why a run has converged, and to what precision where its values are noisy."""
    if not search.heard.noise:
        return local.reason(minimizer)
    if math.isfinite(search.heard.surveyed):
        return f"converged {heard.as_surveyed(search.heard)}"
    if minimizer.converged and not heard.is_chance(search.heard, minimizer):
        return f"{local.reason(minimizer)}; {heard.words(search.heard)}"
    least, told = least_promise(state, search)[0], state.options.jac
    return f"converged {heard.kept(search.heard, least, told=told)}"


def least_promise(state: MultiStartState, search: Search) -> tuple[float, bool]:
    """Return what a model may promise by noise alone, and whether differences are on one side."""
    one_sided = not (state.options.jac or search.two_sided)
    differenced = int(np.count_nonzero(state.lower < state.upper)) if one_sided else 0
    return heard.floor(search.heard, differenced), one_sided


def _tells_close_ends_apart(state: MultiStartState, search: Search) -> bool:
    """Tell whether values between ends that are close say something: with noise they do not."""
    measured = search.learnt is not None and search.learnt.noise > 0.0
    noisy = measured or state.options.value_spacing > 0.0 or _is_told_noise(state, search)
    return state.options.convergence_rule > 3 and not noisy


def _is_told_noise(state: MultiStartState, search: Search) -> bool:
    return search.heard.noise > 0.0 or state.options.minimizer["noise"] > 0.0


def _comparison(
    state: MultiStartState,
    minimizer: Minimizer,
    known: Sequence[tuple[int, Vector, float]],
    *,
    near: bool = False,
    joined: tuple[int, ...] = (),
    refused: Sequence[Vector] = (),
) -> Between | Path | None:
    """Return the comparison of the end of a run with the nearest of known minima."""
    if minimizer.best is None:
        return None
    x, f, _ = minimizer.best
    return barriers.comparison(
        x,
        f,
        known,
        state.catalogue.width(x),
        state.constraints,
        ftol=state.options.minimizer["ftol"],
        depth=_depth(state, minimizer, f),
        near=near,
        joined=joined,
        refused=refused,
        noise=barriers.BEYOND_DOUBT * state.catalogue.allowance,
        paths=state.options.convergence_rule > 4 and not has_rows(state.constraints),
    )


def _depth(state: MultiStartState, minimizer: Minimizer, f: float) -> float:
    """Return how much lower than two ends a point between them may be."""
    return state.options.f_tolerance * max(abs(f), local.unit(minimizer))


def _all_ends(
    state: MultiStartState, minima: list[tuple[int, Vector, float]]
) -> list[tuple[int, Vector, float]]:
    """Return all ends that are known to be one with minima, each with their number."""
    if state.options.convergence_rule < 4:
        return minima
    ends = list(minima)
    for index, _, _ in minima:
        for run in state.catalogue.runs(index):
            search = state.runs[run]
            if search.x is not None:
                ends.append((index, search.x, search.f))
    return ends


def across(
    state: MultiStartState, between: Between | Path, f: float, g: Vector | None
) -> Vector | None:
    """Return where a point between two ends goes that is too high, None if it stays a barrier."""
    if state.options.convergence_rule < 4 or has_rows(state.constraints):
        return None
    if isinstance(between, Path):
        return between.moved(f, g, state.bounds)
    return between.moved(f, g, state.bounds, state.catalogue.width(between.here))


def evaluated(state: MultiStartState, search: Search, f: float, g: Vector | None) -> None:
    """Take the value at the point between two ends, and the gradient if it is told.

    Where it is not, it is asked by differences before a point that is too high is moved.
    """
    between = search.between
    if between is None:
        return
    if g is None and isinstance(between, Path):
        if between.wants_differences:
            between = between.with_difference(f)
        elif _is_moved_by_differences(state, search, between, f):
            between = between.differenced(f, _steps(state, search, between.point()), state.bounds)
        if between.wants_differences:
            search.between = between
            line_up(state, search, (BASE,))
            return
        if not math.isnan(between.base):
            search.between, f, g = between.with_gradient()
            between = search.between
    move = across(state, between, f, g)
    if isinstance(between, Path) and state.options.convergence_rule > 8:
        compared(state, search, between.after_all(f, g, move, state.bounds))
    else:
        compared(state, search, between.after(f, move))


def _is_moved_by_differences(
    state: MultiStartState, search: Search, between: Path, f: float
) -> bool:
    """Tell whether differences are asked for at a point that is too high."""
    if state.options.jac or state.options.convergence_rule < 9 or _is_told_noise(state, search):
        return False
    return not between.near and between.can_move(f)


def _steps(state: MultiStartState, search: Search, x: Vector) -> Vector:
    """Return how long differences at a point are on one side."""
    known = Learnt() if search.learnt is None else search.learnt
    rule = wanted(known, x, state.lower, state.upper, two_sided=False)
    given = state.options.given_steps
    return np.where(np.isnan(given), rule, given)


def compared(state: MultiStartState, search: Search, outcome: Between | Path | bool) -> None:
    """Go on comparing an end with a known minimum, or close the run as the one or as another."""
    between, minimizer = search.between, search.minimizer
    if not isinstance(outcome, bool):
        search.between = outcome
        line_up(state, search, (BASE,))
        return
    if between is None or minimizer is None or minimizer.best is None:
        return
    joined = (*between.joined, between.entry) if outcome else between.joined
    further = _further(state, minimizer, between, joined, refused=not outcome)
    if further is not None:
        search.between = further
        line_up(state, search, (BASE,))
        return
    same = NEW if between.near else None
    if joined:
        same = _merged(state, joined)
    elif between.near and state.options.convergence_rule > 7:
        x, f, _ = minimizer.best
        nearer = state.catalogue.nearer(x, f, between.found[-1])  # listed since, by another run
        if nearer is not None and not state.catalogue.is_one(x, nearer[0]):
            further = _comparison(state, minimizer, [nearer], near=True)
            if further is not None:
                search.between = further
                line_up(state, search, (BASE,))
                return
        same = NEW if nearer is None else nearer[0]
    close(state, search, "converged", why_converged(state, search, minimizer), same)


def _further(
    state: MultiStartState,
    minimizer: Minimizer,
    between: Between | Path,
    joined: tuple[int, ...],
    *,
    refused: bool,
) -> Between | Path | None:
    """Return the comparison with another known end where minima lie along a curve."""
    if minimizer.best is None:
        return None
    x, f, _ = minimizer.best
    level = state.catalogue.apart(x, f)
    others = [each for each in level if each[0] not in joined]
    if isinstance(between, Between):
        wanted = _all_ends(state, others) if between.curved and not refused else []
        return _comparison(state, minimizer, wanted, joined=joined)
    every = state.options.convergence_rule > 8
    if between.near or not (state.options.jac or every):
        return None
    if joined:  # an end that is higher than both would be a barrier itself
        known = max((g for index, _, g in level if index in joined), default=-math.inf)
        least = f - barriers.LEAST_NEAR * _depth(state, minimizer, f)
        others = [each for each in others if max(known, each[2]) >= least]
    spread = [each for each in others if state.catalogue.is_spread(each[0])]
    if not refused:
        ends = _all_ends(state, others if between.curved else spread)
        return _comparison(state, minimizer, ends, joined=joined)
    passed, ends = between.passed(), []
    if every and spread and between.may_go_on:
        ends = [end for other in others for end in _untried(_all_ends(state, [other]), passed)]
    ends = ends or between.elsewhere(_all_ends(state, spread))
    return _comparison(state, minimizer, ends, joined=joined, refused=passed)


def _untried(
    ends: list[tuple[int, Vector, float]], passed: Sequence[Vector]
) -> list[tuple[int, Vector, float]]:
    """Return the ends of a minimum; none if there was a comparison with one of them."""
    tried = any(np.array_equal(x, y) for _, x, _ in ends for y in passed)
    return [] if tried else ends


def _merged(state: MultiStartState, entries: tuple[int, ...]) -> int:
    """Make known minima one, also where other runs are being compared with them; return which."""
    kept, *others = sorted(set(entries))
    for other in reversed(others):
        state.catalogue.merge(kept, other)
        for search in state.runs:
            if search.between is not None:
                search.between = search.between.renumbered(kept, other)
    return kept
