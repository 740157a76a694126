"""At which positions of a run, and on which of many cases, a test looks.

At some with the quick tests, at every one with the long ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

POSITIONS = [
    pytest.param(7, id="every seventh"),
    pytest.param(1, marks=pytest.mark.slow, id="every one"),
]
"""How many positions lie from one to the next."""


def one_in(every: int, cases: Iterable[Any], *, first: int = 0) -> list[Any]:
    """Return all cases, of which those from `first` on that lie `every` apart are quick ones.

    A case is a value, or a tuple of some.
    """
    made = []
    for index, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        late = () if index % every == first else (pytest.mark.slow,)
        made.append(pytest.param(*values, marks=late))
    return made
