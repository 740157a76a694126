"""What is promised to stay is what is there, and the reference has no gaps."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import optdriver

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGE = (REFERENCE / "promises.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(optdriver[\w.]*)` \| (.*) \|$", PAGE, re.M))


@pytest.mark.parametrize("package", ROWS)
def test_the_public_names_are_those_that_the_package_lists(package: str) -> None:
    listed = re.findall(r"`(\w+)`", ROWS[package])
    assert listed == sorted(importlib.import_module(package).__all__)


def test_the_reference_has_every_public_name() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    documented = set(re.findall(r"^\.\. auto\w+:: [\w.]*?(\w+)$", pages, re.M))
    errors = {"OptDriverError"}  # documented with its module
    assert set(optdriver.__all__) - {"__version__"} - errors <= documented
