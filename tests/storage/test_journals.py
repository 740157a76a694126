"""Both journals keep the contract; the one in a file keeps more."""

from __future__ import annotations

import math
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.errors import InputError, ProtocolError, StorageError
from optdriver.storage import MemoryJournal, SQLiteJournal, codec, rows
from optdriver.storage.verifying import differing
from optdriver.study.events import Asked, Told, pack
from tests.contracts.journal import EVENTS, SPEC, STATE, JournalContract, same


class TestMemory(JournalContract):
    def make(self, spec):
        return MemoryJournal(spec)

    def reopen(self, journal):
        return journal


class TestSQLite(JournalContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.path = tmp_path / "study.db"

    def make(self, spec):
        return SQLiteJournal.create(self.path, spec)

    def reopen(self, journal):
        journal.close()
        return SQLiteJournal.open(self.path)


class TestSQLiteWithPower(TestSQLite):
    def make(self, spec):
        return SQLiteJournal.create(self.path, spec, durability="power")


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=4), st.floats(allow_nan=False))
def test_numbers_in_rows_keep_every_bit(numbers, time):
    x = np.array(numbers)
    for event in (
        Asked(id=3, point=4, run=5, kind="iterate", x=x, time=time),
        Told(id=3, value=numbers[0], gradient=x, time=time),
    ):
        assert same([rows.from_row(rows.to_row(event), x.size)], [event])


KEYS = st.sampled_from(["float", "array", "dict"]) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


@pytest.mark.parametrize("examples", [25, pytest.param(200, marks=pytest.mark.slow)])
def test_records_come_back(examples):
    @settings(max_examples=examples)
    @given(JSON)
    def holds(data):
        assert differing(codec.from_bytes(codec.to_bytes(data)), data) is None
        assert differing(codec.from_json(codec.to_json(data)), data) is None

    holds()


@pytest.mark.parametrize("blob", [b"", b"x", b"\xff" * 20, codec.to_bytes(STATE)[:-40]])
def test_other_bytes_are_no_record(blob):
    with pytest.raises(InputError, match="no record"):
        codec.from_bytes(blob)


def test_no_type_of_array_is_read_but_numbers():
    blob = codec.to_bytes({"a": np.zeros(2)}).replace(b'"<f8"', b'"|O8"')
    with pytest.raises(InputError, match=r"an array of '\|O8'"):
        codec.from_bytes(blob)


def test_json_is_strict():
    text = codec.to_json({"a": math.inf, "b": [-math.inf], "c": np.array([1.0, math.inf])})
    assert "Infinity" not in text
    assert codec.from_json(text) == {"a": math.inf, "b": [-math.inf], "c": [1.0, math.inf]}


def test_the_tables_and_the_view_are_for_people(tmp_path):
    with_events(tmp_path / "study.db").close()
    file = sqlite3.connect(tmp_path / "study.db")
    cursor = file.execute("SELECT * FROM points")
    names = [column[0] for column in cursor.description]
    assert names == [
        "id", "run", "kind", "a", 'b "c"', "Ä\N{SNOWMAN}", "state", "value", "attempts", "asked",
        "ended", "reason",
    ]  # fmt: skip
    found = cursor.fetchall()
    assert [row[0] for row in found] == [0, 1, 2, 3]
    assert [row[6] for row in found] == ["told", "told", "told", "told"]
    assert [row[8] for row in found] == [1, 2, 1, 1]
    assert found[1][3] == 1.0
    kinds = file.execute("SELECT kind FROM event ORDER BY seq").fetchall()
    assert [kind for (kind,) in kinds] == [type(event).__name__ for event in EVENTS]
    assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()


def with_events(path, events=EVENTS):
    journal = SQLiteJournal.create(path, SPEC)
    for event in events:
        journal.append(event)
    return journal


def change(path, sql, *values):
    file = sqlite3.connect(path)
    with file:
        file.execute(sql, values)
    file.close()


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("UPDATE event SET payload = zeroblob(24) WHERE seq = 7", 7),
        ("UPDATE event SET time = time + 1 WHERE seq = 15", 15),
        ("UPDATE event SET note = NULL WHERE seq = 14", 14),
        ("UPDATE event SET id = 2 WHERE seq = 2", 2),
        ("DELETE FROM event WHERE seq = 5", 5),
        ("DELETE FROM event WHERE seq = 1", 1),
    ],
)
def test_an_event_that_was_changed_is_noticed(tmp_path, sql, number):
    with_events(tmp_path / "study.db").close()
    change(tmp_path / "study.db", sql)
    journal = SQLiteJournal.open(tmp_path / "study.db")
    with pytest.raises(StorageError, match=f"event {number} is missing or has been changed"):
        list(journal.read())
    journal.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE snapshot SET data = substr(data, 1, 50) || x'00' || substr(data, 52)",
        "UPDATE snapshot SET sha256 = zeroblob(32)",
        "UPDATE snapshot SET seq = 3",
        "UPDATE snapshot SET crc = crc + 1",
    ],
)
def test_a_snapshot_that_was_changed_is_ignored(tmp_path, sql):
    journal = with_events(tmp_path / "study.db")
    journal.save_snapshot(STATE)
    journal.close()
    change(tmp_path / "study.db", sql)
    journal = SQLiteJournal.open(tmp_path / "study.db")
    assert journal.snapshot() is None
    assert same(journal.read(), EVENTS)
    journal.close()


class Owner:
    """Stands for a study, which gives its state for snapshots."""

    def __init__(self):
        self.taken = 0

    def state(self):
        self.taken += 1
        return {"history": np.zeros(100 * self.taken)}


def test_snapshots_cost_no_more_than_the_events(tmp_path, monkeypatch):
    monkeypatch.setattr("optdriver.storage.sqlite.PAYS", 16)
    owner = Owner()
    journal = SQLiteJournal.create(tmp_path / "study.db", SPEC)
    journal.attach(owner.state)
    written = []
    for k in range(600):
        before = owner.taken
        journal.append(EVENTS[1])
        if owner.taken > before:
            written.append((k, 800 * owner.taken))
    sizes = [size for _, size in written]
    gaps = np.diff([k for k, _ in written])
    assert len(written) > 5
    assert all(gap >= 16 and 2 * 92 * gap >= size for gap, size in zip(gaps, sizes, strict=False))
    journal.close()


def test_nothing_is_snapshot_before_a_point_that_may_be_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("optdriver.storage.sqlite.PAYS", 1)
    owner = Owner()
    journal = SQLiteJournal.create(tmp_path / "study.db", SPEC)
    journal.attach(owner.state)
    for event in [EVENTS[1], EVENTS[0], EVENTS[6], EVENTS[0]]:
        journal.append(event)
        assert owner.taken == 0
    journal.append(EVENTS[1])
    assert owner.taken == 1
    assert journal.snapshot()[0] == 4
    assert journal.snapshot()[1]["elapsed"] == EVENTS[0].time
    journal.close()


def test_a_full_disk_takes_nothing_away(tmp_path):
    journal = with_events(tmp_path / "study.db")
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = Told(id=0, value=1.0, gradient=np.zeros(5000), time=1e9)
    for _ in range(2):
        with pytest.raises(StorageError, match="make room on the disk"):
            journal.append(big)
        with pytest.raises(StorageError, match="make room on the disk"):
            journal.save_snapshot({"x": np.zeros(5000)})
        assert journal.last == len(EVENTS)
    journal._connection.execute("PRAGMA max_page_count = 100000")
    journal.append(big)
    journal.check()
    assert same(journal.read(), [*EVENTS, big])
    journal.close()


def test_another_program_may_read_and_is_waited_for(tmp_path):
    journal = with_events(tmp_path / "study.db")
    journal._connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    assert other.execute("SELECT count(*) FROM event").fetchone() == (len(EVENTS),)
    other.execute("BEGIN")
    other.execute("SELECT * FROM event").fetchall()
    journal.append(EVENTS[0])
    other.execute("COMMIT")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked by another program"):
        journal.append(EVENTS[0])
    other.execute("DELETE FROM event WHERE seq = ?", (journal.last,))
    other.execute(
        "INSERT INTO event (seq, time, kind, crc) VALUES (?, 0, '', 0)", (len(EVENTS) + 2,)
    )
    other.execute("COMMIT")
    other.close()
    with pytest.raises(StorageError, match="changed by another program"):
        journal.append(EVENTS[0])
    journal.close()


def test_what_is_no_event_is_said():
    with pytest.raises(InputError, match="not an event"):
        rows.from_row((0.0, "Party", 1, 2, 3, "x", None, b"", None), 2)
    assert pack(EVENTS[0])["event"] == "Asked"


def test_only_a_kept_study_is_verified_and_exported(tmp_path):
    from optdriver import create_study

    study = create_study({"x": (0, 1)})
    with pytest.raises(ProtocolError, match="not kept in a file"):
        study.verify()
    with pytest.raises(ProtocolError, match="not kept in a file"):
        study.export(tmp_path / "x.jsonl")
    with study:
        study.close()
