"""How busy the places of a parallel study are, and what filling them costs and gains.

A study of Rosenbrock's function with the default `num_initial=1` and eight places; evaluations take
0.8 to 1.2 units of a simulated time.  Printed: the mean number of busy places, evaluations, and the
time until the study is done, means over seeds.

`python -m benchmarks places` writes two more tables.  In the first the objective takes next to no
time, in threads, processes and loky's: what is left is what `run` costs, beside submitting the same
point again and again, which decides nothing, and the asks and tells of the same study by hand, one
by one and without a pool.  In the second it sleeps in threads, for times that are spread
log-normally (the longest of a thousand takes a hundred times the median); shown is the share of the
time for which places are busy until the last evaluation begins: of a simulated time, where idle
places have nothing to do, and of real time, with `Study.run` and with a plain pool to which as many
calls are submitted; and the processor time of both for an evaluation.

    python -m benchmarks.places [--seeds 10]
"""

from __future__ import annotations

import argparse
import heapq
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
from scipy.optimize import rosen, rosen_der

import optdriver
from benchmarks.report import Section, Table, Target

PLACES = 8
MANY = (2, 8, 16, 64)
MEAN, SPREAD = 0.02, 1.5
"""Of the times slept: their mean in seconds, and the standard deviation of their logarithm."""
CASES: tuple[dict[str, Any], ...] = (
    {"jac": True, "max_num_minimizers": 4},
    {"jac": True, "max_num_minimizers": 8},
    {"jac": True, "max_num_minimizers": 20},
    {"jac": True, "max_iter": 400},
    {"jac": False, "max_num_minimizers": 4},
    {"jac": False, "max_num_minimizers": 8},
)


def simulated(seed: int, n: int, **parameters: Any) -> tuple[float, float, float]:
    """Return busy places, evaluations and time of one study."""
    random = np.random.default_rng(seed)
    space = {f"x{i}": (-2.0, 2.0) for i in range(n)}
    study = optdriver.create_study(space, num_parallel=PLACES, seed=seed, **parameters)
    ends: list[tuple[float, int, Any]] = []
    now = work = 0.0
    while True:
        while (suggestion := study.ask()) is not None:
            duration = random.uniform(0.8, 1.2)
            work += duration
            heapq.heappush(ends, (now + duration, suggestion.id, suggestion))
        if not ends:
            return work / now, float(study.num_evaluations), now
        now, id, suggestion = heapq.heappop(ends)
        if study.wants(id):
            x = suggestion.x
            study.tell(id, rosen(x), rosen_der(x) if parameters["jac"] else None)


def durations(places: int) -> list[float]:
    """Return how long evaluations take, 40 for each place and two more rounds."""
    random = np.random.default_rng(places)
    middle = np.log(MEAN) - SPREAD**2 / 2.0
    found: list[float] = random.lognormal(middle, SPREAD, 42 * places).tolist()
    return found


def parallel_study(places: int) -> Any:
    """Return a study of 40 evaluations for each place."""
    return optdriver.create_study(
        {"x": (-5.0, 5.0), "y": (-5.0, 5.0)}, jac=True, num_parallel=places, max_iter=40 * places
    )


def share(spans: list[tuple[float, float]], places: int, begin: float) -> float:
    """Return for which share of the time places are busy until the last evaluation begins."""
    last = max(start for start, _ in spans)
    work = sum(min(end, last) - start for start, end in spans)
    return work / (places * (last - begin))


def simulated_share(places: int) -> float:
    """Return it for a simulated time, in which a study costs nothing."""
    study, left = parallel_study(places), iter(durations(places))
    ends: list[tuple[float, int, Any]] = []
    spans, now = [], 0.0
    while True:
        while (suggestion := study.ask()) is not None:
            end = now + next(left)
            spans.append((now, end))
            heapq.heappush(ends, (end, suggestion.id, suggestion))
        if not ends:
            return share(spans, places, 0.0)
        now, id, suggestion = heapq.heappop(ends)
        study.tell(id, rosen(suggestion.x), rosen_der(suggestion.x))


def slept_share(places: int) -> tuple[float, float, float, float]:
    """Return it for an objective that sleeps, with `run` and in a pool, and the processor times."""
    spans: list[tuple[float, float]] = []
    left = iter(durations(places))

    def objective(x: float, y: float) -> tuple[float, Any]:
        begin = time.perf_counter()
        time.sleep(next(left))
        spans.append((begin, time.perf_counter()))
        at = np.array([x, y])
        return float(rosen(at)), rosen_der(at)

    study = parallel_study(places)
    begin, used = time.perf_counter(), time.process_time()
    study.run(objective, progress=False)
    used = time.process_time() - used
    count = len(spans)
    busy = share(spans, places, begin)
    left = iter(durations(places))
    spans.clear()
    begin, plain = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(places) as pool:
        submitted(pool, places, count, objective)
    plain = time.process_time() - plain
    return busy, share(spans, places, begin), 1e3 * used / count, 1e3 * plain / count


def submitted(pool: Any, places: int, count: int, objective: Any) -> None:
    """Call an objective in a pool, with as many calls out as there are places."""
    done: SimpleQueue[Future[Any]] = SimpleQueue()
    for k in range(count):
        if k >= places:
            done.get().result()
        pool.submit(objective, 0.5, 0.5).add_done_callback(done.put)
    for _ in range(min(places, count)):
        done.get().result()


def sleeping() -> tuple[Table, list[Target]]:
    """Measure objectives that sleep."""
    slept_share(2)  # what is imported late is imported before
    rows, targets = [], []
    for places in MANY:
        busy, plain, run, submit = slept_share(places)
        shown = (simulated_share(places), busy, plain, run, submit)
        rows.append((str(places), *(f"{each:.3f}" for each in shown)))
        claim = f"busy places of {places}, evaluations that sleep"
        targets.append(Target(claim=claim, value=busy, limit=0.95, at_least=True))
    header = ("places", "busy, simulated", "run", "plain pool", "processor ms, run", "plain pool")
    return Table(header=header, rows=rows, caption="Places busy, evaluations that sleep."), targets


def quick(x: float, y: float) -> tuple[float, list[float]]:
    """Return Rosenbrock's function and its gradient in next to no time."""
    rest = y - x * x
    return 100.0 * rest**2 + (1.0 - x) ** 2, [-400.0 * x * rest + 2.0 * (x - 1.0), 200.0 * rest]


def working() -> tuple[Table, list[Target]]:
    """Measure what `run` costs where the objective does next to nothing."""
    from loky import ProcessPoolExecutor as Loky

    kinds: dict[str, Any] = {"threads": ThreadPoolExecutor, "processes": ProcessPoolExecutor}
    kinds["loky"] = Loky
    rows, targets = [], []
    for name, kind in kinds.items():
        for places in (2, PLACES, 64) if name == "threads" else (2, PLACES):
            with kind(2 if name != "threads" else places) as pool:
                told = [beside(pool, places) for _ in range(6)][1:]
            least = np.min(told, axis=0)
            run, submit, hand = least[:, 0].tolist()
            ratios = run / submit, run / (submit + hand)
            rows.append(
                (name, str(places), *(f"{each:.3f}" for each in least.T.ravel().tolist()))
                + tuple(f"{each:.3g}" for each in ratios)
            )
            claim = f"{name}, {places} places: beside submit, ask and tell"
            targets.append(Target(claim=claim, value=ratios[1], limit=1.5))
    each = ("run", "submit", "ask, tell")
    header = ("pool", "places", *each, *(f"{name}, real" for name in each))
    header += ("run / submit", "run / (submit, ask, tell)")
    return Table(header=header, rows=rows, caption="Milliseconds an evaluation."), targets


def quick_study(places: int, count: int) -> Any:
    """Return a study of so many evaluations, which are over as soon as they have begun."""
    return optdriver.create_study(
        {"x": (-5.0, 5.0), "y": (-5.0, 5.0)}, jac=True, num_parallel=places, max_iter=count
    )


def beside(pool: Any, places: int, count: int = 800) -> Any:
    """Return processor and real milliseconds an evaluation, shape (3, 2).

    Of `run`, of submitting, and of asking and telling by hand.
    """
    study, other = quick_study(places, count), quick_study(places, count)
    moments = [(time.process_time(), time.perf_counter())]
    study.run(quick, executor=pool, progress=False)
    moments.append((time.process_time(), time.perf_counter()))
    submitted(pool, places, count, quick)
    moments.append((time.process_time(), time.perf_counter()))
    by_hand(other, places)
    moments.append((time.process_time(), time.perf_counter()))
    return 1e3 * np.diff(moments, axis=0) / count


def by_hand(study: Any, places: int) -> None:
    """Ask for as many points as there are places, and tell them, the oldest first."""
    out: list[Any] = []
    while True:
        while len(out) < places and (suggestion := study.ask()) is not None:
            out.append(suggestion)
        if not out:
            return
        first = out.pop(0)
        study.tell(first.id, *quick(**first.params))


def run(options: Sequence[str]) -> Section:
    """Measure what `run` costs, and how busy it keeps places."""
    argparse.ArgumentParser(description=__doc__).parse_args(options)
    (cost, beside_hand), (busy, shares) = working(), sleeping()
    return Section(
        name="places",
        title="What run costs, and how busy it keeps places",
        text=(
            "The objective of the first table takes microseconds. A plain submit decides nothing: "
            "it calls the function at one point. Beside it stand the asks and tells of the same "
            "study by hand, one by one; the target is for both together. Where eight results or "
            "more are there, `run` tells them as one round. Times of the process that runs the "
            "study, least of five, of two worker processes and as many threads as places. In the "
            "second table evaluations sleep for 20 ms in the mean, spread log-normally."
        ),
        targets=[*beside_hand, *shares],
        tables=[cost, busy],
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--variables", type=int, default=2)
    given = parser.parse_args()
    print(f"optdriver {optdriver.__version__}, {given.seeds} seeds, {PLACES} places")
    print(f"{'':40} {'busy':>6} {'evaluations':>12} {'time':>8}")
    for case in CASES:
        runs = [simulated(seed, given.variables, **case) for seed in range(given.seeds)]
        busy, evaluations, time = np.mean(runs, axis=0)
        print(f"{case!s:40} {busy:6.2f} {evaluations:12.0f} {time:8.1f}")


if __name__ == "__main__":
    main()
