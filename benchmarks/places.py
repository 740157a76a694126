"""How busy the places of a parallel study are, and what filling them costs and gains.

A study of Rosenbrock's function with the default `num_initial=1` and eight places; evaluations take
0.8 to 1.2 units of a simulated time.  Printed: the mean number of busy places, evaluations, and the
time until the study is done, means over seeds.

With ``--sleeping`` the objective sleeps in threads, for times that are spread log-normally (the
longest of a thousand takes a hundred times the median), and what is printed for each number of
places is the share of the time for which they are busy until the last evaluation begins: of a
simulated time, where idle places have nothing to do, and of real time, where `Study.run` costs
something as well; and the processor time of `run` for an evaluation beside that of submitting it
to a plain pool.

    python -m benchmarks.places [--seeds 10] [--sleeping]
"""

from __future__ import annotations

import argparse
import heapq
import time
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
from scipy.optimize import rosen, rosen_der

import optdriver

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


def slept_share(places: int) -> tuple[float, float, float]:
    """Return it for an objective that sleeps, and the processor times of `run` and of a pool."""
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
    left, plain = iter(durations(places)), time.process_time()
    submitted(places, count, objective)
    return busy, 1e3 * used / count, 1e3 * (time.process_time() - plain) / count


def submitted(places: int, count: int, objective: Any) -> None:
    """Call an objective in a plain pool, with as many calls out as there are places."""
    done: SimpleQueue[Future[Any]] = SimpleQueue()
    with ThreadPoolExecutor(places) as pool:
        for k in range(count):
            if k >= places:
                done.get()
            pool.submit(objective, 0.5, 0.5).add_done_callback(done.put)


def sleeping() -> None:
    """Print the table of objectives that sleep."""
    slept_share(2)  # what is imported late is imported before
    print(f"{'places':>6} {'simulated':>10} {'slept':>7} {'run, ms':>8} {'submit, ms':>11}")
    for places in MANY:
        busy, run, plain = slept_share(places)
        print(f"{places:6} {simulated_share(places):10.3f} {busy:7.3f} {run:8.3f} {plain:11.3f}")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--variables", type=int, default=2)
    parser.add_argument("--sleeping", action="store_true")
    given = parser.parse_args()
    if given.sleeping:
        sleeping()
        return
    print(f"optdriver {optdriver.__version__}, {given.seeds} seeds, {PLACES} places")
    print(f"{'':40} {'busy':>6} {'evaluations':>12} {'time':>8}")
    for case in CASES:
        runs = [simulated(seed, given.variables, **case) for seed in range(given.seeds)]
        busy, evaluations, time = np.mean(runs, axis=0)
        print(f"{case!s:40} {busy:6.2f} {evaluations:12.0f} {time:8.1f}")


if __name__ == "__main__":
    main()
