"""What is said of all runs is what a state that was just read says, whatever has happened since."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from optdriver.multistart import MultiStart
from optdriver.multistart.catalogue import Catalogue
from tests.multistart.problems import rastrigin, waves


def plain(record):
    """A record as values that can be compared."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in dataclasses.asdict(record).items()
    }


def said(ms):
    """All that is said of runs, and of minima."""
    ends = ms.ends
    assert ms.num_runs == len(ms.runs)
    assert [plain(ms.row(k)) for k in range(ms.num_runs)] == list(map(plain, ms.runs))
    return (
        list(map(plain, ms.runs)),
        list(map(plain, ms.minima)),
        sorted((k, x.tolist(), f, s) for k, x, f, s in zip(*ends, strict=True)),
    )


def look(ms):
    """Compare it with what a driver says that goes on from the same data."""
    found = said(ms)
    assert found == said(MultiStart.from_dict(ms.to_dict()))
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"jac": False},
        {"start_rule": "mlsl"},
        {"start_rule": "auto"},
        {"start_rule": "auto", "noise": 0.01},
    ],
)
def test_rows_are_those_of_the_present_state(options):
    rng = np.random.default_rng(7)
    ms = MultiStart([(-4, 4)] * 2, seed=3, num_initial=3, max_num_minimizers=6, **options)
    out = []
    for _ in range(110):
        out += ms.ask(int(rng.integers(1, 4)))
        rng.shuffle(out)
        if out:
            point = out.pop()
            if rng.random() < 0.1:
                ms.tell_failure(point.id, "it crashed")
            else:
                ms.tell(point.id, *waves(point.x))
        if rng.random() < 0.1:
            look(ms)
        if ms.done and rng.random() < 0.1:
            ms.configure(max_num_minimizers=len(ms.runs) + 3)
    rows, _, ends = look(ms)
    assert [k for k, *_ in ends] == [row["index"] for row in rows if row["state"] == "converged"]


def test_rounds_and_late_tells_count():
    ms = MultiStart([(-5, 5)] * 2, seed=1, num_initial=4, max_num_minimizers=5)
    late = ms.ask(2)[0]
    ms.tell_failure(late.id + 1, "it crashed")
    while not ms.done:
        given = ms.ask_arrays(6)
        if not given.ids:  # all that may begin wait for the late one
            break
        values = [rastrigin(x) for x in given.x]
        ms.tell_arrays(
            given.ids, np.array([f for f, _ in values]), np.array([g for _, g in values])
        )
    look(ms)
    ms.tell(late.id, *rastrigin(late.x))
    rows, *_ = look(ms)
    assert sum(row["nfev"] for row in rows) == ms.nfev


def test_a_row_that_was_handed_out_does_not_change():
    ms = MultiStart([(-4, 4)] * 2, seed=3)
    point = ms.ask()[0]
    before = ms.runs
    told = plain(before[0])
    ms.tell(point.id, *waves(point.x))
    assert plain(before[0]) == told
    assert ms.runs[0].nfev == 1


def test_minima_that_become_one_are_listed_as_one():
    rng = np.random.default_rng(2)
    lower, upper = np.zeros(1), np.full(1, 100.0)
    book = Catalogue(lower, upper, 1e-3, 1e-4)
    for run in range(60):
        book.add(np.array([float(rng.integers(0, 20))]), float(rng.integers(0, 5)), run, run)
        if len(book) > 5 and rng.random() < 0.3:
            kept, other = sorted(rng.choice(len(book), 2, replace=False).tolist())
            book.merge(kept, other)
        if rng.random() < 0.5:
            fresh = Catalogue(lower, upper, 1e-3, 1e-4)
            fresh.load(book.to_dict())
            assert list(map(plain, book.minima())) == list(map(plain, fresh.minima()))
