"""Tables of results: markdown, what they were measured on, and the file that keeps them."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optdriver

ALIGNED = 30
RESULTS = Path(__file__).with_name("results.md")
PACKAGES = ("optdriver", "numpy", "scipy", "optuna", "botorch", "torch")
TITLE = """# Benchmark results

Written by `python -m benchmarks`; each section carries the date of its own run.
"""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One claim: what was measured, and what it should reach at most (or at least)."""

    claim: str
    value: float
    limit: float
    at_least: bool = False
    form: str = ".3g"

    @property
    def met(self) -> bool:
        """Whether the measurement keeps the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def row(self) -> tuple[str, str, str, str]:
        """Return the claim as a row of a table."""
        sign = ">=" if self.at_least else "<="
        verdict = "yes" if self.met else "**no**"
        return self.claim, f"{self.value:{self.form}}", f"{sign} {self.limit:{self.form}}", verdict


@dataclass(frozen=True, kw_only=True)
class Table:
    """A header, rows of text, and a line above them."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str = ""

    def markdown(self) -> str:
        """Return the table in markdown, columns of a short one aligned for the source's reader."""
        cells = (
            [self.header, *self.rows] if len(self.rows) <= ALIGNED else [("",) * len(self.header)]
        )
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.header))]
        rule = tuple("-" * max(width, 3) for width in widths)
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in (self.header, rule, *self.rows)
        ]
        return "\n".join(
            [*([self.caption, ""] if self.caption else []), *(f"{x} |" for x in lines)]
        )


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one script found out."""

    name: str
    title: str
    text: str
    targets: Sequence[Target] = field(default=())
    tables: Sequence[Table] = field(default=())
    details: Sequence[Table] = field(default=())
    packages: Sequence[str] = field(default=())

    def long(self) -> str:
        """Return the tables that have a file of their own."""
        tables = [table.markdown() for table in self.details]
        return "\n\n".join([f"# {self.title}", environment(self.packages), *tables]) + "\n"

    def markdown(self) -> str:
        """Return the section in markdown, between the marks that `write` looks for."""
        parts = [f"<!-- section: {self.name} -->", f"## {self.title}"]
        parts += [self.text, environment(self.packages)]
        if self.targets:
            header = ("claim", "measured", "target", "met")
            parts.append(Table(header=header, rows=[t.row() for t in self.targets]).markdown())
        parts += [table.markdown() for table in self.tables]
        parts += [f"Problem by problem: `benchmarks/results-{self.name}.md`."] * bool(self.details)
        return "\n\n".join([*parts, f"<!-- end: {self.name} -->"]) + "\n"


def processor() -> str:
    """Return the processor's name, as Linux gives it where it does."""
    listing = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", listing.read_text()) if listing.exists() else None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def versions(more: Sequence[str] = ()) -> str:
    """Return the versions of what took part; `more` names what this section alone needs."""
    installed = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
    installed["optdriver"] = optdriver.__version__  # of the tree that runs, installed or not
    named = [f"{name} {installed[name]}" for name in (*PACKAGES, *more) if name in installed]
    return ", ".join([f"Python {platform.python_version()}", *named])


def environment(more: Sequence[str] = ()) -> str:
    """Return the line that says when and on what a section was measured."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"*{day}; {versions(more)}; {processor()}, {os.cpu_count()} processors{load}.*"


def write(section: Section, path: Path = RESULTS) -> None:
    """Put `section` into the file of results, in place of an older one of the same name.

    Its details go into a file beside it.
    """
    text = path.read_text() if path.exists() else TITLE
    mark = re.escape(section.name)
    old = re.compile(f"<!-- section: {mark} -->.*?<!-- end: {mark} -->\n", re.DOTALL)
    new = section.markdown()
    text = old.sub(lambda _: new, text) if old.search(text) else f"{text.rstrip()}\n\n{new}"
    path.write_text(text)
    if section.details:
        path.with_name(f"{path.stem}-{section.name}.md").write_text(section.long())
