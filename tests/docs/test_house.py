"""The page about the house shows its rooms, and the walks through it are those that calls take."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optdriver
from tests.test_layers import RINGS

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "house.md"
TEXT = PAGE.read_text(encoding="utf-8")
PACKAGE = Path(optdriver.__file__).parent
BOX = {"x": (-2.0, 2.0), "y": (-2.0, 2.0)}


def passed(call: Any) -> list[str]:
    """Return the functions of the package that a call passes, as ``room.module.function``."""
    found: list[str] = []

    def look(frame: Any, event: str, _: Any) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(PACKAGE):
            parts = file.relative_to(PACKAGE).with_suffix("").parts
            found.append(".".join([*parts, frame.f_code.co_name]))

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(before)
    return found


def walk(heading: str) -> list[str]:
    """Return the stations of a walk on the page."""
    text = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\d+\. `([\w.]+)`", text, re.MULTILINE)


def a_value_told() -> Any:
    study = optdriver.create_study(BOX, jac=True)
    suggestion = study.ask()
    return lambda: study.tell(suggestion.id, 1.0, np.array([1.0, 2.0]))


def a_point_asked() -> Any:
    return optdriver.create_study(BOX, jac=True).ask


def a_formula_given() -> Any:
    return lambda: optdriver.create_study(BOX, constraints=["x^2 + y^2 <= 3"])


@pytest.mark.parametrize(
    ("heading", "made"),
    [
        ("A value told", a_value_told),
        ("A point asked", a_point_asked),
        ("A formula given", a_formula_given),
    ],
)
def test_a_walk_is_what_happens(heading, made):
    stations = walk(heading)
    assert len(stations) > 7
    left = iter(passed(made()))
    assert [each for each in stations if each not in left] == []  # in this order


def test_the_table_has_all_rooms():
    rows = re.findall(r"^\| \d+ \| (.*?) \|", TEXT, re.MULTILINE)
    assert [re.findall(r"`(\w+)`", row) for row in rows] == RINGS
