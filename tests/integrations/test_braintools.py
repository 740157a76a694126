"""The optimizers of `braintools.optim`, by one changed import."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from optdriver.errors import (
    ConstraintWarning,
    InputError,
    InputTypeError,
    ObjectiveWarning,
    UnknownOptionError,
)
from optdriver.integrations.braintools import NevergradOptimizer, ScipyOptimizer

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

BOX = [(-5.0, 5.0), (-3.0, 3.0)]
pytestmark = pytest.mark.filterwarnings("ignore:the loss computes with:UserWarning")


@pytest.fixture(autouse=True)
def _seeded():
    """Seed what the starts are drawn from: NumPy's global state, as theirs are."""
    np.random.seed(0)  # noqa: NPY002  # that is what users do


def parabola(x, y):
    return (x - 1.0) ** 2 + (y + 2.0) ** 2


def test_signatures_are_theirs():
    assert list(inspect.signature(ScipyOptimizer).parameters) == [
        "loss_fun", "bounds", "method", "constraints", "tol", "callback", "options",
    ]  # fmt: skip
    assert list(inspect.signature(NevergradOptimizer).parameters) == [
        "batched_loss_fun", "bounds", "n_sample", "method", "use_nevergrad_recommendation",
        "budget", "num_workers", "method_params",
    ]  # fmt: skip
    assert inspect.signature(ScipyOptimizer.minimize).parameters["n_iter"].default == 1
    assert inspect.signature(NevergradOptimizer.minimize).parameters["verbose"].default is True


@pytest.mark.parametrize("method", [None, "L-BFGS-B", "TNC", "SLSQP", "Nelder-Mead"])
def test_a_loss_by_position(method):
    seen = []
    optimizer = ScipyOptimizer(parabola, BOX, method, callback=seen.append)
    result = optimizer.minimize(n_iter=2)
    assert optimizer.method == method
    assert optimizer.loss_fun is parabola
    assert np.allclose([float(value) for value in result.x], [1.0, -2.0], atol=1e-2)
    assert result.success
    assert f"{result.x[0]:.1f}" == "1.0"
    assert seen


def test_how_a_run_is_watched_and_compared():
    """What users write: a table of the way, a gain over a single run, bounds put together."""

    def ripples(x, y):
        return (x**2 + 2.0 * y**2) * (2.0 + jnp.sin(3.0 * x) * jnp.sin(3.0 * y))

    rows = []

    def watch(now):
        rows.append({"x": now[0], "y": now[1], "loss": ripples(*now)})
        assert f"{rows[-1]['loss']:.6f} at ({now[0]:.4f}, {now[1]:.4f})"

    lower, upper = np.array([-2.0, -1.0]), np.array([2.0, 3.0])
    optimizer = ScipyOptimizer(
        jax.jit(ripples),
        bounds=list(zip(lower, upper, strict=True)),
        method="L-BFGS-B",
        callback=watch,
        options={"maxiter": 60, "ftol": 1e-10, "gtol": 1e-6, "disp": False},
    )
    np.random.seed(6)  # noqa: NPY002  # a single run ends in a higher minimum then
    one, many = optimizer.minimize(n_iter=1), optimizer.minimize(n_iter=6)
    assert rows
    assert np.argmin([row["loss"] for row in rows]) > 0
    assert (int(one.status), bool(one.success), int(one.nit) > 0) == (0, True, True)
    assert isinstance(one.message, str)
    assert many.fun <= one.fun


def test_a_network_is_fitted_and_looked_at():
    """What users do with a fit: arrays of several shapes by name, and on with what is found."""
    rng = np.random.default_rng(8)
    inputs = jnp.asarray(rng.normal(size=(90, 2)))
    wanted = inputs @ jnp.array([1.5, -0.7])

    def outputs(w, b, v):
        return jnp.tanh(inputs @ w + b) @ v

    def loss(w, b, v):
        return jnp.mean((outputs(w, b, v)[:, 0] - wanted) ** 2) + 1e-3 * jnp.sum(w**2)

    shapes = {"w": (2, 3), "b": (3,), "v": (3, 1)}
    bounds = {name: (jnp.full(shape, -3.0), jnp.full(shape, 3.0)) for name, shape in shapes.items()}
    found = ScipyOptimizer(loss, bounds, "L-BFGS-B", options={"maxiter": 500}).minimize(2)
    assert {name: value.shape for name, value in found.x.items()} == shapes
    assert f"{jnp.min(found.x['w']):.3f} {found.x['b'][0]:.3f} {found.fun:.4f} {found.nfev:4d}"
    assert float(loss(**found.x)) == pytest.approx(float(found.fun), rel=1e-4)
    assert float(found.fun) < 0.02


def test_shares_of_a_sum_with_a_least_gain():
    """Two lines, by JAX functions of the vector that return Python numbers, from SLSQP.

    The oracle solves the two equations and the one condition of Lagrange that are left.
    """
    risk = jnp.array([[0.09, 0.02, 0.0], [0.02, 0.04, 0.01], [0.0, 0.01, 0.25]])
    gains = jnp.array([0.11, 0.05, 0.2])
    constraints = [
        {"type": "eq", "fun": lambda w: float(jnp.sum(jnp.array(w)) - 1)},
        {"type": "ineq", "fun": lambda w: float(jnp.array(w) @ gains - 0.13)},
    ]
    with pytest.warns(ConstraintWarning, match="'SLSQP' takes the constraints"):
        optimizer = ScipyOptimizer(
            lambda w: w.T @ risk @ w,
            [(jnp.zeros(3), jnp.ones(3))],
            "SLSQP",
            constraints,
            options={"ftol": 1e-9, "disp": False},
        )
    result = optimizer.minimize(n_iter=3)
    rows = np.vstack([np.ones(3), np.asarray(gains)])
    whole = np.block([[2 * np.asarray(risk), rows.T], [rows, np.zeros((2, 2))]])
    best = np.linalg.solve(whole, [0.0, 0.0, 0.0, 1.0, 0.13])[:3]
    assert (best > 0).all()  # no bound is met
    assert result.success
    assert np.allclose(result.x[0], best, atol=2e-3)
    assert [f"{share:.2f}" for share in result.x[0]]
    assert float(jnp.sqrt(result.fun)) == pytest.approx(float(best @ risk @ best) ** 0.5, abs=1e-4)


def test_a_gain_over_nothing_is_no_error():
    result = ScipyOptimizer(parabola, BOX, "L-BFGS-B").minimize(n_iter=3)
    with np.errstate(all="ignore"):
        assert np.isnan((result.fun - result.fun) / (result.fun * 0.0))
    assert isinstance(result.fun, float)


def test_a_loss_by_name_with_arrays():
    def loss(a, b):
        return jnp.sum((a - jnp.arange(3.0)) ** 2) + b**2

    bounds = {"a": (np.full(3, -5.0), np.full(3, 5.0)), "b": (-1.0, 1.0)}
    x = ScipyOptimizer(loss, bounds, "L-BFGS-B").minimize(2).x
    assert np.allclose(x["a"], np.arange(3.0), atol=1e-3)
    assert abs(float(x["b"])) < 1e-3


def test_constraints_are_kept_whatever_method_is_named():
    constraints = [
        {"type": "ineq", "fun": lambda x: x[0] - 2 * x[1] + 2},
        {"type": "eq", "fun": lambda x: x[0] + x[1] - 3},
    ]

    def loss(x, y):
        return (x - 1) ** 2 + (y - 2.5) ** 2

    with pytest.warns(ObjectiveWarning, match="'TNC' would leave the constraints"):
        optimizer = ScipyOptimizer(
            loss, [(0, 5), (0, 5)], "TNC", constraints, options={"ftol": 1e-9, "eps": 1e-8}
        )
    result = optimizer.minimize(2)
    assert optimizer.method == "TNC"
    assert np.allclose([float(value) for value in result.x], [4 / 3, 5 / 3], atol=1e-4)
    assert result.maxcv <= 1e-6


def test_slsqp_is_given_the_constraints():
    """A line and a half-plane: the nearest point to (1, 2.5) is computed by hand."""

    def loss(x, y):
        return (x - 1) ** 2 + (y - 2.5) ** 2

    constraints = [
        {"type": "ineq", "fun": lambda v: v[0] - 2 * v[1] + 2},
        {"type": "eq", "fun": lambda v: v[0] + v[1] - 3},
    ]
    with pytest.warns(ConstraintWarning, match="'SLSQP' takes the constraints"):
        optimizer = ScipyOptimizer(loss, [(0, 5), (0, 5)], "SLSQP", constraints)
    result = optimizer.minimize(2)
    assert result.success
    assert np.allclose([float(value) for value in result.x], [4 / 3, 5 / 3], atol=1e-3)
    assert result.maxcv <= 1e-6


def test_bounds_are_kept_whatever_method_is_named():
    with pytest.warns(ObjectiveWarning, match="'BFGS' would leave the bounds"):
        optimizer = ScipyOptimizer(parabola, [(2.0, 5.0), (-3.0, 3.0)], "BFGS")
    assert float(optimizer.minimize().x[0]) == 2.0


@pytest.mark.parametrize("shown", [True, False])
def test_disp(shown, capsys):
    ScipyOptimizer(parabola, BOX, options={"disp": shown, "maxiter": 40}).minimize(2)
    assert ("Current function value" in capsys.readouterr().out) is shown


def test_the_seed_is_that_of_numpy():
    def wavy(x, y):
        return parabola(x, y) + jnp.cos(9 * x)

    optimizer = ScipyOptimizer(wavy, BOX, options={"maxiter": 3})
    found = []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002  # that is what users do
        found.append(float(optimizer.minimize().fun))
    assert found[0] == found[1] != found[2]


def test_units_are_left_out_as_theirs_are():
    u = pytest.importorskip("saiunit")
    optimizer = ScipyOptimizer(lambda t: (t - 3.0) ** 2, {"t": (1 * u.ms, 0.01 * u.second)})
    assert float(optimizer.minimize().x["t"]) == pytest.approx(3.0, abs=1e-3)


def test_a_model_is_fitted_within_bounds_of_several_units():
    """Numbers in the units of the lower bounds, by name, which a table puts the units beside."""
    u = pytest.importorskip("saiunit")
    drive = jnp.linspace(0.5, 4.0, 12)

    def response(**now):
        return jnp.tanh(now["gain"] * drive) * now["top"] + now["rest"] / 10.0

    known = {"gain": 0.8, "top": 30.0, "rest": -65.0}
    observed = response(**known)
    bounds = {
        "gain": (0.1 / u.ms, 2.0 / u.ms),
        "top": (10.0 * u.mV, 0.05 * u.volt),
        "rest": (-80.0 * u.mV, -50.0 * u.mV),
    }
    optimizer = ScipyOptimizer(lambda **now: jnp.mean((response(**now) - observed) ** 2), bounds)
    found = optimizer.minimize(n_iter=4).x
    assert list(found) == list(known)
    shown = [f"{name}: {value:.2f} {bounds[name][0].unit}" for name, value in found.items()]
    assert shown[1:] == ["top: 30.00 mV", "rest: -65.00 mV"]
    for name, value in known.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-3)


def test_methods_are_compared_in_a_table():
    """By a gradient and without one, on a function with four minima of which one is within."""

    def four(x, y):
        return (x**2 + y - 11.0) ** 2 + (x + y**2 - 7.0) ** 2

    rows = {}
    for method in ("L-BFGS-B", "SLSQP", "Powell"):
        result = ScipyOptimizer(loss_fun=four, bounds=[(1.0, 6.0), (0.0, 6.0)], method=method)
        found = result.minimize(n_iter=3)
        rows[method] = found.x, found.fun, found.nfev, getattr(found, "njev", 0), found.success
    places = np.array([[x, y] for (x, y), *_ in rows.values()])
    assert np.hypot(*(places - [3.0, 2.0]).T).max() < 1e-2
    lines = [
        f"{name:12s} {success} {fun:.2e} {nfev:5d} ({x:.4f}, {y:.4f})"
        for name, ((x, y), fun, nfev, _, success) in rows.items()
    ]
    assert all(" True " in line for line in lines)
    assert rows["L-BFGS-B"][3] > 0
    assert rows["Powell"][3] == 0 < rows["Powell"][2]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"bounds": None}, InputTypeError, "bounds is a dictionary or a sequence"),
        ({"bounds": [(0, 1), 3]}, InputError, "parameter 1 are a pair"),
        ({"method": "SLSPQ"}, UnknownOptionError, "SLSQP"),
        ({"options": {"maxitre": 3}}, UnknownOptionError, "maxiter"),
    ],
)
def test_mistakes(given, error, said):
    with pytest.raises(error, match=said):
        ScipyOptimizer(**{"loss_fun": parabola, "bounds": BOX} | given)
    with pytest.raises(InputError, match="n_iter is a positive whole number"):
        ScipyOptimizer(parabola, BOX).minimize(0)


@pytest.mark.parametrize("method", [None, "L-BFGS-B", "TNC", "SLSQP", "Powell"])
def test_options_of_other_methods_are_left_out_as_scipy_does(method):
    given = {"maxiter": 90, "maxfun": 500, "maxfev": 500, "eps": 1e-8, "xatol": 1e-9, "disp": False}
    with pytest.warns(ObjectiveWarning, match=r"left out: .*xatol"):
        optimizer = ScipyOptimizer(parabola, BOX, method, options=given)
    assert optimizer.options == given
    assert float(optimizer.minimize().fun) == pytest.approx(0.0, abs=1e-3)


def test_optimizers_one_after_the_other():
    """The best candidates, then a local minimizer from a box around them."""

    def valley(x, y):
        return (1.0 - x) ** 2 + 10.0 * (y - x**2) ** 2

    first = NevergradOptimizer(valley, {"x": (-2.0, 2.0), "y": (-1.0, 3.0)}, 20, "DE", budget=400)
    found = first.minimize(n_iter=10, verbose=False)
    near = {name: (float(v) - 0.5, float(v) + 0.5) for name, v in found.items()}
    result = ScipyOptimizer(valley, near, method="L-BFGS-B", tol=1e-6).minimize(n_iter=2)
    assert float(result.fun) <= first.errors.min()


# -- Nevergrad's ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _nevergrad():
    """Import it where it is used: that takes seconds, and each worker collects all tests."""
    pytest.importorskip("nevergrad")


@pytest.mark.usefixtures("_nevergrad")
@pytest.mark.parametrize("method", ["DE", "PSO", "CMA", "OnePlusOne", "CMA-ES"])
def test_candidates_and_errors(method, capsys):
    np.random.seed(0)  # noqa: NPY002  # that is what users do
    optimizer = NevergradOptimizer(parabola, BOX, n_sample=8, method=method)
    best = optimizer.minimize(n_iter=20)
    assert (optimizer.method, optimizer.n_sample) == (method, 8)
    candidates = np.array(optimizer.candidates)
    assert candidates.shape == (len(optimizer.errors), 2) == (160, 2)
    assert np.allclose(parabola(*candidates.T), optimizer.errors, rtol=1e-4, atol=1e-5)
    assert np.array_equal(best, candidates[np.argmin(optimizer.errors)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[-1].startswith(f"Iteration 19, best error: {optimizer.errors.min():.5f}")
    optimizer.minimize(n_iter=2, verbose=False)  # begins anew
    assert optimizer.errors.shape == (16,)
    assert not capsys.readouterr().out


@pytest.mark.usefixtures("_nevergrad")
def test_arrays_by_name_and_with_units():
    u = pytest.importorskip("saiunit")
    shapes = set()

    def loss(t, w):
        shapes.add((t.shape, w.shape))
        return (t / u.ms - 3) ** 2 + jnp.sum(w**2, axis=1)

    bounds = {"t": (1 * u.ms, 10 * u.ms), "w": (-np.ones(2), np.ones(2))}
    optimizer = NevergradOptimizer(loss, bounds, n_sample=6)
    best = optimizer.minimize(3, verbose=False)
    assert shapes == {((6,), (6, 2))}
    assert best["t"].unit == u.ms
    assert not hasattr(optimizer.candidates[0]["t"], "unit")


@pytest.mark.parametrize("kind", ["list", "numpy", "jax", "quantity"])
def test_both_bounds_in_one_array(kind):
    u = pytest.importorskip("saiunit")
    made = {"list": list, "numpy": np.asarray, "jax": jnp.asarray}
    pair = np.array([0.5, 3.0]) * u.ms if kind == "quantity" else made[kind]([0.5, 3.0])

    def loss(t):
        return (u.get_mantissa(t) - 2.0) ** 2

    found = ScipyOptimizer(loss, {"t": pair}).minimize().x["t"]
    assert float(found) == pytest.approx(2.0, abs=1e-3)
    with pytest.raises(InputError, match=r"parameter t are a pair"):
        ScipyOptimizer(loss, {"t": np.arange(3.0)})


@pytest.mark.usefixtures("_nevergrad")
def test_matrices_and_vectors_are_taken_apart():
    """A matrix and a vector by position: a candidate alone goes back into the loss as a stack."""
    matrix, vector = jnp.array([[0.5, -1.0], [1.2, 0.2], [0.0, 0.7]]), jnp.array([0.4, -0.2])

    def distance(a, b):
        return jnp.sum((a - matrix) ** 2, axis=(1, 2)) + jnp.sum((b - vector) ** 2, axis=1)

    bounds = [
        (jnp.full((3, 2), -2.0), jnp.full((3, 2), 2.0)),
        (jnp.full(2, -1.0), jnp.full(2, 1.0)),
    ]
    optimizer = NevergradOptimizer(distance, bounds, n_sample=16, method="CMA")
    a, b = optimizer.minimize(n_iter=8, verbose=False)
    assert (a.shape, b.shape) == ((3, 2), (2,))
    assert f"{distance(a[None, :, :], b[None, :])[0]:.5f}" == f"{optimizer.errors.min():.5f}"
    corners = [(each[0][0, 0], each[1][1]) for each in optimizer.candidates]
    assert np.array(corners).shape == (128, 2)
    best = np.minimum.accumulate(optimizer.errors)
    assert best[-1] < best[0] / 2


@pytest.mark.usefixtures("_nevergrad")
def test_noise_drawn_by_a_key_of_the_first_candidate():
    """A whole number made of JAX's values, and the loss without noise of what is returned."""

    def noisy(x, y, size=0.05):
        key = jax.random.PRNGKey(int(500 * (x[0] + y[0])))
        return parabola(x, y) + size * jax.random.normal(key, x.shape)

    with pytest.warns(ObjectiveWarning, match="best candidate observed"):
        optimizer = NevergradOptimizer(
            batched_loss_fun=noisy,
            bounds=BOX,
            n_sample=15,
            method="PSO",
            use_nevergrad_recommendation=True,
        )
    x, y = optimizer.minimize(n_iter=12, verbose=False)
    assert float(parabola(x, y)) < 1.0
    assert f"{parabola(x, y):.6f} at ({x:.4f}, {y:.4f})"


@pytest.mark.usefixtures("_nevergrad")
def test_candidates_by_name_are_put_in_a_table():
    """Each parameter beside the losses: correlations and ranges, as users look for what matters."""

    def loss(rate, decay, width):
        return (jnp.log10(rate) + 2.0) ** 2 + 1e-3 * jnp.log10(decay) ** 2 + 0.0 * width

    bounds = {"rate": (1e-4, 1e-1), "decay": (1e-5, 1e-2), "width": (16.0, 128.0)}
    optimizer = NevergradOptimizer(
        loss, bounds, 10, "TwoPointsDE", budget=150, num_workers=4, method_params=None
    )
    optimizer.minimize(n_iter=15, verbose=False)
    assert isinstance(optimizer.candidates[0], dict)
    table = {name: np.array([each[name] for each in optimizer.candidates]) for name in bounds}
    assert all(values.shape == optimizer.errors.shape == (150,) for values in table.values())
    for name, values in table.items():
        assert bounds[name][0] <= values.min() < values.max() <= bounds[name][1]
        assert np.isfinite(np.corrcoef(values, optimizer.errors)[0, 1])


@pytest.mark.usefixtures("_nevergrad")
def test_candidates_that_fail_end_nothing():
    def loss(x, y):
        return jnp.where(x > 0, parabola(x, y), jnp.nan)

    np.random.seed(3)  # noqa: NPY002  # that is what users do
    optimizer = NevergradOptimizer(loss, BOX, n_sample=10)
    x, _ = optimizer.minimize(10, verbose=False)
    assert np.isnan(optimizer.errors).any()
    assert x > 0


@pytest.mark.usefixtures("_nevergrad")
@pytest.mark.parametrize("method", ["L-BFGS-B", "Powell"])
def test_methods_that_take_one_candidate_at_a_time(method):
    """SciPy's behind Nevergrad's names: values in 64 bits, for differences are taken of them."""
    sizes = set()

    def loss(x, y):
        sizes.add(len(x))
        return parabola(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))

    np.random.seed(5)  # noqa: NPY002  # that is what users do
    with jax.enable_x64(True):
        optimizer = NevergradOptimizer(loss, BOX, n_sample=10, method=method)
        best = optimizer.minimize(6, verbose=False)
    assert sizes == {1}
    assert optimizer.errors.shape == (60,)
    assert np.allclose(best, [1.0, -2.0], atol=1e-4)


@pytest.mark.usefixtures("_nevergrad")
def test_an_error_inside_of_an_optimizer_is_said(monkeypatch):
    import nevergrad

    told = nevergrad.optimizers.base.Optimizer.tell

    def tell(self, *args):
        if self.num_tell == 13:
            raise TypeError("only scalars")
        return told(self, *args)

    monkeypatch.setattr(nevergrad.optimizers.base.Optimizer, "tell", tell)
    optimizer = NevergradOptimizer(parabola, BOX, n_sample=5)
    with pytest.warns(ObjectiveWarning, match="DE ended by an error: TypeError: only scalars"):
        best = optimizer.minimize(9, verbose=False)
    assert parabola(*best) == pytest.approx(np.nanmin(optimizer.errors), rel=1e-5)


@pytest.mark.usefixtures("_nevergrad")
def test_a_budget_ends_it():
    optimizer = NevergradOptimizer(parabola, BOX, n_sample=10, budget=25)
    optimizer.minimize(10, verbose=False)
    assert optimizer.errors.shape == (25,)


@pytest.mark.usefixtures("_nevergrad")
def test_mistakes_with_nevergrad():
    with pytest.raises(InputError, match="n_sample is a positive whole number"):
        NevergradOptimizer(parabola, BOX, n_sample=0)
    with pytest.raises(InputError, match="no optimizer 'DEE'"):
        NevergradOptimizer(parabola, BOX, n_sample=3, method="DEE")
    with pytest.warns(ObjectiveWarning, match="best candidate observed is returned"):
        made = NevergradOptimizer(parabola, BOX, n_sample=3, use_nevergrad_recommendation=True)
    assert made.use_nevergrad_recommendation
    found = made.minimize(2, verbose=False)
    assert parabola(*found) == pytest.approx(made.errors.min(), rel=1e-5)
    with pytest.raises(InputError, match=r"shape \(\) for 3 candidates"):
        NevergradOptimizer(lambda x, y: jnp.sum(x), BOX, n_sample=3).minimize()
