"""What a run does with the noise that it is told with its values."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import MultiStart
from optdriver.errors import InputError
from optdriver.multistart.heard import Heard


def drive(ms, value, sigma, seed=0, gradient=None):
    rng = np.random.default_rng(seed)
    while points := ms.ask(1):
        (point,) = points
        ms.expect_noise(point.id, sigma)
        g = None if gradient is None else gradient(point.x)
        ms.tell(point.id, value(point.x) + sigma * rng.standard_normal(), g)
    return ms


@pytest.mark.parametrize("n", [1, 3, 6])
@pytest.mark.parametrize("seed", range(4))
def test_a_bowl_is_found_to_the_noise_in_few_evaluations(n, seed):
    weights, sigma = np.arange(1.0, n + 1.0), 1e-2

    def value(x):
        return 5.0 + float(np.sum(weights * (x - 0.3) ** 2))

    def slope(x):
        return 2 * weights * (x - 0.3)

    rng = np.random.default_rng(seed)
    exact = MultiStart([(-2, 2)] * n, max_num_minimizers=1, seed=seed, maxfun=400)
    drive(exact, value, sigma, seed, lambda x: slope(x) + 0.1 * rng.standard_normal(n))
    differenced = MultiStart(
        [(-2, 2)] * n, max_num_minimizers=1, seed=seed, jac=False, maxfun=400 * n
    )
    drive(differenced, value, sigma, seed)
    for ms, most in ((exact, 60 + 15 * n), (differenced, 170 * n)):
        run = ms.runs[0]
        assert run.state == "converged", run.reason
        assert "standard deviation 0.01" in run.reason
        assert value(run.x) - 5.0 < 3 * sigma
        assert ms.nfev < most
        assert run.noise == sigma


def test_a_rise_below_the_noise_is_no_success_where_the_model_promises_more():
    ms = MultiStart([(-2, 2)] * 2, max_num_minimizers=1, maxiter=6)
    drive(ms, lambda x: 100.0 * x[0] + x[1] ** 2, 1.0, gradient=lambda x: np.array([1.0, 0.0]))
    for run in ms.runs:
        assert run.state != "converged" or run.x[0] == -2.0


def test_what_is_no_noise_is_refused_and_nothing_noted():
    ms = MultiStart([(-1, 1)])
    (point,) = ms.ask(1)
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="noise"):
            ms.expect_noise(point.id, bad)
    ms.expect_noise(99, 0.1)
    assert ms.to_dict()["runs"][0]["heard"] == Heard().to_dict()


def test_states_of_before_have_heard_nothing():
    ms = MultiStart([(-1, 1)])
    (point,) = ms.ask(1)
    data = ms.to_dict()
    del data["runs"][0]["heard"]
    again = MultiStart.from_dict(data)
    again.tell(point.id, 1.0, [0.5])
    assert again.runs[0].noise == 0.0
    data["runs"][0]["heard"] = {**Heard().to_dict(), "noise": float("nan")}
    with pytest.raises(InputError):
        MultiStart.from_dict(data)
