"""Rows of single runs, and the ends of all, without a row for each run where the driver allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optdriver.drivers import Driver
from optdriver.multistart import MultiStart, Run
from optdriver.multistart.report import Ends


def rows_of(driver: Driver) -> Callable[[int], Run]:
    """Return what gives the row of a run by its number."""
    return driver.row if isinstance(driver, MultiStart) else driver.runs.__getitem__


def run_of(driver: Driver, index: int) -> Run:
    """Return the row of a run."""
    return rows_of(driver)(index)


def ends_of(driver: Driver) -> Ends:
    """Return the runs that have converged, with their values."""
    if isinstance(driver, MultiStart):
        return driver.ends
    runs = [run for run in driver.runs if run.state == "converged"]
    ended = [(run, run.x, run.f) for run in runs if run.x is not None and run.f is not None]
    return Ends(
        [run.index for run, _, _ in ended],
        [x for _, x, _ in ended],
        np.array([f for _, _, f in ended], dtype=np.float64),
        np.array([run.noise for run, _, _ in ended], dtype=np.float64),
    )


def number_of(driver: Driver) -> int:
    """Return how many runs there are."""
    return driver.num_runs if isinstance(driver, MultiStart) else len(driver.runs)
