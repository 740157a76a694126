"""Where a study is kept: links, foreign files at the names beside it, files that are moved."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

import optdriver
from optdriver.errors import InputError, StorageError
from optdriver.storage import lock, sqlite
from tests.storage.test_kept_studies import go_on, in_another_process
from tests.study.tools import BOX


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.db"


def make(path, steps=4):
    with optdriver.create_study(BOX, storage=path) as study:
        go_on(study, steps)


def test_a_hard_link_admits_no_second_writer(path, tmp_path):
    other = tmp_path / "other.db"
    with optdriver.create_study(BOX, storage=path) as study:
        go_on(study, 3)
        os.link(path, other)
        with pytest.raises(StorageError, match="one file with 2 names"):
            optdriver.load_study(other)
        said = in_another_process(other, "optdriver.load_study(path)")
        assert "one file with 2 names" in said
        go_on(study, 3)
    assert locks_of(path) == set()
    for there in (path, other):
        with pytest.raises(StorageError, match="work on a copy"):
            optdriver.load_study(there)
        optdriver.load_study(there, read_only=True).close()
    other.unlink()
    with optdriver.load_study(path) as study:
        assert study.num_evaluations == 6


def locks_of(path):
    return {file.name for file in path.parent.iterdir()} - {"study.db", "other.db"}


def test_looking_at_it_under_another_name_keeps_the_locks(path, tmp_path):
    with optdriver.create_study(BOX, storage=path) as study:
        go_on(study, 2)
        os.link(path, tmp_path / "other.db")
        with pytest.raises(StorageError):
            optdriver.load_study(tmp_path / "other.db")
        (tmp_path / "other.db").unlink()
        for _ in range(2):
            said = in_another_process(path, "optdriver.load_study(path)")
            assert f"is being written by process {os.getpid()}" in said
            optdriver.load_study(path, read_only=True).close()


@pytest.mark.parametrize("suffix", ["-lock", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", ["symbolic", "hard", "dangling", "pipe", "directory"])
def test_what_has_the_name_of_a_neighbour_is_left_alone(path, tmp_path, suffix, kind):
    make(path)
    foreign, beside = tmp_path / "foreign.txt", path.with_name(path.name + suffix)
    foreign.write_text("precious " * 1000)
    if kind == "symbolic":
        beside.symlink_to(foreign)
    elif kind == "hard":
        os.link(foreign, beside)
    elif kind == "dangling":
        beside.symlink_to(tmp_path / "nothing")
    elif kind == "pipe":
        os.mkfifo(beside)
    else:
        beside.mkdir()
    for call in (
        lambda: optdriver.load_study(path),
        lambda: optdriver.create_study(BOX, storage=path),
    ):
        with pytest.raises(StorageError):
            call().close()
    path.unlink()
    with pytest.raises(StorageError):
        optdriver.create_study(BOX, storage=path).close()
    assert foreign.read_text() == "precious " * 1000
    assert not (tmp_path / "nothing").exists()
    assert not path.exists()


def test_a_foreign_file_with_the_name_of_the_lock_is_left_alone(path):
    make(path)
    lock.beside(path).write_text("my notes")
    with pytest.raises(StorageError, match="should be the lock of a study, but is a file of"):
        optdriver.load_study(path)
    assert lock.beside(path).read_text() == "my notes"
    lock.beside(path).write_bytes(bytes(5000))  # what a power failure leaves
    optdriver.load_study(path).close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 300 + ".db", "File name too long"),
        ("x" * 246 + ".db", "has 249 bytes: here a study's can have 242"),
        ("ü" * 125 + ".db", "has 253 bytes"),
        ("a/" * 3000 + "x.db", "File name too long"),
        ("~nobody-of-this-name/x.db", "storage is the path of a file"),
    ],
)
def test_a_name_that_cannot_be(tmp_path, name, said):
    with pytest.raises(InputError, match=said):
        optdriver.create_study(BOX, storage=name if name[0] == "~" else tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_id_that_cannot_be_a_name(tmp_path):
    with pytest.raises(InputError, match="File name too long"):
        optdriver.create_study(BOX, save_dir=tmp_path, study_id="i" * 300)
    optdriver.create_study(BOX, save_dir=tmp_path, study_id="i" * 238).close()


def test_links_in_a_circle_are_no_path(tmp_path):
    (tmp_path / "a.db").symlink_to(tmp_path / "b.db")
    (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
    for call in (optdriver.load_study, lambda there: optdriver.create_study(BOX, storage=there)):
        with pytest.raises(InputError, match="not|circle"):
            call(tmp_path / "a.db")


def test_a_symbolic_link_is_another_name_of_the_study(path, tmp_path):
    make(path)
    link = tmp_path / "below" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    with optdriver.load_study(link) as study:
        go_on(study, 1)
        assert list(link.parent.iterdir()) == [link]
        said = in_another_process(path, "optdriver.load_study(path)")
        assert "is being written by process" in said


def rename(path):
    path.rename(path.with_name("elsewhere.db"))
    return lambda: path.with_name("elsewhere.db").rename(path)


def rename_directory(path):
    path.parent.rename(path.parent.with_name("elsewhere"))
    return lambda: path.parent.with_name("elsewhere").rename(path.parent)


def exchange(path):
    back = rename(path)
    path.write_bytes(path.with_name("elsewhere.db").read_bytes())
    return back


def rename_log(path):
    return rename(path.with_name(path.name + "-wal"))


@pytest.mark.parametrize("move", [rename, rename_directory, exchange, rename_log])
def test_a_file_that_is_moved_while_a_study_runs_is_noticed(tmp_path, monkeypatch, move):
    monkeypatch.setattr(sqlite, "LOOKS", 0.0)
    path = tmp_path / "below" / "study.db"
    path.parent.mkdir()
    study = optdriver.create_study(BOX, storage=path, jac=True)
    go_on(study, 5)
    back = move(path)
    suggestion = study.ask()
    with pytest.raises(StorageError, match="removed, renamed or exchanged while the study was op"):
        study.tell(suggestion.id, 1.0, [1.0, 1.0])
    rescued = study.export(tmp_path / "rescued.jsonl")
    back()
    study.tell(suggestion.id, 1.0, [1.0, 1.0])
    study.verify()
    study.close()
    with optdriver.load_study(path) as study:
        assert study.num_evaluations == 6
    with optdriver.import_study(rescued, tmp_path / "rescued.db") as copy:
        assert copy.num_evaluations == 5
        assert [suggestion.id for suggestion in copy.open_suggestions] == [suggestion.id]


def test_a_log_that_was_removed_is_merged_by_closing(path, monkeypatch):
    monkeypatch.setattr(sqlite, "LOOKS", 0.0)
    study = optdriver.create_study(BOX, storage=path)
    go_on(study, 5)
    suggestion = study.ask()
    path.with_name("study.db-wal").unlink()
    with pytest.raises(StorageError, match=r"study.db-wal has been removed.*close the study"):
        study.tell(suggestion.id, 1.0)
    with contextlib.suppress(StorageError):  # the time of closing is an event too
        study.close()
    with optdriver.load_study(path) as study:
        assert study.num_evaluations == 5
        study.tell(suggestion.id, 1.0)
        study.verify()


def test_a_file_that_was_removed_is_not_closed_silently(path, tmp_path):
    study = optdriver.create_study(BOX, storage=path)
    go_on(study, 5)
    path.unlink()
    with pytest.raises(StorageError, match="has been removed"):
        study.close()
    with pytest.raises(StorageError, match="closed"):
        study.ask()
    assert not Path(path).exists()
