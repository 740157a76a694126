"""The file of results: a section replaces its older self and leaves the others alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.report import Section, Table, Target, write


def section(name: str, text: str) -> Section:
    return Section(name=name, title=name.title(), text=text)


def test_a_target_is_met_from_its_own_side() -> None:
    assert Target(claim="ratio", value=0.5, limit=0.5).met
    assert not Target(claim="ratio", value=0.51, limit=0.5).met
    assert Target(claim="rate", value=2.0, limit=1.0, at_least=True).met
    assert not Target(claim="rate", value=0.5, limit=1.0, at_least=True).met
    assert Target(claim="rate", value=0.5, limit=1.0, at_least=True).row()[2:] == (">= 1", "**no**")


def test_a_table_is_aligned_markdown_under_its_caption() -> None:
    table = Table(header=("n", "cost"), rows=[("10", "1"), ("100", "12.5")], caption="Costs.")
    assert table.markdown().splitlines() == [
        "Costs.",
        "",
        "| n   | cost |",
        "| --- | ---- |",
        "| 10  | 1    |",
        "| 100 | 12.5 |",
    ]


def test_a_section_replaces_its_older_self(tmp_path: Path) -> None:
    path = tmp_path / "results.md"
    for name, text in (("one", "first"), ("two", "second"), ("one", r"third \1")):
        write(section(name, text), path)
    text = path.read_text()
    assert text.startswith("# Benchmark results")
    assert "first" not in text
    assert text.index(r"third \1") < text.index("second")
    assert text.count("<!-- section:") == text.count("<!-- end:") == 2


def test_details_go_into_a_file_beside_the_results(tmp_path: Path) -> None:
    path = tmp_path / "results.md"
    long = Table(header=("n", "cost"), rows=[(str(n), "1") for n in range(40)])
    write(Section(name="one", title="One", text="text", details=[long]), path)
    assert "results-one.md" in path.read_text()
    assert "| 39 | 1 |" not in path.read_text()
    assert "| 39 | 1 |" in tmp_path.joinpath("results-one.md").read_text()


def test_a_section_names_versions_and_processor() -> None:
    text = section("one", "text").markdown()
    assert "numpy" in text
    assert "scipy" in text
    assert "processors" in text


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["overheat"]) == 2
    message = capsys.readouterr().err
    assert "overheat" in message
    assert "standard" in message
