"""How busy the places of a parallel study are, and what filling them costs and gains.

A study of Rosenbrock's function with the default `num_initial=1` and eight places; evaluations take
0.8 to 1.2 units of a simulated time.  Printed: the mean number of busy places, evaluations, and the
time until the study is done, means over seeds.

    python -m benchmarks.places [--seeds 10]
"""

from __future__ import annotations

import argparse
import heapq
from typing import Any

import numpy as np
from scipy.optimize import rosen, rosen_der

import optdriver

PLACES = 8
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
