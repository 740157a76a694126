"""The rules by which searches go, one for each change of what is asked or believed.

What is recorded keeps the rule that it began with; what is new has the last.  What each rule does,
and of which versions it is, stands in docs/reference/rules.md.
"""

from __future__ import annotations

from typing import Final

DIFFERENCE_RULES: Final = tuple(range(1, 6))
CONSTRAINT_RULES: Final = tuple(range(1, 11))
CONVERGENCE_RULES: Final = tuple(range(1, 14))
"""From that of optdriver 0.1.0 to that of now."""
