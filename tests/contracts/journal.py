"""What every journal must do: a suite to inherit from, with a way to make and to reopen one.

`make(spec)` returns a new journal; `reopen(journal)` ends it (its process may have been killed)
and returns what comes after: for a journal in memory, the same one.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.errors import StorageError
from optdriver.storage.verifying import differing
from optdriver.study.events import (
    Added,
    Asked,
    Configured,
    Drained,
    Failed,
    Held,
    Late,
    Postponed,
    Recalled,
    Released,
    Resumed,
    RoundAsked,
    RoundTold,
    Stopped,
    Suspended,
    Told,
    pack,
)
from optdriver.study.spec import Spec

X = np.array([-0.0, 5e-324, 1.7976931348623157e308])
SPEC = Spec.from_dict(
    {
        "version": 1,
        "space": {
            "domain": [
                {"name": "a", "type": "continuous", "domain": [-math.inf, 1.0]},
                {"name": "radius", "type": "fixed", "domain": 2},
                {"name": 'b "c"', "type": "continuous", "domain": [-1.0, math.inf]},
                {"name": "Ä\N{SNOWMAN}", "type": "continuous", "domain": [0.1, 0.2]},
            ],
            "scale": True,
        },
        "driver": "L-BFGS-B",
        "parameters": {"initial_samples": [[0.1, 0.2, 0.15]]},
        "constraints": [],
        "name": "näme",
        "study_id": "",
    }
).to_dict()

EVENTS = [
    Asked(id=0, point=0, run=0, kind="iterate", x=X, time=0.1),
    Told(id=0, value=-0.0, gradient=np.array([math.pi, -0.0, 1e-320]), time=0.2),
    Asked(id=1, point=None, run=-1, kind="check", x=X + 1, time=0.2),
    Failed(id=1, reason="a 'bad' \"day\"\n\N{SNOWMAN}", retry=True, counted=True, time=1 / 3),
    Asked(id=1, point=None, run=-1, kind="check", x=X + 1, time=0.4),
    Released(id=1, spent=True, time=0.5),
    Held(point=1, run=2, kind="difference", x=-X, time=0.6),
    Recalled(source=0, point=2**52, run=2, kind="iterate", x=X, time=0.6),
    Added(id=2, x=X, value=1e300, gradient=None, time=0.7, uncertainty=np.array([0.0])),
    Added(id=3, x=X, value=1.5, gradient=X, time=0.7),
    Told(id=1, value=2.0, gradient=None, time=0.8),
    Failed(id=1, reason="", retry=False, counted=False, time=0.8, expired=True),
    Late(id=1, value=-3.0, gradient=X, time=0.8),
    RoundAsked(
        ids=np.array([4, 5]),
        points=np.array([-2, 2**52]),
        runs=np.array([-1, 7]),
        kinds=np.array([2, 0]),
        matrix=np.array([X, -X]),
        wanted=3,
        fills=2,
        time=0.8,
    ),
    RoundTold(
        ids=np.array([5, 4]),
        values=np.array([-0.0, math.nan]),
        gradients=np.array([X, [math.nan, math.inf, 0.0]]),
        reason="",
        time=0.8,
    ),
    RoundAsked(
        ids=np.array([1]),
        points=np.array([-2]),
        runs=np.array([-1]),
        kinds=np.array([2]),
        matrix=X[None],
        wanted=1,
        fills=1,
        time=0.8,
    ),
    RoundTold(
        ids=np.array([1]),
        values=np.array([math.inf]),
        gradients=None,
        reason="\N{SNOWMAN}",
        time=0.8,
    ),
    Told(id=1, value=2.0, gradient=None, time=0.8),
    Failed(
        id=1,
        reason="",
        retry=False,
        counted=True,
        time=0.8,
        value=1.0,
        gradient=np.full(3, math.inf),
        uncertainty=np.array([0.5]),
    ),
    Told(id=1, value=2.0, gradient=None, time=0.8, uncertainty=np.array([0.1])),
    Told(id=1, value=2.0, gradient=X, time=0.8, uncertainty=np.array([5e-324])),
    Told(
        id=1,
        value=2.5,
        gradient=X,
        time=0.8,
        residuals=X[:2],
        jacobian=np.concatenate([X, -X]),
        uncertainty=np.array([0.1, 0.2]),
    ),
    RoundTold(
        ids=np.array([5, 4]),
        values=np.array([1.0, math.nan]),
        gradients=np.array([X, X]),
        reason="",
        time=0.8,
        uncertainties=np.array([0.25, math.nan]),
    ),
    Configured(parameters={"max_iter": math.inf, "eps": 0.1}, time=0.9),
    Stopped(kind="stop", reason="", time=1.0),
    Resumed(time=1.0),
    Drained(time=1.5),
    Drained(time=1.6, fills=2),
    Suspended(time=1e9),
    Postponed(source=1, point=3, run=4, kind="difference", x=X + 1, time=0.99),
]

STATE = {
    "version": 1,
    "list": [1, 2.5, None, True, "x", {"float": "text"}, {"array": 3}],
    "numbers": {"inf": math.inf, "minus": -math.inf, "zero": -0.0, "whole": 2**60},
    "f8": X,
    "empty": np.empty((0, 3)),
    "matrix": np.arange(12.0).reshape(3, 4)[:, ::2],
    "i8": np.array([-(2**63), 1]),
    "u1": np.array([0, 255], dtype=np.uint8),
    "flag": np.array([True, False]),
}


def same(events, others):
    return differing([pack(event) for event in events], [pack(event) for event in others]) is None


class JournalContract:
    """Inherit, and define `make` and `reopen`."""

    def test_events_come_back_to_the_bit(self):
        journal = self.make(SPEC)
        for number, event in enumerate(EVENTS, start=1):
            journal.append(event)
            assert journal.last == number
        journal = self.reopen(journal)
        assert same(journal.read(), EVENTS)
        assert all(type(a) is type(b) for a, b in zip(journal.read(), EVENTS, strict=True))
        journal.close()

    def test_reading_may_begin_anywhere(self):
        journal = self.make(SPEC)
        for event in EVENTS:
            journal.append(event)
        for after in range(len(EVENTS) + 1):
            assert same(journal.read(after), EVENTS[after:])
        journal.close()

    def test_appending_goes_on_after_reopening(self):
        journal = self.make(SPEC)
        for event in EVENTS:
            journal.append(event)
            journal = self.reopen(journal)
        assert same(journal.read(), EVENTS)
        journal.close()

    def test_the_specification_comes_back(self):
        journal = self.reopen(self.make(SPEC))
        assert Spec.from_dict(journal.spec).to_dict() == SPEC
        journal.close()

    def test_a_new_journal_is_empty(self):
        journal = self.make(SPEC)
        assert journal.last == 0
        assert list(journal.read()) == []
        assert journal.snapshot() is None
        journal.close()

    def test_a_snapshot_comes_back_with_its_place(self):
        journal = self.make(SPEC)
        for event in EVENTS[:3]:
            journal.append(event)
        journal.save_snapshot({"old": 1})
        journal.append(EVENTS[3])
        journal.save_snapshot(STATE)
        journal.append(EVENTS[4])
        journal = self.reopen(journal)
        seq, state = journal.snapshot()
        assert seq == 4
        assert differing(state, STATE) is None
        assert same(journal.read(seq), [EVENTS[4]])
        journal.close()

    def test_another_specification_begins_anew(self):
        journal = self.make(SPEC)
        journal.append(EVENTS[0])
        journal.save_snapshot(STATE)
        journal.respecify(SPEC | {"name": "another"})
        journal = self.reopen(journal)
        assert journal.spec["name"] == "another"
        assert (journal.last, list(journal.read()), journal.snapshot()) == (0, [], None)
        journal.append(EVENTS[0])
        assert journal.last == 1
        journal.close()

    def test_a_closed_journal_says_so(self):
        journal = self.make(SPEC)
        assert not journal.closed
        journal.close()
        journal.close()
        assert journal.closed
        for call in (
            lambda: journal.append(EVENTS[0]),
            lambda: list(journal.read()),
            lambda: journal.snapshot(),
            lambda: journal.save_snapshot(STATE),
            lambda: journal.respecify(SPEC),
        ):
            with pytest.raises(StorageError, match="the study is closed"):
                call()
