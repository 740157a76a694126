"""What every driver must do: a suite to inherit from, with a way to make the driver.

A driver's own test module defines a class with `make` and `restore`, and pytest runs all tests of
`DriverContract` on it.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.errors import InputError, ProtocolError, UnknownIdError
from tests.contracts.interrupts import insist
from tests.contracts.numbers import no_values, values, vectors
from tests.contracts.positions import POSITIONS


def objective(x):
    """Several minima in two and more dimensions."""
    k = np.arange(1.0, x.size + 1)
    f = np.sum(0.1 * (x - 0.3) ** 2 + np.cos(3 * x + k))
    return float(f), 0.2 * (x - 0.3) - 3 * np.sin(3 * x + k)


def plain(data):
    """What JSON makes of a state: lists for arrays."""
    return json.loads(json.dumps(data, default=lambda array: array.tolist()))


class Session:
    """Drives a driver by a script of random choices, and keeps what it saw."""

    def __init__(self, driver, seed, *, failing=(), slots=3):
        self.driver, self.slots = driver, slots
        self.choice = random.Random(seed)
        self.failing = set(failing)  # positions in the order of ids
        self.asked, self.told = [], []

    def step(self):
        """Ask for what fits, or tell one of the pending points; return False at the end."""
        driver = self.driver
        room = self.slots - len(driver.pending)
        if room > 0 and not driver.done and self.choice.random() < 0.7:
            self.asked.extend(driver.ask(self.choice.randint(1, room)))
        if not driver.pending:
            return not driver.done
        self.tell(self.choice.choice(driver.pending))
        return True

    def tell(self, point):
        if point.id in self.failing:
            self.told.append((point, math.nan))
            self.driver.tell_failure(point.id, "injected")
        else:
            f, g = objective(point.x)
            self.told.append((point, f))
            self.driver.tell(point.id, f, g)

    def run(self, steps):
        for _ in range(steps):
            if not self.step():
                break
        return self

    def trace(self):
        """Everything that was asked, in comparable form."""
        return [(p.id, p.run, p.kind, p.x.tobytes()) for p in self.asked]


@functools.cache
def unbroken(contract):
    """A whole session, with which others are compared."""
    return contract().session(1, failing={4, 17}).run(contract.steps)


LONG = pytest.mark.slow
FEW = [3, pytest.param(25, marks=LONG)]
"""How many examples of whole runs."""

WAYS = ["dict", "json", "pickle", "copy", "deepcopy"]
"""How to get the same driver again: the names of `DriverContract.twins`."""


class DriverContract:
    """Inherit, and define `make` and `restore`.  The driver must come to an end by itself."""

    steps = 400

    lower = np.array([-2.0, -1.0, 0.5])
    upper = np.array([2.0, 3.0, 0.5])

    def make(self):
        """Return a new driver in the box from `lower` to `upper`."""
        raise AssertionError("a contract needs a driver")

    def restore(self, data):
        """Return the driver whose `to_dict` gave `data`."""
        raise AssertionError("a contract needs a driver")

    @property
    def bounds(self):
        return np.column_stack([self.lower, self.upper])

    def session(self, seed=0, **how):
        return Session(self.make(), seed, **how)

    def twins(self):
        """The ways to get the same driver again."""
        return {
            "dict": lambda driver: self.restore(driver.to_dict()),
            "json": lambda driver: self.restore(plain(driver.to_dict())),
            "pickle": lambda driver: pickle.loads(pickle.dumps(driver)),
            "copy": copy.copy,
            "deepcopy": copy.deepcopy,
        }

    def check_points(self, points):
        for point in points:
            assert point.x.shape == self.lower.shape
            assert point.x.dtype == np.float64
            assert np.all((self.lower <= point.x) & (point.x <= self.upper))

    # -- calls that are broken off

    def interrupted(self, moments):
        """Ask 40 points or so, every call broken off at these moments until it is made."""
        driver, make, asked = self.make(), insist(moments), []
        while len(asked) < 40 and not make(lambda: driver.done):
            asked += make(lambda: driver.ask(2))
            point = max(driver.pending, key=lambda one: one.id * 7919 % 5)
            if point.id % 11 == 7:
                make(lambda point=point: driver.tell_failure(point.id, "on purpose"))
            else:
                make(lambda point=point: driver.tell(point.id, *objective(point.x)))
        best = make(lambda: driver.best)
        return [(p.id, p.run, p.kind, p.x.tobytes()) for p in asked], best.x.tobytes(), driver.nfev

    @pytest.mark.parametrize("seeds", [1, pytest.param(2, marks=LONG)])
    def test_what_is_asked_does_not_depend_on_interrupts(self, seeds):
        expected = self.interrupted(iter(()))
        for seed in range(seeds):
            choice = random.Random(seed)
            most = (20, 200, 2000)
            moments = (choice.randint(1, choice.choice(most)) for _ in range(80))
            assert self.interrupted(moments) == expected

    # -- derived classes

    def test_what_a_derived_class_has_of_its_own_goes_with_it(self, monkeypatch):
        driver = self.make()
        kind = type("Derived", (type(driver),), {"__module__": __name__})
        monkeypatch.setitem(globals(), "Derived", kind)
        derived = kind.from_dict(driver.to_dict())
        derived.seen, derived.owner = [1, 2], {"mine": derived}
        deep = [pickle.loads(pickle.dumps(derived)), copy.deepcopy(derived)]
        for each in (*deep, copy.copy(derived), derived.copy()):
            assert type(each) is kind
            assert each.seen == [1, 2]
            assert each.owner["mine"] is (each if each in deep else derived)
            (point,), (other,) = each.ask(), driver.copy().ask()
            assert (point.id, point.x.tobytes()) == (other.id, other.x.tobytes())

    # -- points and ids

    def test_it_comes_to_an_end_and_says_why(self):
        session = self.session().run(10 * self.steps)
        assert session.driver.done
        assert session.driver.stop_reason
        assert session.driver.ask(5) == []

    def test_ids_count_up_and_are_pending_until_told(self):
        session = self.session()
        for _ in range(60):
            session.step()
            told = {point.id for point, _ in session.told}
            open_ids = [point.id for point in session.asked if point.id not in told]
            assert [point.id for point in session.driver.pending] == open_ids
        assert [point.id for point in session.asked] == list(range(len(session.asked)))

    def test_a_pending_point_is_never_asked_again(self):
        driver = self.make()
        asked = driver.ask(3)
        again = driver.ask(3)
        assert not {p.id for p in asked} & {p.id for p in again}

    def test_points_are_protected(self):
        (point,) = self.make().ask()
        with pytest.raises(ValueError, match="read-only"):
            point.x[0] = 0.0

    @pytest.mark.parametrize("n", [0, -1, 1.5, "2", None, True])
    def test_ask_takes_a_positive_integer(self, n):
        with pytest.raises(InputError, match=r"ask\(n\)"):
            self.make().ask(n)

    @pytest.mark.parametrize("examples", FEW)
    def test_bounds_hold_and_the_best_is_what_was_observed(self, examples):
        @settings(max_examples=examples)
        @given(st.integers(0, 10**6), st.sets(st.integers(0, 80), max_size=6), st.integers(1, 6))
        def holds(seed, failing, slots):
            session = self.session(seed, failing=failing, slots=slots)
            lowest = math.inf
            for _ in range(120):
                session.step()
                lowest = self.check_best(session, lowest)
            self.check_points(session.asked)
            assert session.driver.nfev == len(session.told)
            assert session.driver.nfail == sum(math.isnan(f) for _, f in session.told)

        holds()

    @staticmethod
    def check_best(session, lowest):
        values = [f for _, f in session.told if not math.isnan(f)]
        best = session.driver.best
        if not values:
            assert best is None
            return lowest
        assert best.f == min(values) <= lowest
        point = next(p for p, _ in session.told if p.id == best.id)
        assert best.x.tobytes() == point.x.tobytes()
        assert best.run == point.run
        return best.f

    # -- state as data

    def test_restored_now_and_then_it_goes_on_identically(self):
        self.check_restored(lambda step: WAYS[step // 8 % len(WAYS)] if step % 8 == 1 else None)

    @LONG
    @pytest.mark.parametrize("way", WAYS)
    def test_restored_between_all_calls_it_goes_on_identically(self, way):
        self.check_restored(lambda _: way)

    def check_restored(self, way):
        """Make the driver again before the steps for which `way` names one of the ways."""
        straight = unbroken(type(self))
        broken, twins = self.session(1, failing={4, 17}), self.twins()
        for step in range(self.steps):
            if (again := way(step)) is not None:
                broken.driver = twins[again](broken.driver)
            if not broken.step():
                break
        assert broken.trace() == straight.trace()
        assert plain(broken.driver.to_dict()) == plain(straight.driver.to_dict())

    @pytest.mark.parametrize("examples", FEW)
    def test_restored_once_it_goes_on_identically(self, examples):
        @settings(max_examples=examples)
        @given(st.integers(0, 120), st.integers(0, 10**6), st.sets(st.integers(0, 60), max_size=5))
        def holds(when, seed, failing):
            straight = self.session(seed, failing=failing).run(when)
            twin = copy.deepcopy(straight)
            twin.driver = self.restore(plain(straight.driver.to_dict()))
            straight.run(60)
            twin.run(60)
            assert twin.trace() == straight.trace()
            assert plain(twin.driver.to_dict()) == plain(straight.driver.to_dict())

        holds()

    def test_a_state_shares_nothing_with_its_driver(self):
        session = self.session().run(30)
        data = session.driver.to_dict()
        before = plain(data)
        session.run(30)
        assert plain(data) == before

    @pytest.mark.parametrize("data", [{}, {"version": 99}, {"version": 1}, None, 3, []])
    def test_what_is_no_state_is_refused(self, data):
        with pytest.raises(InputError, match="version|to_dict|stored"):
            self.restore(data)

    # -- tells

    @pytest.mark.parametrize("every", POSITIONS)
    def test_the_same_again_does_nothing_and_another_value_is_refused(self, every):
        session = self.session(2, failing={3}).run(40)
        driver = session.driver
        before = plain(driver.to_dict())
        for point, f in session.told:
            g = objective(point.x)[1]
            if math.isnan(f):
                driver.tell_failure(point.id, "injected")
                with pytest.raises(ProtocolError, match="failure"):
                    driver.tell(point.id, 1.0, g)
            else:
                driver.tell(point.id, f, g)
        for point, f in session.told[::every]:  # after an error, all calls are made again
            if not math.isnan(f):
                with pytest.raises(ProtocolError, match="told before"):
                    driver.tell(point.id, f + 1.0, objective(point.x)[1])
                with pytest.raises(ProtocolError, match="told before"):
                    driver.tell_failure(point.id)
        assert plain(driver.to_dict()) == before

    @pytest.mark.parametrize("id", [-1, 10**6, "0", None, 0.5, [0]])
    def test_an_unknown_id_is_an_error(self, id):
        driver = self.make()
        driver.ask(2)
        with pytest.raises(UnknownIdError, match="no point with id"):
            driver.tell(id, 1.0, np.zeros(3))
        with pytest.raises(UnknownIdError, match="no point with id"):
            driver.tell_failure(id)

    @pytest.mark.parametrize("kind", [*no_values(), "None"])
    def test_a_value_that_is_no_number_is_refused_and_nothing_is_lost(self, kind):
        driver = self.make()
        (point,) = driver.ask()
        with pytest.raises(InputError, match="the value "):
            driver.tell(point.id, {**no_values(), "None": None}[kind], np.zeros(3))
        assert driver.pending == (point,)
        driver.tell(point.id, *objective(point.x))
        assert driver.best.id == point.id

    def test_numbers_of_every_kind_are_the_same(self):
        one = self.make()
        first = one.ask()[0]
        one.tell(first.id, 3.0, np.array([1.0, -2.0, 5.0]))
        for f in values(3).values():
            driver = self.make()
            driver.tell(driver.ask()[0].id, f, [1.0, -2.0, 5.0])
            assert plain(driver.to_dict()) == plain(one.to_dict())
        for g in vectors([1, -2, 5]).values():
            driver = self.make()
            driver.tell(driver.ask()[0].id, 3, g)
            assert plain(driver.to_dict()) == plain(one.to_dict())

    @pytest.mark.parametrize("f", [math.nan, math.inf, -math.inf])
    def test_a_value_that_is_not_finite_is_a_failure(self, f):
        driver = self.make()
        (point,) = driver.ask()
        driver.tell(point.id, f, np.zeros(3))
        driver.tell(point.id, f, np.zeros(3))
        assert driver.best is None
        assert (driver.nfev, driver.nfail) == (1, 1)
        assert driver.ask()

    @pytest.mark.parametrize("every", POSITIONS)
    def test_one_failure_at_any_position_spoils_nothing(self, every):
        clean = self.session(5, slots=1)
        for position in range(0, 60, every):
            session = copy.deepcopy(clean)
            session.failing = {position}  # the next one
            session.run(10 * self.steps)
            assert session.driver.done
            if session.driver.nfev <= position:  # it was at its end
                break
            assert session.driver.nfail == 1
            self.check_points(session.asked)
            self.check_minima(session.driver)
            while clean.driver.nfev < position + every and clean.step():
                pass
        assert position > 5

    def check_minima(self, driver):
        """Every minimum is an evaluated point at which the projected gradient vanishes."""
        assert driver.minima
        for minimum in driver.minima:
            f, g = objective(minimum.x)
            assert minimum.f == f
            step = np.clip(minimum.x - g, self.lower, self.upper) - minimum.x
            assert np.max(np.abs(step)) < 1e-3

    @pytest.mark.parametrize("examples", FEW)
    def test_the_order_of_tells_never_changes_where_a_start_leads(self, examples):
        one = self.paths(self.session(0, slots=1).run(self.steps))

        @settings(max_examples=examples)
        @given(st.integers(0, 10**6), st.integers(2, 5))
        def holds(seed, slots):
            other = self.paths(self.session(seed, slots=slots).run(self.steps))
            shared = one.keys() & other.keys()
            assert shared
            for start in shared:
                for x, y in zip(one[start], other[start], strict=False):
                    assert x.tobytes() == y.tobytes()

        holds()

    @staticmethod
    def paths(session):
        """For each start, the iterates that came of it."""
        start = {run.index: run.start for run in session.driver.runs}
        found = {}
        for point in session.asked:
            if point.kind == "iterate":
                found.setdefault(start[point.run], []).append(point.x)
        return found

    def test_added_points_count_for_the_best(self):
        driver = self.make()
        x = (self.lower + self.upper) / 2
        driver.add_point(x, -1000.0, np.zeros(3))
        x[0] = 77.0
        assert driver.best.f == -1000.0
        assert driver.best.id is None
        assert np.all(driver.best.x <= self.upper)
        assert driver.nfev == 0

    @pytest.mark.parametrize(
        "x", [[0.0], [9.0, 0, 0.5], ["a", 0, 0.5], [math.nan, 0, 0.5], None, [[1, 2], [3]]]
    )
    def test_a_point_that_cannot_be_added_is_refused(self, x):
        with pytest.raises(InputError, match="point"):
            self.make().add_point(x, 1.0)

    @pytest.mark.parametrize("f", [math.nan, math.inf, None, "1"])
    def test_a_value_that_cannot_be_added_is_refused(self, f):
        with pytest.raises(InputError):
            self.make().add_point([0.0, 0.0, 0.5], f)

    # -- stopping from outside

    def test_after_finish_nothing_is_asked_and_open_points_can_be_told(self):
        session = self.session(3).run(12)
        driver = session.driver
        session.asked.extend(driver.ask(2))
        driver.finish("enough")
        assert driver.done
        assert driver.stop_reason == "enough"
        assert driver.ask(4) == []
        told = driver.nfev
        for count, point in enumerate(driver.pending, 1):
            session.tell(point)
            assert driver.nfev == told + count
        assert driver.pending == ()
        assert driver.best.f == min(f for _, f in session.told)

    def test_resumed_it_goes_on_as_if_it_had_not_been_stopped(self):
        straight = self.session(4).run(self.steps)
        stopped = self.session(4)
        for _ in range(self.steps):
            stopped.driver.finish("a break")
            stopped.driver.resume()
            if not stopped.step():
                break
        assert stopped.trace() == straight.trace()

    # -- reports

    def test_runs_add_up(self):
        session = self.session(6, failing={2, 9}).run(self.steps)
        runs = session.driver.runs
        assert [run.index for run in runs] == list(range(len(runs)))
        assert sum(run.nfev for run in runs) == session.driver.nfev
        assert sum(run.nfail for run in runs) == session.driver.nfail
        for run in runs:
            assert run.state in ("running", "waiting", "converged", "stopped", "failed")
            assert bool(run.reason) == (run.state not in ("running", "waiting"))
        converged = sorted(run.index for run in runs if run.state == "converged")
        assert sorted(i for m in session.driver.minima for i in m.runs) == converged
        assert sum(m.times_found for m in session.driver.minima) == len(converged)
        values = [minimum.f for minimum in session.driver.minima]
        assert values == sorted(values)
