"""Evaluate through Parsl, which submits to the scheduler of a cluster; here to this machine.

Run it with ``python -m examples.on_parsl``.  Needs Parsl (``pip install parsl``).
"""

from __future__ import annotations

import tempfile

from parsl.concurrent import ParslPoolExecutor
from parsl.config import Config
from parsl.executors import HighThroughputExecutor

import optdriver


def bowl(x: float, y: float) -> tuple[float, list[float]]:
    """Return the value and the gradient of a bowl."""
    return (x - 1) ** 2 + (y + 1) ** 2, [2 * (x - 1), 2 * (y + 1)]


def main() -> optdriver.Study:
    """Run a study there."""
    workers = HighThroughputExecutor(max_workers_per_node=2, address="127.0.0.1", encrypted=False)
    study = optdriver.create_study(
        {"x": (-3, 3), "y": (-3, 3)}, jac=True, num_parallel=2, max_num_minimizers=2
    )
    with (
        tempfile.TemporaryDirectory() as directory,
        ParslPoolExecutor(Config(executors=[workers], run_dir=directory)) as executor,
    ):
        study.run(bowl, executor=executor)
    print(f"minimum {study.best.value:.1e} after {study.num_evaluations} evaluations")
    return study


if __name__ == "__main__":
    main()
