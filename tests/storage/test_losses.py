"""A study that was opened without something that had been recorded says so, and goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import struct
import warnings

import pytest

import optdriver
from optdriver.errors import StorageError, StorageWarning
from optdriver.storage import SQLiteJournal, head, lock, log
from tests.storage.test_broken_files import copied, killed, wal
from tests.storage.test_kept_studies import go_on, in_another_process
from tests.study.tools import BOX, same

LIVE = """
import os
from tests.storage.test_kept_studies import go_on, BOX
study = optdriver.create_study(BOX, storage=path, jac=True, num_parallel=3, seed={seed})
{between}
go_on(study, {steps})
os._exit(0)
"""


def live(path, steps, *, seed=0, between=""):
    assert in_another_process(path, LIVE.format(seed=seed, steps=steps, between=between)) == ""


def told(path):
    with optdriver.load_study(path, read_only=True) as study:
        return study.num_evaluations


def evaluated(path):
    """Return the ids of the evaluations in a file and its log, read by nothing of ours."""
    file = sqlite3.connect(path)
    rows = file.execute("SELECT id FROM event WHERE kind IN ('Told', 'Failed')").fetchall()
    file.close()
    return {id for (id,) in rows}


def expand(text):
    """Return the ids that a message names."""
    parts = [part.split(" to ") for part in text.split(", ")]
    return {id for part in parts for id in range(int(part[0]), int(part[-1]) + 1)}


def test_the_ids_that_are_missing_are_named(tmp_path):
    path = tmp_path / "study.db"
    live(path, 60)
    shutil.copy(path, tmp_path / "whole.db")
    shutil.copy(wal(path), wal(tmp_path / "whole.db"))
    whole = evaluated(tmp_path / "whole.db")
    os.truncate(wal(path), wal(path).stat().st_size * 2 // 3)
    with pytest.warns(StorageWarning, match="without its last evaluations, ids") as caught:
        study = optdriver.load_study(path)
    message = str(caught[0].message)
    assert "was cut" in message
    ids = message.partition("ids ")[2].partition(", because")[0]
    history = study.history
    there = set(history["id"][history["state"] == "told"].tolist())
    assert expand(ids) == whole - there
    with study:
        go_on(study, 70)
        study.verify()
    assert told(path) > 60


def test_a_file_without_its_log_is_opened_with_a_warning(tmp_path):
    path = tmp_path / "study.db"
    live(path, 60)
    for kept_lock, said in ((True, "ids 2 to 61, "), (False, "perhaps without its last")):
        there = copied(path, tmp_path / str(kept_lock), lock=kept_lock)
        wal(there).unlink()
        with (
            pytest.warns(StorageWarning, match=rf"{said}.*study.db-wal is missing or empty"),
            optdriver.load_study(there) as study,
        ):
            assert study.num_evaluations == 0
            go_on(study, 3)
        assert told(there) == 3


def test_a_loss_that_nobody_was_told_of_is_told_the_next_time(tmp_path):
    path = tmp_path / "study.db"
    live(path, 20)
    wal(path).unlink()
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(StorageWarning, match="ids 2 to 21"):
                optdriver.load_study(path)
    with pytest.warns(StorageWarning, match="ids 2 to 21"):
        optdriver.load_study(path, read_only=True).close()
    with pytest.warns(StorageWarning, match="ids 2 to 21"):
        optdriver.load_study(path).close()
    optdriver.load_study(path).close()


@pytest.mark.parametrize("kept_lock", [True, False])
def test_a_bit_of_the_log_is_missed(tmp_path, kept_lock):
    """Without the lock, only the last transaction can go unnoticed: a kill may tear it too."""
    path = tmp_path / "study.db"
    live(path, 25)
    chance = random.Random(11)
    data = wal(path).read_bytes()
    size = 24 + struct.unpack_from(">I", data, 8)[0]
    whole, silent = 25, 0
    for k in range(15):
        there = copied(path, tmp_path / str(k), lock=kept_lock)
        at = chance.randrange(len(data))
        wal(there).write_bytes(data[:at] + bytes([data[at] ^ 1 << k % 8]) + data[at + 1 :])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            missing = whole - told(there)
        if missing and not caught:
            silent += 1
            assert not kept_lock
            assert at >= len(data) - 3 * size
    assert silent < 4


def test_the_log_of_another_study_is_refused(tmp_path):
    ours, other = tmp_path / "ours.db", tmp_path / "other.db"
    live(ours, 12)
    for seed, between in ((0, ""), (7, "study.set_parameters(max_iter=300)")):
        other.unlink(missing_ok=True)
        live(other, 15, seed=seed, between=between)
        there = copied(ours, tmp_path / f"{seed}{len(between)}")
        shutil.copy(wal(other), wal(there))
        before = there.read_bytes()
        for read_only in (True, False):
            with pytest.raises(StorageError, match="belongs to another study"):
                optdriver.load_study(there, read_only=read_only)
        assert there.read_bytes() == before
        assert wal(there).read_bytes() == wal(other).read_bytes()
        wal(other).unlink()
        lock.beside(other).unlink()


def test_nothing_is_missing_from_a_study_that_was_killed(tmp_path):
    path = tmp_path / "study.db"
    merged = "from optdriver.storage import sqlite; sqlite.MERGED = 5"
    for steps, between in ((0, ""), (1, ""), (12, merged)):
        live(path, steps, between=between)
        optdriver.load_study(path, read_only=True).close()
        there = copied(path, tmp_path / str(steps), lock=False)
        optdriver.load_study(there).close()
    optdriver.load_study(path).close()
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["study.db"]


def test_a_study_that_was_dropped_is_no_loss(tmp_path):
    path = tmp_path / "study.db"
    for steps in (0, 2):
        study = optdriver.create_study(BOX, storage=path)
        go_on(study, steps)
        del study
        assert [file.name for file in tmp_path.iterdir()] == ["study.db"]
    assert told(path) == 2


def test_another_program_that_merges_the_log_is_no_loss(tmp_path):
    path = tmp_path / "study.db"
    live(path, 10)
    other = sqlite3.connect(path)
    assert other.execute("SELECT count(*) FROM points").fetchone()[0] >= 10
    other.close()
    assert not wal(path).exists()
    for kept_lock in (True, False):
        to = tmp_path / str(kept_lock)
        to.mkdir()
        shutil.copy(path, to)
        if kept_lock:
            shutil.copy(lock.beside(path), to)
        with optdriver.load_study(to / path.name) as study:
            assert study.num_evaluations == 10


def test_a_backup_of_a_running_study_is_whole(tmp_path):
    with optdriver.create_study(BOX, storage=tmp_path / "study.db") as study:
        go_on(study, 9)
        source, target = (sqlite3.connect(tmp_path / name) for name in ("study.db", "copy.db"))
        source.backup(target)
        source.close()
        target.close()
        go_on(study, 9)
    with optdriver.load_study(tmp_path / "copy.db") as copy:
        assert copy.num_evaluations == 9
        go_on(copy, 9)
        assert same(copy.history.x.tolist(), study.history.x.tolist())


def test_an_older_file_is_opened_as_ever_and_gets_a_mark(tmp_path):
    path = tmp_path / "study.db"
    with optdriver.create_study(BOX, storage=path) as study:
        go_on(study, 5)
    file = sqlite3.connect(path, isolation_level=None)
    (text,) = file.execute("SELECT spec FROM study").fetchone()
    assert json.loads(text)["random"] not in ("", None)
    file.execute("DROP TABLE mark")
    file.close()
    with optdriver.load_study(path, read_only=True) as study:
        assert study.num_evaluations == 5
    with optdriver.load_study(path) as study:
        go_on(study, 5)
    file = sqlite3.connect(path)
    assert file.execute("SELECT closed, seq FROM mark").fetchone() == (
        1,
        file.execute("SELECT max(seq) FROM event").fetchone()[0],
    )
    file.close()


def test_a_file_in_which_closed_events_are_missing_says_so(tmp_path):
    path = tmp_path / "study.db"
    with optdriver.create_study(BOX, storage=path) as study:
        go_on(study, 5)
        number = study._desk.journal.last
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("DELETE FROM event WHERE seq > ?", (number - 3,))
    file.close()
    with pytest.warns(StorageWarning, match="without 4 of its last events"):
        optdriver.load_study(path).close()


def test_records_of_the_head(tmp_path):
    path = tmp_path / "study.db"
    lock.acquire(path)
    handle = lock.handle_of(path)
    head.begin(handle, 5, 0, 77)
    for seq in range(1, head.RECORDS + 4):
        head.write(handle, 5, seq, seq * 3, seq // 2 if seq % 2 else head.NONE)
    head.write(handle, 6, 9, 1, 1)  # of another study
    traces = head.read(path, 5)
    assert [trace.seq for trace in traces if trace.seq != 9] == [
        seq for seq in range(4, head.RECORDS + 4) if seq != 9
    ]
    assert traces[-1] == head.Trace(head.RECORDS + 3, 3 * head.RECORDS + 9, head.RECORDS // 2 + 1)
    os.pwrite(handle, b"\xff", lock.ROOM + 11 % head.RECORDS * 28)
    assert 11 not in [trace.seq for trace in head.read(path, 5)]
    lock.release(path)
    assert head.read(path, 5) == []


def test_the_log_is_read_as_sqlite_reads_it(tmp_path):
    """An independent oracle: SQLite's own count of the frames that it accepts."""
    path = tmp_path / "plain.db"
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA wal_autocheckpoint = 0")
    file.execute("CREATE TABLE t (a)")
    for k in range(40):
        file.execute("INSERT INTO t VALUES (?)", (os.urandom(1000 + 300 * k),))
    data = wal(path).read_bytes()
    main = path.read_bytes()
    file.close()
    chance = random.Random(3)
    size = 24 + struct.unpack_from(">I", data, 8)[0]
    commits = [any(data[k + 4 : k + 8]) for k in range(32, len(data), size)]
    for k in range(60):
        at = chance.randrange(32, len(data))
        copy = tmp_path / f"{k}.db"
        copy.write_bytes(main)
        wal(copy).write_bytes(data[:at] + bytes([data[at] ^ 1 << k % 8]) + data[at + 1 :])
        lost = log.lost_transactions(wal(copy))
        with sqlite3.connect(copy) as reading:
            _, accepted, _ = reading.execute("PRAGMA wal_checkpoint").fetchone()
        reading.close()
        wrong = (at - 32) // size
        assert accepted <= wrong
        assert lost == sum(commits[wrong + 1 :])
    assert log.lost_transactions(wal(path)) == 0


def test_a_journal_without_a_loss(tmp_path):
    killed(tmp_path / "study.db")
    journal = SQLiteJournal.open(tmp_path / "study.db")
    assert journal.loss is None
    journal.close()
