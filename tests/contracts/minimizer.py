"""What every minimizer must do: a suite to inherit from, with a way to make the minimizer.

A minimizer's own test module defines a class with `make` and `restore`, and pytest runs all tests
of `MinimizerContract` on it::

    class TestLBFGSB(MinimizerContract):
        def make(self, x0, bounds, **options):
            return LBFGSB(x0, bounds, **options)

        def restore(self, data):
            return LBFGSB.from_dict(data)
"""

from __future__ import annotations

import copy
import json
import math
import pickle
import random

import numpy as np
import pytest

from optdriver.errors import InputError, ProtocolError
from tests.contracts.interrupts import Interrupt, Interrupter, insist
from tests.contracts.numbers import no_values, no_vectors, values, vectors
from tests.contracts.positions import POSITIONS


def objective(x):
    """Rosenbrock's valley; with the box below, one variable ends at a bound."""
    t, u = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
    g = np.zeros(x.size)
    g[:-1] = -400.0 * x[:-1] * t - 2.0 * u
    g[1:] += 200.0 * t
    return float(100.0 * t @ t + u @ u), g


def plain(data):
    """What JSON makes of a state: lists for arrays."""
    return json.loads(json.dumps(data, default=lambda array: array.tolist()))


def equal(a, b):
    """Whether two states are equal to the bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, (float, np.ndarray)):
        return np.asarray(a).tobytes() == np.asarray(b).tobytes()
    return a == b


def is_data(value):
    """Whether a state is made of nothing but numbers, strings, arrays and containers of them."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and is_data(value[name]) for name in value)
    if isinstance(value, (list, tuple)):
        return all(map(is_data, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiub"
    return value is None or type(value) in (bool, int, float, str)


def settle(opt, moments, call):
    """Make a call that counts an evaluation, broken off at these moments until it has happened."""
    before = opt.nfev
    while True:
        try:
            at = next(moments, None)
            return call() if at is None else Interrupter(at).call(call)
        except Interrupt:
            if opt.nfev > before:
                return None


class MinimizerContract:
    """Inherit, and define `make` and `restore`."""

    x0 = np.array([-1.2, 1.0, 1.0])
    lower = np.array([-1.5, -np.inf, -2.0])
    upper = np.array([0.8, np.inf, 2.0])
    most_failures = 3  # failures in a row, away from the start, that a run survives

    named = "the (value|gradient) "
    """How the error for what is none begins."""

    last_digits = 0.0
    """By what part of itself the value at the end of a run may exceed the best."""

    undoes = True
    """Whether it undoes by itself what is broken off."""

    def make(self, x0, bounds, **options):
        """Return a new minimizer."""
        raise AssertionError("a contract needs a minimizer")

    def restore(self, data):
        """Return the minimizer whose `to_dict` gave `data`."""
        raise AssertionError("a contract needs a minimizer")

    def restore_as(self, kind, data):
        """Return the same as one of a class that is derived from its own."""
        return kind.from_dict(data)

    def told(self, x):
        """What is told at x: value and gradient."""
        return objective(x)

    def value_and_gradient(self, told):
        """The value and the gradient of what is told."""
        return told

    def fresh(self, **options):
        return self.make(self.x0, np.column_stack([self.lower, self.upper]), **options)

    @property
    def ways(self):
        """The ways to get the same minimizer again."""
        return {
            "dict": lambda opt: self.restore(opt.to_dict()),
            "json": lambda opt: self.restore(plain(opt.to_dict())),
            "pickle": lambda opt: pickle.loads(pickle.dumps(opt)),
            "copy": copy.copy,
            "deepcopy": copy.deepcopy,
        }

    def go(self, opt, failing=(), *, points=None):
        """Run to the end; fail the evaluations at the positions in `failing`."""
        points = [] if points is None else points
        while not opt.done:
            points.append(opt.ask())
            self.evaluate(opt, opt.nfev in failing)
            assert len(points) < 10_000
        return points

    def evaluate(self, opt, fails=False):
        if fails:
            opt.tell_failure("injected")
        else:
            opt.tell(*self.told(opt.ask()))

    @pytest.fixture
    def reference(self):
        """A whole run without failures, and its points."""
        opt = self.fresh()
        points = self.go(opt)
        assert opt.result.success
        return opt, points

    def check_minimum(self, opt, reference):
        assert opt.result.success
        assert opt.result.fun <= reference[0].result.fun + 1e-6
        assert opt.result.fun == self.value_and_gradient(self.told(opt.result.x))[0]

    # -- ask and tell

    def test_the_first_point_is_the_start(self):
        opt = self.fresh()
        np.testing.assert_array_equal(opt.ask(), self.x0)
        assert not opt.done
        assert opt.nfev == opt.nit == 0

    def test_asking_twice_gives_equal_points_and_changes_nothing(self):
        opt = self.fresh()
        while not opt.done:
            before = opt.to_dict()
            first, second = opt.ask(), opt.ask()
            assert first.tobytes() == second.tobytes()
            first[:] = math.nan  # a copy: ours to spoil
            assert opt.ask().tobytes() == second.tobytes()
            assert equal(opt.to_dict(), before)
            self.evaluate(opt)

    def test_every_point_is_in_the_bounds(self):
        for failing in ((), (1,), (4, 5), range(3, 100, 3)):
            for x in self.go(self.fresh(), failing):
                assert x.dtype == np.float64
                assert x.shape == self.x0.shape
                assert np.all((self.lower <= x) & (x <= self.upper))

    def test_a_run_ends_at_the_minimum(self, reference):
        opt, points = reference
        assert opt.nfev == len(points)
        assert opt.result.nfev == opt.nfev
        assert opt.result.nit == opt.nit
        self.check_minimum(opt, reference)

    def test_the_result_is_the_best_evaluation_at_all_times(self):
        opt, best = self.fresh(), math.inf
        while not opt.done:
            told = self.told(opt.ask())
            opt.tell(*told)
            best = min(best, self.value_and_gradient(told)[0])
            result = opt.result
            assert best <= result.fun <= best + opt.done * self.last_digits * abs(best)
            value, gradient = self.value_and_gradient(self.told(result.x))
            assert (value, gradient.tolist()) == (result.fun, result.jac.tolist())
            assert opt.done or not result.success

    @pytest.mark.parametrize("every", POSITIONS)
    def test_the_limit_of_evaluations_is_hard(self, reference, every):
        _, points = reference
        for most in {*range(1, len(points), every), len(points), len(points) + 1}:
            opt = self.fresh(maxfun=most)
            assert len(self.go(opt)) == min(most, len(points))
            assert opt.result.success == (most >= len(points))

    # -- state

    def test_the_state_is_data(self):
        opt = self.fresh()
        while not opt.done:
            assert is_data(opt.to_dict())
            self.evaluate(opt, opt.nfev == 3)
        assert is_data(opt.to_dict())

    @pytest.mark.parametrize("failing", [(), (6, 7)])
    def test_restored_at_every_point_a_run_goes_on_to_the_bit(self, failing):
        opt, ways = self.fresh(), list(self.ways.values())
        twin = opt
        while not opt.done:
            twin = ways[opt.nfev % len(ways)](twin)  # each of them in its turn
            assert twin.ask().tobytes() == opt.ask().tobytes()
            for each in (opt, twin):
                self.evaluate(each, each.nfev in failing)
            assert equal(twin.to_dict(), opt.to_dict())

    @pytest.mark.slow
    @pytest.mark.parametrize("failing", [(), (6, 7)])
    def test_restored_in_each_way_at_every_point_a_run_goes_on_to_the_bit(self, failing):
        opt = self.fresh()
        twins = dict.fromkeys(self.ways, opt)
        while not opt.done:
            for way, again in self.ways.items():
                twins[way] = twin = again(twins[way])
                assert twin.ask().tobytes() == opt.ask().tobytes(), way
            for each in (opt, *twins.values()):
                self.evaluate(each, each.nfev in failing)
            for way, twin in twins.items():
                assert equal(twin.to_dict(), opt.to_dict()), way

    @pytest.mark.parametrize("every", POSITIONS)
    def test_restored_once_a_run_ends_in_the_same_way(self, every):
        reference = self.fresh()
        self.go(reference)
        opt = self.fresh()
        while not opt.done:
            if opt.nfev % every == 0:
                twin = self.restore(plain(opt.to_dict()))
                self.go(twin)
                assert equal(twin.to_dict(), reference.to_dict())
            self.evaluate(opt)

    @pytest.mark.parametrize("seeds", [1, pytest.param(3, marks=pytest.mark.slow)])
    def test_a_call_that_is_broken_off_has_happened_or_has_not(self, seeds):
        if not self.undoes:
            pytest.skip("its owner undoes what is broken off")
        expected, best = self.interrupted(self.fresh(), iter(()))
        for seed in range(seeds):
            choice = random.Random(seed)
            moments = (choice.randint(1, choice.choice([10, 100, 1000])) for _ in range(80))
            points, found = self.interrupted(self.fresh(), moments)
            assert equal(points, expected)
            assert equal(found.x, best.x)
            assert found.message == best.message

    def interrupted(self, opt, moments):
        """Run 25 evaluations, a failed one among them; return the points and the result."""
        points = []
        ask = insist(moments)
        while len(points) < 25 and not opt.done:
            points.append(ask(opt.ask))
            f, g = self.told(points[-1])
            if len(points) == 9:
                settle(opt, moments, lambda: opt.tell_failure("on purpose"))
            else:
                settle(opt, moments, lambda f=f, g=g: opt.tell(f, g))
        return points, ask(lambda: opt.result)

    def test_a_copy_shares_nothing(self):
        opt = self.fresh()
        self.evaluate(opt)
        before = opt.to_dict()
        for again in self.ways.values():
            self.go(again(opt))
        assert equal(opt.to_dict(), before)

    def test_what_is_derived_from_its_class_stays_so(self, monkeypatch):
        opt = self.fresh()
        kind = type("Derived", (type(opt),), {"__module__": __name__})
        monkeypatch.setitem(globals(), "Derived", kind)
        derived = self.restore_as(kind, opt.to_dict())
        by_pickle = pickle.loads(pickle.dumps(derived))
        for each in (derived, by_pickle, copy.copy(derived), copy.deepcopy(derived)):
            assert type(each) is kind
            assert each.ask().tobytes() == opt.ask().tobytes()

    @pytest.mark.parametrize("slots", [False, True])
    def test_what_a_derived_class_has_of_its_own_goes_with_it(self, monkeypatch, slots):
        opt = self.fresh()
        self.evaluate(opt)
        names = {"__slots__": ("owner", "seen")} if slots else {}
        kind = type("Derived", (type(opt),), {"__module__": __name__, **names})
        monkeypatch.setitem(globals(), "Derived", kind)
        derived = self.restore_as(kind, opt.to_dict())
        derived.seen, derived.owner = [1, 2], {"mine": derived}
        copies = {
            "pickle": pickle.loads(pickle.dumps(derived)),
            "twice": pickle.loads(pickle.dumps(copy.deepcopy(derived))),
            "deepcopy": copy.deepcopy(derived),
            "copy": copy.copy(derived),
            "method": derived.copy(),
        }
        for way, each in copies.items():
            shared = way in {"copy", "method"}
            assert type(each) is kind
            assert each.seen == [1, 2]
            assert (each.seen is derived.seen) == shared
            assert each.owner["mine"] is (derived if shared else each)
            assert each.ask().tobytes() == opt.ask().tobytes()
        assert equal(derived.to_dict(), opt.to_dict())

    def test_a_dict_shares_nothing(self):
        opt = self.fresh()
        self.evaluate(opt)
        before = pickle.dumps(opt.to_dict())
        kept = opt.to_dict()
        self.go(opt)
        assert pickle.dumps(kept) == before

    def test_a_dict_of_something_else_is_refused(self):
        data = self.fresh().to_dict()
        for wrong in ({}, {**data, "version": 10**6}, None, [], {"version": data["version"]}):
            with pytest.raises(InputError):
                self.restore(wrong)

    # -- failures

    def fail(self, opt, kind):
        """Let an evaluation fail in one of the ways there are."""
        f, g = self.told(opt.ask())
        if kind == "told":
            opt.tell_failure("crashed")
        elif kind == "gradient":
            opt.tell(f, np.where(np.arange(self.x0.size) == 1, np.inf, g))
        else:
            opt.tell(np.full(np.shape(f), float(kind))[()], g)

    @pytest.mark.parametrize("every", POSITIONS)
    def test_one_failure_at_any_position_is_overcome(self, reference, every):
        opt = self.fresh()
        while not opt.done:
            if opt.nfev % every == 0:
                self.overcome(opt, reference)
            self.evaluate(opt)

    def overcome(self, opt, reference):
        """Let copies fail in all the ways there are, and one of them go on to its end."""
        kinds = ["told", "nan", "inf", "-inf", "gradient"]
        failed = {kind: copy.copy(opt) for kind in kinds}
        ways = {kind: self.after_failure(each, kind) for kind, each in failed.items()}
        assert all(equal(way, ways["told"]) for way in ways.values())
        goes_on = failed[kinds[opt.nfev % len(kinds)]]  # each of them in its turn
        self.go(goes_on)
        assert goes_on.nfail == 1
        self.check_minimum(goes_on, reference)

    def after_failure(self, opt, kind):
        """Let an evaluation fail in one of the ways there are; return the next three points."""
        self.fail(opt, kind)
        points = []
        while not opt.done and len(points) < 3:
            points.append(opt.ask())
            self.evaluate(opt)
        return points

    @pytest.mark.parametrize("every", POSITIONS)
    def test_failures_in_a_row_are_overcome(self, reference, every):
        opt = self.fresh()
        self.evaluate(opt)
        while not opt.done:
            for row in range(2, self.most_failures + 1):
                if (opt.nfev + row) % every == 0:
                    failed = copy.copy(opt)
                    self.go(failed, range(opt.nfev, opt.nfev + row))
                    self.check_minimum(failed, reference)
            self.evaluate(opt)

    def test_failures_in_a_row_are_counted(self):
        opt = self.fresh()
        self.evaluate(opt)
        assert (opt.nfail, opt.failures) == (0, 0)
        self.evaluate(opt, fails=True)
        self.evaluate(opt, fails=True)
        assert (opt.nfail, opt.failures) == (2, 2)
        self.evaluate(opt)
        assert (opt.nfail, opt.failures) == (2, 0)

    def test_where_everything_fails_the_run_ends_without_success(self):
        for good in range(4):
            opt = self.fresh()
            points = self.go(opt, range(good, 10_000))
            assert not opt.result.success
            assert len(points) < 100
            assert opt.at_start == (good == 0)
            assert math.isnan(opt.result.fun) == (good == 0)
            assert "injected" in opt.result.message

    # -- errors

    def check_refused(self, f, g):
        opt = self.fresh()
        for _ in range(2):
            before = opt.to_dict()
            with pytest.raises(InputError, match=f"^{self.named}"):
                opt.tell(f, g)
            assert equal(opt.to_dict(), before)
            self.evaluate(opt)

    @pytest.mark.parametrize("kind", [*no_values(), "None"])
    def test_what_is_no_value_is_refused_and_changes_nothing(self, kind):
        self.check_refused({**no_values(), "None": None}[kind], np.ones(self.x0.size))

    @pytest.mark.parametrize("kind", no_vectors(3))
    def test_what_is_no_gradient_is_refused_and_changes_nothing(self, kind):
        self.check_refused(1.0, no_vectors(self.x0.size)[kind])

    def test_a_missing_gradient_is_refused(self):
        self.check_refused(1.0, None)

    def test_numbers_of_every_kind_are_the_same(self):
        numbers = [1.0, -2.0, 5.0][: self.x0.size]
        told = self.fresh()
        told.tell(3.0, np.array(numbers))
        for name, f in values(3).items():
            opt = self.fresh()
            opt.tell(f, numbers)
            assert equal(opt.to_dict(), told.to_dict()), name
        for name, g in vectors(numbers).items():
            opt = self.fresh()
            opt.tell(3, g)
            assert equal(opt.to_dict(), told.to_dict()), name

    def test_after_the_end_nothing_can_be_asked_or_told(self, reference):
        opt, _ = reference
        before = opt.to_dict()
        for call in (
            opt.ask,
            lambda: opt.tell(*self.told(self.x0)),
            lambda: opt.tell_failure("late"),
            lambda: opt.halt("late"),
        ):
            with pytest.raises(ProtocolError, match="ended"):
                call()
        assert equal(opt.to_dict(), before)

    def test_a_halted_run_keeps_its_best(self):
        opt = self.fresh()
        for _ in range(5):
            self.evaluate(opt)
        fun = opt.result.fun
        opt.halt("enough of it")
        assert opt.done
        assert not opt.result.success
        assert opt.result.fun == fun
        assert "enough of it" in opt.result.message
