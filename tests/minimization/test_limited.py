"""`minimize` of a loss that puts out more than its value, with limits on it."""

from __future__ import annotations

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, InputTypeError

jnp = pytest.importorskip("jax.numpy")

BOUNDS = {"a": (0.1, 10), "b": (0.1, 10)}
LIMITS = {"stress": "<= 250", "length": None}


def traced(a, b):
    return a * b, {"stress": 1000 / (a * b**2), "length": jnp.sin(a)}


def called(a, b):
    return {"value": float(a) * float(b), "stress": 1000 / (a * b**2), "length": 0.0}


@pytest.mark.parametrize(("loss", "digits"), [(traced, 1e-9), (called, 1e-8)])
def test_the_result_satisfies_the_limits(loss, digits):
    res = optdriver.minimize(loss, BOUNDS, outputs=LIMITS, n_iter=2)
    assert res.success
    assert [res.x["a"], res.x["b"]] == pytest.approx([0.1, np.sqrt(40.0)], rel=digits)
    assert res.outputs["stress"] == pytest.approx(250.0, rel=1e-8)
    assert res.outputs == res.study.best.outputs
    assert (loss is traced) == (res.jac is not None)


def test_it_is_kept_and_goes_on(tmp_path):
    given = {"outputs": LIMITS, "n_iter": 2, "storage": tmp_path / "a.db"}
    whole = optdriver.minimize(called, BOUNDS, outputs=LIMITS, n_iter=2)
    first = optdriver.minimize(called, BOUNDS, max_iter=20, **given)
    assert not first.success
    again = optdriver.minimize(called, BOUNDS, max_iter=1000, **given)
    assert again.fun == whole.fun
    assert again.nfev == whole.nfev


def test_structures_formulas_and_the_other_direction():
    def loss(beam):
        w = beam["w"]
        return -jnp.sum(w), {"load": w[0] * w[1]}

    res = optdriver.minimize(
        loss,
        {"beam": {"w": (np.full(2, 0.1), 5.0)}},
        outputs=["load >= 2"],
        constraints=["beam.w[0] <= beam.w[1]"],
        direction="maximize",
        n_iter=2,
    )
    assert res.x["beam"]["w"] == pytest.approx([np.sqrt(2.0)] * 2, rel=1e-6)
    assert (res.history.x[:, 0] <= res.history.x[:, 1]).all()


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"method": "SLSQP"}, InputError, "'trust-region-SQP', not 'SLSQP'"),
        ({"x64": False}, InputError, "64 bits"),
        ({"jac": True}, InputError, "jac is None"),
        ({"residuals": True}, InputError, "and not both"),
        ({"outputs": {"stres": "<= 250"}}, InputError, "an output 'stress' was told"),
        ({"outputs": {"a": "<= 250"}}, InputError, "no output occurs"),
        ({"outputs": 3}, InputTypeError, "outputs are"),
    ],
)
def test_what_has_no_meaning_is_refused(given, kind, message):
    with pytest.raises(kind, match=message):
        optdriver.minimize(called, BOUNDS, **{"outputs": LIMITS, "n_iter": 1, **given})


def test_the_method_is_for_outputs():
    with pytest.raises(InputError, match="is for outputs"):
        optdriver.minimize(lambda a, b: a * b, BOUNDS, "SQP")


@pytest.mark.parametrize("seed", [None, 7])
def test_the_seed_that_was_used_is_in_the_result(seed):
    res = optdriver.minimize(called, BOUNDS, outputs=LIMITS, jac="2-point", n_iter=1, seed=seed)
    assert res.seed == res.study.parameters["seed"]
    assert seed is None or res.seed == seed
