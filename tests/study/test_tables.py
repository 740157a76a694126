"""Minima and minimizers are shown as tables."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest

import optdriver
from optdriver import MultiStart
from optdriver.study.tables import Rows


def played():
    study = optdriver.create_study(
        {"x": (-2, 2), "<b>": (-2, 2), "n": 3}, jac=True, max_num_minimizers=2, num_initial=2
    )
    while (suggestion := study.ask()) is not None:
        x, y = suggestion.x
        study.tell(suggestion.id, (x - 1) ** 2 + y**2 + 4.0, [2 * (x - 1), 2 * y])
    return study


def test_minima_are_a_table_of_value_and_parameters():
    study = played()
    head, row = repr(study.minima).splitlines()
    assert head.split() == ["value", "kind", "times_found", "x", "<b>", "n"]
    assert row.split()[:3] == ["4", "minimum", "2"]
    assert study.minima[0].times_found == 2


def test_rows_are_a_sequence_that_stands_still():
    study = played()
    rows = study.runs
    before = [row.evaluations for row in rows]
    assert len(rows) == len(before) > 1
    assert isinstance(rows, Sequence)
    assert rows[-1].index == len(rows) - 1
    assert [row.index for row in rows[1:]] == list(range(1, len(rows)))
    assert not rows[:0]
    assert rows[:0] == ()
    with pytest.raises(TypeError, match="item assignment"):
        rows[0] = rows[1]
    again = pickle.loads(pickle.dumps(rows))
    assert [row.evaluations for row in again] == before
    assert repr(again) == repr(rows)
    study.set_parameters(max_num_minimizers=4)
    for suggestion in iter(study.ask, None):
        study.tell(suggestion.id, float(suggestion.x @ suggestion.x), 2.0 * suggestion.x)
    assert [row.evaluations for row in rows] == before
    assert len(study.runs) > len(before)


def test_a_row_of_a_run_that_ended_counts_what_comes_late():
    starts = MultiStart([(-2.0, 2.0)] * 2, num_initial=2, max_num_minimizers=1)
    late, point = starts.ask(2)
    while not starts.done:
        starts.tell(point.id, float(point.x @ point.x), 2.0 * point.x)
        point = next(iter(starts.ask(1)), None)
    row = starts.runs[0]
    assert row is starts.runs[0]
    starts.tell(late.id, 1e9, [0.0, 0.0])
    assert starts.runs[0].nfev == row.nfev + 1
    with pytest.raises(ValueError, match="read-only"):
        row.x0[0] = 3.0


def test_runs_are_a_table_with_the_reason():
    lines = repr(played().runs).splitlines()
    assert lines[0].split()[:6] == ["index", "state", "evaluations", "failures", "value", "reason"]
    assert len(lines) == 3
    assert "converged" in lines[1]


def test_nothing_is_an_empty_tuple():
    study = optdriver.create_study({"x": (0, 1)})
    assert repr(study.minima) == "()"
    assert study.minima == ()
    assert study.runs._repr_html_() == "<p>no rows</p>"


def test_a_notebook_gets_a_table_and_names_are_no_markup():
    page = played().minima._repr_html_()
    assert page.startswith("<table>")
    assert "<th>&lt;b&gt;</th>" in page
    assert "<b>" not in page
    assert page.count("<tr>") == 2


def test_long_tables_and_cells_are_cut_and_say_so():
    class Record:
        shown = ("name", "params")

        def __init__(self, k):
            self.name, self.params = "word " * 40, {f"p{i}": float(k) for i in range(40)}

    rows = Rows(Record(k) for k in range(35))
    lines = repr(rows).splitlines()
    assert lines[-1] == "... and 5 more"
    assert len(lines) == 32
    assert lines[0].split()[-2:] == ["p10", "..."]
    assert "word ..." in lines[1]
    assert "... and 5 more" in rows._repr_html_()


def test_a_run_without_a_value_has_a_dash():
    study = optdriver.create_study({"x": (-2, 2)}, jac=True, max_iter=1)
    study.tell_failure(study.ask().id, "no mesh")
    assert "-" in repr(study.runs).splitlines()[1].split()


def test_a_study_in_a_notebook_has_its_summary_and_its_minima():
    page = played()._repr_html_()
    assert "&lt;Study" in page
    assert "<table>" in page


def test_the_starts_of_minimize_are_a_table():
    result = optdriver.minimize(
        lambda x: ((x - 0.3) ** 2).sum(),
        optdriver.Interval(-1.0, 1.0, shape=(2,)),
        n_iter=3,
        x64=True,
    )
    lines = repr(result.starts).splitlines()
    assert lines[0].split() == ["index", "success", "fun", "nfev", "nit", "message"]
    assert len(lines) == 4
