"""Which tests are slow: those that are marked, and those that `slow.txt` lists by measurement.

``python -m pytest -m '' --slow-above 1`` measures all tests and writes the list again: those that
took more than so many seconds of processor time, their children's included, a line each; one line
stands for all cases of a test of which most are slow.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("slow.txt")
SLOW = frozenset(LIST.read_text(encoding="utf-8").splitlines())

_SPENT = defaultdict[str, float](float)


def pytest_addoption(parser: pytest.Parser) -> None:
    help = "write tests/slow.txt again, with what took more seconds of processor time than this"
    parser.addoption("--slow-above", type=float, metavar="SECONDS", help=help)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is listed; refuse a list with tests that are no longer there."""
    found = set[str]()
    for item in items:
        listed = {item.nodeid, item.nodeid.partition("[")[0]} & SLOW
        found |= listed
        if listed:
            item.add_marker(pytest.mark.slow)
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if whole and config.getoption("--slow-above") is None and (gone := SLOW - found):
        raise pytest.UsageError(f"{LIST} lists tests that are not there: {sorted(gone)[:5]}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let each report carry the processor time of this process and its children so far."""
    report = (yield).get_result()  # type: ignore[misc,attr-defined]
    if item.config.getoption("--slow-above") is not None:
        times = os.times()
        report.user_properties = [("spent", sum(times[:4]), report.when)]


_SINCE: dict[str, float] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, total, when in report.user_properties:
        if name == "spent":
            worker = str(getattr(report, "node", ""))
            if when != "setup" or worker in _SINCE:
                _SPENT[report.nodeid] += total - _SINCE.get(worker, total)
            _SINCE[worker] = total


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the list, in the process that has all reports."""
    above = session.config.getoption("--slow-above")
    if above is None or hasattr(session.config, "workerinput"):
        return
    cases = defaultdict[str, list[str]](list)
    for name in _SPENT:
        cases[name.partition("[")[0]].append(name)
    lines = list[str]()
    for test, names in cases.items():
        slow = [name for name in names if _SPENT[name] > above]
        lines += [test] if 2 * len(slow) > len(names) else slow
    LIST.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")
