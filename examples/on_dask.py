"""Evaluate on a Dask cluster, which may be many machines; here it is this one.

Run it with ``python -m examples.on_dask``.
"""

from __future__ import annotations

from dask.distributed import Client, LocalCluster

import optdriver


def bowl(x: float, y: float) -> tuple[float, list[float]]:
    """Return the value and the gradient of a bowl."""
    return (x - 1) ** 2 + (y + 1) ** 2, [2 * (x - 1), 2 * (y + 1)]


def main() -> optdriver.Study:
    """Run a study there."""
    study = optdriver.create_study(
        {"x": (-3, 3), "y": (-3, 3)}, jac=True, num_parallel=2, max_num_minimizers=2
    )
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        client.get_executor(pure=False) as executor,
    ):
        study.run(bowl, executor=executor)
    print(f"minimum {study.best.value:.1e} after {study.num_evaluations} evaluations")
    return study


if __name__ == "__main__":
    main()
