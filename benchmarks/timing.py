"""Timing without surprises: interleaved, garbage collected in between, medians and spread."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

SPIN = "while True: pass"


def timed(work: Callable[[], Any], repeats: int = 1, *, warm: bool = True) -> float:
    """Return the seconds that `repeats` calls of `work` take, without garbage collections.

    A call before them is not timed (unless `warm` is False): collecting garbage has emptied the
    processor's caches.
    """
    gc.collect()
    gc.disable()
    try:
        if warm:
            work()
        before = perf_counter()
        for _ in range(repeats):
            work()
        return perf_counter() - before
    finally:
        gc.enable()


def interleaved(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every one of `works` once a round, another one first each round; keep what they return.

    A slow spell of the machine thus falls on all of them.
    """
    names = list(works)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for shift in range(len(names)):
            name = names[(turn + shift) % len(names)]
            measured[name].append(works[name]())
    return measured


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios within the rounds."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def spread(values: Sequence[float], scale: float = 1.0, form: str = ".3g") -> str:
    """Return ``median (lower quartile-upper quartile)`` as text."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle * scale:{form}} ({low * scale:{form}}-{high * scale:{form}})"


@contextmanager
def busy(processes: int | None = None) -> Iterator[None]:
    """Keep every processor busy with one spinning process each, while the block runs."""
    count = processes or os.cpu_count() or 1
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
