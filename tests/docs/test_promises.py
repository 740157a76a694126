"""What is promised to stay is what is there, and the reference has no gaps."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import optdriver

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGE = (REFERENCE / "promises.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(optdriver[\w.]*)` \| (.*) \|$", PAGE, re.M))


@pytest.mark.parametrize("package", ROWS)
def test_the_public_names_are_those_that_the_package_lists(package: str) -> None:
    listed = re.findall(r"`(\w+)`", ROWS[package])
    assert listed == sorted(public(package))


def public(package: str) -> list[str]:
    """Return ``__all__`` without an import, which may need a package that is not there."""
    if package == "optdriver":
        return optdriver.__all__
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise AssertionError(f"{package} lists no public names")


def test_what_the_pages_and_examples_import_is_public() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.py")]
    pages = [page for page in pages if page.name != "changelog.md"]
    promised = {name: set(re.findall(r"`(\w+)`", row)) for name, row in ROWS.items()}
    promised["optdriver.errors"] = set(dir(importlib.import_module("optdriver.errors")))
    found = 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for package, names in re.findall(
            r"^\s*from (optdriver[\w.]*) import ([\w, ]+)", text, re.M
        ):
            for name in re.findall(r"\w+(?=,| *$| as )", names):
                inner = f"{package}.{name}" in promised
                assert inner or name in promised[package], f"{page.name}: {package}.{name}"
                found += 1
        for package, name in re.findall(r"\b(optdriver(?:\.[a-z]\w*)*)\.(\w+)\(", text):
            assert name in promised.get(package, {name}), f"{page.name}: {package}.{name}"
    assert found > 20


def test_the_reference_has_every_public_name() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    documented = set(re.findall(r"^\.\. auto\w+:: [\w.]*?(\w+)$", pages, re.M))
    errors = {"OptDriverError"}  # documented with its module
    assert set(optdriver.__all__) - {"__version__"} - errors <= documented
