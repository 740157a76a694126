"""Evaluate through executorlib, each evaluation a job of Slurm; without Slurm a process here.

Run it where jobs are submitted, with ``python -m examples.on_slurm PARTITION`` (and pysqa, by which
executorlib submits), or without an argument anywhere.  Needs executorlib (``pip install
executorlib``).
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

from executorlib import SingleNodeExecutor, SlurmClusterExecutor

import optdriver


def bowl(x: float, y: float) -> tuple[float, list[float]]:
    """Return the value and the gradient of a bowl."""
    return (x - 1) ** 2 + (y + 1) ** 2, [2 * (x - 1), 2 * (y + 1)]


def executor(partition: str | None, directory: str) -> Any:
    """Return an executor; `directory` is seen from all nodes."""
    if partition is None:
        return SingleNodeExecutor(max_workers=2)
    job = {"cores": 1, "run_time_max": 3600, "partition": partition}
    return SlurmClusterExecutor(resource_dict=job, cache_directory=directory)


def main() -> optdriver.Study:
    """Run a study there."""
    study = optdriver.create_study(
        {"x": (-3, 3), "y": (-3, 3)}, jac=True, num_parallel=2, max_num_minimizers=2
    )
    with (
        tempfile.TemporaryDirectory(dir=".") as directory,
        executor(next(iter(sys.argv[1:]), None), directory) as jobs,
    ):
        study.run(bowl, executor=jobs)
    print(f"minimum {study.best.value:.1e} after {study.num_evaluations} evaluations")
    return study


if __name__ == "__main__":
    main()
