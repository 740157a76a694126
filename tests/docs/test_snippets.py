"""Every Python snippet of the README and of the documentation runs, and prints what it claims.

The snippets of a page are run in order in one namespace.  A ``text`` block directly below a
snippet is what that snippet prints.  A block of ``{code-block} python`` needs PyTorch;
``tests/integrations/with_torch`` runs these.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.joinpath("docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<language>[\w{}-]*)[^\n]*\n(?P<body>.*?)^```$", re.M | re.S)


def run_page(text: str, name: str) -> int:
    """Run the snippets of a page; return how many there were."""
    namespace = {"__name__": "__main__"}
    printed, ended, count = "", 0, 0
    for block in FENCE.finditer(text):
        body = block["body"]
        if block["language"] == "python":
            line = text.count("\n", 0, block.start("body"))
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile("\n" * line + body, name, "exec"), namespace)
            printed, ended, count = out.getvalue(), block.end(), count + 1
        elif block["language"] == "text" and not text[ended : block.start()].strip():
            assert printed == body, f"{name} claims another output"
    return count


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_snippets(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text(encoding="utf-8"), str(page))


def test_the_readme_is_not_without_snippets() -> None:
    assert PAGES[0].read_text(encoding="utf-8").count("```python\n") >= 4


@pytest.mark.parametrize(
    ("page", "error"),
    [
        ("```python\n1 / 0\n```\n", ZeroDivisionError),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", AssertionError),
        ("```python\nx = 1\n```\ntext\n```python\nprint(y)\n```\n", NameError),
    ],
)
def test_a_stale_page_is_noticed(page: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        run_page(page, "page")


def test_a_page_shares_its_names_and_shows_its_output() -> None:
    page = "```python\nx = 1\n```\ntext\n```python\nprint(x)\n```\n\n```text\n1\n```\n"
    assert run_page(page, "page") == 2
