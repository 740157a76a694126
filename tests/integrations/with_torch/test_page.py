"""The how-to of BoTorch and Optuna runs, with those of its snippets that need PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.test_snippets import ROOT, run_page

PAGE = ROOT / "docs/how-to/botorch-optuna.md"


@pytest.mark.filterwarnings("ignore")
def test_the_page_prints_what_it_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8").replace("```{code-block} python", "```python")
    assert run_page(text, str(PAGE)) == 3
