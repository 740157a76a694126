"""What starts beside the lowest minimum have cost and led to, and so how far the next one may be.

They are uniform in a cube around that minimum.  What a run goes from its start to its minimum, in
the median, is half the side of the first cube; where a start leads back the cube becomes wider,
where it leads to another minimum that is no lower it becomes narrower.  About one in three leads
back then, whatever the size of basins is there (a rule as that of basin hopping for its steps:
Wales and Doye 1997).

See `optdriver.multistart.beside`, which makes these starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from optdriver import stored

DEBT: Final = 0.02
"""The part of all evaluations that these runs may owe."""

CREDIT: Final = 3.0
"""What the lowest minimum is worth, in others, and what may be earned in advance at most: what has
found much may be at its end."""

MOST: Final = 0.7
"""The part of all evaluations that they take at most."""

WIDER: Final = 1.5
NARROWER: Final = 0.8
"""What the cube becomes where a start leads back, and where it leads to what is no lower."""

WIDEST: Final = 0.5
LEAST: Final = 1e-6
"""Half the side of a cube at most, and at least, in the unit box."""


@dataclass(slots=True)
class Hops:
    """Runs that began beside the lowest minimum.

    Attributes
    ----------
    tried : int
        How many places have been drawn; not all of them became starts.
    radius : float
        Half the side of the cube, in the unit box; 0 before the first.
    base : dict of int to int
        By each of these runs, a run that led to the minimum beside which it began.
    open : list of int
        Those of which it is not known yet where they lead.
    spent, told : int
        Their evaluations, failures and differences included, and their points with a value.
    owed : float
        The evaluations that what was found was not worth.
    found, converged : int
        How many minima they were the first to meet, and how many have come to one.
    """

    tried: int = 0
    radius: float = 0.0
    base: dict[int, int] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)
    spent: int = 0
    told: int = 0
    owed: float = 0.0
    found: int = 0
    converged: int = 0

    def pay(self, told: int) -> bool:
        """Tell whether there may be one more, after so many evaluations in all."""
        return self.spent <= MOST * told and self.owed <= DEBT * told

    def spend(self) -> None:
        """Take an evaluation."""
        self.spent += 1
        self.owed += 1.0

    def find(self, told: int, minima: int, *, lower: bool) -> None:
        """Pay with a new minimum, which is worth what others have paid for each of theirs.

        Of `told` evaluations, and so many `minima`, in all.  The lowest is worth more.
        """
        self.found += 1
        price = (told - self.spent) / max(1, minima - self.found)
        self.owed = max(self.owed - price * (CREDIT if lower else 1.0), -CREDIT * price)

    def begin(self, run: int, base: int) -> None:
        """Let a run begin beside the minimum of another one."""
        self.base[run] = base
        self.open.append(run)

    def lead(self, run: int, *, back: bool, lower: bool = False) -> None:
        """Note where a run leads: back, to a minimum that is lower than all, or elsewhere."""
        self.open.remove(run)
        if back:
            self.radius = min(WIDER * self.radius, WIDEST)
        elif not lower:
            self.radius = max(NARROWER * self.radius, LEAST)


def to_dict(hops: Hops) -> dict[str, Any]:
    """Return it as plain values."""
    return {**asdict(hops), "base": [[run, base] for run, base in hops.base.items()]}


def from_dict(data: Any) -> Hops:
    """Return that of which `to_dict` made `data`; 0.12.0 and before had none."""
    if data is None:
        return Hops()
    known = stored.mapping("hops", data)
    base = {stored.whole("run", run): stored.whole("base", led) for run, led in known["base"]}
    under_way = [stored.whole("open", run) for run in known["open"]]
    if len(set(under_way) & base.keys()) < len(under_way):
        raise ValueError("a run is beside no minimum")
    names: Iterable[str] = ("tried", "spent", "told", "found", "converged")
    counts = {name: stored.whole(name, known[name]) for name in names}
    radius = stored.real("radius", known["radius"], 0.0, WIDEST)
    owed = stored.real("owed", known["owed"], -stored.LARGEST, stored.LARGEST)
    return Hops(radius=radius, owed=owed, base=base, open=under_way, **counts)
