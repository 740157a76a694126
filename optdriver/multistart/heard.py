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
    hidden : float
        What the error of the last differences may hide, were every variable moved by its size, or
        as far as it has come.
    """

    noise: float = 0.0
    pending: float = 0.0
    still: int = 0
    level: float = math.inf
    promised: float = math.inf
    surveyed: float = math.inf
    hidden: float = 0.0

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
            noise=stored.real("noise", given["noise"], 0.0, stored.FINITE),
            pending=stored.real("pending", given["pending"], 0.0, stored.FINITE),
            still=stored.whole("still", given["still"]),
            level=stored.real("level", given["level"]),
            promised=stored.real("promised", given["promised"], 0.0),
            surveyed=stored.real("surveyed", given.get("surveyed", math.inf), 0.0),
            hidden=stored.real("hidden", given.get("hidden", 0.0), 0.0),
        )


def floor(heard: Heard, differenced: int) -> float:
    """Return what the model may promise at a minimum, by noise alone.

    `differenced` is the number of variables by which derivatives are differences.
    """
    return heard.noise * (1.0 + differenced)


def watch(heard: Heard, minimizer: Any, least: float) -> None:
    """Take note of a step that has just been planned by a model that has learnt something.

    In a trust region a step that ends at it says nothing.
    """
    if isinstance(minimizer, LBFGSB):
        s = minimizer.state
        if s.phase != SEARCH or s.trials or not s.k:
            return
        promised, f = max(0.0, -0.5 * s.slope0), float(s.f)
    else:
        promised, best = minimizer.promised, minimizer.best
        if math.isinf(promised) or best is None or not minimizer.nit:
            return
        f = best[1]
    heard.promised = promised
    fallen = heard.level - f > DOUBT * math.sqrt(2.0) * heard.noise
    if heard.promised > least or fallen or math.isinf(heard.level):
        heard.still, heard.level = 0, f
    heard.still += heard.promised <= least


def ends(heard: Heard, minimizer: Any, least: float, *, coarse: bool) -> bool:
    """Return whether a run has come to where its values show nothing but noise.

    `coarse` says that it goes on from there with differences on both sides.
    """
    if minimizer.done:
        lost = minimizer.stop in (Stop.ABNORMAL, Stop.REDUCTION) or minimizer.stop == "stalled"
        return lost and heard.promised <= least
    return heard.still >= (STILL_COARSE if coarse else STILL)


def is_chance(heard: Heard, minimizer: Any) -> bool:
    """Return whether a test was passed by values that differ too little, for their noise."""
    told = heard.noise > 0.0 and isinstance(minimizer, LBFGSB)
    return told and minimizer.stop is Stop.REDUCTION


def kept(heard: Heard, least: float, *, told: bool) -> str:
    """Return what a success holds to where the model promises no more than `least`.

    `told` says that its gradients were, of which nobody has said how exact they are.
    """
    said = f"{words(heard)}: the model promises no more than {least:.2g}"
    if told:
        return f"{said}, if the gradients that were told are exact"
    if heard.hidden <= least:
        return f"{said}; this end was not surveyed"
    return (
        f"{said}; the error of the differences may hide {heard.hidden:.2g}, and more along the "
        "floor of a narrow valley: this end was not surveyed"
    )


def hide(heard: Heard, used: Any, reach: Any, *, two_sided: bool) -> None:
    """Take note of what differences by the steps `used` may hide, two standard deviations of it."""
    if heard.noise == 0.0 and heard.pending == 0.0:
        return
    noise = max(heard.noise, heard.pending) * (math.sqrt(0.5) if two_sided else math.sqrt(2.0))
    with np.errstate(divide="ignore", over="ignore"):
        parts = np.where(used > 0.0, noise * reach / np.where(used > 0.0, used, 1.0), 0.0)
    heard.hidden = DOUBT * math.hypot(*parts.tolist())


def words(heard: Heard) -> str:
    """Return what a success holds to."""
    return f"to the noise of the values (standard deviation {heard.noise:.3g})"


def as_surveyed(heard: Heard) -> str:
    """Return what a success holds to that a survey shows."""
    return (
        f"{words(heard)}: a parabola through values round the end promises "
        f"{heard.surveyed:.2g} more at most"
    )


def unproved(heard: Heard) -> str:
    """Return why a run ended of which no survey could tell whether it is a minimum."""
    return (
        f"values show nothing but noise (standard deviation {heard.noise:.3g}), and nothing shows "
        "whether this is a minimum: go on with more exact values, or from other starts"
    )


def lost_in_noise(heard: Heard) -> str:
    """Return why a run ended of which surveys do not tell where its minimum is."""
    return (
        f"the noise of the values (standard deviation {heard.noise:.3g}) hides where the objective "
        "falls on: they promise more than it, and do not keep it"
    )
