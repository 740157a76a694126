"""What it costs to keep a study: ask and tell against Optuna's storages, and opening it again."""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.report import Section, Table, Target
from benchmarks.study import NAMES, Sphere
from benchmarks.timing import interleaved, spread, timed

EVENTS = 100_000
LARGE = 10_000
ROUNDS = 9
TEXT = f"""Pairs of ask and tell a second, ten parameters, gradients supplied to ours; medians
(quartiles) over interleaved rounds of 300 pairs (30 where every pair waits for the disk), each
with a new study, its creation not counted. *durable* survives the end of the process, *power* the
loss of power as well. Then a study of {EVENTS:,} events (50,000 pairs) is opened by a new process:
after it was closed; when its process was killed; and without any snapshot, which replays the whole
log. The memory is what opening added to the process."""


def ours(pairs: int, objective: Sphere, **options: Any) -> Callable[[], None]:
    """Return the work of a study of ours."""
    from optdriver import create_study

    study = create_study(dict.fromkeys(NAMES, (-1.0, 1.0)), jac=True, **options)

    def work() -> None:
        for _ in range(pairs):
            suggestion = study.ask()
            study.tell(suggestion.id, *objective(suggestion.x))
        study.close()

    return work


def optunas(pairs: int, objective: Sphere, storage: Any) -> Callable[[], None]:
    """Return the work of a study of Optuna's, with its random sampler, its quickest."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), storage=storage)
    space: Any = {name: optuna.distributions.FloatDistribution(-1.0, 1.0) for name in NAMES}

    def work() -> None:
        for _ in range(pairs):
            trial = study.ask(space)
            f, _ = objective(np.array([trial.params[name] for name in NAMES]))
            study.tell(trial, f)

    return work


def cases(directory: Path) -> dict[str, Callable[[], float]]:
    """Return the measurements, in pairs a second."""
    number = count()

    def rate(prepare: Callable[..., Callable[[], None]], pairs: int, **options: Any) -> Any:
        def measure() -> float:
            objective = Sphere()
            path = directory / f"{next(number)}.db"
            given = {name: value(path) for name, value in options.items()}
            work = prepare(pairs, objective, **given)
            return pairs / (timed(work, warm=False) - objective.seconds)

        return measure

    found = {
        "optdriver, in memory": rate(ours, 300),
        "optdriver, durable": rate(ours, 300, storage=str),
        "optdriver, power": rate(ours, 30, storage=str, durability=lambda _: "power"),
    }
    if importlib.util.find_spec("optuna") is not None:
        import optuna
        from optuna.storages import JournalStorage, RDBStorage
        from optuna.storages.journal import JournalFileBackend

        memory = optuna.storages.InMemoryStorage
        found["Optuna, in memory"] = rate(optunas, 300, storage=lambda _: memory())
        found["Optuna, journal"] = rate(
            optunas, 30, storage=lambda path: JournalStorage(JournalFileBackend(str(path)))
        )
        found["Optuna, SQLite"] = rate(
            optunas, 30, storage=lambda path: RDBStorage(f"sqlite:///{path}")
        )
    return found


# -- opening again ----------------------------------------------------------------------------

_FILL = """
import os, sys
import numpy as np
from benchmarks.storage import Sphere, NAMES
from optdriver import create_study
n, pairs, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
study = create_study({f"x{i}": (-1.0, 1.0) for i in range(n)}, jac=True, storage=path,
                     sobol_sequence=False)
weights = np.arange(1.0, n + 1)
for _ in range(pairs):
    s = study.ask()
    study.tell(s.id, float(weights @ (s.x - 0.3) ** 2), 2 * weights * (s.x - 0.3))
if sys.argv[4] == "closed":
    study.close()
os._exit(0)
"""

_OPEN = """
import os, sys
from time import perf_counter
import optdriver
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
optdriver.load_study
before, memory = perf_counter(), resident()
study = optdriver.load_study(sys.argv[1])
print(perf_counter() - before, resident() - memory)
"""


def fill(path: Path, n: int, pairs: int, end: str) -> float:
    """Make a study in a process of its own; return the seconds it took."""
    before = perf_counter()
    command = [sys.executable, "-c", _FILL, str(n), str(pairs), str(path), end]
    subprocess.run(command, check=True)
    return perf_counter() - before


def reopened(path: Path) -> tuple[float, float]:
    """Open a study in a new process; return the seconds and the MiB of memory."""
    command = [sys.executable, "-c", _OPEN, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


def opening(directory: Path) -> tuple[list[tuple[str, ...]], float]:
    """Return the table of openings, and the worst time of the usual ones."""
    rows, worst = [], 0.0
    for name, n, pairs, end in [
        ("closed", 10, EVENTS // 2, "closed"),
        ("killed", 10, EVENTS // 2, "killed"),
        ("no snapshot", 10, EVENTS // 2, "closed"),
        (f"{LARGE:,} parameters, killed", LARGE, 500, "killed"),
    ]:
        path = directory / f"open-{len(rows)}.db"
        fill(path, n, pairs, end)
        if name == "no snapshot":
            _forget(path)
        size = sum(file.stat().st_size for file in directory.glob(f"{path.name}*")) / 2**20
        seconds, memory = reopened(path)
        rows.append((name, f"{2 * pairs:,}", f"{size:.0f}", f"{seconds:.2f}", f"{memory:.0f}"))
        if name in ("closed", "killed"):
            worst = max(worst, seconds)
    return rows, worst


def _forget(path: Path) -> None:
    import sqlite3

    file = sqlite3.connect(path)
    with file:
        file.execute("DELETE FROM snapshot")
    file.close()


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks storage", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args(arguments).rounds
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".storage-") as name:
        rates = interleaved(cases(Path(name)), rounds)
        rows, worst = opening(Path(name))
    durable = statistics.median(rates["optdriver, durable"])
    return Section(
        name="storage",
        title="Keeping a study",
        text=TEXT,
        targets=[
            Target(
                claim="durable pairs of ask and tell a second",
                value=durable, limit=2000, at_least=True, form=",.0f",
            ),
            Target(claim=f"seconds to open {EVENTS:,} events", value=worst, limit=2.0),
        ],
        tables=[
            Table(
                header=("ten parameters", "pairs a second"),
                rows=[(name, spread(values, form=".0f")) for name, values in rates.items()],
            ),
            Table(
                header=("opening", "events", "MiB of file", "seconds", "MiB of memory"), rows=rows
            ),
        ],
    )  # fmt: skip
