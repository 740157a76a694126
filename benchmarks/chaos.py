"""Kill a study with SIGKILL at random moments, again and again, and see what is left.

A process runs a study that is kept in a file; it is killed, the file is examined, another process
goes on, until the study is done.  The order of the tells is fixed by the ids, so the points that
were asked must be those of a study that was never killed, bit for bit.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.report import Section, Table, Target

KILLS = 300
TEXT = """A study in a file (several minimizers, three points open, injected failures) is killed
with SIGKILL at random moments until it is done. After each kill the file must pass SQLite's
integrity check and hold every acknowledged ask and tell; in the end the points, their ids and
values must equal, bit for bit, those of a study that was never killed."""

BOX = {"x1": (-1.5, 1.5), "x2": (-2.0, 1.0), "x3": (-1.0, 3.0), "radius": 2}
SETTINGS: dict[str, dict[str, Any]] = {
    "gradients": {"jac": True, "num_initial": 3, "max_iter": 250, "durability": "process"},
    "differences": {"jac": False, "num_initial": 2, "max_iter": 250, "eps": 1e-12},
    "linkage": {
        "jac": True, "num_initial": 2, "start_rule": "mlsl", "retries": 1, "max_iter": 250,
        "initial_samples": [[0.5, 0.5, 0.5]] * 2,
    },
    "constraints": {
        "jac": False, "num_initial": 2, "max_iter": 150,
        "constraints": ["x1^2 + x2^2 <= radius", "x1 + x3 <= 2.5"],
    },
    "SLSQP": {"driver": "SLSQP", "jac": True, "num_initial": 3, "max_iter": 200},
    "Nelder-Mead": {"driver": "Nelder-Mead", "num_initial": 2, "max_iter": 200},
    "CMA-ES": {"driver": "CMA-ES", "max_iter": 200},
}  # fmt: skip


def objective(x1: float, x2: float, x3: float, radius: float) -> tuple[float, list[float]]:
    """Several minima in three dimensions."""
    x = np.array([x1, x2, x3])
    k = np.arange(1.0, 4.0)
    f = np.sum(0.1 * (x - 0.3) ** 2 + np.cos(3 * x + k)) * radius
    return float(f), (radius * (0.2 * (x - 0.3) - 3 * np.sin(3 * x + k))).tolist()


def open_study(path: Path | None, setting: str, seed: int) -> Any:
    """Create the study, or open it if it is there."""
    from optdriver import create_study

    return create_study(BOX, num_parallel=3, seed=seed, storage=path, **SETTINGS[setting])


def play(study: Any, say: Callable[[str], None]) -> None:
    """Run a study to its end, telling in an order that the ids fix, and say what was done."""
    while True:
        while (suggestion := study.ask()) is not None:
            say(f"asked {suggestion.id} {suggestion.x.tobytes().hex()}")
        opened = study.open_suggestions
        if not opened and study.stop_kind == "failures":
            study.resume()
        elif not opened:
            return
        else:
            chosen = max(opened, key=lambda one: one.id * 7919 % 5)
            answer(study, chosen)
            say(f"told {chosen.id}")


def answer(study: Any, suggestion: Any) -> None:
    """Tell the result of a suggestion, which is a failure now and then."""
    if suggestion.id % 13 == 6:
        study.tell_failure(suggestion.id, "injected")
        return
    f, g = objective(**suggestion.params)
    study.tell(suggestion.id, f, g if study.parameters["jac"] else None)


# -- the victims ------------------------------------------------------------------------------


def serve(path: Path, setting: str, seed: int) -> None:
    """Fork a child for every line that comes in, which goes on with the study and talks."""
    open_study(None, setting, seed).ask()  # everything is imported before the first fork
    while sys.stdin.readline():
        child = os.fork()
        if child == 0:
            _live(path, setting, seed)
        _, status = os.waitpid(child, 0)
        _say(f"ended {status}")


def _live(path: Path, setting: str, seed: int) -> None:
    try:
        _say(f"pid {os.getpid()}")
        study = open_study(path, setting, seed)
        play(study, _say)
        study.close()
    finally:
        os._exit(int(sys.exc_info()[0] is not None))


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


# -- the hunt ---------------------------------------------------------------------------------


@dataclass
class Hunt:
    """One study from its beginning to its end, killed on the way."""

    path: Path
    setting: str
    seed: int
    kills: int = 0
    asked: dict[int, str] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)

    def run(self, most: float = math.inf) -> None:
        """Kill until the study is done, or has been killed `most` times and could end."""
        chance = random.Random(self.seed)
        command = [sys.executable, "-W", "error", "-m", "benchmarks.chaos", "--victim"]
        with subprocess.Popen(
            [*command, str(self.path), self.setting, str(self.seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[1],
        ) as victims:
            status = 1
            while status:
                after = chance.randint(0, 12) if self.kills < most else math.inf
                wait = chance.choice([0.0, chance.random() * 2e-3])
                status = self._life(victims, after, wait)
                if status not in (0, signal.SIGKILL):
                    raise RuntimeError(f"a victim ended with status {status}")
                self.kills += status == signal.SIGKILL
                self.examine()

    def _life(self, victims: Any, after: float, wait: float) -> int:
        """Let a victim live until it has said `after` things, and a moment longer."""
        victims.stdin.write("live\n")
        victims.stdin.flush()
        pid, said = 0, 0
        for line in victims.stdout:
            what, _, rest = line.strip().partition(" ")
            if what == "ended":
                return int(rest)
            if what == "pid":
                pid = int(rest)
            else:
                self._hear(what, rest)
                said += 1
            if said == after:
                end = perf_counter() + wait
                while perf_counter() < end:
                    continue
                os.kill(pid, signal.SIGKILL)
                after = math.inf
        raise RuntimeError("the process that brings up the victims has ended")

    def _hear(self, what: str, rest: str) -> None:
        id, _, x = rest.partition(" ")
        if what == "told":
            self.told.add(int(id))
        elif self.asked.setdefault(int(id), x) != x:
            raise RuntimeError(f"id {id} was used for two points")

    def examine(self) -> None:
        """Check that the file is whole and holds everything that was acknowledged."""
        if not self.path.exists():
            if self.asked:
                raise RuntimeError("the file has gone")
            return
        file = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)
        try:
            (found,) = file.execute("PRAGMA integrity_check").fetchone()
            query = "SELECT id, payload FROM event WHERE kind = 'Asked' ORDER BY seq"
            points = [(id, x.hex()) for id, x in file.execute(query)]
            query = "SELECT id FROM event WHERE kind IN ('Told', 'Failed')"
            ended = {id for (id,) in file.execute(query)}
        finally:
            file.close()
        if found != "ok":
            raise RuntimeError(f"the integrity check says: {found}")
        kept: dict[int, str] = {}
        for id, x in points:
            if kept.setdefault(id, x) != x:
                raise RuntimeError(f"id {id} is in the file with two points")
        if not self.asked.items() <= kept.items() or not self.told <= ended:
            raise RuntimeError("something that was acknowledged is not in the file")

    def differences(self) -> list[str]:
        """Return in what the study differs from one that was never killed."""
        from optdriver import load_study

        whole = open_study(None, self.setting, self.seed)
        play(whole, lambda _line: None)
        with load_study(self.path) as killed:
            killed.verify()
            a, b = killed.history, whole.history
            columns = [name for name in b if name not in ("asked", "ended", "attempts")]
            wrong = [name for name in columns if a[name].tobytes() != b[name].tobytes()]
            wrong += [] if a.x.tobytes() == b.x.tobytes() else ["x"]
            wrong += [] if killed.stop_reason == whole.stop_reason else ["stop_reason"]
            wrong += [] if _rows(killed) == _rows(whole) else ["runs or minima"]
        return wrong


def _rows(study: Any) -> list[Any]:
    runs = [(run.state, run.reason, run.evaluations, run.value) for run in study.runs]
    return [*runs, *((minimum.value, minimum.runs) for minimum in study.minima)]


def run(arguments: Sequence[str] = ()) -> Section:
    """Hunt, and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    wanted = parser.parse_args(arguments).kills
    rows, kills, wrong, seed = [], 0, 0, 0
    with tempfile.TemporaryDirectory() as directory:
        while kills < wanted:
            setting = list(SETTINGS)[seed % len(SETTINGS)]
            hunt = Hunt(Path(directory) / f"{seed}.db", setting, seed)
            hunt.run()
            found = hunt.differences()
            points = str(len(hunt.asked))
            rows.append((setting, str(hunt.kills), points, ", ".join(found) or "none"))
            kills, wrong, seed = kills + hunt.kills, wrong + bool(found), seed + 1
    return Section(
        name="chaos",
        title="Killed again and again",
        text=TEXT,
        targets=[
            Target(claim="kills", value=kills, limit=wanted, at_least=True, form="d"),
            Target(claim="studies that differ from unkilled ones", value=wrong, limit=0, form="d"),
        ],
        tables=[Table(header=("study", "kills", "points", "differences"), rows=rows)],
    )


if __name__ == "__main__":
    serve(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
