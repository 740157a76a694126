"""Threads at once, each with minimizers of its own: no run is disturbed by another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from optdriver import LBFGSB
from optdriver.lbfgsb import compiled
from tests.contracts.minimizer import objective

THREADS = 4
SHAPES = [(3, 10), (8, 4), (20, 10), (100, 6)]
"""Variables and pairs: the work space is shared where n is small and there is a lock for all."""


def points(n: int, maxcor: int, seed: int) -> list[bytes]:
    """Return the points of a run that fails once."""
    x0 = np.random.default_rng(seed).uniform(-1.5, 1.5, n)
    opt = LBFGSB(x0, [(-2.0, 2.0)] * n, maxcor=maxcor, maxfun=60)
    asked = []
    while not opt.done:
        asked.append(opt.ask().tobytes())
        if opt.nfev == 5:
            opt.tell_failure("on purpose")
        else:
            opt.tell(*objective(np.frombuffer(asked[-1])))
    return asked


@pytest.mark.parametrize(("rounds", "each"), [(2, 1), pytest.param(40, 8, marks=pytest.mark.slow)])
def test_runs_of_threads_are_those_of_one_thread(rounds: int, each: int) -> None:
    if not compiled():  # then a run takes a hundred times as long, and shares nothing
        rounds = each = 1
    jobs = [(n, maxcor, seed) for seed in range(each) for n, maxcor in SHAPES]
    alone = [points(*job) for job in jobs]
    together = Barrier(THREADS)

    def play(first: int) -> bool:
        together.wait()
        order = [(first + k) % len(jobs) for k in range(len(jobs))]  # never all the same one
        return all(points(*jobs[k]) == alone[k] for _ in range(rounds) for k in order)

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(play, range(THREADS)))
