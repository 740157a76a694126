"""Embed a minimizer in a loop, pickle it in the middle of a run, and go on bit for bit."""

from __future__ import annotations

import pickle

import numpy as np
from scipy.optimize import rosen, rosen_der

from optdriver import LBFGSB


def minimizer() -> LBFGSB:
    """Return a fresh minimizer of ten variables in a box."""
    return LBFGSB(np.full(10, -1.0), bounds=[(-2.0, 2.0)] * 10)


def step(opt: LBFGSB) -> np.ndarray:
    """Evaluate the point that `opt` wants; return it."""
    x = opt.ask()
    opt.tell(rosen(x), rosen_der(x))
    return x


def run(opt: LBFGSB) -> list[np.ndarray]:
    """Minimise to the end; return the points in order."""
    points = []
    while not opt.done:
        points.append(step(opt))
    return points


def main() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the points of an uninterrupted run and of one that was pickled half-way."""
    through = run(minimizer())

    first = minimizer()
    before = [step(first) for _ in range(len(through) // 2)]
    stored = pickle.dumps(first)  # to a file, another process, another machine
    del first

    after = run(pickle.loads(stored))
    return through, before + after


if __name__ == "__main__":
    through, resumed = main()
    same = all(np.array_equal(a, b) for a, b in zip(through, resumed, strict=True))
    print(f"{len(through)} evaluations, resumed after {len(through) // 2}")
    print(f"every point the same to the last bit: {same}")
