"""Constraints over the logarithms of some parameters: texts with exponentials put in."""

from __future__ import annotations

import re
from collections.abc import Sequence


def over_logarithms(name: str, text: str, logarithmic: Sequence[str]) -> dict[str, str]:
    """Return a constraint with ``exp(D)`` for D, for every name D in `logarithmic`.

    It keeps its name, or what was written as one: derivatives by a logarithm are those of the
    formula with the exponential in it.
    """
    names = "|".join(map(re.escape, logarithmic))
    replaced = re.sub(rf"(?<![\w.])({names})(?!\w)", r"exp(\1)", text)
    return {"name": name or text, "constraint": replaced}
