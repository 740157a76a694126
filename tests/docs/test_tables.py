"""The tables of the reference say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optdriver import LBFGSB
from optdriver.coroutine.state import NEWEST_DOUBT
from optdriver.feasible.minimizer import RULE as FEASIBLE
from optdriver.multistart import rules
from optdriver.sqp.options import RULE as SEQUENTIAL
from optdriver.study import dialect, parameters

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT.joinpath("docs/reference/parameters.md")
TABLES = PAGE.read_text(encoding="utf-8").split("## Two dialects")


def test_every_driver_parameter_is_listed_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| .* \| ([^|]+) \|$", TABLES[0], re.M))
    assert listed == {name: repr(row.default) for name, row in parameters.TABLE.items()}


@pytest.mark.parametrize("table", [dialect.ARGUMENTS, dialect.METHODS, parameters.ALIASES])
def test_every_alias_is_listed(table: dict[str, str]) -> None:
    listed = re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", TABLES[1], re.M)
    assert set(listed) >= {(real, alias) for alias, real in table.items()}


def test_every_rule_is_listed_with_what_is_new_in_it() -> None:
    page = ROOT.joinpath("docs/reference/rules.md").read_text(encoding="utf-8")
    listed: dict[str, list[int]] = {}
    name = ""
    for line in page.splitlines():
        found = re.match(r"(?:### |\| )`([\w.=()]+)`", line)
        name = found[1] if found else name
        row = re.match(r"\| (?:`[^`]+` \| |\| )?(\d+) \|", line)
        if row:
            listed.setdefault(name, []).append(int(row[1]))
    kernel = LBFGSB([0.0], cautious=True).state.cautious
    expected = {
        "convergence_rule": rules.CONVERGENCE_RULES,
        "constraint_rule": rules.CONSTRAINT_RULES,
        "difference_rule": rules.DIFFERENCE_RULES,
        "memory_rule": sorted(parameters.MEMORY_RULES),
        "FeasibleMinimizer(rule=)": range(1, FEASIBLE + 1),
        "LBFGSB(cautious=True)": range(1, kernel + 1),
        "SQP(rule=)": range(1, SEQUENTIAL + 1),
        "CallbackMinimizer(doubt_rule=)": range(1, NEWEST_DOUBT + 1),
    }
    assert {name: listed[name] for name in expected} == {
        name: list(numbers) for name, numbers in expected.items()
    }


def test_the_readme_repeats_what_was_measured() -> None:
    measured = ROOT.joinpath("benchmarks/results.md").read_text(encoding="utf-8")
    readme = ROOT.joinpath("README.md").read_text(encoding="utf-8")
    kinds = {
        "value and gradient NaN": "f and g NaN",
        "value infinite": r"f = \+inf, true g",
        "one component of the gradient infinite": "one component of g infinite",
        "an exception, told as a failure": "told as a failure",
    }
    for ours, theirs in kinds.items():
        row = re.search(rf"^\| {theirs} +\|(.*)\|$", measured, re.M)
        assert row, f"no row {theirs} in the results"
        cells = [cell.strip() for cell in row[1].split("|")]
        scipy, optdriver = cells[0].split()[0], cells[4].split()[0]
        assert f"| {ours} | {scipy} | {optdriver} |" in readme


def test_every_command_is_listed_with_its_exit_status() -> None:
    from optdriver.cli import commands

    page = ROOT.joinpath("docs/how-to/command-line.md").read_text(encoding="utf-8")
    first = re.findall(r"^\| (`[^|]*) \|", page.split("## From another language")[0], re.M)
    listed = {name for cell in first for name in re.findall(r"`([\w-]+)`", cell)}
    assert set(commands.app.commands) == listed
    statuses = set(map(int, re.findall(r"^\| (\d+) \|", page, re.M)))
    assert statuses == {
        0, 1, 2, commands.NOTHING_NOW, commands.DONE, commands.STOPPED, commands.INTERRUPTED,
    }  # fmt: skip


def test_every_request_of_the_wire_is_listed() -> None:
    from optdriver.server.wire import REQUESTS

    page = ROOT.joinpath("docs/how-to/command-line.md").read_text(encoding="utf-8")
    table = page.split("## From another language")[1]
    first = re.findall(r"^\| (`[^|]*) \|", table, re.M)
    assert {name for cell in first for name in re.findall(r"`(\w+)`", cell)} == set(REQUESTS)
