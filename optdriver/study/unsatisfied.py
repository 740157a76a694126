"""What is said where no evaluated point satisfies all limits on outputs: which of them resist."""

from __future__ import annotations

from typing import Final

import numpy as np

from optdriver.numerics import quiet
from optdriver.study.state import State

LOOKED: Final = 1000
"""Points that are looked at, the last ones."""


@quiet
def unsatisfied(state: State) -> str:
    """Return by how much limits on outputs are violated at least; "" where a point satisfies all.

    It is empty, too, where nothing has been observed.
    """
    ledger, limits = state.ledger, state.spec.limits
    if limits is None or ledger.outputs is None or ledger.best >= 0:
        return ""
    rows = np.flatnonzero(ledger.observed())
    rows = rows[rows >= ledger.since][-LOOKED:]
    if not rows.size:
        return ""
    pairs = zip(ledger.x[rows], ledger.outputs[rows], strict=True)
    violations = np.array([limits.violations(limits.values(x, put)) for x, put in pairs])
    least = np.min(np.where(np.isnan(violations), np.inf, violations), axis=0)
    resisting = [
        f"{name!r} is violated by {size:.3g} at least"
        for name, size in zip(limits.rows, least.tolist(), strict=True)
        if size > 0.0
    ]
    said = ", ".join(resisting) or "each is satisfied somewhere, and never all of them"
    return f"no evaluated point satisfies all limits on outputs: {said}"
