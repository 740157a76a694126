"""The tables of the reference say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optdriver.study import dialect, parameters

PAGE = Path(__file__).resolve().parents[2].joinpath("docs/reference/parameters.md")
TABLES = PAGE.read_text(encoding="utf-8").split("## Two dialects")


def test_every_driver_parameter_is_listed_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| .* \| ([^|]+) \|$", TABLES[0], re.M))
    assert listed == {name: repr(row.default) for name, row in parameters.TABLE.items()}


@pytest.mark.parametrize("table", [dialect.ARGUMENTS, dialect.METHODS, parameters.ALIASES])
def test_every_alias_is_listed(table: dict[str, str]) -> None:
    listed = re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", TABLES[1], re.M)
    assert set(listed) >= {(real, alias) for alias, real in table.items()}
