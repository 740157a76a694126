"""How likely it is that no minimum is missing, from how often the known ones were met.

Let every number of minima, and every division of the box into their basins, be as likely as any
other before anything is known.  After N starts from anywhere that led to w minima the probability
that there are no others is (Boender and Rinnooy Kan 1987)

    prod_{i=1..w} (N - 1 - i) / (N - 1 + i).

Starts that a rule has put aside, or paused, since they lead to a basin that is known, are counted
with those that were followed to their ends, though nothing proves where they lead.  Those beside
the lowest minimum (`optdriver.multistart.beside`) are no starts from anywhere, and are not
counted.  The formula promises too much: basins are less even than it takes them for, a rule takes
some for others, and whoever stops as soon as it has said 0.9 has chosen the moment when it is most
mistaken.  So its answer is squared, which wants about twice as many starts; and where a known
minimum is on a side of the box, those that hide are nearly all on edges and in corners, where
basins are small and starts few: then the power is the number of corners, unless sides are looked at
(`optdriver.multistart.linked`; `benchmarks/completeness.py` has what is claimed then, and what is
true).  Nothing is said before two descents for each minimum, and five in all, have come
to their ends: what a rule puts aside at first it has hardly seen.

References
----------
C. G. E. Boender, A. H. G. Rinnooy Kan, "Bayesian stopping rules for multistart global optimization
methods", Mathematical Programming 37 (1987) 59.
"""

from __future__ import annotations

from typing import Final

ALL_LIKELY: Final = "all minima likely found"
STOP_WHEN: Final = (ALL_LIKELY,)

LIKELY: Final = 0.9
"""The probability from which on all minima are likely found."""

LEAST: Final = 5
TWICE: Final = 2
"""Descents that have to have converged before anything is said: in all, and for each minimum."""


def estimate(descents: int, others: int, minima: int, *, sides: int = 0) -> float:
    """Return the probability that all minima are known.

    Parameters
    ----------
    descents, others : int
        Starts that were followed to their ends, and those of which that is known without.
    minima : int
        How many these have led to.
    sides : int
        The number of variables, if one of them is on a side of the box.
    """
    if descents < max(LEAST, TWICE * minima):
        return 0.0
    made = probability(descents + others, minima)
    for _ in range(max(1, sides)):
        made *= made  # the power is 2^sides then
    return made


def probability(starts: int, minima: int) -> float:
    """Return the probability that all minima are known after so many starts (1987)."""
    if minima < 1 or starts <= minima + 1:
        return 0.0
    made = 1.0
    for i in range(1, minima + 1):
        made *= (starts - 1 - i) / (starts - 1 + i)
        if made == 0.0:  # of thousands of minima most cannot change it any more
            break
    return made
