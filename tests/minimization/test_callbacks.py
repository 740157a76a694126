"""What looks on: it sees every iterate as parameters, and can stop the run."""

from __future__ import annotations

import numpy as np
import pytest

import optdriver
from tests.minimization.losses import rosenbrock

BOX = {"x": (-2, 2), "y": (-2, 2)}


@pytest.mark.parametrize("engine", ["serial", "batch"])
def test_a_callback_sees_every_iterate(engine):
    seen = []

    def monitor(intermediate_result):
        seen.append(intermediate_result)

    res = optdriver.minimize(rosenbrock, BOX, n_iter=3, callback=monitor, x64=True, engine=engine)
    for start in res.starts:
        own = [it for it in seen if it.start == start.index]
        values = [it.fun for it in own]
        assert [it.nit for it in own] == list(range(1, start.nit + 1))
        assert values == sorted(values, reverse=True)
        assert values[-1] == start.fun
        assert all(list(it.x) == list(it.jac) == ["x", "y"] for it in own)
    x, y = (float(seen[0].x[name]) for name in "xy")
    assert seen[0].fun == pytest.approx(rosenbrock(x, y))
    assert float(seen[0].jac["y"]) == pytest.approx(200 * (y - x**2))


def test_a_callback_may_want_the_parameters_only():
    seen = []
    optdriver.minimize(rosenbrock, BOX, "TNC", n_iter=1, callback=seen.append, x64=True)
    assert all(list(x) == ["x", "y"] for x in seen)
    assert len(seen) > 3


@pytest.mark.parametrize("method", ["L-BFGS-B", "Nelder-Mead"])
def test_a_callback_stops_all_starts_and_the_best_point_counts(method):
    def enough(intermediate_result):
        if intermediate_result.fun < 1e-2:
            raise StopIteration("good enough")

    res = optdriver.minimize(rosenbrock, BOX, method, n_iter=3, callback=enough, x64=True)
    assert not res.success
    assert res.status == 99
    assert "good enough" in res.message
    finished = [start.fun for start in res.starts if np.isfinite(start.fun)]
    assert res.fun == min(finished) < 1e-2


def test_an_error_in_a_callback_is_the_callers():
    def broken(intermediate_result):
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        optdriver.minimize(rosenbrock, BOX, n_iter=2, callback=broken, x64=True)
