"""Files that are damaged or forged: opened as they were, with what is missing named, or refused.

Three kinds of attacks on the file of a study, each in processes of its own that are ended when they
take too long or too much memory: bits, bytes, pages and cuts of a closed file; the same in the log
of a study that was killed; and files in which a forger has put whatever he likes, with the right
checksums.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.report import Section, Table, Target

BOX = {"x": (-2.0, 2.0), "y": (-1.0, 3.0)}
SECONDS = 20
MEMORY = 1 << 29
"""How long opening may take, and how many bytes more than a process that opens a whole file."""

TEXT = f"""A study is closed, or killed, and its file is damaged: bits flipped, bytes overwritten,
pages zeroed, exchanged or cut off. Every opening must show the very events that were recorded, say
which are missing, or be refused with a `StorageError`; *silent* counts the openings with fewer
events and without a warning. Logs are damaged with the lock beside them, as a kill leaves them, and
without it, as a copy of the file and its log would be; and the file is opened without its log, and
with that of another study. Forged files have valid checksums and senseless contents; opening must
end within {SECONDS} s and {MEMORY >> 20} MiB, with a study that can be verified or a
`StorageError`."""

LIVE = """
import os, sys
from benchmarks.hostile import play
play(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), bool(sys.argv[4]))
os._exit(0)
"""


def structured() -> dict[str, Any]:
    """Return parameters of every kind: nested, in arrays, with units, formulas and fixed values."""
    import pint

    metre = pint.get_application_registry().metre
    return {
        "at": BOX,
        "w": (np.zeros(2), np.array([1.0, 2.0])),
        "rate": {"domain": (1e-9, 1e-3), "scale": "log"},
        "length": (0.0 * metre, 5.0 * metre),
        "twice": "2*at.x + factor",
        "factor": 3.0,
        "area": 2.0 * metre**2,
        "mesh": np.arange(6).reshape(2, 3),
        "label": {"type": "fixed", "domain": "left"},
        "pairs": [(0.0, 1.0), (0.0, 1.0)],
    }


def play(path: str, seed: int, steps: int, nested: bool = False) -> None:
    """Play a study in a file, without closing it."""
    import optdriver

    settings: dict[str, Any] = {"jac": True, "num_parallel": 3, "seed": seed}
    if nested:
        settings["constraints"] = ["twice + at.y <= 5"]
    study = optdriver.create_study(structured() if nested else BOX, storage=path, **settings)
    for _ in range(steps):
        study.ask(3)
        for suggestion in study.open_suggestions[-2:]:
            x, y, *rest = suggestion.x.tolist()
            slope = [4 * x**3 - 1, 2 * (y - 1), *[2 * z for z in rest]]
            study.tell(suggestion.id, x**4 - x + (y - 1) ** 2 + sum(z * z for z in rest), slope)
    globals()["_kept"] = study


def killed(path: Path, seed: int, steps: int, nested: bool = False) -> None:
    """Leave the files of a study whose process has ended without closing it."""
    command = [sys.executable, "-c", LIVE, str(path), str(seed), str(steps), "x" * nested]
    subprocess.run(command, check=True, cwd=Path(__file__).resolve().parents[1])


def log_of(path: Path) -> Path:
    """Return where the log of a file is."""
    return path.with_name(path.name + "-wal")


def lock_of(path: Path) -> Path:
    """Return where the lock of a study is."""
    return path.with_name(path.name + "-lock")


def events_of(path: Path) -> list[Any]:
    """Return the rows of the events in a file, read by nothing of ours."""
    file = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return file.execute("SELECT seq, crc, kind, id, payload FROM event ORDER BY seq").fetchall()
    finally:
        file.close()


# -- damage -----------------------------------------------------------------------------------


def damage(data: bytes, chance: random.Random) -> bytes:
    """Return bytes of which some are changed or missing."""
    found, size = bytearray(data), len(data)
    at = chance.randrange(size)
    end = min(size, at + chance.choice([1, 4, 100, 4096, 20000]))
    page = at // 4096 * 4096
    kind = chance.choice(["bit", "bytes", "zeroes", "cut", "page", "exchange", "hole"])
    if kind == "bit":
        found[at] ^= 1 << chance.randrange(8)
    elif kind == "bytes":
        found[at:end] = chance.randbytes(end - at)
    elif kind == "zeroes":
        found[at:end] = bytes(end - at)
    elif kind == "cut":
        del found[at:]
    elif kind == "page":
        found[page : page + 4096] = bytes(len(found[page : page + 4096]))
    elif kind == "exchange":
        other = chance.randrange(size) // 4096 * 4096
        a, b = bytes(found[page : page + 4096]), bytes(found[other : other + 4096])
        if len(a) == len(b):
            found[page : page + 4096], found[other : other + 4096] = b, a
    else:
        del found[page : page + 4096]
    return bytes(found)


def opened(path: Path, whole: list[Any]) -> str:
    """Open a damaged study, and return what came of it."""
    import optdriver
    from optdriver.errors import StorageError, StorageWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with optdriver.load_study(path) as study:
                study.verify()
        except StorageError:
            return "refused"
    told = any(issubclass(one.category, StorageWarning) for one in caught)
    there = events_of(path)
    if there[: len(whole)] == whole:
        return "warned without need" if told else "whole"
    kept = next((k for k, (a, b) in enumerate(zip(there, whole, strict=False)) if a != b), None)
    if kept is not None and not told:  # where that was told, the study has gone on in its own way
        return "altered"
    return "told" if told else "silent"


def damaged_files(number: int, seed: int, directory: Path) -> Counter[str]:
    """Damage closed files, and open them."""
    import optdriver

    chance, found = random.Random(seed), Counter[str]()
    path = directory / "study.db"
    killed(path, seed, 60)
    optdriver.load_study(path).close()
    data, whole = path.read_bytes(), events_of(path)
    for _ in range(number):
        path.write_bytes(damage(data, chance))
        found[opened(path, whole)] += 1
        _clean(path)
    return found


def damaged_logs(number: int, seed: int, directory: Path, *, lock: bool) -> Counter[str]:
    """Damage the logs of killed studies, and open them."""
    chance, found = random.Random(seed), Counter[str]()
    path, to = directory / "study.db", directory / "damaged"
    to.mkdir()
    target = to / path.name
    killed(path, seed, 60)
    whole = events_of(path)
    killed(directory / "other.db", seed, 40)
    for k in range(number):
        shutil.copy(path, target)
        if lock:
            shutil.copy(lock_of(path), lock_of(target))
        data = log_of(path).read_bytes()
        if k % 50 == 48:
            data = b""
        elif k % 50 == 49:
            data = log_of(directory / "other.db").read_bytes()
        else:
            data = damage(data, chance)
        log_of(target).write_bytes(data)
        found[opened(target, whole)] += 1
        _clean(target)
    return found


def _clean(path: Path) -> None:
    for file in path.parent.glob(f"*{path.name}*"):
        if file != path:
            file.unlink()


# -- forgery ----------------------------------------------------------------------------------

STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1e9, 10**18, 2**70, -0.5, "text", "", [], {}, [[]], [1, 2], {"float": "nan"},
    {"float": [1]}, {"dict": 3}, {"float": "inf"}, "x" * 10000, [0.0] * 1000, {"version": 1}, 3,
)  # fmt: skip


def replaced(data: Any, chance: random.Random) -> Any:
    """Return a record in which something was replaced by something strange."""
    if isinstance(data, dict) and data and chance.random() < 0.9:
        key = chance.choice(list(data))
        if chance.random() < 0.05:
            return {k: v for k, v in data.items() if k != key}
        return data | {key: replaced(data[key], chance)}
    if isinstance(data, list) and data and chance.random() < 0.9:
        k = chance.randrange(len(data))
        return [*data[:k], replaced(data[k], chance), *data[k + 1 :]]
    return chance.choice(STRANGE)


def sign(file: sqlite3.Connection) -> None:
    """Give every row the checksum that it should have."""
    from optdriver.storage import rows

    text = file.execute("SELECT spec FROM study").fetchone()[0]
    crc = zlib.crc32(text if isinstance(text, bytes) else str(text).encode())
    file.execute("UPDATE study SET crc = ?", (crc,))
    for seq, *row, _ in file.execute(rows.SELECT, (0,)).fetchall():
        try:
            crc = rows.checksum(tuple(row), crc)
        except Exception:  # noqa: BLE001  # what cannot be signed is left as it is
            return
        file.execute("UPDATE event SET crc = ? WHERE seq = ?", (crc, seq))
    file.execute("UPDATE mark SET closed = 1, seq = 0, crc = 0")
    file.execute("UPDATE snapshot SET crc = (SELECT crc FROM event WHERE event.seq = snapshot.seq)")


def _spec(file: sqlite3.Connection, chance: random.Random) -> None:
    spec = json.loads(file.execute("SELECT spec FROM study").fetchone()[0])
    for _ in range(chance.choice([1, 1, 2])):
        spec = replaced(spec, chance)
    file.execute("UPDATE study SET spec = ?", (json.dumps(spec),))


def _numbers(file: sqlite3.Connection, chance: random.Random) -> None:
    spec = json.loads(file.execute("SELECT spec FROM study").fetchone()[0])
    name = chance.choice(
        ["num_initial", "maxcor", "maxls", "max_num_minimizers", "num_parallel", "seed", "retries"]
    )
    spec["parameters"][name] = chance.choice([10**4, 10**6, 10**9, 10**15])
    file.execute("UPDATE study SET spec = ?", (json.dumps(spec),))


NAMES: tuple[Any, ...] = (
    "O", "U5", "complex64", "M8[s]", "(1000,1000,1000)f8", "i8,f8", "float999", "bfloat16", "V8",
    "pint", "os", "saiunit", "numpy", "metre**9**9**9**9", "metre ** (9 ** 9 ** 9)", "", "1",
    "x" * 10**5,
    "metre" + "*metre" * 10**4, "__class__", "().__class__", "kg.__init__", "degC", "2*at_x", "1/0",
    "twice", "label", "at.x^99^99", "sin(" * 5000, "+".join(["at.x"] * 5000), "dict", "list",
    "named tuple", "pytree", "at", "w", {"key": "w"}, 10**9, [10**9, 10**9], [0], [-1], [2, 3], [],
)  # fmt: skip
"""What a forger likes in the description of a structure."""


def _structure(file: sqlite3.Connection, chance: random.Random) -> None:
    spec = json.loads(file.execute("SELECT spec FROM study").fetchone()[0])
    for _ in range(chance.choice([1, 1, 2, 3])):
        node = spec["space"].get("structure", spec["space"])
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = chance.choice(keys)
            if not (isinstance(node[key], dict | list) and node[key]) or chance.random() < 0.05:
                break
            node = node[key]
        node[key] = chance.choice([*NAMES, *STRANGE])
    file.execute("UPDATE study SET spec = ?", (json.dumps(spec),))


def _deep(file: sqlite3.Connection, chance: random.Random) -> None:
    table, column = chance.choice([("study", "spec"), ("study", "written_by"), ("event", "note")])
    opening = chance.choice(["[", '{"a":', '{"dict":['])
    text = opening * chance.choice([500, 5000, 10**6])
    file.execute(f"UPDATE {table} SET {column} = ?", (text,))  # constants


def _event(file: sqlite3.Connection, chance: random.Random) -> None:
    column = chance.choice(["time", "kind", "id", "point", "run", "role", "payload", "note"])
    last = file.execute("SELECT max(seq) FROM event").fetchone()[0]
    value = chance.choice(
        [None, -1, 2**62, "text", b"", b"\xff" * 7, bytes(8), bytes(10**6), b"\xff" * 16, 1e308,
         "{}", '{"retry": 1}', "[]", float("inf"), "Stopped", "Drained", "Told", "Added", "Held"]
    )  # fmt: skip
    try:
        file.execute(
            f"UPDATE event SET {column} = ? WHERE seq >= ? ",  # constants
            (value, chance.randint(1, last)),
        )
    except sqlite3.IntegrityError:
        return


def _snapshot(file: sqlite3.Connection, chance: random.Random) -> None:
    from optdriver.storage import codec

    found = file.execute("SELECT seq, data FROM snapshot").fetchone()
    seq = file.execute("SELECT max(seq) FROM event").fetchone()[0] if found is None else found[0]
    kind = chance.choice(["record", "array", "bomb", "deep", "bytes"])
    if kind == "record" and found is not None:
        data = codec.to_bytes(replaced(codec.from_bytes(found[1]), chance))
    elif kind == "bomb":
        text = json.dumps([{"array": {"at": 0, "dtype": "|u1", "shape": [10**6]}}] * 9999).encode()
        data = len(text).to_bytes(8, "little") + text + bytes(10**6)
    elif kind == "deep":
        text = b"[" * 10**6
        data = len(text).to_bytes(8, "little") + text
    elif kind == "array":
        place = {"at": chance.choice([0, -5, 10**18]), "dtype": "<f8", "shape": [10**9, 10**9]}
        text = json.dumps({"version": 1, "spec": {"array": place}}).encode()
        data = len(text).to_bytes(8, "little") + text
    else:
        data = (1 << 60).to_bytes(8, "little") + chance.randbytes(100)
    digest = hashlib.sha256(data).digest()
    file.execute("INSERT OR REPLACE INTO snapshot VALUES (?, 0, ?, ?)", (seq, digest, data))


ENDLESS = """WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t) """


def _schema(file: sqlite3.Connection, chance: random.Random) -> None:
    name = chance.choice(["study", "event", "snapshot", "mark"])
    columns = [row[1] for row in file.execute(f"PRAGMA table_info({name})")]
    chosen = ", ".join(f"{'a' if c == 'seq' else 1} AS {c}" for c in columns)
    kind = chance.choice(["view", "trigger", "types", "index", "gone"])
    if kind in ("view", "types"):
        file.execute("DROP VIEW points")
    if kind == "view":
        file.execute(f"ALTER TABLE {name} RENAME TO old_{name}")
        file.execute(f"CREATE VIEW {name} AS {ENDLESS} SELECT {chosen} FROM t")
    elif kind == "trigger":
        table = chance.choice(["event", "mark"])
        file.execute(
            f"CREATE TRIGGER forged AFTER INSERT ON {table} BEGIN INSERT INTO event "
            f"(seq, time, kind, crc) {ENDLESS} SELECT a + 1000, 0, '', 0 FROM t; END"
        )
    elif kind == "types":
        file.execute(f"CREATE TABLE forged AS SELECT * FROM {name}")
        file.execute(f"DROP TABLE {name}")
        file.execute(f"ALTER TABLE forged RENAME TO {name}")
    elif kind == "index":
        file.execute(f"CREATE INDEX forged ON {name} (hex({columns[0]}))")
    else:
        file.execute(f"DROP TABLE {name}")


def _claim(path: Path, chance: random.Random) -> None:
    """Write larger lengths and other page numbers into the pages, as no SQLite would."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 5, 50])):
        at = chance.randrange(100, len(data) - 9)
        data[at : at + 4] = chance.choice(
            [b"\xff\xff\xff\x7f", b"\x84\x80\x80\x00", (at % 20).to_bytes(4, "big")]
        )
    data[28:32] = chance.choice([data[28:32], b"\x7f\xff\xff\xff", bytes(4)])
    path.write_bytes(data)


FORGERIES: tuple[Callable[[sqlite3.Connection, random.Random], None], ...] = (
    _spec, _spec, _structure, _structure, _numbers, _deep, _event, _event, _snapshot, _schema,
)  # fmt: skip


def forge(path: Path, chance: random.Random) -> str:
    """Change a file as it likes a forger; return how."""
    if chance.random() < 0.1:
        _claim(path, chance)
        return "pages"
    kind = chance.choice(FORGERIES)
    file = sqlite3.connect(path, isolation_level=None)
    try:
        file.execute("PRAGMA synchronous = OFF")
        kind(file, chance)
        if kind is not _schema:
            sign(file)
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        file.close()
    return kind.__name__.strip("_")


def forged_lines(text: str, chance: random.Random) -> str:
    """Return exported lines as a forger likes them."""
    lines = text.split("\n")
    k = chance.choice([0, chance.randrange(len(lines) - 1)])
    if chance.random() < 0.2:
        lines[k] = '{"a":' * 10**5 + "[" * 10**5
    else:
        lines[k] = json.dumps(replaced(json.loads(lines[k]), chance))
    return "\n".join(lines)


def attempt(path: Path, lines: bool) -> str:
    """Open a forged file here; return what came of it, and how."""
    import optdriver
    from optdriver.errors import StorageError

    start = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if lines:
                study = optdriver.import_study(path, path.with_suffix(".db"))
            else:
                study = optdriver.load_study(path)
            with study:
                study.info()
                study.verify()
                repr(study.get_observation_data())
                if not study.is_done():
                    study.ask()
        found = "a study"
    except StorageError:
        found = "refused"
    except Exception as error:  # noqa: BLE001  # that is what is looked for
        found = f"{type(error).__name__}: {str(error)[:100]}"
    return json.dumps([found, perf_counter() - start])


def forged_files(number: int, seed: int, directory: Path) -> tuple[Counter[str], list[str]]:
    """Forge files and exported lines, and open each in a process of its own."""
    import optdriver
    from optdriver.storage import SQLiteJournal

    chance, found, wrong = random.Random(seed), Counter[str](), list[str]()
    originals = []
    for nested in (False, True):
        path, text = directory / f"study{nested}.db", directory / f"lines{nested}.jsonl"
        killed(path, seed, 60, nested)
        with optdriver.load_study(path) as study:
            state = study.to_dict()
            study.export(text)
        journal = SQLiteJournal.open(path)
        journal.save_snapshot(state)
        journal.close()
        attempt(path, lines=False)  # everything is imported before the first fork
        originals.append((path.read_bytes(), text.read_text()))
    for k in range(number):
        lines = k % 5 == 4
        data, exported = chance.choice(originals)
        target = directory / f"{k}.{'jsonl' if lines else 'db'}"
        if lines:
            target.write_text(forged_lines(exported, chance))
            how = "lines"
        else:
            target.write_bytes(data)
            how = forge(target, chance)
        result, seconds = _guarded(target, lines)
        bad = result not in ("a study", "refused")
        found[f"{how}: {'failed' if bad else result}"] += 1
        if bad:
            wrong.append(f"{seed}/{k} {how}: {result} after {seconds:.1f} s")
        else:
            target.unlink()
        _clean(target)
    return found, wrong


def _guarded(path: Path, lines: bool) -> tuple[str, float]:
    """Open a file in a forked child with limits."""
    reading, writing = os.pipe()
    start = perf_counter()
    child = os.fork()
    if child == 0:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        signal.alarm(SECONDS)
        try:
            os.write(writing, attempt(path, lines).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if not said:
        return f"ended with status {status}", perf_counter() - start
    result, seconds = json.loads(said)
    return result, seconds


# -- the section ------------------------------------------------------------------------------


def run(arguments: Sequence[str] = ()) -> Section:
    """Attack, and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hostile", description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--logs", type=int, default=2000)
    parser.add_argument("--forged", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args(arguments)
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        places = [Path(name) / str(k) for k in range(4)]
        for place in places:
            place.mkdir()
        counts["closed files"] = damaged_files(wanted.files, wanted.seed, places[0])
        half = wanted.logs // 2
        counts["logs, with the lock"] = damaged_logs(half, wanted.seed, places[1], lock=True)
        counts["logs, without it"] = damaged_logs(
            wanted.logs - half, wanted.seed, places[2], lock=False
        )
        kinds, wrong = forged_files(wanted.forged, wanted.seed, places[3])
    for line in wrong:
        print(line, file=sys.stderr)
    outcomes = ("whole", "told", "refused", "silent", "altered", "warned without need")
    rows = [
        (what, str(found.total()), *(str(found[outcome]) for outcome in outcomes))
        for what, found in counts.items()
    ]
    silent = counts["closed files"]["silent"] + counts["logs, with the lock"]["silent"]
    altered = sum(found["altered"] for found in counts.values())
    return Section(
        name="hostile",
        title="Damaged and forged files",
        text=TEXT,
        targets=[
            Target(claim="damaged files", value=wanted.files, limit=1, at_least=True, form="d"),
            Target(claim="damaged logs", value=wanted.logs, limit=1, at_least=True, form="d"),
            Target(claim="forged files", value=wanted.forged, limit=1, at_least=True, form="d"),
            Target(claim="opened with other events", value=altered, limit=0, form="d"),
            Target(
                claim="opened silently with fewer, but for logs without their lock",
                value=silent,
                limit=0,
                form="d",
            ),
            Target(claim="forged files that failed", value=len(wrong), limit=0, form="d"),
        ],
        tables=[
            Table(header=("damaged", "times", *outcomes), rows=rows),
            Table(
                header=("forged: outcome", "times"),
                rows=[(what, str(number)) for what, number in sorted(kinds.items())],
            ),
        ],
    )
