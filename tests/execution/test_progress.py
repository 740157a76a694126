from __future__ import annotations

import io
import sys

import pytest

from optdriver.errors import InputTypeError, MissingExtraError
from optdriver.execution import progress
from optdriver.studies import create_study
from tests.study.tools import BOX, rastrigin


def run(**options):
    study = create_study(BOX, jac=True, max_iter=12, name="r")
    study.run(lambda x1, x2, radius: rastrigin(x1, x2), **options)
    return study


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("wanted", [None, False])
def test_quiet_where_there_is_no_terminal(wanted, capsys):
    run(progress=wanted)
    assert capsys.readouterr() == ("", "")


def test_a_bar_in_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    run()
    assert "r: best" in terminal.getvalue()
    assert "12/12" in terminal.getvalue()


def test_a_bar_on_demand_shows_what_there_is(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    monkeypatch.setenv("COLUMNS", "120")
    study = create_study({"x": (0, 1)}, jac=True, max_num_minimizers=2, num_initial=3)
    calls = []

    def objective(x):
        calls.append(x)
        if len(calls) == 2:
            raise ArithmeticError
        return (x - 0.3) ** 2, [2 * (x - 0.3)]

    study.run(objective, progress=True)
    assert "study: best" in stream.getvalue()
    assert "1 failed" in stream.getvalue()
    assert "1 minima" in stream.getvalue()


def test_quiet_in_a_terminal_without_rich(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    run()
    assert terminal.getvalue() == ""
    with pytest.raises(MissingExtraError, match=r"pip install 'optdriver\[progress\]'"):
        run(progress=True)


def test_other_values_are_refused():
    with pytest.raises(InputTypeError, match="True, False or None, not 'yes'"):
        run(progress="yes")
