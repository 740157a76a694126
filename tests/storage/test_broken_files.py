"""Files that are torn, cut, changed, foreign, protected: a clear error, or the last event kept.

Never a silently different study, and the file is left as it was.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, StorageError, StorageWarning
from optdriver.storage import SQLiteJournal, place
from optdriver.study import Spec, Study
from optdriver.study.events import Asked, pack
from tests.contracts.journal import SPEC
from tests.storage.test_kept_studies import go_on, in_another_process
from tests.study.tools import BOX, same

KILLED = """
import os
from tests.contracts.journal import SPEC
from tests.storage.test_kept_studies import go_on, BOX
study = optdriver.create_study(BOX, storage=path, num_parallel=3, num_initial=2)
go_on(study, {before})
{between}
go_on(study, {after})
os._exit(0)
"""


def killed(path, before=3, after=3, *, merged=False):
    """Leave the files of a study whose process ended without closing it."""
    between = "study.close(); study = optdriver.load_study(path)" if merged else ""
    said = in_another_process(path, KILLED.format(before=before, after=after, between=between))
    assert said == ""
    assert wal(path).exists()


def wal(path):
    return path.with_name(path.name + "-wal")


def closed(path, steps=40):
    with optdriver.create_study(BOX, storage=path, jac=True, num_parallel=3) as study:
        go_on(study, steps)
    assert not wal(path).exists()
    return path.read_bytes()


def events(path):
    journal = SQLiteJournal.open(path, read_only=True)
    found = [pack(event) for event in journal.read()]
    journal.close()
    return found


def copied(path, to, *, main=None, log=None, lock=True):
    """Copy the file, its log and its lock; cut the one or the other."""
    to.mkdir()
    for file in (path, wal(path), *([path.with_name(path.name + "-lock")] if lock else [])):
        shutil.copy(file, to / file.name)
    for target, size in ((to / path.name, main), (to / wal(path).name, log)):
        if size is not None:
            os.truncate(target, size)
    return to / path.name


def loses(number):
    """Expect to be told of a loss if there is one."""
    if not number:
        return contextlib.nullcontext()
    return pytest.warns(StorageWarning, match="was opened .*without")


def offsets(size, number, seed):
    chance = random.Random(seed)
    edges = {0, 1, 31, 32, 33, 55, 56, 57, size - 1}
    return sorted(edges | {chance.randrange(size) for _ in range(number)})


@pytest.mark.parametrize("merged", [False, True])
def test_a_log_cut_anywhere_leaves_the_events_before(tmp_path, merged):
    path = tmp_path / "study.db"
    killed(path, merged=merged)
    whole, lengths = events(path), []
    for cut in offsets(wal(path).stat().st_size, 25, 1):
        there = copied(path, tmp_path / str(cut), log=cut)
        found = events(there)
        assert same(found, whole[: len(found)])
        lengths.append(len(found))
        with loses(len(whole) - len(found)), optdriver.load_study(there) as study:
            assert study.verify().events == len(found)
            go_on(study, 2)
            study.verify()
        with optdriver.load_study(there) as study:  # what is missing has been told
            study.verify()
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 5


def test_a_log_changed_anywhere_leaves_the_events_before(tmp_path):
    path = tmp_path / "study.db"
    killed(path)
    whole, size = events(path), wal(path).stat().st_size
    for at in offsets(size, 20, 2):
        there = copied(path, tmp_path / str(at))
        data = bytearray(wal(there).read_bytes())
        data[at] ^= 0x40
        wal(there).write_bytes(data)
        found = events(there)
        assert same(found, whole[: len(found)])
        with loses(len(whole) - len(found)):
            optdriver.load_study(there, read_only=True).close()


def test_a_cut_file_with_its_log_is_whole_or_refused(tmp_path):
    path = tmp_path / "study.db"
    killed(path, before=30, merged=True)
    whole, refused = events(path), 0
    for cut in offsets(path.stat().st_size, 15, 3):
        there = copied(path, tmp_path / str(cut), main=cut)
        try:
            found = events(there)
        except StorageError:
            refused += 1
        else:
            assert same(found, whole)
            continue
        before = there.read_bytes()
        with pytest.raises(StorageError):
            optdriver.load_study(there)
        assert there.read_bytes() == before
    assert refused > 5


def test_a_bit_changed_anywhere_is_noticed_or_without_effect(tmp_path):
    path = tmp_path / "study.db"
    data = closed(path)
    with optdriver.load_study(path) as study:
        whole, number = study.to_dict(), len(events(path))
    refused = 0
    for at in offsets(len(data), 80, 4):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        try:
            with optdriver.load_study(path, read_only=True) as study:
                assert same(study.to_dict(), whole)
                study.verify()
            assert len(events(path)) == number
        except StorageError:
            refused += 1
            assert path.read_bytes() == changed
    assert refused > 25


@pytest.mark.parametrize("size", [0, 1, 99, 100, 4095, 4096, 4097, 9000, -4097, -4096, -100, -1])
def test_a_file_cut_anywhere_is_refused_and_left_alone(tmp_path, size):
    path = tmp_path / "study.db"
    data = closed(path)
    cut = data[:size]
    path.write_bytes(cut)
    for writing in (True, False):
        with pytest.raises(StorageError, match="is damaged|is no SQLite database|is empty"):
            optdriver.load_study(path, read_only=not writing)
    with pytest.raises(StorageError):
        optdriver.create_study(BOX, storage=path)
    assert path.read_bytes() == cut


def test_another_database_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.executescript("CREATE TABLE event (a); INSERT INTO event VALUES (1);")
    other.close()
    before = path.read_bytes()
    for call in (optdriver.load_study, lambda there: optdriver.create_study(BOX, storage=there)):
        with pytest.raises(StorageError, match="an SQLite database of another program"):
            call(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"]


@pytest.mark.parametrize("text", [b"", b"x1,x2\n1,2\n", b"SQLite format 3\0", b"\0" * 5000])
def test_another_file_is_left_alone(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text)
    for call in (optdriver.load_study, lambda there: optdriver.create_study(BOX, storage=there)):
        with pytest.raises(StorageError, match="so it is no study"):
            call(path)
    assert path.read_bytes() == text
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_a_file_of_a_later_version_is_left_alone(tmp_path):
    path = tmp_path / "study.db"
    closed(path)
    file = sqlite3.connect(path)
    file.execute("PRAGMA user_version = 7")
    file.close()
    before = path.read_bytes()
    for call in (optdriver.load_study, lambda there: optdriver.create_study(BOX, storage=there)):
        with pytest.raises(StorageError, match="later version .* is 7, this version reads 1"):
            call(path)
    assert path.read_bytes() == before


def test_a_specification_of_a_later_version_is_left_alone(tmp_path):
    path = tmp_path / "study.db"
    SQLiteJournal.create(path, SPEC | {"version": 2}).close()
    with pytest.raises(StorageError, match="cannot be replayed: .* version 2; .* made with optd"):
        optdriver.load_study(path)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE study SET spec = replace(spec, 'null', '0.5')", "specification has been changed"),
        ("UPDATE study SET spec = x'ff'", "specification has been changed"),
        ("UPDATE study SET crc = 0", "specification has been changed"),
        ("DELETE FROM study", "the specification is missing"),
        ("DROP TABLE study", "is damaged"),
        ("DROP TABLE event", "is damaged|no such table"),
    ],
)
def test_a_specification_that_was_changed_is_noticed(tmp_path, sql, said):
    path = tmp_path / "study.db"
    closed(path)
    file = sqlite3.connect(path, isolation_level=None)
    file.execute(sql)
    file.close()
    with pytest.raises(StorageError, match=said):
        optdriver.load_study(path)


def test_events_of_another_study_are_refused(tmp_path):
    path = tmp_path / "study.db"
    closed(path)
    journal = SQLiteJournal.open(path, read_only=True)
    spec = journal.spec
    other = SQLiteJournal.create(
        tmp_path / "other.db", spec | {"parameters": spec["parameters"] | {"seed": 1}}
    )
    for event in journal.read():
        other.append(event)
    journal.close()
    other.close()
    with pytest.raises(StorageError, match="cannot be replayed: the events do not fit"):
        optdriver.load_study(tmp_path / "other.db")


def test_points_of_another_library_count_as_recorded(tmp_path):
    path, points = tmp_path / "other.db", {}
    closed(tmp_path / "study.db", steps=12)
    journal = SQLiteJournal.open(tmp_path / "study.db", read_only=True)
    other = SQLiteJournal.create(path, journal.spec)
    for event in journal.read():
        if isinstance(event, Asked) and event.id in (4, 9):
            event = replace(event, x=np.nextafter(event.x, 2.0))
        if isinstance(event, Asked):
            points[event.id] = event.x.tolist()
        other.append(event)
    journal.close()
    other.close()
    with (
        pytest.warns(RuntimeWarning, match="2 points of .* slightly other numbers .* goes on"),
        optdriver.load_study(path) as study,
    ):
        assert {s.id: s.x.tolist() for s in study.open_suggestions}.items() <= points.items()
        history = study.history
        assert dict(zip(history["id"], history.x.tolist(), strict=True)).items() <= points.items()
        go_on(study, 5)
        with pytest.raises(StorageError, match="2 points are not, to the bit"):
            study.verify()


def test_there_is_no_study(tmp_path):
    closed(tmp_path / "rastrigin.db")
    with pytest.raises(StorageError, match=r"no study at .*\(did you mean 'rastrigin.db'\?\)"):
        optdriver.load_study(tmp_path / "rastrigni.db")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sqlite:///x.db", "not the URL"),
        (":memory:", "leave it out for a study in memory"),
        ("", "the path of a file"),
        (b"x.db", "the path of a file"),
        (3, "the path of a file"),
        ("a\0b", "the path of a file"),
        (".", "is a directory"),
        ("no/such/study.db", "no directory .* create it first"),
    ],
)
def test_no_path_of_a_file(tmp_path, monkeypatch, path, said):
    monkeypatch.chdir(tmp_path)
    for call in (optdriver.load_study, lambda there: optdriver.create_study(BOX, storage=there)):
        with pytest.raises(InputError, match=said):
            call(path)
    assert not list(tmp_path.iterdir())


def test_a_pipe_is_no_study(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="no regular file"):
        optdriver.load_study(tmp_path / "pipe")


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_is_write_protected_can_be_looked_at(tmp_path, what):
    tmp_path = tmp_path / "below"
    tmp_path.mkdir()
    path = tmp_path / "study.db"
    closed(path)
    protected = path if what == "file" else tmp_path
    mode = protected.stat().st_mode
    protected.chmod(mode & ~0o222)
    try:
        with pytest.raises(StorageError, match="write-protected.*read_only=True"):
            optdriver.load_study(path)
        with optdriver.load_study(path, read_only=True) as study:
            assert study.num_evaluations == 40
    finally:
        protected.chmod(mode)
    optdriver.load_study(path).close()


def test_a_log_without_its_file_is_not_written_over(tmp_path):
    path = tmp_path / "study.db"
    killed(path)
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(StorageError, match=r"study.db-wal is there, but study.db is missing"):
        optdriver.create_study(BOX, storage=path)
    path.write_bytes(kept)
    optdriver.load_study(path).close()


def test_what_a_killed_creation_leaves_is_in_nobodys_way(tmp_path):
    path = tmp_path / "study.db"
    for end in ("", "-wal", "-journal", "-shm"):
        path.with_name(f".study.db-new{end}").write_bytes(b"rest")
    path.with_name("study.db-lock").write_text("{")
    closed(path)
    assert [file.name for file in tmp_path.iterdir()] == ["study.db"]


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
23 22 0:21 / /home rw shared:1 - nfs4 server:/home rw
24 23 0:22 / /home/me/with\\040space rw - tmpfs tmpfs rw
25 22 0:23 / /homework rw - 9p share rw
26 22 0:24 / /data rw - fuse.sshfs me@there: rw
torn line
"""


def test_a_network_filesystem_is_refused(tmp_path, monkeypatch):
    for path, kind in [
        ("/tmp/x.db", "ext4"),
        ("/home/x.db", "nfs4"),
        ("/home/me/with space/x.db", "tmpfs"),
        ("/homework/x.db", "9p"),
        ("/homely/x.db", "ext4"),
        ("/data/deep/x.db", "fuse.sshfs"),
    ]:
        assert place.filesystem(Path(path), MOUNTS) == kind
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 254:0 / {tmp_path} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    for call in (optdriver.load_study, lambda there: optdriver.create_study(BOX, storage=there)):
        with pytest.raises(StorageError, match=r"network filesystem \(nfs4\).*on a local disk"):
            call(tmp_path / "study.db")
    assert [file.name for file in tmp_path.iterdir()] == ["mountinfo"]


FULL = """
import resource, signal
from optdriver.errors import StorageError
from tests.contracts.journal import SPEC
from tests.storage.test_kept_studies import go_on, BOX
from tests.study.tools import answer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
study = optdriver.create_study(BOX, storage=path, jac=True)
go_on(study, 5)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
told = 5
try:
    while True:
        suggestion = study.ask()
        answer(study, suggestion)
        told += 1
except StorageError as error:
    print("make room" in str(error))
try:
    answer(study, study.open_suggestions[0] if study.open_suggestions else study.ask())
except StorageError as error:
    print("make room" in str(error))
print(study.num_evaluations == told)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
answer(study, study.open_suggestions[0] if study.open_suggestions else study.ask())
print(study.num_evaluations == told + 1)
study.verify()
study.close()
study = optdriver.load_study(path)
print(study.num_evaluations == told + 1)
"""


def test_a_file_that_cannot_grow_loses_nothing(tmp_path):
    path = tmp_path / "study.db"
    assert in_another_process(path, FULL).split() == ["True"] * 5
    with optdriver.load_study(path) as study:
        study.verify()


def test_a_snapshot_that_is_damaged_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("optdriver.storage.sqlite.PAYS", 8)
    path = tmp_path / "study.db"
    closed(path)
    with optdriver.load_study(path) as study:
        whole = study.to_dict()
    for sql in (
        "UPDATE snapshot SET data = zeroblob(100)",
        "UPDATE snapshot SET sha256 = x'00'",
        "DELETE FROM snapshot",
    ):
        file = sqlite3.connect(path, isolation_level=None)
        assert file.execute("SELECT count(*) FROM snapshot").fetchone() == (1,)
        file.execute(sql)
        file.close()
        with optdriver.load_study(path) as study:
            assert same(study.to_dict(), whole)
            go_on(study, 1)
            study.suspend()
            whole = study.to_dict()
            study._desk.journal.save_snapshot(whole)


def test_a_snapshot_of_another_version_is_a_cache_and_no_more(tmp_path):
    path = tmp_path / "study.db"
    closed(path)
    with optdriver.load_study(path) as study:
        whole = study.to_dict()
        for state in (whole | {"version": 99}, {"version": 1}, [], {"version": 1, "spec": 3}):
            study._desk.journal.save_snapshot(state)
    with optdriver.load_study(path) as study:
        assert same(study.to_dict(), whole)


def test_the_fold_of_the_events_is_the_study(tmp_path):
    path = tmp_path / "study.db"
    closed(path)
    journal = SQLiteJournal.open(path)
    again = Study.from_events(Spec.from_dict(journal.spec), journal.read())
    journal.close()
    with optdriver.load_study(path) as study:
        assert same(again.to_dict(), study.to_dict())
