"""Leases: a worker that dies loses what it had, one that is only late does not lose its result."""

from __future__ import annotations

import math
import sys
import threading

import pytest

import optdriver
from optdriver.errors import InputError
from optdriver.server.leases import Leases
from optdriver.server.wire import Wire


class Time:
    now = 100.0

    def __call__(self):
        return self.now


def new(**arguments):
    arguments = {"jac": True, "num_parallel": 2, "num_initial": 2} | arguments
    return optdriver.create_study({"x": (-2.0, 2.0)}, **arguments)


@pytest.fixture
def clock():
    return Time()


def wire(study, clock, **options):
    return Wire(study, Leases(study, clock=clock, **options))


def test_a_lease_that_ends_gives_the_point_to_another_one_under_its_id(clock):
    w = wire(new(), clock)
    (a,) = w.answer("ask", {"lease": 10, "worker": "a"})["suggestions"]
    (b,) = w.answer("ask", {"lease": 1000, "worker": "b"})["suggestions"]
    assert w.answer("ask", {})["suggestions"] == []
    clock.now += 9
    assert w.answer("heartbeat", {"ids": [a["id"]]}) == {"wanted": [a["id"]]}
    clock.now += 9
    assert w.answer("ask", {})["suggestions"] == []
    clock.now += 2
    (again,) = w.answer("ask", {"lease": "inf"})["suggestions"]
    assert (again["id"], again["vector"]) == (a["id"], a["vector"])
    assert w.study.info()["num_failed"] == 1
    shown = w.answer("open", {})["open"]
    assert [(row["id"], row["worker"]) for row in shown] == [(b["id"], "b"), (a["id"], "")]


def test_a_late_result_counts_and_the_second_one_is_no_error(clock):
    w = wire(new(), clock)
    (a,) = w.answer("ask", {"lease": 10})["suggestions"]
    clock.now += 11
    (again,) = w.answer("ask", {"lease": 10})["suggestions"]
    w.answer("tell", {"id": a["id"], "value": 1.5, "gradient": [1.0]})
    assert w.study.best.value == 1.5
    w.answer("tell", {"id": again["id"], "value": 1.5000001, "gradient": [1.0]})
    assert w.study.best.value == 1.5


def test_a_point_that_kills_its_workers_is_given_up(clock):
    w = wire(new(num_parallel=1), clock)
    ids = []
    for _ in range(3):
        (a,) = w.answer("ask", {"lease": 10, "worker": "w"})["suggestions"]
        ids.append(a["id"])
        clock.now += 11
    assert ids[0] == ids[1] != ids[2]
    w.leases.expire()
    assert "nothing was heard of w for 10 s" in w.study.history["reason"][0]
    w.answer("tell", {"id": ids[0], "value": 1.0, "gradient": [1.0]})  # it lived after all


def test_what_was_open_at_the_start_is_given_again_when_nobody_is_heard_of(clock, tmp_path):
    path = tmp_path / "kept.db"
    with new(storage=path) as study:
        alive, dead = study.ask(2)
    with optdriver.load_study(path) as study:
        w = wire(study, clock, patience=60)
        assert w.answer("ask", {})["suggestions"] == []
        clock.now += 40
        assert w.answer("heartbeat", {"ids": [alive.id]}) == {"wanted": [alive.id]}
        clock.now += 40
        (again,) = w.answer("ask", {"n": 5})["suggestions"]
        assert again["id"] == dead.id
        assert study.info()["num_failed"] == 0


def test_heartbeats_for_what_nobody_wants_any_more(clock):
    w = wire(new(), clock)
    (a,) = w.answer("ask", {})["suggestions"]
    w.answer("tell", {"id": a["id"], "value": 1.0, "gradient": [1.0]})
    assert w.answer("heartbeat", {"ids": [a["id"], 99, "x", None, True]}) == {"wanted": []}


def test_without_a_lease_nothing_ends(clock):
    w = wire(new(), clock)
    w.answer("ask", {"n": 2})
    clock.now += 1e9
    assert w.leases.expire() == []
    assert w.leases.due == math.inf
    for wrong in (0, -(10**400), "nan"):
        with pytest.raises(InputError, match="lease"):
            w.answer("ask", {"lease": wrong})
    w.answer("tell", {"id": 0, "value": 1.0, "gradient": [1.0]})
    assert w.answer("ask", {"lease": 10**400})["suggestions"][0]["lease"] == "inf"


def test_when_a_lease_is_due_may_be_asked_from_any_thread(clock):
    leases = Leases(new(), clock=clock)
    wrong, done = [], threading.Event()

    def watch():
        while not done.is_set():
            try:
                assert leases.due > clock.now
            except Exception as error:  # noqa: BLE001 - whatever it is, it would end the clock
                wrong.append(error)
                return

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        watcher = threading.Thread(target=watch)
        watcher.start()
        for id in range(3000):
            leases.grant(id, 10.0, "a")
            if id % 3:
                leases.drop(id - 1)
    finally:
        sys.setswitchinterval(before)
        done.set()
        watcher.join()
    assert wrong == []
