"""At which positions of a run a test looks: at some, and with the long tests at every one."""

from __future__ import annotations

import pytest

POSITIONS = [
    pytest.param(4, id="every fourth"),
    pytest.param(1, marks=pytest.mark.slow, id="every one"),
]
"""How many positions lie from one to the next."""
