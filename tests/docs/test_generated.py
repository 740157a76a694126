"""The pages that are written from the code are what the code says now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
SPEC = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_page_is_what_would_be_written(name):
    written = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert written == generate.page(name), "run: python docs/generate.py"
