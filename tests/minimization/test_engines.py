"""How the starts are driven: all ways lead to the same ends."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optdriver
from optdriver.batch import jax as engine_of_devices
from optdriver.errors import InputError
from optdriver.lbfgsb import Stop
from optdriver.minimization import engines
from tests.minimization.losses import quadratic, rastrigin, rosenbrock

SQUARE = [(-5, 5), (-5, 5)]


def numbers(params):
    return [float(leaf) for leaf in jax.tree.leaves(params)]


def test_engines_agree():
    minimizers = [
        optdriver.Minimizer(rosenbrock, SQUARE, x64=True, engine=engine)
        for engine in ("serial", "batch", "device")
    ]
    one, *others = (minimizer.minimize(4) for minimizer in minimizers)
    assert [one.engine, *(other.engine for other in others)] == ["serial", "batch", "device"]
    for other in others:
        for a, b in zip(one.starts, other.starts, strict=True):
            assert numbers(a.x0) == numbers(b.x0)
            assert numbers(a.x) == pytest.approx(numbers(b.x), abs=1e-5)
            assert a.success == b.success
            assert a.message.split(":")[0] == b.message.split(":")[0]


def test_a_batch_is_narrowed_when_few_are_left(monkeypatch):
    widths = []
    many = optdriver.minimization.problem.Problem.many

    def noting(self, points, width):
        widths.append((len(points), width))
        return many(self, points, width)

    monkeypatch.setattr(optdriver.minimization.problem.Problem, "many", noting)
    res = optdriver.minimize(rastrigin, (np.full(2, -2.0), 2.0), n_iter=80, x64=True)
    assert res.fun == pytest.approx(0, abs=1e-8)
    assert all(k <= width for k, width in widths)
    assert len({width for _, width in widths}) <= 3
    assert sum(k for k, _ in widths) == res.nfev == sum(start.nfev for start in res.starts)


def test_a_batch_that_raises_goes_on_one_by_one(monkeypatch):
    def broken(self, points, width):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(optdriver.minimization.problem.Problem, "many", broken)
    res = optdriver.minimize(quadratic, SQUARE, n_iter=3, x64=True)
    assert res.success
    assert all(start.success for start in res.starts)


def test_a_loss_that_cannot_be_vectorised_goes_one_by_one():
    def host(x):
        return np.asarray((x - 1) ** 2), np.asarray(2 * (x - 1))

    @jax.custom_vjp
    def loss(x):
        return forward(x)[0]

    def forward(x):
        shapes = (jax.ShapeDtypeStruct((), x.dtype),) * 2
        return jax.pure_callback(host, shapes, x)

    loss.defvjp(forward, lambda slope, g: (slope * g,))
    res = optdriver.minimize(loss, [(-5, 5)], n_iter=3, x64=True)
    assert res.engine == "serial"
    assert numbers(res.x) == pytest.approx([1], abs=1e-6)


def test_an_engine_that_cannot_drive_is_refused():
    with pytest.raises(InputError, match="no other method"):
        optdriver.minimize(quadratic, SQUARE, "TNC", n_iter=2, engine="batch", x64=True)
    with pytest.raises(InputError, match="not compiled"):
        optdriver.minimize(quadratic, SQUARE, n_iter=2, engine="batch", jac="2-point")
    with pytest.raises(InputError, match="callback"):
        optdriver.minimize(
            quadratic, SQUARE, n_iter=2, engine="device", callback=lambda x: None, x64=True
        )


def badly_scaled(p):
    return (1e4 * p[0] * p[1] - 1) ** 2 + (jnp.exp(-p[0]) + jnp.exp(-p[1]) - 1.0001) ** 2


def test_an_end_on_the_device_after_one_small_reduction_is_doubted():
    """From Powell's usual start SciPy's test stops at 0.14, after four evaluations."""
    starts = np.array([[0.0, 1.0]])
    with jax.enable_x64(True):
        alone = engine_of_devices.minimize(badly_scaled, [(None, None)] * 2, starts=starts)
    assert alone.success[0]
    assert alone.fun[0] > 0.1
    bounds = optdriver.Interval(None, None, shape=(2,))
    res = optdriver.minimize(badly_scaled, [bounds], x0=starts, x64=True, engine="device")
    assert res.nfev > alone.nfev[0] + 1
    assert res.fun < 1e-3 or not res.success


@pytest.fixture
def device(monkeypatch):
    """Stand in for `optdriver.batch.jax`, which takes long to compile: the exact answer at once."""
    called = []

    def minimize(fun, bounds, *, starts, lanes, dtype, **options):
        called.append(SimpleNamespace(starts=starts, lanes=lanes, dtype=dtype, options=options))
        k, scale = len(starts), 8.0  # the power of two nearest to the width
        x = np.tile(np.array([2.0, -1.0]) / scale, (k, 1))
        with jax.enable_x64(True):
            fun_at = np.array([float(fun(jnp.asarray(row))) for row in x])
        fun_at[0] = np.nan
        return SimpleNamespace(
            starts=starts,
            x=x,
            fun=fun_at,
            jac=np.zeros((k, 2)),
            nfev=np.full(k, 5),
            nit=np.full(k, 4),
            nfail=(np.arange(k) == 0) * 2,
            stop=np.array([Stop.FAILED] + [Stop.PROJECTED_GRADIENT] * (k - 1)),
            status=np.array([3] + [0] * (k - 1)),
            success=np.arange(k) > 0,
            message=[f"start {row} ended" for row in range(k)],
        )

    monkeypatch.setitem(sys.modules, "optdriver.batch.jax", SimpleNamespace(minimize=minimize))
    return called


def test_the_device_gets_the_problem_and_its_answer_is_reported(device):
    res = optdriver.minimize(
        quadratic, SQUARE, n_iter=3, x64=True, engine="device", options={"maxcor": 4, "gtol": 1e-7}
    )
    (call,) = device
    assert (call.dtype, call.lanes, call.starts.shape) == ("float64", None, (3, 2))
    assert call.options["maxcor"] == 4
    assert call.options["gtol"] == 1e-7
    assert res.engine == "device"
    assert numbers(res.x) == [2, -1]
    assert res.fun == 0
    assert res.nfev == 17  # those on the device, and two first values by which ends are measured
    assert res.start == 1
    assert res.starts[0].x is None
    assert res.starts[0].status == Stop.FAILED.status
    assert res.starts[0].message == "start 0 ended: the loss or its gradient is not finite"
    assert res.starts[2].message == Stop.PROJECTED_GRADIENT.message


def test_a_saddle_on_the_device_is_left(monkeypatch):
    """It ends there by the test of the gradient; a point beside it is asked here."""

    def minimize(fun, bounds, *, starts, **others):
        ends = starts * np.array([0.0, 1.0])
        return SimpleNamespace(
            starts=starts, x=ends, fun=np.zeros(2), jac=np.zeros((2, 2)),
            nfev=np.array([3, 3]), nit=np.array([2, 2]), nfail=np.zeros(2, dtype=int),
            stop=np.full(2, Stop.PROJECTED_GRADIENT), status=np.zeros(2, dtype=int),
            success=np.ones(2, dtype=bool), message=["ended"] * 2,
        )  # fmt: skip

    monkeypatch.setitem(sys.modules, "optdriver.batch.jax", SimpleNamespace(minimize=minimize))
    res = optdriver.minimize(
        lambda x, y: 2.0 * x**2 - 3.0 * y**2 + y**4,
        [(-2.5, 2.5)] * 2,
        x0=[[1.0, 0.0], [-0.6, 0.0]],
        n_iter=2,
        x64=True,
        engine="device",
    )
    assert res.success
    assert [start.fun for start in res.starts] == pytest.approx([-2.25, -2.25])


def test_an_accelerator_is_used_for_many_starts(device, monkeypatch):
    monkeypatch.setattr(engines, "_accelerated", lambda: True)
    minimizer = optdriver.Minimizer(quadratic, SQUARE, x64=True)
    assert minimizer.minimize(engines.MANY).engine == "device"
    assert minimizer.minimize(engines.MANY - 1).engine == "batch"
