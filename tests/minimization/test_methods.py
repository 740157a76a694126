"""Every method of SciPy's by name: its minimum, its bounds, and its second derivatives."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy import optimize

import optdriver
from optdriver import coroutine
from optdriver.errors import ConstraintWarning, InputError
from optdriver.minimization.finished import Population
from tests.minimization.losses import beale

WITHIN = ("L-BFGS-B", *coroutine.method_names(bounds=True))
WITHOUT = tuple(name for name in coroutine.method_names() if name not in WITHIN)
CURVED = [method.name for method in coroutine.METHODS if method.hessian]
NEAR = {"COBYLA": 0.05, "SLSQP": 2e-3, "Nelder-Mead": 2e-3}


@pytest.mark.parametrize("method", WITHIN)
def test_beale_within_bounds(method):
    seen = []

    def watched(x, y):
        jax.debug.callback(lambda *at: seen.append([float(v) for v in at]), x, y)
        return beale(x, y)

    res = optdriver.minimize(watched, [(-4.5, 4.5)] * 2, method, n_iter=3, x64=True,
                             engine="serial")  # fmt: skip
    jax.effects_barrier()
    assert res.success
    assert [float(v) for v in res.x] == pytest.approx([3, 0.5], abs=NEAR.get(method, 1e-4))
    assert np.abs(seen).max() <= 4.5


@pytest.mark.parametrize("method", WITHOUT)
def test_beale_without_bounds(method):
    open_box = {"x": (None, None), "y": (None, None)}
    res = optdriver.minimize(beale, open_box, method.lower(), x0={"x": 1.0, "y": 0.2}, x64=True)
    assert res.success
    assert [float(v) for v in res.x.values()] == pytest.approx([3, 0.5], abs=NEAR.get(method, 1e-4))
    assert (res.nhev > 0) == (method in CURVED)


@pytest.mark.parametrize("method", WITHOUT)
def test_a_method_that_would_leave_the_bounds_is_refused(method):
    with pytest.raises(InputError, match=r"'y'?.*does not keep|does not keep.*y.*L-BFGS-B, SLSQP"):
        optdriver.minimize(beale, {"x": (None, None), "y": (0, 1)}, method, x0={"x": 1, "y": 0.5})


def test_a_method_that_takes_no_constraints_is_refused():
    with pytest.raises(InputError, match="'TNC' takes no constraints"):
        optdriver.minimize(beale, [(0, 4), (0, 4)], "TNC", constraints="x + y <= 1")


def test_derivative_free_methods_need_no_gradient():
    called = []

    def loss(x):
        called.append(1)
        return float(np.abs(x - 0.5))

    res = optdriver.minimize(loss, (0.0, 2.0), "Nelder-Mead", n_iter=2, jac="3-point")
    assert res.success
    assert res.x == pytest.approx(0.5, abs=1e-3)
    assert (res.nfev, res.njev, res.jac) == (len(called), 0, None)


def test_a_method_without_second_derivatives_of_jax_makes_its_own():
    def loss(x):
        return float(np.cosh(x - 0.5))

    res = optdriver.minimize(loss, (None, None), "Newton-CG", x0=0.0, jac="3-point")
    assert res.x == pytest.approx(0.5, abs=1e-3)
    assert res.nhev == 0


def test_populations_are_methods_too():
    minimizer = optdriver.Minimizer(beale, [(-4.5, 4.5)] * 2, "cma-es", x64=True)
    first, again, other = (minimizer.minimize(2, seed=seed) for seed in (0, 0, 1))
    assert first.success
    assert [float(v) for v in first.x] == pytest.approx([3, 0.5], abs=1e-4)
    assert (first.njev, first.jac) == (0, None)
    assert (first.fun, first.nfev) == (again.fun, again.nfev) != (other.fun, other.nfev)


@pytest.mark.parametrize("method", ["CMA-ES", "Nelder-Mead", "Powell"])
def test_methods_of_values_alone_stay_within_constraints(method):
    seen = []

    def loss(x, y):
        seen.append((float(x), float(y)))
        return (x - 1) ** 2 + (y - 2) ** 2

    box = [(0.0, 2.0), (0.0, 2.0)]
    res = optdriver.minimize(loss, box, method, constraints="x + y <= 1", n_iter=1, jac="3-point")
    assert res.success
    assert [float(v) for v in res.x] == pytest.approx([0.0, 1.0], abs=1e-3)
    assert max(x + y for x, y in seen) <= 1.0
    assert res.maxcv == 0.0


DISC = {
    "text": "x^2 + y^2 <= 1",
    "function": lambda x, y: x**2 + y**2 - 1,
    "dictionary": {"type": "ineq", "fun": lambda v: 1 - v[0] ** 2 - v[1] ** 2},
    "object": optimize.NonlinearConstraint(lambda v: v[0] ** 2 + v[1] ** 2, -np.inf, 1.0),
}
EACH = {"SLSQP": [*DISC], "trust-constr": ["object"], "COBYQA": ["text"], "COBYLA": ["function"]}
OTHERS = [(method, form) for method in EACH for form in DISC if form not in EACH[method]]


@pytest.mark.parametrize(
    ("method", "form"),
    [
        *((method, form) for method, forms in EACH.items() for form in forms),
        *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHERS),
    ],
)
def test_methods_that_take_constraints_are_given_them(method, form):
    """Texts, functions and SciPy's objects alike; the optimum of a disc is known by hand."""
    box = [(-2.0, 2.0), (-2.0, 2.0)]

    def loss(x, y):
        return 3.0 * x + 4.0 * y

    with pytest.warns(ConstraintWarning, match=f"'{method}' takes the constraints") as said:
        res = optdriver.minimize(loss, box, method, constraints=DISC[form], n_iter=1, x64=True)
    assert len(said) == 1
    assert res.success, res.message
    assert [float(v) for v in res.x] == pytest.approx([-0.6, -0.8], abs=3e-3)
    assert res.maxcv <= 1e-6
    with pytest.raises(InputError, match="must_stay_feasible=False"):
        optdriver.minimize(loss, box, method, constraints=DISC[form], must_stay_feasible=True)


def test_as_a_study_they_take_constraints_too(tmp_path):
    box = {"x": (-2.0, 2.0), "y": (-2.0, 2.0)}

    def loss(x, y):
        return 3.0 * x + 4.0 * y

    def call(**more):
        return optdriver.minimize(
            loss, box, "SLSQP", constraints="x^2 + y^2 <= 1", n_iter=2, x64=True, **more
        )

    with pytest.warns(ConstraintWarning, match="takes the constraints"):
        whole = call(max_iter=200)
    with pytest.warns(ConstraintWarning, match="takes the constraints"):
        part = call(storage=tmp_path / "s.db", max_iter=5)
    assert part.nfev == 5
    with optdriver.load_study(tmp_path / "s.db") as study:
        study.set_parameters(max_iter=200)
    with pytest.warns(ConstraintWarning, match="takes the constraints"):
        rest = call(storage=tmp_path / "s.db", max_iter=200)
    assert rest.success
    assert [float(v) for v in rest.x.values()] == pytest.approx([-0.6, -0.8], abs=1e-5)
    assert rest.history.x.tobytes() == whole.history.x.tobytes()


def test_32_bits_are_enough_for_success():
    for method in ("SLSQP", "COBYQA"):
        res = optdriver.minimize(beale, [(0, 4.5), (-1, 1)], method, x0=[2.5, 0.2], tol=4e-4)
        assert res.success
        assert [float(v) for v in res.x] == pytest.approx([3, 0.5], abs=0.1)


def test_an_optimizer_that_raises_costs_its_own_start_only(monkeypatch):
    ask = Population.ask

    def broken(self):
        if self._start[0] < 0 and self.nit == 5:
            raise TypeError("only 0-dimensional arrays")
        return ask(self)

    monkeypatch.setattr(Population, "ask", broken)
    res = optdriver.minimize(
        beale, [(-4.5, 4.5)] * 2, "CMA-ES", x0=[[-1.0, 1.0], [1.0, 1.0]], x64=True
    )
    first, second = res.starts
    assert not first.success
    assert first.nfev == 5
    assert "only 0-dimensional arrays" in first.message
    assert second.success
    assert res.start == 1
