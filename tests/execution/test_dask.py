"""A real Dask cluster with worker processes on this machine."""

from __future__ import annotations

import os

import pytest

from optdriver.studies import create_study
from tests.study.tools import BOX


@pytest.mark.slow
def test_a_study_on_a_cluster():
    from dask.distributed import Client, LocalCluster

    here, centre = os.getpid(), 0.25

    def objective(x1, x2, radius):
        if os.getpid() == here:
            raise RuntimeError("this is no worker process")
        if x1 > 1.2:
            raise ValueError("no convergence")
        return (x1 - centre) ** 2 + x2**2, {"x1": 2 * (x1 - centre), "x2": 2 * x2}

    study = create_study(
        BOX,
        jac=True,
        num_parallel=3,
        num_initial=3,
        max_num_minimizers=3,
        initial_samples=[[1.3, 0.0], [-1.0, 0.5], [1.0, 1.0], [0.0, -1.0]],
    )
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
        client.get_executor(pure=False) as executor,
    ):
        study.run(objective, executor=executor)
    assert study.stop_kind == "driver"
    assert study.best.params["x1"] == pytest.approx(centre, abs=1e-5)
    assert "ValueError: no convergence" in study.history["reason"][0]
