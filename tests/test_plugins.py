"""Methods that other packages add: a local one, an optimizer, and what an installed package has."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

import optdriver
from optdriver import plugins
from optdriver.drivers import (
    DriverFactory,
    Method,
    Optimizer,
    driver_factory,
    driver_names,
    register,
)
from optdriver.errors import InputError, InputTypeError, UnknownOptionError
from optdriver.multistart import MultiStart

BOX = {"x": (-2.0, 2.0), "y": (-1.0, 3.0)}


def descent(fun, x0, args=(), jac=None, bounds=None, callback=None, **options):
    """Steepest descent with halved steps, which leaves its bounds to whoever calls it."""
    x, f, step = np.array(x0), fun(x0), options.get("first", 0.5)
    for k in range(options.get("maxiter", 500)):
        g = jac(x)
        while step > 1e-12:
            trial = x - step * g
            value = fun(trial)
            if value < f:
                break
            step /= 2.0
        else:
            return OptimizeResult(x=x, fun=f, success=True, nit=k)
        x, f, step = trial, value, 2.0 * step
        if np.linalg.norm(jac(x)) < 1e-7:
            return OptimizeResult(x=x, fun=f, success=True, status=0, message="it is flat", nit=k)
    return OptimizeResult(x=x, fun=f, success=False, status=1, message="enough", nit=k)


class Shrinking:
    """Points drawn from a box that shrinks around the best one, three at a time."""

    def __init__(self, start, n, seed, options):
        self.chance = np.random.default_rng(seed)
        self.best, self.f = (np.full(n, 0.5) if start is None else start), np.inf
        self.rate, self.asked, self.told = options.get("rate", 0.9), 0, 0

    @property
    def room(self):
        return 3 - (self.asked - self.told)

    @property
    def ended(self):
        return (True, "the box is small") if self.told >= 120 else None

    def ask(self):
        self.asked += 1
        if self.asked == 1:
            return self.best.copy()
        width = self.rate ** (self.told / 2)
        step = width * (self.chance.random(self.best.size) - 0.5)
        return np.clip(self.best + step, 0.0, 1.0)

    def tell(self, k, u, f):
        self.told += 1
        if f < self.f:
            self.best, self.f = u.copy(), f


DESCENT = Method(name="Descent", function=descent, bounds=True, options=("first", "maxiter"))
SHRINKING = Optimizer(name="Shrinking-Box", create=Shrinking, options=("rate",))


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(plugins, "_added", {})
    driver_factory.__globals__["_named"].cache_clear()
    yield
    driver_factory.__globals__["_named"].cache_clear()


@pytest.fixture
def added():
    register(DESCENT)
    register(SHRINKING)


def bowl(x, y):
    return (x - 1.0) ** 2 + 2.0 * (y - 0.5) ** 2


def bowl_with_gradient(x, y):
    return bowl(x, y), [2.0 * (x - 1.0), 4.0 * (y - 0.5)]


@pytest.mark.usefixtures("added")
class TestDoors:
    @pytest.mark.parametrize("driver", ["descent", "Shrinking-Box"])
    def test_a_study_is_driven_kept_and_gone_on_with(self, driver, tmp_path):
        options = {"driver": driver, "max_num_minimizers": 2, "jac": driver == "descent"}
        objective = bowl_with_gradient if options["jac"] else bowl
        whole = optdriver.create_study(BOX, **options)
        whole.run(objective)
        path = tmp_path / "study.db"
        for evaluations in (3, 5, 400):
            with optdriver.create_study(BOX, storage=path, **options) as study:
                study.run(objective, max_evaluations=evaluations)
        with optdriver.load_study(path, read_only=True) as study:
            assert study.history.x.tobytes() == whole.history.x.tobytes()
            assert study.best.x == pytest.approx([1.0, 0.5], abs=1e-2)
            assert {run.state for run in study.runs} == {"converged"}

    def test_no_point_leaves_the_bounds_or_violates_a_constraint(self):
        for driver in ("descent", "Shrinking-Box"):
            study = optdriver.create_study(
                {"x": (-2.0, 0.75), "y": (-1.0, 3.0)}, driver=driver, max_num_minimizers=1
            )
            study.run(bowl)
            assert study.history.x[:, 0].max() <= 0.75
            assert study.best.x == pytest.approx([0.75, 0.5], abs=1e-2)
        study = optdriver.create_study(
            BOX, driver="Shrinking-Box", constraints=["x + y <= 1"], max_num_minimizers=1
        )
        study.run(bowl)
        assert max(x + y for x, y in study.history.x) <= 1.0
        with pytest.raises(InputError, match="Descent.*constraints"):
            optdriver.create_study(BOX, driver="Descent", constraints=["x + y <= 1"]).ask()

    def test_minimize_and_a_single_run_know_them(self):
        for method in ("Descent", "Shrinking-Box"):
            found = optdriver.minimize(bowl, BOX, method, n_iter=1)
            assert found.fun == pytest.approx(0.0, abs=1e-2)
        alone = optdriver.CallbackMinimizer("descent", [0.0, 0.0], list(BOX.values()), first=0.1)
        while not alone.done:
            alone.tell(*bowl_with_gradient(*alone.ask()))
            alone = optdriver.CallbackMinimizer.from_dict(alone.to_dict())
        assert alone.result.success
        assert alone.result.x == pytest.approx([1.0, 0.5], abs=1e-6)

    def test_a_false_success_is_not_believed(self):
        def lazy(fun, x0, **rest):
            return OptimizeResult(x=x0, fun=fun(x0), jac=rest["jac"](x0), success=True)

        register(Method(name="Lazy", function=lazy, bounds=True))
        study = optdriver.create_study(BOX, driver="Lazy", jac=True, max_num_minimizers=1)
        study.run(bowl_with_gradient, max_evaluations=50)
        assert not study.info()["success"]

    def test_options_are_checked(self):
        with pytest.raises(UnknownOptionError, match="option of Descent 'tol'"):
            optdriver.CallbackMinimizer("Descent", [0.0], [(-1, 1)], tol=0.1)
        with pytest.raises(UnknownOptionError, match="rat.*did you mean 'rate'"):
            optdriver.create_study(BOX, driver="shrinkingbox", method_options={"rat": 0.5}).ask()
        with pytest.raises(InputTypeError, match="'rate' of Shrinking-Box is a number"):
            optdriver.create_study(BOX, driver="shrinkingbox", method_options={"rate": [1]}).ask()
        with pytest.raises(UnknownOptionError, match="option of Descent.*'first'"):
            optdriver.CallbackMinimizer("Descent", [0.0], [(-1, 1)], frist=0.1)

    def test_they_are_listed_and_named_where_a_name_is_nearly_theirs(self):
        assert driver_names()[-2:] == ("Descent", "Shrinking-Box")
        with pytest.raises(UnknownOptionError, match="did you mean 'Descent'"):
            driver_factory("decsent")


def test_a_driver_of_its_own():
    register(DriverFactory(name="Twice", create=MultiStart, restore=MultiStart.from_dict))
    study = optdriver.create_study(BOX, driver="twice", jac=True, max_num_minimizers=2)
    study.run(bowl_with_gradient)
    assert study.info()["driver"] == "Twice"
    assert study.best.value == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Method(name="slsqp", function=descent), "another method has it"),
        (Optimizer(name="cma_es", create=Shrinking), "another method has it"),
        (Optimizer(name="mine:box", create=Shrinking), "has a colon"),
        (Method(name="Empty"), "has no function"),
        (descent, "expected a Method, an Optimizer or a DriverFactory"),
    ],
)
def test_what_cannot_be_registered(method, message):
    with pytest.raises(InputError, match=message):
        register(method)
    assert plugins.names() == ()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package, by what a wheel leaves: a module, and a folder of what is said of it."""

    def install(entry, module):
        (tmp_path / "swarm_of_theirs.py").write_text(textwrap.dedent(module))
        there = tmp_path / "swarm_of_theirs-1.0.dist-info"
        there.mkdir()
        (there / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: swarm-of-theirs\nVersion: 1.0\n"
        )
        (there / "entry_points.txt").write_text(f"[optdriver.methods]\n{entry}\n")
        monkeypatch.syspath_prepend(tmp_path)
        plugins._installed.cache_clear()

    yield install
    plugins._installed.cache_clear()


def test_an_installed_package_adds_one_that_is_loaded_when_it_is_wanted(installed):
    installed(
        "Swarm = swarm_of_theirs:SWARM",
        """
        from optdriver.drivers import Optimizer
        from tests.test_plugins import Shrinking

        SWARM = Optimizer(name="Swarm", create=Shrinking)
        """,
    )
    assert "Swarm" in driver_names()
    optdriver.create_study(BOX, driver="L-BFGS-B")
    assert "swarm_of_theirs" not in sys.modules
    study = optdriver.create_study(BOX, driver="swarm", max_num_minimizers=1)
    study.run(bowl)
    assert study.best.value < 0.01
    assert sys.modules.pop("swarm_of_theirs")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("Swarm = swarm_of_theirs:MISSING", "'Swarm', swarm_of_theirs:MISSING, cannot be loaded"),
        ("Swarm = swarm_of_theirs:OTHER", "expected a method with that name"),
        ("Swarm = swarm_of_nobody:SWARM", "cannot be loaded"),
    ],
)
def test_one_that_is_broken_says_which(installed, entry, message):
    installed(entry, "OTHER = 7")
    with pytest.raises(InputError, match=message):
        driver_factory("swarm")
    assert driver_factory("L-BFGS-B").name == "L-BFGS-B"


def test_a_study_whose_method_is_not_there_says_so(added, tmp_path):
    path = tmp_path / "study.db"
    with optdriver.create_study(BOX, driver="Shrinking-Box", storage=path) as study:
        study.run(bowl, max_evaluations=4)
    plugins._added.clear()
    driver_factory.__globals__["_named"].cache_clear()
    with pytest.raises(optdriver.errors.StorageError, match="is the package installed"):
        optdriver.load_study(path)
