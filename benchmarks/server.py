"""Asking and telling over HTTP beside the same in this process, and beside Optuna's storages.

Every worker is a process that asks for a point of a study in five parameters, computes Rosenbrock's
function there, and tells it.  Durable in this process: the same file, no server.  Optuna: the same
number of processes, each with the storage opened, and the random sampler, which costs least.  The
best and the median of some repeats, in turn; of a machine with other work the processor times say
more, which are those of the server and of one worker.

    python -m benchmarks.server              # rates
    python -m benchmarks.server --chaos      # workers killed, late and wild
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import math
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

import optdriver

DIMENSIONS = 5
LEASE = 4.0
BOX = {f"x{k}": (-2.0, 2.0) for k in range(DIMENSIONS)}


def rosenbrock(**x: float) -> tuple[float, list[float]]:
    point = np.array(list(x.values()))
    a, b = point[1:] - point[:-1] ** 2, 1.0 - point[:-1]
    gradient = np.zeros_like(point)
    gradient[:-1] = -400.0 * a * point[:-1] - 2.0 * b
    gradient[1:] += 200.0 * a
    return float(np.sum(100.0 * a**2 + b**2)), gradient.tolist()


def new(path: Path, evaluations: int, workers: int) -> None:
    optdriver.create_study(
        BOX, storage=path, jac=True, max_iter=evaluations, num_parallel=workers
    ).close()


@contextlib.contextmanager
def server(
    path: Path, *words: str, errors: Path | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-c", "from optdriver.cli import main; main()", "serve", str(path)]
    with contextlib.nullcontext() if errors is None else errors.open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", "0", "--json", *words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process
    finally:
        process.kill()
        process.wait()


# -- workers, each a process --------------------------------------------------------------


def work(url: str) -> None:
    optdriver.client(url).study().run(lambda **x: rosenbrock(**x), lease=1e9)


def steady(url: str) -> None:
    """Run as a worker does, each evaluation of some length."""

    def objective(**x: float) -> Any:
        time.sleep(0.02)
        return rosenbrock(**x)

    optdriver.client(url).study().run(objective, lease=LEASE)


def careful(url: str, told: Path, late: bool = False) -> None:
    """Ask and tell, and write down what the server has confirmed; a late one is not heard of."""
    study = optdriver.client(url).study()
    count = 0
    while not study.is_done():
        suggestion = study.ask(wait=5.0, lease=LEASE)
        if suggestion is None:
            continue
        count += 1
        time.sleep(1.5 * LEASE if late and count % 3 == 0 else 0.02)
        value, gradient = rosenbrock(**suggestion.params)
        try:
            study.tell(suggestion.id, value, gradient)
        except optdriver.errors.ProtocolError:
            continue  # it came too late, and was refused
        with told.open("a", encoding="ascii") as file:  # a line at a time, as the system appends
            file.write(f"{suggestion.id} {value!r}\n")


def wild(url: str) -> None:
    """Tell nonsense for ever."""
    rng = random.Random(1)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    while True:
        body = json.dumps(
            {"id": rng.choice([-1, 10**9, None, "x"]), "value": rng.choice(["y", []])}
        )
        connection.request("POST", "/tell", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        time.sleep(0.01)


def optuna_work(url: str, evaluations: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(
        study_name="s", storage=storage(url), sampler=optuna.samplers.RandomSampler()
    )
    for _ in range(evaluations):
        trial = study.ask()
        x = {name: trial.suggest_float(name, *bounds) for name, bounds in BOX.items()}
        study.tell(trial, rosenbrock(**x)[0])


def storage(url: str) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if url.startswith("sqlite"):
        return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 100}})
    return JournalStorage(JournalFileBackend(url))


def start(*words: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.server", "--as", *map(str, words)]
    return subprocess.Popen(command)


# -- what is measured ---------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """Evaluations a second, and the processor time that one takes: of the server, and here."""

    rate: float
    server: float = math.nan
    here: float = math.nan


def in_process(directory: Path, evaluations: int) -> Measured:
    new(directory / "here.db", evaluations, 1)
    with optdriver.load_study(directory / "here.db") as study:
        begin, used = time.perf_counter(), time.process_time()
        while (suggestion := study.ask()) is not None:
            study.tell(suggestion.id, *rosenbrock(**suggestion.params))
        seconds, used = time.perf_counter() - begin, time.process_time() - used
    (directory / "here.db").unlink()
    return Measured(evaluations / seconds, here=used / evaluations)


def over_http(directory: Path, evaluations: int, workers: int) -> Measured:
    path = Path(tempfile.mkdtemp(dir=directory)) / "http.db"  # a killed server leaves its log
    new(path, evaluations, max(workers, 1))
    with server(path) as (url, process):
        study, before = optdriver.client(url).study(), processor_time(process.pid)
        if workers == 0:  # this process is the worker
            begin, used = time.perf_counter(), time.process_time()
            study.run(lambda **x: rosenbrock(**x), lease=1e9)
            rate = evaluations / (time.perf_counter() - begin)
            used = (time.process_time() - used) / evaluations
        else:
            for each in [start(url) for _ in range(workers)]:
                each.wait()
            ended = np.sort(study.history["ended"])
            middle = ended[len(ended) // 10 : -len(ended) // 10]  # all have begun, none has ended
            rate, used = float((len(middle) - 1) / (middle[-1] - middle[0])), math.nan
        served = (processor_time(process.pid) - before) / evaluations
    return Measured(rate, served, used)


def by_optuna(url: str, evaluations: int, workers: int) -> Measured:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="s", storage=storage(url))
    for process in [start("optuna", url, evaluations // workers) for _ in range(workers)]:
        process.wait()
    ended = np.sort([t.datetime_complete.timestamp() for t in study.trials if t.datetime_complete])
    middle = ended[len(ended) // 10 : -len(ended) // 10]
    return Measured(float((len(middle) - 1) / (middle[-1] - middle[0])))


def rates(directory: Path, evaluations: int, workers: int, repeats: int) -> None:
    rows: dict[str, list[Measured]] = {}
    for _ in range(repeats):
        for name, found in [
            ("in this process, durable", in_process(directory, evaluations)),
            ("HTTP, 1 worker", over_http(directory, evaluations, 0)),
            (f"HTTP, {workers} workers", over_http(directory, evaluations, workers)),
        ]:
            rows.setdefault(name, []).append(found)
    fewer = max(evaluations // 10, 20 * workers)
    try:
        import optuna  # noqa: F401
    except ImportError:
        print("Optuna is not installed")
    else:
        for name, url in [("RDB (SQLite)", f"sqlite:///{directory / 'optuna.db'}"),
                          ("journal", str(directory / "optuna.log"))]:  # fmt: skip
            rows[f"Optuna {name}, {workers} workers"] = [by_optuna(url, fewer, workers)]
    print(f"{'evaluations a second':34}{'best':>8}{'of 1st':>8}{'median':>8}{'of 1st':>8}"
          f"{'ms server':>11}{'ms here':>9}")  # fmt: skip
    first = next(iter(rows.values()))
    for name, several in rows.items():
        line = f"{name:34}"
        for summary in (max, statistics.median):
            rate, one = (summary([each.rate for each in table]) for table in (several, first))
            line += f"{rate:8.0f}{rate / one:8.2f}"
        served, here = (min(getattr(each, end) for each in several) for end in ("server", "here"))
        print(f"{line}{1e3 * served:11.2f}{1e3 * here:9.2f}".replace("nan", "   "))


def chaos(directory: Path, evaluations: int, workers: int) -> None:
    path, told = directory / "chaos.db", directory / "told.txt"
    new(path, evaluations, workers)
    forks = multiprocessing.get_context("forkserver")  # a worker lives as soon as it is started
    forks.set_forkserver_preload(["optdriver.remote"])
    with server(path) as (url, process):
        study = optdriver.client(url).study()
        begin, rng = time.monotonic(), random.Random(5)

        def start(number: int) -> Any:
            kinds = [(careful, (url, told, True)), (wild, (url,))]
            kinds += [(steady, (url,)), (careful, (url, told))] * workers
            target, arguments = kinds[number]
            found = forks.Process(target=target, args=arguments, daemon=True)
            found.start()
            return found

        started = [start(number) for number in range(workers)]
        killed, most = 0, 0
        while not study.info()["stop_reason"]:
            time.sleep(1.0)
            most = max(most, memory(process.pid))
            victim = rng.randrange(2, workers)
            started[victim].kill()
            started[victim].join()
            started[victim] = start(victim)
            killed += 1
        seconds = time.monotonic() - begin
        for each in started:
            each.kill()
            each.join()
        process.send_signal(signal.SIGTERM)
        process.wait()
    print(
        f"{workers} workers, {killed} of them killed, {seconds:.0f} s, at most {most // 2**20} MiB;"
    )
    judge(path, told)


def judge(path: Path, told: Path) -> None:
    """Say what was lost or told twice, and whether a study in this process takes the same way."""
    events = exported(path)
    values = {(e["id"], e["value"]) for e in events if e["event"] in ("Told", "Late")}
    confirmed = [line.split() for line in told.read_text(encoding="ascii").splitlines()]
    lost = sum((int(id), float(value)) not in values for id, value in confirmed)
    expired = sum(e["event"] == "Failed" and e["expired"] for e in events)
    late = sum(e["event"] == "Late" for e in events)
    print(f"{expired} leases ended, {late} results came after their evaluation was given up;")
    with optdriver.load_study(path, read_only=True) as study:
        table, names = study.history, study.space.free
        rows = [k for k, state in enumerate(table["state"]) if state == "told"]
        points = [{name: float(table[name][k]) for name in names} for k in rows]
        wrong = sum(
            rosenbrock(**x)[0] != table["value"][k] for k, x in zip(rows, points, strict=True)
        )
        print(f"{len(table['id'])} evaluations, {len(set(table['id'].tolist()))} ids;")
        print(f"{len(rows)} values told, {wrong} of them not the function's;")
        print(f"{len(confirmed)} tells confirmed to their workers, {lost} of them lost;")
        print(f"{study.verify().points} points replayed bit for bit;")
    print(
        f"{in_the_same_order(events)} points asked by a study here with the same tells, all equal"
    )


def exported(path: Path) -> list[dict[str, Any]]:
    target = path.with_suffix(".jsonl")
    with optdriver.load_study(path, read_only=True) as study:
        study.export(target)
    return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()[1:]]


def in_the_same_order(events: list[dict[str, Any]]) -> int:
    """Drive a study in memory as that one was, by its public methods; count the equal points."""
    limits = {"max_iter": len(events), "num_parallel": len(events)}
    study, equal = optdriver.create_study(BOX, jac=True, **limits), 0
    for event in events:
        kind = event["event"]
        if kind == "Asked":
            suggestion = study.ask()
            assert suggestion is not None and suggestion.id == event["id"], event
            assert suggestion.x.tolist() == event["x"], event
            equal += 1
        elif kind == "Drained":
            assert study.ask() is None
        elif kind in ("Told", "Late"):
            study.tell(event["id"], event["value"], event["gradient"])
        elif kind == "Failed":
            dead = event["expired"]
            study.tell_failure(event["id"], event["reason"], worker_died=dead, expired=dead)
        elif kind == "Released":
            study.release(event["id"], spent=event["spent"])
    return equal


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Return the resident bytes of a process."""
    fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--chaos", action="store_true")
    parser.add_argument("--as", dest="role", nargs="+", help="be a worker; used by the others")
    given = parser.parse_args()
    if given.role:
        if given.role[0] == "optuna":
            optuna_work(given.role[1], int(given.role[2]))
        else:
            work(given.role[0])
        return
    with tempfile.TemporaryDirectory() as name:
        if given.chaos:
            chaos(Path(name), given.evaluations, given.workers)
        else:
            rates(Path(name), given.evaluations, given.workers, given.repeats)


if __name__ == "__main__":
    main()
