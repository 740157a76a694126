"""Interrupt a study with signals at random moments, in every call, and see what is left.

A timer raises KeyboardInterrupt, as Ctrl-C does, inside of `ask`, `tell`, `close`, `load_study` and
the other calls of a loop of one's own; each call is made again until it goes through.  `run` is
interrupted by SIGINT itself, once or twice.  The order of the tells is fixed by the ids, so the
points that are asked must be those of a study that was never interrupted, bit for bit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any

from benchmarks.chaos import BOX, SETTINGS, _rows, answer, objective
from benchmarks.report import Section, Table, Target

SIGNALS = 10_000
SHARE_OF_RUNS = 0.05
"""Of the signals, those that are sent to a `run`: each of them costs a timer and a restart."""

TEXT = """A study (several minimizers, three points open, injected failures), in memory and in a
file, is interrupted by real signals: KeyboardInterrupt inside of `ask`, `tell`, `is_done`, `close`
and `load_study`, where the call is made again with the same object, and SIGINT, once or twice, in
`run`. In the end the points, their ids and values must equal, bit for bit, those of a study that
was never interrupted, and the file must verify."""

MISSING = object()
EVALUATIONS = 30
"""Of one study: what is recorded is replayed after a signal, and should not take all the time."""


def new(setting: str, seed: int, path: Path | None) -> Any:
    """Return a new study."""
    from optdriver import create_study

    settings = SETTINGS[setting] | {"max_iter": EVALUATIONS}
    return create_study(BOX, num_parallel=3, seed=seed, storage=path, **settings)


class Storm:
    """Makes calls, each interrupted after a random time until it has gone through."""

    def __init__(self, seed: int) -> None:
        self.choice = random.Random(seed)
        self.landed: Counter[str] = Counter()
        self.times: dict[str, float] = {}

    def call(self, name: str, function: Callable[[], Any]) -> Any:
        """Return what a call returns in the end."""
        result: Any = MISSING
        while result is MISSING:
            begun = perf_counter()
            delay = max(1e-6, self.choice.uniform(0.0, 1.2) * self.times.get(name, 1e-3))
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                result = function()
                signal.setitimer(signal.ITIMER_REAL, 0.0)
            except KeyboardInterrupt:
                self.landed[name] += result is MISSING
                self.times[name] = 1.3 * self.times.get(name, 1e-3)  # it may need longer now
            else:
                self.times[name] = perf_counter() - begun
        return result


def raise_interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Do what Python does at Ctrl-C."""
    raise KeyboardInterrupt


def play(study: Any, storm: Storm, path: Path | None) -> Any:
    """Run a study to its end in a loop of one's own; return it, or the one it was opened as."""
    from optdriver import load_study

    while True:
        while (storm.call("ask", study.ask)) is not None:
            continue
        opened = storm.call("open_suggestions", lambda study=study: study.open_suggestions)
        if not opened and study.stop_kind == "failures":
            storm.call("resume", study.resume)
        elif not opened and storm.call("is_done", study.is_done):
            return study
        elif opened:
            chosen = max(opened, key=lambda one: one.id * 7919 % 5)
            storm.call("tell", lambda study=study, chosen=chosen: answer(study, chosen))
        if path is not None and storm.choice.random() < 0.15:
            storm.call("close", study.close)
            study = storm.call("load_study", lambda: load_study(path))


def run_out(study: Any, choice: random.Random, landed: Counter[str], wanted: int) -> Any:
    """Let `run` do the study, which is sent SIGINT at random moments until it is done."""
    while True:
        study.resume()
        if study.is_done():
            return study
        more = landed["run"] < wanted
        timer = threading.Timer(choice.uniform(0.0, 0.05), _interrupt, [choice.random() < 0.3])
        try:
            if more:
                landed["run"] += 1
                timer.start()
            study.run(objective)
        except KeyboardInterrupt:
            pass
        finally:
            _wait_for(timer, more)


def _interrupt(twice: bool) -> None:
    for _ in range(1 + twice):
        os.kill(os.getpid(), signal.SIGINT)


def _wait_for(timer: threading.Timer, started: bool) -> None:
    """Let a signal come that is still on its way."""
    while started and timer.is_alive():
        try:
            timer.join()
        except KeyboardInterrupt:
            continue


def differences(study: Any, whole: Any) -> list[str]:
    """Return in what a study differs from one that was never interrupted."""
    a, b = study.history, whole.history
    columns = [name for name in b if name not in ("asked", "ended", "attempts")]
    wrong = [name for name in columns if a[name].tobytes() != b[name].tobytes()]
    wrong += [] if a.x.tobytes() == b.x.tobytes() else ["x"]
    wrong += [] if study.stop_reason == whole.stop_reason else ["stop_reason"]
    return wrong + ([] if _rows(study) == _rows(whole) else ["runs or minima"])


def once(setting: str, seed: int, path: Path | None, landed: Counter[str]) -> list[str]:
    """Drive one study through a storm; return what differs in the end, or the error."""
    whole = play(new(setting, seed, None), Calm(seed), None)
    before = signal.signal(signal.SIGALRM, raise_interrupt)
    storm = Storm(seed)
    try:
        study = play(new(setting, seed, path), storm, path)
        landed.update(storm.landed)
        wrong = differences(study, whole)
        if path is not None:
            study.verify()
            study.close()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a difference
        landed.update(storm.landed)
        return [f"{type(error).__name__}: {error}"]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    return wrong


class Calm(Storm):
    """No storm at all."""

    def call(self, name: str, function: Callable[[], Any]) -> Any:  # noqa: ARG002
        """Return what a call returns."""
        return function()


def once_run(seed: int, path: Path | None, landed: Counter[str], wanted: int) -> list[str]:
    """Let a study run under SIGINT; its evaluations may be counted twice where it left at once."""
    from optdriver import create_study

    settings: dict[str, Any] = {"jac": True, "num_initial": 2, "max_num_minimizers": 20}
    whole = create_study(BOX, seed=seed, **settings)
    whole.run(objective)
    try:
        study = create_study(BOX, seed=seed, storage=path, **settings)
        run_out(study, random.Random(seed), landed, wanted)
        wrong = [] if study.history.x.tobytes() == whole.history.x.tobytes() else ["x"]
        if path is not None:
            study.verify()
            study.close()
    except Exception as error:  # noqa: BLE001 - the same
        return [f"{type(error).__name__}: {error}"]
    return wrong


def run(arguments: Sequence[str] = ()) -> Section:
    """Raise the storm, and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks signals", description=__doc__)
    parser.add_argument("--signals", type=int, default=SIGNALS)
    wanted = parser.parse_args(arguments).signals
    rows: list[tuple[str, ...]] = []
    counts: Counter[str] = Counter()
    wrong = 0
    runs = int(SHARE_OF_RUNS * wanted)
    with tempfile.TemporaryDirectory() as directory:
        while counts.total() < wanted or counts["run"] < runs:
            k = len(rows)
            path = Path(directory) / f"{k}.db" if k % 2 else None
            landed: Counter[str] = Counter()
            if counts.total() - counts["run"] < wanted - runs:
                name = list(SETTINGS)[k // 2 % len(SETTINGS)]
                found = once(name, k, path, landed)
            else:
                name = "run"
                found = once_run(k, path, landed, wanted - counts.total())
            where = "file" if path is not None else "memory"
            rows.append((name, where, str(landed.total()), "; ".join(found) or "none"))
            counts.update(landed)
            wrong += bool(found)
    by_call = [(name, str(count)) for name, count in counts.most_common()]
    return Section(
        name="signals",
        title="Interrupted again and again",
        text=TEXT,
        targets=[
            Target(claim="signals", value=counts.total(), limit=wanted, at_least=True, form="d"),
            Target(
                claim="studies that differ from undisturbed ones", value=wrong, limit=0, form="d"
            ),
        ],
        tables=[
            Table(header=("call", "signals in it"), rows=by_call),
            Table(header=("study", "kept in", "signals", "differences"), rows=rows),
        ],
    )
