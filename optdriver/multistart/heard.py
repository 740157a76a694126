"""The noise that a run was told with its values: what its line search allows for, when it ends it.

A standard deviation that is told with a value says what differences of values mean: two that differ
by less than `DOUBT` times that of their difference may well be the same.  The line search accepts a
trial by its slopes then (Hager and Zhang 2005, eq. 4.1), and steps of finite differences follow it
(`optdriver.multistart.steps`).

Tests of small reductions say nothing there.  What is left to be gained is what the model promises
for the next step, half of -g'd.  A run ends where that is below the noise in a row of iterations
over which the value has not fallen by more than noise either, or where no step leads further then;
the success is one to the precision of the noise, and says so.  Gradients by differences have an
error that promises something at the minimum itself: with the best steps about the noise for each
variable.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from optdriver import stored
from optdriver.lbfgsb import LBFGSB, Stop
from optdriver.lbfgsb.codes import SEARCH

DOUBT: Final = 2.0
"""Values that differ by no more than so many standard deviations of that may well be the same."""

STILL: Final = 5
"""So many iterations in a row that promise no more than noise end a run."""

STILL_COARSE: Final = 2
"""The same where better derivatives take over."""

MOST: Final = float(np.finfo(np.float64).max)


@dataclass(slots=True)
class Heard:
    """What a run was told of the noise of its values.

    Attributes
    ----------
    noise : float
        The standard deviation of the last value that its minimizer was told; 0 without one.
    pending : float
        The largest one of those told for the pending evaluation.
    still : int
        Iterations in a row that promise no more than noise.
    level : float
        The value when these began.
    promised : float
        What the model promised last, infinite before it has promised anything.
    surveyed : float
        What a survey of its end says that it is above the minimum at most; infinite without one.
    """

    noise: float = 0.0
    pending: float = 0.0
    still: int = 0
    level: float = math.inf
    promised: float = math.inf
    surveyed: float = math.inf

    def take(self) -> float:
        """Take over what is pending; return by what values that differ may well be the same."""
        level = DOUBT * math.hypot(self.noise, self.pending)
        self.noise, self.pending = self.pending, 0.0
        return level

    def to_dict(self) -> dict[str, float]:
        """Return it as numbers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Heard:
        """Return what `to_dict` made `data` of; nothing of nothing."""
        if data is None:
            return cls()
        given = stored.mapping("heard", data)
        return cls(
            noise=stored.real("noise", given["noise"], 0.0, MOST),
            pending=stored.real("pending", given["pending"], 0.0, MOST),
            still=stored.whole("still", given["still"]),
            level=stored.real("level", given["level"]),
            promised=stored.real("promised", given["promised"], 0.0),
            surveyed=stored.real("surveyed", given.get("surveyed", math.inf), 0.0),
        )


def floor(heard: Heard, differenced: int) -> float:
    """Return what the model may promise at a minimum, by noise alone.

    `differenced` is the number of variables by which derivatives are differences.
    """
    return heard.noise * (1.0 + differenced)


def watch(heard: Heard, minimizer: LBFGSB, least: float) -> None:
    """Take note of a search that has just begun, with pairs in the memory of its model."""
    s = minimizer.state
    if s.phase != SEARCH or s.trials or not s.k:
        return
    heard.promised = max(0.0, -0.5 * s.slope0)
    fallen = heard.level - s.f > DOUBT * math.sqrt(2.0) * heard.noise
    if heard.promised > least or fallen or math.isinf(heard.level):
        heard.still, heard.level = 0, s.f
    heard.still += heard.promised <= least


def ends(heard: Heard, minimizer: LBFGSB, least: float, *, coarse: bool) -> bool:
    """Return whether a run has come to where its values show nothing but noise.

    `coarse` says that it goes on from there with differences on both sides.
    """
    if minimizer.done:
        return minimizer.stop in (Stop.ABNORMAL, Stop.REDUCTION) and heard.promised <= least
    return heard.still >= (STILL_COARSE if coarse else STILL)


def is_chance(heard: Heard, minimizer: Any) -> bool:
    """Return whether a test was passed by values that differ too little, for their noise."""
    told = heard.noise > 0.0 and isinstance(minimizer, LBFGSB)
    return told and minimizer.stop is Stop.REDUCTION


def words(heard: Heard) -> str:
    """Return what a success holds to."""
    return f"to the noise of the values (standard deviation {heard.noise:.3g})"


def as_surveyed(heard: Heard) -> str:
    """Return what a success holds to that a survey shows."""
    return (
        f"{words(heard)}: a parabola through values round the end promises "
        f"{heard.surveyed:.2g} more at most"
    )


def lost_in_noise(heard: Heard) -> str:
    """Return why a run ended of which surveys do not tell where its minimum is."""
    return (
        f"the noise of the values (standard deviation {heard.noise:.3g}) hides where the objective "
        "falls on: they promise more than it, and do not keep it"
    )
