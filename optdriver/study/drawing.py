"""The points that come next: those of a profile, or those for which the driver is asked.

They wait in the queue until they are handed out (`optdriver.study.handing_out`), as the user sees
them: in the user's numbers, inside bounds and constraints.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.drivers import driver_factory
from optdriver.multistart.records import Fill, Point, PointArrays
from optdriver.study.profiling import PROFILE, Profiling
from optdriver.study.state import Entry, State, is_profiling, put_into_queue, user_box

FloatArray = NDArray[np.float64]


FILLS: Final[tuple[Fill, ...]] = (False, "idle", True)
"""How a point is wanted, each after those before it have given none: see `MultiStart.ask`."""


UNREACHABLE: Final = 100
"""Points in a row that may have no feasible one beside them among the user's numbers."""


NUDGES: Final = 64
"""Within so many last digits a logarithmic or narrow parameter is moved onto the feasible set."""


def fills(state: State, *, everything: bool) -> tuple[Fill, ...]:
    """Return how points are wanted: `everything`, or only what places would stay free for.

    Where gradients are differenced a minimizer has points for several places, and others beside it
    would hold them up.
    """
    differenced = not state.parameters["jac"] and driver_factory(state.spec.driver).gradient
    return FILLS if everything else FILLS[:1] if differenced else FILLS[:2]


def draw(state: State, fills: tuple[Fill, ...] = FILLS[:1]) -> Entry | None:
    """Get the next point of the driver into the queue; return it, or None if there is none."""
    if state.profile is not None and not state.profile.done:
        return _draw_profile(state, state.profile)
    refused = "no feasible point beside it, to rounding"
    for _ in range(UNREACHABLE):
        points: list[Point] = []
        for fill in fills:
            points = points or state.driver.ask(1, fill=fill)
        if not points:
            return None
        point = points[0]
        x = _user_point(state, point.x)
        if x is not None:
            x.setflags(write=False)
            entry = Entry(-1, point.id, point.run, point.kind, x)
            state.queue.append(entry)
            return entry
        state.driver.tell_failure(point.id, refused)
    state.driver.finish(
        f"{UNREACHABLE} points in a row had {refused}: an equality fixes a number that the scale "
        "or the type of a parameter cannot hold; give it as fixed, or allow a small width"
    )
    return None


def draw_round(state: State, wanted: int, fills: tuple[Fill, ...]) -> PointArrays | None:
    """Get points of the driver until there are `wanted`, or it has no more.

    They are put into the queue; but where they can be handed out as they are, since nothing is
    there before them and none of them may have to stay, they are returned.
    """
    if state.spec.space.inexact or is_profiling(state):
        while len(state.queue) < wanted and draw(state, fills) is not None:
            continue
        return None
    if not is_fresh(state):
        for fill in fills:
            while state.queued < wanted and (points := _drawn(state, wanted, fill)).ids:
                put_into_queue(state, _for_user(state, points))
        return None
    drawn = PointArrays([], [], [], np.empty((0, state.spec.space.size)))
    for fill in fills:
        if len(drawn.ids) < wanted:
            more = state.driver.ask_arrays(wanted - len(drawn.ids), fill=fill)
            drawn = drawn.followed_by(more) if drawn.ids else more
    return _for_user(state, drawn)


def is_fresh(state: State) -> bool:
    """Return whether all points that the driver gives now can be handed out as they are."""
    return not (state.queued or state.spec.space.inexact or state.parameters["eps"])


def _draw_profile(state: State, profile: Profiling) -> Entry | None:
    """Get the points of a profile into the queue; return the first, or None if there is none."""
    first = len(state.queue)
    for turn, number, x in profile.ask(state.spec.space, user_box(state)):
        x.setflags(write=False)
        state.queue.append(Entry(-1, None, -1, PROFILE, x, turn, number))
    return state.queue[first] if len(state.queue) > first else None


def _drawn(state: State, wanted: int, fill: Fill) -> PointArrays:
    return state.driver.ask_arrays(wanted - state.queued, fill=fill)


def _for_user(state: State, points: PointArrays) -> PointArrays:
    """Return points of the driver as the user sees them."""
    x = state.spec.space.to_user(points.x)
    x.setflags(write=False)
    return points._replace(x=x)


def _user_point(state: State, z: FloatArray) -> FloatArray | None:
    """Return what a point of the driver is for the user.

    A logarithmic or narrow parameter goes there and back to rounding only: so initial samples are
    handed out as they were given, and a point that rounding has put beyond a constraint is the
    nearest one that satisfies it; None if there is none within a few last digits.
    """
    space, compiled = state.spec.space, state.spec.compiled
    compiled = None if state.leaves else compiled
    x = space.to_user(z)
    if not space.inexact:
        return x
    for sample in state.parameters["initial_samples"]:
        given = np.array(sample)
        if np.array_equal(space.to_driver(given), z):
            x = given
            break
    if compiled is None or compiled.is_feasible(x):
        return x
    for digits in range(1, NUDGES):
        for sign in (1.0, -1.0):
            near = x * (1.0 + sign * digits * space.spacing)
            near = space.rounded(np.minimum(np.maximum(near, space.lower), space.upper))
            if compiled.is_feasible(near):
                return near
    return None
