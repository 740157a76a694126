"""`minimize` and `Minimizer`: what comes back, from every seed, and what is refused."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, InputTypeError, ObjectiveWarning, UnknownOptionError
from tests.minimization.losses import quadratic, rastrigin, rooted, rosenbrock

SQUARE = [(-5, 5), (-5, 5)]
wide = partial(optdriver.minimize, x64=True)


def numbers(params):
    return [float(leaf) for leaf in jax.tree.leaves(params)]


def test_a_quadratic_in_two_numbers():
    res = wide(quadratic, SQUARE, n_iter=3)
    assert res.success
    assert isinstance(res.x, list)
    assert numbers(res.x) == pytest.approx([2, -1], abs=1e-6)
    assert res.fun == pytest.approx(0, abs=1e-12)
    assert [start.index for start in res.starts] == [0, 1, 2]
    assert res.nfev == res.njev == sum(start.nfev for start in res.starts)
    assert all(numbers(start.x) == pytest.approx([2, -1], abs=1e-5) for start in res.starts)


def test_the_same_seed_is_the_same_run_and_starts_are_taken_in_order():
    minimizer = optdriver.Minimizer(loss_fun=rosenbrock, bounds={"y": (-2, 2), "x": (-2, 2)},
                                    x64=True)  # fmt: skip
    first, again, more = (minimizer.minimize(n_iter=n) for n in (2, 2, 4))
    other = minimizer.minimize(2, seed=5)
    assert list(first.x) == ["y", "x"]
    assert numbers(first.x) == numbers(again.x)
    assert [numbers(s.x0) for s in more.starts[:2]] == [numbers(s.x0) for s in first.starts]
    assert numbers(other.starts[0].x0) != numbers(first.starts[0].x0)
    assert numbers(more.x) == pytest.approx([1, 1], abs=1e-4)


def test_a_matrix_and_a_vector_come_back_as_they_were():
    bounds = {"W": (np.full((3, 2), -2.0), 2.0), "b": (np.full(2, -2, np.float32), 2)}
    target = np.arange(6).reshape(3, 2) / 4

    def loss(W, b):
        return jnp.sum((W - target) ** 2) + jnp.sum((b + 1) ** 2)

    res = wide(loss, bounds, n_iter=1, tol=2e-4)
    assert (res.x["W"].shape, res.x["W"].dtype) == ((3, 2), np.float64)
    assert (res.x["b"].shape, res.x["b"].dtype) == ((2,), np.float64)  # x64=True is for all
    np.testing.assert_allclose(res.x["W"], target, atol=2e-4)
    assert res.jac["W"].shape == (3, 2)


def test_a_loss_is_compiled_once_for_all_starts():
    traced = 0

    def loss(x, y):
        nonlocal traced
        traced += 1
        return quadratic(x, y)

    minimizer = optdriver.Minimizer(loss, SQUARE, x64=True, engine="serial")
    minimizer.minimize(3)
    minimizer.minimize(3, seed=1)
    assert traced == 1


def test_results_are_of_jax_where_it_can_take_them():
    with pytest.warns(ObjectiveWarning, match="relative spacing of 1e-07.*x64=True"):
        res = optdriver.minimize(quadratic, SQUARE, n_iter=2)
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in res.x)
    assert res.success
    assert numbers(res.x) == pytest.approx([2, -1], abs=1e-3)
    with jax.enable_x64(True):
        res = optdriver.minimize(quadratic, SQUARE, n_iter=1)
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == np.float64 for leaf in res.x)


def test_tolerances_that_32_bits_can_meet_are_no_reason_to_warn():
    res = optdriver.minimize(quadratic, SQUARE, n_iter=1, tol=1e-3)
    assert res.success


def test_a_narrow_parameter_never_leaves_its_bounds_by_rounding():
    with pytest.warns(ObjectiveWarning):
        res = optdriver.minimize(lambda x: -jnp.sum(x), (np.full(3, 0.1), 0.3), n_iter=1)
    assert np.all(np.asarray(res.x, float) <= 0.3)
    fixed = optdriver.minimize(lambda x, y: y**2 + x, [(0.1, 0.1), (-1, 1)], n_iter=1, tol=1e-3)
    assert fixed.x[0] == np.float32(0.1)


@pytest.mark.parametrize("engine", ["serial", "batch"])
@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 10), marks=pytest.mark.slow)])
def test_half_a_box_without_values_costs_no_start_that_has_them(engine, seeds):
    minimizer = optdriver.Minimizer(rooted, (-5.0, 5.0), x64=True, engine=engine)
    root = np.roots([1, -2, 1, -1 / 16]).real  # 1 = 4 sqrt(x) (1 - x), squared: the largest below 1
    at = max(r for r in root if r < 1)
    for seed in seeds:
        res = minimizer.minimize(20, seed=seed)
        assert res.success
        assert res.engine == engine
        assert float(res.x) == pytest.approx(at, abs=1e-5)
        lost = [start for start in res.starts if not np.isfinite(start.fun)]
        assert lost
        assert all(start.x is None and not start.success for start in lost)
        assert all("not finite" in start.message for start in lost)


def test_many_starts_find_the_lowest_of_many_minima():
    res = wide(rastrigin, (np.full(2, -2.0), 2.0), n_iter=60)
    assert res.engine == "batch"
    assert res.fun == pytest.approx(0, abs=1e-8)


def test_a_box_of_very_different_sizes():
    def loss(volts, amperes):
        return (volts / 1e-3 - 3) ** 2 + (amperes / 1e6 - 2) ** 2 + volts * amperes / 1e4

    res = wide(loss, [(-0.01, 0.01), (0.0, 5e6)], n_iter=2)
    assert res.success
    assert res.nfev < 40
    exact = np.linalg.solve([[2, 0.1], [0.1, 2]], [6, 4])
    assert numbers(res.x) == pytest.approx([exact[0] * 1e-3, exact[1] * 1e6], rel=1e-5)


# -- losses that JAX cannot take ----------------------------------------------------------------


def test_a_loss_in_numpy_is_differenced_and_that_is_said_once():
    def loss(a, b):
        assert isinstance(b, np.ndarray)
        return float(np.sin(a)) + np.sum(b**2)

    with pytest.warns(ObjectiveWarning, match="finite differences") as said:
        minimizer = optdriver.Minimizer(loss, {"a": (-2, 2), "b": (np.full(2, -1.0), 2.0)})
    assert len(said) == 1
    assert said[0].filename == __file__
    res = minimizer.minimize(2)
    assert res.engine == "serial"
    assert isinstance(res.x["b"], np.ndarray)
    assert res.x["a"] == pytest.approx(-np.pi / 2, abs=1e-5)
    np.testing.assert_allclose(res.x["b"], 0, atol=1e-6)
    assert res.nfev > res.njev


def test_differences_stay_inside_bounds_and_are_had_on_demand():
    seen = []

    def loss(x):
        seen.append(float(x))
        return (x + 2) ** 2

    res = optdriver.minimize(loss, (0.0, 1.0), n_iter=2, jac="2-point")
    assert min(seen) >= 0
    assert max(seen) <= 1
    assert res.nfev == len(seen)
    assert res.x == 0


def test_without_jax_losses_and_constraints_are_differenced(monkeypatch):
    for module in ("optdriver.objectives.jax_objective", "optdriver.minimization.constraints"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.warns(ObjectiveWarning, match=r"JAX is not installed.*optdriver\[jax\]"):
        res = optdriver.minimize(
            lambda x, y: (x - 2) ** 2 + (y + 1) ** 2,
            [(-5, 5), (-5, 5)],
            constraints=[lambda x, y: x + y],
            n_iter=2,
        )
    assert res.success
    assert res.x == pytest.approx([1.5, -1.5], abs=1e-5)


def test_a_loss_that_looks_at_numbers_is_differentiated_call_by_call():
    def loss(x):
        return x**2 if x > 0 else 3 * x**2

    with pytest.warns(ObjectiveWarning, match="call by call"):
        res = wide(loss, (-1.0, 2.0), n_iter=2)
    assert float(res.x) == pytest.approx(0, abs=1e-5)


def test_an_exception_in_one_start_costs_that_start_only():
    def loss(x):
        if x < 0:
            raise ValueError("no root of a negative number")
        return (np.sqrt(x) - 1) ** 2

    res = optdriver.minimize(loss, (-2.0, 3.0), n_iter=8, jac="3-point")
    assert res.success
    assert float(res.x) == pytest.approx(1, abs=1e-4)
    lost = [start for start in res.starts if start.x is None]
    assert lost
    assert all("ValueError: no root" in start.message for start in lost)


def test_where_all_starts_fail_the_result_says_why():
    def loss(x):
        raise ArithmeticError("out of memory")

    res = optdriver.minimize(loss, (0.0, 1.0), n_iter=3)
    assert not res.success
    assert "start 2: " in res.message
    assert "ArithmeticError: out of memory" in res.message
    res = wide(lambda x: x * jnp.nan, (0.0, 1.0), n_iter=2)
    assert not res.success
    assert np.isnan(res.fun)
    assert "not finite" in res.message


def test_a_loss_that_can_never_be_called_is_an_error():
    def loss(x):
        return np.add(x, "one")

    with pytest.raises(InputTypeError, match="raised everywhere"):
        optdriver.minimize(loss, (0.0, 1.0), n_iter=2)


@pytest.mark.parametrize(
    ("loss", "bounds", "words"),
    [
        (lambda x: x, [(0, 1), (0, 1)], "2 by position"),
        (lambda x, y: x, {"x": (0, 1)}, "missing a required argument: 'y'"),
        (lambda x: x, {1: (0, 1)}, "no name"),
        (7, [(0, 1)], "function"),
        (lambda x: x * jnp.ones(2), [(0, 1)], r"one real number.*\(2,\)"),
        (lambda x: (x, {}), [(0, 1)], "one number"),
        (lambda x: None, [(0, 1)], "one real number"),
        (lambda x: x * 1j, [(0, 1)], "one real number"),
    ],
)
def test_losses_that_do_not_fit(loss, bounds, words):
    with pytest.raises(InputTypeError, match=words):
        optdriver.minimize(loss, bounds, n_iter=1, tol=1e-3)


# -- starts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x0", "starts"),
    [
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3, 4], [0, 0]], [[1, 2], [3, 4], [0, 0]]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.0, 2.0]), [[1, 2]]),
    ],
)
def test_starts_are_given_one_or_several(x0, starts):
    res = wide(quadratic, [(-5, None), (None, None)], x0=x0)
    assert [numbers(start.x0) for start in res.starts] == starts
    assert numbers(res.x) == pytest.approx([2, -1], abs=1e-5)


def test_starts_of_the_user_come_first_and_give_shapes():
    x0 = {"w": np.zeros((2, 3))}
    res = wide(lambda w: jnp.sum((w - 1) ** 2), {"w": (-2, 2)}, x0=x0, n_iter=2)
    assert res.x["w"].shape == (2, 3)
    np.testing.assert_array_equal(res.starts[0].x0["w"], 0)
    assert len(res.starts) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bounds": [(0, None)]}, r"\[0\].*x0="),
        ({"x0": [3.0]}, r"start 0 has 3.0 for \[0\]"),
        ({"x0": [np.nan]}, "nan"),
        ({"x0": {"a": 0.5}}, "no start"),
        ({"x0": [[0.1], [0.2]], "n_iter": 1}, "x0 has 2 starts"),
        ({"n_iter": 0}, "at least 1"),
        ({"n_iter": 2.5}, "number of starts"),
        ({"seed": -1}, "negative"),
        ({"seed": 1.5}, "integer"),
        ({"seed": None, "storage": "kept.db"}, "give the seed as a number"),
        ({"tol": -1.0}, "tolerance"),
        ({"tol": "small"}, "tolerance"),
        ({"method": "L-BFGS"}, "did you mean 'L-BFGS-B'"),
        ({"method": 3}, "a string"),
        ({"engine": "bach"}, "did you mean 'batch'"),
        ({"options": {"gtoll": 1}}, "did you mean 'gtol'"),
        ({"options": [1]}, "dict of options"),
        ({"jac": 3}, "'2-point'"),
        ({"units": 1}, "True or False"),
        ({"x64": 1}, "True, False or None"),
        ({"callback": 1}, "function"),
        ({"progress": 1}, "progress"),
        ({"bounds": None}, "missing"),
    ],
)
def test_arguments_that_cannot_be_used(given, words):
    arguments = {"loss": lambda x: x**2, "bounds": [(0, 1)], "x64": True, "n_iter": 1}
    with pytest.raises(InputError, match=words):
        optdriver.minimize(**{**arguments, **given})


def test_options_are_those_of_the_method():
    res = wide(rosenbrock, SQUARE, n_iter=2, options={"maxiter": 3})
    assert not res.success
    assert all(start.nit == 3 for start in res.starts)
    with pytest.raises(UnknownOptionError, match="TNC"):
        wide(quadratic, SQUARE, "TNC", options={"maxcor": 3})


def test_a_bar_is_drawn_on_demand(capsys):
    wide(quadratic, SQUARE, n_iter=2, progress=True)
    assert "2/2" in capsys.readouterr().err
    wide(quadratic, SQUARE, n_iter=2, progress=False)
    assert capsys.readouterr().err == ""


def steep(a, b):
    return (a - 2) ** 4 + (b + 1) ** 2


def test_a_minimizer_can_be_pickled_and_copied():
    made = optdriver.Minimizer(steep, {"a": (-5, 5), "b": (-5, 5)}, seed=3, jac="2-point")
    result = made.minimize(2)
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        found = again.minimize(2)
        assert (found.x, found.fun, found.nfev) == (result.x, result.fun, result.nfev)


@pytest.mark.parametrize("jac", [None, "2-point"])
def test_a_gradient_beside_the_value_is_refused_in_words(jac):
    def both(a, b):
        return (a - 1) ** 2 + b**2, [2 * (a - 1), 2 * b]

    with pytest.raises(InputTypeError, match="not a tuple of 2: return the value alone"):
        optdriver.minimize(both, {"a": (-1, 2), "b": (-1, 2)}, jac=jac)


@pytest.mark.parametrize("jac", [None, "2-point"])
def test_a_loss_that_reads_nothing_is_asked_whether_it_does(jac):
    bounds = {"a": (-1, 2), "b": (-1, 2)}
    with pytest.warns(ObjectiveWarning, match="returned 3 from all of 10 starts, and no slope"):
        found = optdriver.minimize(lambda a, b: 0.0 * a * b + 3.0, bounds, jac=jac, x64=True)
    assert not found.success  # nor is it one of a study
    assert found.status != 0
    assert found.message.startswith("FLAT: the loss returned 3 from all")
    assert found.fun == 3.0
    few = optdriver.minimize(lambda a, b: 0.0 * a * b + 3.0, bounds, jac=jac, x64=True, n_iter=2)
    assert few.success  # without a warning: two may well lie on one plateau
    assert optdriver.minimize(lambda a, b: (a * b) ** 2, bounds, jac=jac, x64=True).success


@pytest.mark.parametrize("method", ["SLSQP", "Nelder-Mead"])
@pytest.mark.parametrize("n_iter", [3, 6])
def test_both_doors_call_the_same_objectives_flat(method, n_iter):
    bounds = {"a": (-1.0, 2.0), "b": (-1.0, 2.0)}
    given = {"n_iter": n_iter, "method": method, "jac": "2-point" if method == "SLSQP" else None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ObjectiveWarning)
        found = optdriver.minimize(lambda a, b: 3.0, bounds, x64=True, **given)
        study = optdriver.create_study(bounds, driver=method, max_num_minimizers=n_iter)
        study.run(lambda a, b: 3.0)
    assert not found.success
    assert not study.info()["success"]
    assert study.stop_kind == "flat"


@pytest.mark.parametrize("wrap", [lambda loss: loss, jax.jit], ids=["plain", "jitted"])
def test_a_loss_with_data_can_be_minimised_in_one_precision_after_the_other(wrap):
    """JAX remembers arrays that a loss captures in the width of the first trace."""
    data = np.linspace(-1.3, 2.1, 6)
    loss = wrap(lambda p: jnp.sum((p - data) ** 4 + (p - data) ** 2))
    bounds = [(np.full(6, -3.0), np.full(6, 3.0))]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the loss computes", ObjectiveWarning)
        narrow = optdriver.Minimizer(loss, bounds, x64=False)
        wide = optdriver.Minimizer(loss, bounds, x64=True)
        for made, close in ((narrow, 1e-3), (wide, 1e-6), (narrow, 1e-3), (wide, 1e-6)):
            found = made.minimize(1)
            assert found.success
            assert found.nfev < 40  # its own gradients, no differences
            np.testing.assert_allclose(found.x[0], data, atol=close)


def test_a_seed_is_drawn_where_none_is_wanted():
    made = optdriver.Minimizer(lambda a: (a - 1.0) ** 2, {"a": (-5, 5)}, seed=None, jac="2-point")
    first, second = made.minimize(1), made.minimize(1)
    assert first.seed != second.seed
    assert first.starts[0].x0 != second.starts[0].x0
    assert made.minimize(1, seed=first.seed).starts[0].x0 == first.starts[0].x0
    study = optdriver.minimize(
        lambda a: a**2, {"a": (-5, 5)}, n_iter=1, seed=None, x64=True, max_iter=20
    )
    assert study.study.parameters["seed"] == study.seed


@pytest.mark.parametrize("options", [{"maxls": 5}, {"initial_step": 0.1}, {"ftol": 1e-7}])
def test_options_have_their_names_under_constraints_too(options):
    for constraints in (None, "a + b <= 1"):
        found = optdriver.minimize(
            lambda a, b: (a - 1) ** 2 + (b - 2) ** 2, {"a": (-3, 3), "b": (-3, 3)}, "L-BFGS-B",
            constraints, 1e-6, None, options, n_iter=1, x64=True,
        )  # fmt: skip
        assert found.success
    with pytest.raises(InputError, match="maxfun is the limit of evaluations"):
        optdriver.minimize(lambda a: a**2, {"a": (-1, 1)}, options={"maxfev": 3}, x64=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("maximise", "direction='maximize'"),
        ("n_trials", "max_iter is the number of evaluations"),
        ("num_starts", "n_iter is the number of starts"),
        ("gtol", "one of options"),
        ("n_itr", "did you mean 'n_iter'"),
    ],
)
def test_arguments_of_others_are_told_by_what_they_are_called_here(name, said):
    with pytest.raises(InputError, match=said):
        optdriver.minimize(quadratic, [(-4, 4)] * 2, **{name: 3})
