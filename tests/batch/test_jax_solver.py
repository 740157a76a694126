"""L-BFGS-B as pure functions of JAX: the same way as the host's, by any of its doors."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import optdriver
import optdriver.batch.jax as device
from optdriver.batch.jax import LBFGSB, Bounds, State, message
from optdriver.batch.jax import cauchy as cauchy_page
from optdriver.batch.jax import memory as memory_page
from optdriver.batch.jax.dense import hessian, minimum_in_box
from optdriver.batch.jax.state import start as begin
from optdriver.batch.jax.stopping import learn_unit
from optdriver.batch.jax.subspace import subspace_minimum
from optdriver.errors import InputError, InputTypeError, MissingExtraError, UnknownOptionError
from optdriver.lbfgsb.codes import Stop
from optdriver.lbfgsb.unit import unit_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def valley(x: Any, a: Any) -> Any:
    """Rosenbrock's function, tilted by a."""
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2) + a @ x


def host(x0: Any, bounds: Any, a: Any, **options: Any) -> Any:
    gradient = jax.jit(jax.value_and_grad(valley))
    opt = optdriver.LBFGSB(np.asarray(x0), bounds, **options)
    while not opt.done:
        f, g = gradient(opt.ask(), a)
        opt.tell(float(f), np.asarray(g))
    return opt.result


SOLVER = LBFGSB(valley, maxcor=4)
CAPPED = LBFGSB(valley, maxcor=4, maxfun=20)
KEEPS = {"store": True, "forget": False}


@pytest.mark.parametrize("maxcor", [4, 1])  # of three variables: with the matrix, and without
def test_every_kind_of_bound_in_one_batch(maxcor: int) -> None:
    solver = LBFGSB(valley, maxcor=maxcor)
    run = jax.vmap(lambda x0, box, a: solver.run(x0, Bounds(*box), a), in_axes=(0, 0, None))
    a = jnp.array([0.5, -0.25, 1.0])
    inf = np.inf
    boxes = [
        ([-inf, -inf, -inf], [inf, inf, inf]),
        ([-inf, -1.0, -inf], [0.5, inf, inf]),
        ([-2.0, -2.0, -2.0], [2.0, 2.0, 0.1]),
        ([0.3, -1.0, -1.0], [0.3, 1.0, 1.0]),
        ([0.3, 0.4, 0.5], [0.3, 0.4, 0.5]),
        ([1.0, -inf, 5.0], [inf, 0.0, 6.0]),
    ]
    x0 = jnp.array([[-1.2, 1.0, 3.0]] * len(boxes))
    lower, upper = (jnp.array(side) for side in zip(*boxes, strict=True))
    result = jax.jit(run)(x0, (lower, upper), a)
    for k, box in enumerate(boxes):
        expected = host(x0[k], optimize.Bounds(*box), a, maxcor=maxcor)
        np.testing.assert_allclose(result.x[k], expected.x, rtol=1e-5, atol=1e-6)
        assert float(result.fun[k]) == pytest.approx(expected.fun, rel=1e-6)
        assert int(result.stop[k]) == expected.stop
        assert abs(int(result.nfev[k]) - expected.nfev) <= 2
        assert bool(result.success[k])
        assert (result.x[k] >= lower[k]).all()
        assert (result.x[k] <= upper[k]).all()


def tree_fun(x: Any, a: Any) -> Any:
    flat = jnp.concatenate([x["left"], x["right"][None]])
    value = valley(flat, a)
    bad = x["right"] > 2.9  # a wall that the start does not touch
    return jnp.where(bad, jnp.nan, value), {"seen": flat.sum()}


TREE = LBFGSB(tree_fun, has_aux=True, maxcor=4)


def test_one_evaluation_an_update_on_a_pytree_that_carries_aux() -> None:
    a = jnp.zeros(3)
    x0 = {"left": jnp.array([-1.2, 1.0]), "right": jnp.array(2.8)}
    bounds = Bounds({"left": jnp.full(2, -5.0), "right": jnp.array(-3.0)}, None)
    state = TREE.init(x0, bounds, a)
    update = jax.jit(TREE.update)
    seen: list[tuple[float, Any]] = []
    while not state.done:
        (value, aux), _ = jax.value_and_grad(tree_fun, has_aux=True)(state.x, a)
        if jnp.isfinite(value):
            seen.append((float(value), aux["seen"]))
        before = int(state.lane.nfev)
        state = update(state, a)
        assert int(state.lane.nfev) == before + 1
        best, best_aux = min(seen, key=lambda row: row[0])
        result = TREE.result(state)
        assert float(result.fun) == pytest.approx(best, rel=1e-14)
        np.testing.assert_allclose(result.aux["seen"], best_aux, rtol=1e-12)
    assert bool(result.success)
    np.testing.assert_allclose(result.x["left"], [1.0, 1.0], atol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, result.x, state.x)
    jax.tree.map(np.testing.assert_array_equal, update(state, a), state)


def test_evaluations_from_elsewhere_and_a_cap() -> None:
    a = jnp.zeros(3)
    tell = jax.jit(CAPPED.tell)
    state = CAPPED.init(np.array([-1.2, 1.0, 1.0]), None, a)
    opt = optdriver.LBFGSB([-1.2, 1.0, 1.0], maxcor=4, maxfun=20)
    for turn in range(20):
        np.testing.assert_allclose(state.x, opt.ask(), rtol=1e-6, atol=1e-7)
        f, g = jax.value_and_grad(valley)(state.x, a)
        if turn in (5, 6, 12):
            f, g = jnp.nan, g
        state = tell(state, f, g)
        opt.tell(float(f), np.asarray(g))
        if opt.done:
            break
    assert bool(state.done)
    assert int(state.lane.nfev) == opt.nfev == 20
    assert int(state.lane.nfail) == 3
    assert int(state.lane.stop) == opt.stop


def test_both_searches_for_the_cauchy_point_agree_with_the_path() -> None:
    rng = np.random.default_rng(3)
    n, m, cases = 7, 2, 200
    x = rng.uniform(-1, 1, (cases, n))
    g = rng.normal(size=(cases, n))
    g[::5, 2] = 0.0
    lower, upper = np.full((cases, n), -1.0), np.full((cases, n), 1.0)
    lower[::3, 1], upper[::4, :3] = -np.inf, np.inf
    x[::6, 4] = -1.0
    a, y = 0.5 * rng.normal(size=(cases, m, n)), rng.normal(size=(cases, m, n))
    theta = 1.0 + np.linalg.norm(a, axis=(1, 2)) ** 2
    w = np.concatenate([y, a], axis=1)
    second = np.eye(m, 2 * m, m)  # a is the second half of w
    both = [
        jax.vmap(
            lambda *r, straight=straight: cauchy_page.cauchy_point(*r[:5], second, r[5], straight)
        )(*(jnp.asarray(v) for v in (x, g, lower, upper, theta, w)))
        for straight in (False, True)
    ]
    np.testing.assert_allclose(both[0].z, both[1].z, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(both[0].free, both[1].free)
    np.testing.assert_allclose(both[0].c, both[1].c, rtol=1e-8, atol=1e-10)
    for k in range(cases):
        b = theta[k] * np.eye(n) - a[k].T @ a[k] + y[k].T @ y[k]
        step = np.asarray(both[0].z[k]) - x[k]
        model = g[k] @ step + 0.5 * step @ b @ step
        times = np.linspace(0.0, 2.0 / theta[k], 400)
        way = np.clip(x[k] - times[:, None] * g[k], lower[k], upper[k]) - x[k]
        along = way @ g[k] + 0.5 * np.einsum("ti,ij,tj->t", way, b, way)
        rises = np.flatnonzero(np.diff(along) > 0)
        first = along[rises[0]] if rises.size else along[-1]
        assert model <= first + 1e-12


def test_few_variables_have_a_matrix_with_the_same_minimum_in_the_box() -> None:
    rng = np.random.default_rng(5)
    n, m, cases = 7, 4, 200
    basis = rng.normal(size=(n, n))
    true = basis @ basis.T + np.eye(n)
    settings = SOLVER.options.settings(np.float64)._replace(maxcor=m)
    nothing = jnp.zeros(n)
    pairs = begin(nothing, nothing - jnp.inf, nothing + jnp.inf, settings).pairs
    keep = jax.jit(lambda pairs, s, y: memory_page.remember(pairs, s, y, s @ y, **KEEPS))
    x = rng.uniform(-1, 1, (cases, n))
    g = rng.normal(size=(cases, n)) * rng.choice([1.0, 10.0, 100.0], (cases, 1))
    lower, upper = np.full((cases, n), -1.0), np.full((cases, n), 1.0)
    lower[::3, 1], upper[::4, :3] = -np.inf, np.inf
    lower[::7, 5] = upper[::7, 5] = x[::7, 5]
    x[::6, 4] = -1.0

    def by_factors(*r: Any) -> Any:
        half, definite = memory_page.factor(r[4])
        found = cauchy_page.cauchy_point(*r[:4], r[4].theta, half, r[4].w.reshape(-1, n), False)
        z, regular = subspace_minimum(*r, half, found)
        return z, definite & found.found & regular

    def by_matrix(x: Any, g: Any, *r: Any) -> Any:
        return minimum_in_box(x, g, g, *r)

    ways = [jax.jit(jax.vmap(way, (0, 0, 0, 0, None))) for way in (by_factors, by_matrix)]
    stored: list[tuple[Any, Any]] = []
    for _ in range(m + 2):
        s = rng.normal(size=n)
        stored = [*stored, (s, true @ s)][-m:]
        pairs = keep(pairs, *stored[-1])
        y = stored[-1][1]
        b = (y @ y) / (s @ y) * np.eye(n)
        for s, y in stored:  # the update of BFGS, pair by pair
            b = b - np.outer(b @ s, b @ s) / (s @ b @ s) + np.outer(y, y) / (s @ y)
        np.testing.assert_allclose(hessian(pairs)[0], b, rtol=1e-8, atol=1e-8)
        (z, found), (other, also) = (way(x, g, lower, upper, pairs) for way in ways)
        assert found.all()
        assert also.all()
        np.testing.assert_allclose(z, other, rtol=1e-7, atol=1e-8)
    spoilt = pairs._replace(ss=-pairs.ss)
    assert not ways[1](x, g, lower, upper, spoilt)[1].any()


def test_a_run_without_bounds_goes_the_way_of_the_host() -> None:
    a = jnp.array([0.5, -0.25, 1.0])
    x0 = jnp.array([-1.2, 1.0, 3.0])
    result, expected = SOLVER.run(x0, None, a), host(x0, None, a, maxcor=4)
    np.testing.assert_allclose(result.x, expected.x, rtol=1e-5, atol=1e-6)
    assert float(result.fun) == pytest.approx(expected.fun, rel=1e-6)
    assert int(result.stop) == expected.stop
    assert abs(int(result.nfev) - expected.nfev) <= 2
    assert bool(result.success)


def test_the_inverse_of_the_pairs_is_that_of_bfgs() -> None:
    rng = np.random.default_rng(11)
    n, m = 6, 3
    keep = jax.jit(lambda *p, **do: memory_page.remember(*p, **do, boundless=True))
    step = jax.jit(memory_page.quasi_newton_step)
    settings = SOLVER.options.settings(np.float64)._replace(maxcor=m)
    nothing = jnp.zeros(n)
    pairs = begin(nothing, nothing - jnp.inf, nothing + jnp.inf, settings).pairs
    basis = rng.normal(size=(n, n))
    hessian = basis @ basis.T + np.eye(n)
    stored: list[tuple[Any, Any]] = []
    for turn in range(12):
        s = rng.normal(size=n) * (1e150 if turn == 4 else 1.0)  # long before all is forgotten
        y, forget = hessian @ s, turn == 5
        store = turn not in (3, 5)
        pairs = keep(pairs, s, y, s @ y, store=store, forget=forget)
        stored = [] if forget else [*stored, *[(s, y)] * store][-m:]
        inverse = np.eye(n)
        if stored:
            s, y = stored[-1]
            inverse *= (s @ y) / (y @ y)
        for s, y in stored:  # the update of BFGS, pair by pair
            rest = np.eye(n) - np.outer(s, y) / (s @ y)
            inverse = rest @ inverse @ rest.T + np.outer(s, s) / (s @ y)
        g = rng.normal(size=n)
        np.testing.assert_allclose(step(pairs, g), -inverse @ g, rtol=1e-9, atol=1e-9)
        assert float(pairs.theta) > 0
    spoilt = keep(pairs, np.full(n, np.inf), g, 1.0, store=True, forget=False)
    np.testing.assert_array_equal(step(spoilt, g), -g)
    s = rng.normal(size=n)
    y = hessian @ s
    fresh = keep(spoilt, s, y, s @ y, store=True, forget=False)
    np.testing.assert_allclose(step(fresh, y), -s, rtol=1e-9)  # the secant equation


def test_a_start_that_is_not_finite_has_failed() -> None:
    state = SOLVER.init(jnp.array([jnp.nan, 0.0, 0.0]), None, jnp.zeros(3))
    assert bool(state.done)
    assert message(state.lane.stop) == Stop.FAILED.message
    assert np.isfinite(state.x).all()


@pytest.mark.parametrize("lower", [2.0, np.nan])
def test_traced_bounds_that_leave_nothing_have_failed(lower: float) -> None:
    begin = jax.jit(lambda low: SOLVER.init(jnp.zeros(3), Bounds(low, 1.0), jnp.zeros(3)).lane)
    assert message(begin(lower).stop) == Stop.FAILED.message
    assert int(begin(0.5).stop) == 0


def test_a_fall_without_end_has_the_name_that_it_has_on_the_host() -> None:
    def hill(x: Any) -> Any:
        return -jnp.sum(x**2) + x[0]

    x0, box = jnp.array([0.3, -0.2]), Bounds(jnp.full(2, -jnp.inf), jnp.array([jnp.inf, 1.0]))
    found = jax.jit(LBFGSB(hill).run)(x0, box)
    opt = optdriver.LBFGSB(np.asarray(x0), [(None, None), (None, 1.0)])
    while not opt.done:
        x = opt.ask()
        opt.tell(float(x[0] - x @ x), np.array([1.0, 0.0]) - 2 * x)
    assert int(found.stop) == opt.stop == Stop.UNBOUNDED
    assert int(found.nfev) == opt.nfev
    assert not bool(found.success)
    assert message(found.stop).startswith("UNBOUNDED")


def test_the_words_for_an_ending() -> None:
    assert message(jnp.int32(1)) == Stop.PROJECTED_GRADIENT.message
    assert "FLOAT32" in message(8)


@pytest.mark.parametrize(
    ("bounds", "error", "text"),
    [
        ([(0, 1)], InputError, "3 variables"),
        ([(1, 0)] * 3, InputError, "lower <= upper"),
        (Bounds(1.0, 0.0), InputError, "lower <= upper"),
        (Bounds(np.zeros(2)), InputError, "other shapes"),
        (Bounds({"x": 0.0}), InputTypeError, "a pytree like x0"),
        (jnp.zeros((2, 3)), InputError, r"expected \(3, 2\)"),
    ],
)
def test_bad_bounds(bounds: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        SOLVER.init(jnp.zeros(3), bounds, jnp.zeros(3))


@pytest.mark.parametrize(
    ("x0", "text"),
    [("here", "real arrays"), (jnp.zeros(2, complex), "real"), (jnp.zeros(2, "f2"), "float16")],
)
def test_bad_starts(x0: Any, text: str) -> None:
    with pytest.raises(InputTypeError, match=text):
        SOLVER.init(x0, None, jnp.zeros(3))


def test_no_variables_are_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        SOLVER.init(jnp.zeros(0), None, jnp.zeros(0))


def test_bad_functions_and_options() -> None:
    with pytest.raises(UnknownOptionError, match="'gtol'"):
        LBFGSB(valley, tol=1e-3)
    with pytest.raises(InputError, match="maxcor"):
        LBFGSB(valley, maxcor=0)
    with pytest.raises(InputTypeError, match="expected a function"):
        LBFGSB(3)  # type: ignore[arg-type]
    wrong = LBFGSB(lambda x: (x, x), value_and_grad=True)
    with pytest.raises(InputError, match="expected a scalar"):
        wrong.update(wrong.init(jnp.zeros(2)))


def test_integers_are_taken_as_a_start() -> None:
    state = SOLVER.init(np.array([1, 2, 3]), [(0, 2)] * 3, jnp.zeros(3))
    assert isinstance(state, State)
    np.testing.assert_array_equal(state.x, [1.0, 2.0, 2.0])
    assert state.x.dtype == jnp.float64


def test_without_jax_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"optdriver\[jax\]"):
        importlib.reload(device)
    monkeypatch.undo()
    importlib.reload(device)


def test_jax_is_imported_where_it_is_wanted_only() -> None:
    code = "import optdriver, optdriver.batch, sys; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_a_cautious_solver_measures_a_small_objective_by_its_own_unit():
    unit = 2.0**-50

    def loss(x):
        return unit * (100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2)

    box = Bounds(jnp.full(2, -2.0), jnp.full(2, 2.0))
    start = jnp.array([-1.2, 1.0])
    plain = LBFGSB(loss, implicit_diff=False).run(start, box)
    made = LBFGSB(loss, implicit_diff=False, cautious=True).run(start, box)
    assert int(plain.nfev) < 5
    assert bool(made.success)
    np.testing.assert_allclose(made.x, 1.0, atol=1e-3)
    assert float(made.fun) == pytest.approx(float(loss(np.asarray(made.x))), rel=1e-6)


def test_a_cautious_lane_learns_the_unit_of_the_host() -> None:
    """For values and promises of random sizes."""
    rng = np.random.default_rng(3)
    lower, upper = np.full(2, -1.0), np.array([3.0, np.inf])
    units = set()
    for _ in range(40):
        f = float(rng.standard_normal() * 2.0 ** -rng.integers(0, 14))
        g = rng.standard_normal(2) * 2.0 ** -rng.integers(-2, 12)
        x = rng.uniform(-1.0, 3.0, 2)
        lane: Any = SimpleNamespace(xt=jnp.asarray(x), l=jnp.asarray(lower), u=jnp.asarray(upper))
        units.add(unit := unit_of(f, g, x, lower, upper))
        assert float(learn_unit(lane, jnp.asarray(f), jnp.asarray(g))) == unit
    assert len(units) > 8
