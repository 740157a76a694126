"""Damaged and forged files: what they hold, or an error of ours, in bounded time and memory."""

from __future__ import annotations

import json
import random
import sqlite3
import tracemalloc

import numpy as np
import pytest

import optdriver
from benchmarks import hostile
from optdriver.errors import InputError, StorageError
from optdriver.storage import bounds, codec
from optdriver.study.events import pack, unpack
from tests.contracts.journal import EVENTS
from tests.study.tools import BOX, same


def test_damaged_files(tmp_path):
    found = hostile.damaged_files(12, 5, tmp_path)
    assert found["whole"] + found["told"] + found["refused"] == 12
    assert found["refused"] > 3


def test_damaged_logs(tmp_path):
    found = hostile.damaged_logs(10, 6, tmp_path, lock=True)
    assert found["whole"] + found["told"] + found["refused"] == 10
    assert found["told"] > 3


def test_forged_files(tmp_path):
    found, wrong = hostile.forged_files(15, 7, tmp_path)
    assert wrong == []
    assert found.total() == 15


@pytest.fixture
def path(tmp_path):
    hostile.killed(tmp_path / "study.db", 3, 20)
    optdriver.load_study(tmp_path / "study.db").close()
    return tmp_path / "study.db"


def forged(path, *statements):
    file = sqlite3.connect(path, isolation_level=None)
    for sql, *values in statements:
        file.execute(sql, values)
    hostile.sign(file)
    file.close()
    return path


def refused(path, said):
    before = path.read_bytes()
    for call in (optdriver.load_study, lambda there: optdriver.load_study(there, read_only=True)):
        with pytest.raises(StorageError, match=said):
            call(path)
    assert path.read_bytes() == before


def test_an_endless_view_in_place_of_a_table(path):
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("DROP VIEW points")
    file.execute("ALTER TABLE snapshot RENAME TO kept")
    file.execute(f"CREATE VIEW snapshot AS {hostile.ENDLESS} SELECT a AS seq, 1 AS data FROM t")
    file.close()
    refused(path, "the table snapshot is another one")


@pytest.mark.parametrize("name", ["study", "event", "snapshot", "mark"])
def test_a_view_that_never_gives_a_row(path, name):
    file = sqlite3.connect(path, isolation_level=None)
    columns = [row[1] for row in file.execute(f"PRAGMA table_info({name})")]
    chosen = ", ".join(f"1 AS {column}" for column in columns)
    file.execute("DROP VIEW points")
    file.execute(f"DROP TABLE {name}")
    file.execute(f"CREATE VIEW {name} AS {hostile.ENDLESS} SELECT {chosen} FROM t WHERE a < 0")
    file.close()
    refused(path, f"the table {name} is another one")


def test_a_trigger_and_an_index_are_refused_and_a_table_of_the_users_is_not(path):
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("CREATE TABLE notes (text)")
    file.execute("CREATE INDEX by_text ON notes (text)")
    file.close()
    optdriver.load_study(path).close()
    forged(path, ("CREATE INDEX forged ON event (hex(payload))",))
    refused(path, "the index 'forged' is not ours: drop it")


@pytest.mark.parametrize("name", ["num_initial", "maxcor"])
def test_a_specification_beyond_every_limit(path, name):
    file = sqlite3.connect(path)
    spec = json.loads(file.execute("SELECT spec FROM study").fetchone()[0])
    file.close()
    spec["parameters"][name] = 10**9
    forged(path, ("UPDATE study SET spec = ?", json.dumps(spec)))
    refused(path, f"'{name}' must be a whole number from 1 to ")


@pytest.mark.parametrize(
    "given", [{"num_initial": 10**5}, {"num_initial": 400, "maxcor": 900}], ids=["many", "wide"]
)
def test_a_specification_that_asks_for_too_much(path, given):
    file = sqlite3.connect(path)
    spec = json.loads(file.execute("SELECT spec FROM study").fetchone()[0])
    file.close()
    spec["parameters"] |= given
    forged(path, ("UPDATE study SET spec = ?", json.dumps(spec)))
    refused(path, "would take .* GiB at once; a study in a file may take 0.25")
    with pytest.raises(InputError, match="would take .* GiB at once"):
        optdriver.create_study(BOX, storage=path.with_name("new.db"), **given)
    assert not path.with_name("new.db").exists()
    with optdriver.create_study(BOX, storage=path.with_name("new.db")) as study:
        with pytest.raises(InputError, match="would take .* GiB at once"):
            study.set_parameters(**given)
        study.ask()


def test_a_large_study_of_its_user_works(tmp_path):
    box = {f"x{k}": (0.0, 1.0) for k in range(4_000)}
    with optdriver.create_study(box, storage=tmp_path / "s.db", jac=True, num_initial=3) as study:
        study.tell(study.ask().id, 1.0, np.ones(4_000))
        asked = study.ask().x
    with optdriver.load_study(tmp_path / "s.db") as study:
        assert same(study.open_suggestions[0].x, asked)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("column", ["spec", "written_by"])
def test_deep_texts(path, opening, column):
    forged(path, (f"UPDATE study SET {column} = ?", opening * 10**5))
    if column == "spec":
        refused(path, "cannot be replayed|is damaged")
    else:
        optdriver.load_study(path).close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("time", "'noon'"), ("time", "1e999"), ("kind", "3"), ("payload", "x'ff'"), ("id", "-5"),
        ("payload", "zeroblob(800000)"), ("point", "'x'"), ("role", "NULL"), ("run", "0.5"),
    ],
)  # fmt: skip
def test_events_of_a_forger(path, column, value):
    forged(path, (f"UPDATE event SET {column} = {value} WHERE seq = 3",))
    refused(path, ".")


def test_a_snapshot_that_is_a_bomb(path):
    text = json.dumps([{"array": {"at": 0, "dtype": "|u1", "shape": [10**6]}}] * 9999).encode()
    data = len(text).to_bytes(8, "little") + text + bytes(10**6)
    tracemalloc.start()
    with pytest.raises(InputError, match="larger than they"):
        codec.from_bytes(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * len(data)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_with_something_strange(event):
    chance = random.Random(1)
    data = pack(event)
    assert type(unpack(data)) is type(event)
    for name in data:
        with pytest.raises(InputError, match="not an event"):
            unpack({key: value for key, value in data.items() if key != name} | {"else": 1})
        for strange in chance.sample(hostile.STRANGE, 12):
            try:
                found = unpack(data | {name: strange})
            except InputError:
                continue
            for field, value in pack(found).items():  # what is taken is of the kind it should be
                assert isinstance(value, type(data[field])) or value is None or data[field] is None
    with pytest.raises(InputError, match="not an event"):
        unpack([data])


def test_lines_of_a_forger(path, tmp_path):
    with optdriver.load_study(path) as study:
        lines = study.export(tmp_path / "lines.jsonl").read_text().splitlines()
    for k, line in [
        (0, "[" * 10**5),
        (0, json.dumps({"format": "optdriver study", "version": 1, "spec": [1]})),
        (0, json.dumps(json.loads(lines[0]) | {"spec": {"version": 1}})),
        (3, '{"event":' * 10**5),
        (3, json.dumps(json.loads(lines[3]) | {"id": 2**70})),
        (3, "null"),
    ]:
        changed = [*lines]
        changed[k] = line
        (tmp_path / "forged.jsonl").write_text("\n".join(changed) + "\n")
        with pytest.raises(StorageError):
            optdriver.import_study(tmp_path / "forged.jsonl", tmp_path / "forged.db")
        assert not (tmp_path / "forged.db").exists()


def test_a_file_of_many_gigabytes(path, monkeypatch):
    monkeypatch.setattr(bounds, "size", lambda _: 1 << 40)
    optdriver.load_study(path).close()
