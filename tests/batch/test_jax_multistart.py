"""Whole multi-starts on the device, against the host's minimizer run by run."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optdriver import LBFGSB
from optdriver.batch.jax import Minima, minimize, multistart
from optdriver.batch.vectorized import vectorized
from optdriver.errors import InputError, InputTypeError, UnknownOptionError
from optdriver.lbfgsb.codes import Stop
from optdriver.space import sampling
from tests.batch.jax_problems import BOXES, NAMES, N, problem, rosenbrock

ROOT = Path(__file__).resolve().parents[2]
TOTAL, LANES = 96, 24
CLIFF = NAMES.index("cliff")


def on_device(which: int, **options: Any) -> Minima:
    options = {"total": TOTAL, "lanes": LANES, "seed": 1, **options}
    return minimize(problem, BOXES[which], args=(jnp.int32(which),), **options)


@functools.cache
def found(which: int) -> Minima:
    return on_device(which)


@functools.cache
def on_host(which: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, evaluations and reasons of the host's runs from the same starts."""
    objective = vectorized(problem, args=(jnp.int32(which),))
    rows = []
    for x0 in found(which).starts:
        opt = LBFGSB(x0, BOXES[which])
        while not opt.done:
            f, g = objective(opt.ask()[None])
            opt.tell(f[0], g[0])
        rows.append((opt.result.fun, opt.nfev, int(opt.stop)))
    values, evaluations, stops = np.array(rows).T
    return values, evaluations, stops


@pytest.mark.parametrize("which", range(len(NAMES)), ids=NAMES)
def test_the_device_agrees_with_the_host(which: int) -> None:
    res = found(which)
    values, evaluations, stops = on_host(which)
    same = np.abs(res.fun - values) <= 1e-8 * np.maximum(1.0, np.abs(values))
    same |= np.isnan(res.fun) & np.isnan(values)
    assert same.mean() >= 0.99
    if which == CLIFF:  # along the cliff the last of hundreds of steps back may differ
        assert res.stop.tolist() == stops.tolist()
    else:
        assert res.nfev.sum() == pytest.approx(evaluations.sum(), rel=0.1)


@pytest.mark.parametrize("which", range(len(NAMES)), ids=NAMES)
def test_what_is_reported_was_evaluated_inside_the_bounds(which: int) -> None:
    res = found(which)
    f, g = vectorized(problem, args=(jnp.int32(which),))(res.x)
    np.testing.assert_allclose(f, res.fun, rtol=1e-12, atol=1e-12)
    seen = ~np.isnan(res.fun)
    np.testing.assert_allclose(g[seen], res.jac[seen], rtol=1e-9, atol=1e-9)
    assert ((res.x >= BOXES[which][:, 0]) & (res.x <= BOXES[which][:, 1])).all()
    step = np.clip(res.x - g, *BOXES[which].T) - res.x
    by_gradient = res.stop == Stop.PROJECTED_GRADIENT
    assert (np.abs(step[by_gradient]) <= 1.001e-5).all()


def test_the_starts_are_those_of_the_host() -> None:
    for which in (0, 1):
        lower, upper = BOXES[which].T
        expected = sampling.starts("sobol", 1, 0, TOTAL, lower, upper)
        np.testing.assert_allclose(found(which).starts, expected, rtol=1e-15, atol=1e-15)


def test_lanes_are_refilled_at_once() -> None:
    res = found(1)
    assert res.occupancy == 1.0
    assert res.nfev.sum() >= 0.75 * res.lanes * res.rounds
    assert (res.nfev > 0).all()


def test_bad_lanes_disturb_no_other() -> None:
    good = on_device(CLIFF, starts=found(CLIFF).starts)
    starts = good.starts.copy()
    bad = [0, 5, 50, 95]
    starts[bad] = [[np.nan] * N, [4.0] * N, [np.inf] * N, [3.9] * N]
    res = on_device(CLIFF, starts=starts)
    others = np.setdiff1d(np.arange(TOTAL), bad)
    for name in ("x", "fun", "jac", "nfev", "nit", "stop"):
        np.testing.assert_array_equal(getattr(res, name)[others], getattr(good, name)[others])
    assert (res.stop[bad] == Stop.FAILED).all()
    assert res.nfev[bad].tolist() == [0, 2, 0, 2]
    assert np.isnan(res.fun[bad]).all()
    assert not res.success[bad].any()
    assert res.message[0] == Stop.FAILED.message
    assert res.status[bad].tolist() == [3, 3, 3, 3]
    assert res.nfail[bad].tolist() == [0, 2, 0, 2]
    assert res.best == np.nanargmin(res.fun)
    assert dataclasses.replace(res, fun=res.fun * np.nan).best is None


def test_a_callback_sees_progress_and_can_stop() -> None:
    seen = []

    def stop_at_once(progress: Any) -> None:
        seen.append(progress)
        raise StopIteration

    res = on_device(0, callback=stop_at_once)
    assert seen[0].total == TOTAL
    assert 0 < seen[0].done < TOTAL
    halted = res.stop == Stop.HALTED
    assert (~halted).sum() == seen[0].done
    never = res.nfev == 0
    np.testing.assert_array_equal(res.x[never], res.starts[never])
    at_work = halted & ~never
    assert np.isfinite(res.fun[at_work]).all()


def test_float32_ends_where_float64_ends() -> None:
    res = on_device(3, dtype="float32")
    assert res.x.dtype == np.float32
    assert res.fun.dtype == np.float64
    assert res.success.mean() >= 0.98
    close = np.abs(res.fun - found(3).fun) <= 1e-5 * np.abs(found(3).fun)
    assert close.mean() >= 0.98
    assert res.nfev.sum() <= 1.5 * found(3).nfev.sum()
    assert res.message[int(np.argmax(res.stop))].startswith("CONVERGENCE")
    assert (res.status[res.success] == 0).all()


def test_straight_code_takes_the_same_way() -> None:
    res = on_device(2, straight=True)
    np.testing.assert_allclose(res.fun, found(2).fun, rtol=1e-9)
    assert res.nfev.sum() == pytest.approx(found(2).nfev.sum(), rel=0.02)


def test_without_bounds_the_device_agrees_with_the_host() -> None:
    free = np.tile([[-np.inf, np.inf]], (N, 1))
    starts = sampling.starts("sobol", 1, 0, LANES, *BOXES[0].T)
    res = minimize(rosenbrock, free, starts=starts, lanes=LANES // 2)
    objective = vectorized(rosenbrock)
    evaluations = 0
    for x0, value in zip(starts, res.fun, strict=True):
        opt = LBFGSB(x0)
        while not opt.done:
            f, g = objective(opt.ask()[None])
            opt.tell(f[0], g[0])
        assert value == pytest.approx(opt.result.fun, abs=1e-6)
        evaluations += opt.nfev
    assert res.success.all()
    assert res.nfev.sum() == pytest.approx(evaluations, rel=0.1)


def test_the_precision_of_jax_is_left_alone() -> None:
    found(0)
    assert jnp.ones(1).dtype == jnp.float32
    assert not jax.config.read("jax_enable_x64")


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from optdriver.batch.jax import LBFGSB, minimize
devices = np.array(jax.devices())
assert devices.size == 4
mesh = Mesh(devices, ("lanes",))
fun = lambda x: jnp.sum(x**4 - 16 * x * x + 5 * x) / 2
call = {"total": 30, "lanes": 8, "maxcor": 3}
one = minimize(fun, [(-5, 5)] * 3, **call)
four = minimize(fun, [(-5, 5)] * 3, mesh=mesh, **call)
np.testing.assert_array_equal(one.starts, four.starts)
np.testing.assert_allclose(one.fun, four.fun, rtol=1e-9)
np.testing.assert_array_equal(one.stop > 0, four.stop > 0)
assert four.success.all() and four.lanes == 8 and four.nfev.shape == (30,)
with jax.enable_x64(True):
    solver = LBFGSB(fun, maxcor=3)
    run = jax.jit(jax.vmap(lambda x0: solver.run(x0, [(-5, 5)] * 3)))
    starts = jax.device_put(one.starts[:8], NamedSharding(mesh, PartitionSpec("lanes")))
    result = run(starts)
    np.testing.assert_allclose(result.fun, one.fun[:8], rtol=1e-9)
print("same")
"""


def test_lanes_can_be_divided_among_devices() -> None:
    flags = os.environ.get("XLA_FLAGS", "")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHARDED],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "same\n"


def quiet(x: Any) -> Any:
    return jnp.sum(x * x)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ({"bounds": None}, InputError, "give bounds, or starts"),
        ({"bounds": [(0, None)]}, InputError, "finite bounds"),
        ({"bounds": [(1, 0)]}, InputError, "lower <= upper"),
        ({"bounds": [(0, 1)], "lanes": 0}, InputError, "lanes is 0"),
        ({"bounds": [(0, 1)], "total": 0}, InputError, "total is 0"),
        ({"bounds": [(0, 1)], "seed": -1}, InputError, "seed is -1"),
        ({"bounds": [(0, 1)], "total": 2**31}, InputError, "has 1073741824 points"),
        ({"bounds": [(0, 1)], "dtype": "float16"}, InputError, "'float64' or 'float32'"),
        ({"bounds": [(0, 1)], "dtype": "no"}, InputError, "'float64' or 'float32'"),
        ({"bounds": [(0, 1)], "starts": [0.0]}, InputError, "one start a row"),
        ({"bounds": [(0, 1)], "starts": [[0.0, 1.0]]}, InputError, "2 variables"),
        ({"bounds": [(0, 1)], "starts": [[0.0]], "total": 2}, InputError, "1 rows"),
        ({"bounds": [(0, 1)], "maxcorr": 3}, UnknownOptionError, "'maxcor'"),
        ({"bounds": [(0, 1)], "fun": 3}, InputTypeError, "expected a function"),
    ],
)
def test_bad_arguments(call: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        minimize(**{"fun": quiet, **call})


def test_xla_is_asked_to_compile_quickly_where_it_knows_how(monkeypatch):
    options = multistart.compiler_options.__wrapped__
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=true")
    assert options() is None  # the user's own choice
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    known = options()
    if jax.default_backend() == "cpu" and jax.__version__.startswith("0.10."):
        assert known == {"xla_cpu_use_fusion_emitters": False}

    def refusing(function, **_):
        def called():
            raise jax.errors.JaxRuntimeError("INVALID_ARGUMENT: No such compile option")

        return called

    monkeypatch.setattr(multistart.jax, "jit", refusing)
    assert options() is None


def test_starts_beyond_the_dimensions_of_a_sobol_sequence_are_those_of_the_host(monkeypatch):
    monkeypatch.setattr(sampling, "MAX_SOBOL_DIMENSION", 2)
    box = np.array([[-1.0, 2.0]] * 4)
    found = minimize(lambda x: jnp.sum(x), box, total=5, lanes=2, seed=3, maxfun=1)
    expected = sampling.starts("sobol", 3, 0, 5, *box.T)
    assert np.allclose(found.starts, expected, rtol=1e-15, atol=0.0)
