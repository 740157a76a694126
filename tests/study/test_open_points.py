"""A point that is open is not asked once more, and one that failed for good is not tried again.

Studies are driven at random, and killed before any of their events: those that go on from what was
recorded must record what those record that were never killed.
"""

from __future__ import annotations

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, ProtocolError
from optdriver.studies import create_study
from optdriver.study import Study
from optdriver.study.events import Asked, Postponed, Recalled, RoundAsked, pack, unpack
from tests.study.tools import Clock, same

BOX = {"a": (-1.0, 2.0), "b": (-1.0, 1.0)}
START = [0.5, 0.25]
SAME = [START] * 4
DRIVERS = {
    "gradients": {"jac": True},
    "differences": {},
    "linkage": {"jac": True, "start_rule": "mlsl"},
    "auto": {"jac": True, "start_rule": "auto"},
    "simplex": {"driver": "Nelder-Mead"},
    "disc": {"jac": True, "constraints": ["a^2 + b^2 <= 1"]},
    "outputs": {"outputs": ["stress <= 1"]},
    "generations": {"driver": "CMA-ES"},
    "fit": {"driver": "least-squares", "jac": True},
}
MORE = {
    "as it is": {},
    "retries": {"retries": 1},
    "leases": {"lease_seconds": 3.0},
    "eps": {"eps": 1e-7},
    "greatest": {"direction": "maximize"},
}


class Killed(Exception):
    """Before an event was recorded."""


class Journal(list):
    """A record that ends the process, so to speak, before its event `at`."""

    def __init__(self, given=(), at=-1):
        super().__init__(given)
        self.at = at

    def append(self, event):
        if len(self) == self.at:
            raise Killed
        super().append(event)

    def extend(self, events):
        for event in events:
            self.append(event)


def value_at(x):
    """A sum that is least at a corner, to which steps are cut, and fails beyond a line."""
    a, b = float(x[0]), float(x[1])
    if a > 1.2 and b > -0.5:
        return None
    f = a + 0.3 * b + 0.2 * np.cos(4 * a)
    return f, [1.0 - 0.8 * np.sin(4 * a), 0.3]


def told(study, id, x):
    """Tell what is wanted at a point."""
    found = value_at(x)
    if found is None:
        study.tell_failure(id, "it broke")
    elif study.spec.driver == "least-squares":
        study.tell(id, residuals=[x[0] - 1, x[0] * x[1]], jacobian=[[1.0, 0.0], [x[1], x[0]]])
    elif study.spec.limits is not None:
        study.tell(id, found[0], outputs={"stress": x[0] + x[1]})
    else:
        study.tell(id, found[0], found[1] if study.parameters["jac"] else None)


class Drive:
    """A study to which something happens, decided by a seed and by what is open."""

    def __init__(self, given, seed, journal):
        self.given, self.journal = given, journal
        self.chance = np.random.default_rng(seed)
        self.clock, self.kills = Clock(), 0
        self.study = create_study(BOX, journal=journal, clock=self.clock, **given)
        self.study.start_clock(anew=False)

    def reopen(self):
        """Go on in another process."""
        self.kills += 1
        now, self.clock = self.study._desk.now(), Clock()
        recorded = [unpack(pack(event)) for event in self.journal]
        self.journal = Journal(recorded)
        self.study = Study.from_events(
            self.study.spec, recorded, journal=self.journal, clock=self.clock
        )
        self.study.start_clock(anew=False)
        self.clock.time += now - self.study._desk.now()

    def step(self, fills):
        """Let something happen, again if the process was killed in the midst of it."""
        self.clock.time += 0.5
        what, which, share = self.chance.random(3).tolist()
        opened = sorted(self.study._desk.state.open)
        chosen = opened[: 1 + int(which * len(opened))] if opened else []
        id = opened[int(which * len(opened))] if opened else -1
        x = np.round(self.chance.random(2), 1)
        while True:
            try:
                self._do(what, id, chosen, x, fills, share)
            except Killed:
                self.reopen()
            else:
                return

    def _do(self, what, id, chosen, x, fills, share):
        study = self.study
        opened = study._desk.state.open
        if what < 0.4 or id < 0:
            study.ask()
        elif what < 0.5:
            study.ask_arrays()
        elif what < 0.53 and fills:
            if len(opened) < 9:
                study.ask(1, fill=True)
        elif what < 0.83:
            if id in opened:
                told(study, id, opened[id].x)
        elif what < 0.87:
            if study.spec.driver != "least-squares" and study.spec.limits is None:
                rows = [each for each in chosen if each in opened]
                found = [value_at(opened[each].x) or (np.nan, [0.0, 0.0]) for each in rows]
                values, gradients = [f for f, _ in found], np.array([g for _, g in found])
                if rows:
                    gradients = gradients if study.parameters["jac"] else None
                    study.tell_arrays(rows, values, gradients)
        elif what < 0.9:
            if id in opened:
                study.tell_failure(id, "a fault", worker_died=share < 0.5)
        elif what < 0.92:
            if id in opened:
                study.clear_suggestion(id, "not wanted")
        elif what < 0.96:
            if id in opened:
                study.release(id, spent=share < 0.5)
        elif what < 0.97:
            if study.spec.limits is None and study.spec.driver != "least-squares":
                found = value_at(x)
                feasible = study.spec.compiled is None or study.spec.compiled.is_feasible(x)
                if found and feasible and study._desk.state.ledger.find(x) is None:
                    study.add_point(x.tolist(), found[0], found[1] if share < 0.7 else None)
        else:
            study.is_done()
            if study.stop_kind == "failures":
                study.resume()


def without_time(events):
    """Return what was recorded, but for the times, and rounds in which nothing was handed out."""
    kept = [event for event in events if type(event) is not RoundAsked or event.ids.size]
    return [{**pack(event), "time": 0.0} for event in kept]


def asked_twice(events):
    """Return the points that were handed out while they were open, told, or failed for good."""
    now, twice = {}, []
    where = {}
    for event in events:
        if type(event) is Asked and event.kind != "check":
            rows = [(event.id, event.x.tobytes())]
        elif type(event) is RoundAsked:
            rows = zip(event.ids.tolist(), (x.tobytes() for x in event.matrix), strict=True)
        else:
            rows = []
        for id, x in rows:
            if now.get(x, id) != id:
                twice.append((id, x))
            now[x], where[id] = id, x
    return twice


def driven(setting, more, seed, journal, steps=80, fills=False, **given):
    given = {
        "initial_samples": SAME, "num_parallel": 4, "num_initial": 3, "max_num_minimizers": 40,
        "seed": seed, "stop_after_failures": 1000,
    } | DRIVERS[setting] | MORE[more] | given  # fmt: skip
    drive = Drive(given, seed, journal)
    for _ in range(steps):
        drive.step(fills)
    return drive


def check(setting, more, seed, fills, kills):
    """Drive a study, and again with a kill before each of some events."""
    whole = driven(setting, more, seed, Journal(), fills=fills)
    again = Study.from_events(whole.study.spec, map(unpack, map(pack, whole.journal)))
    state = {**whole.study.to_dict(), "elapsed": again.to_dict()["elapsed"]}
    assert same(again.to_dict(), state)
    assert same(Study.from_dict(state).to_dict(), state)
    for at in np.random.default_rng(seed).choice(len(whole.journal), kills, replace=False):
        other = driven(setting, more, seed, Journal(at=at), fills=fills)
        assert other.kills == 1
        assert same(without_time(other.journal), without_time(whole.journal))
        assert same({**other.study.to_dict(), "elapsed": state["elapsed"]}, state)
    return whole.journal


@pytest.mark.parametrize("setting", DRIVERS)
def test_no_point_is_open_or_evaluated_twice(setting):
    journal = check(setting, "as it is", 5, fills=False, kills=1)
    if setting != "fit":  # its residuals are not kept
        assert asked_twice(journal) == []
    if setting in ("gradients", "differences", "linkage", "auto", "simplex", "disc"):
        kinds = [type(event) for event in journal]
        assert min(kinds.count(Postponed), kinds.count(Recalled)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("setting", ["gradients", "differences", "disc"])
def test_kills_change_nothing(setting, more):
    assert asked_twice(check(setting, more, 7, fills=False, kills=3)) == []
    check(setting, more, 8, fills=True, kills=3)


def study_of(**given):
    journal = []
    given = {"jac": True, "initial_samples": SAME, "num_initial": 2, "num_parallel": 2} | given
    if "driver" in given:
        del given["jac"]
    return create_study(BOX, journal=journal, clock=Clock(), **given), journal


def kinds(journal):
    return [type(event).__name__ for event in journal]


def test_a_minimizer_waits_for_a_point_that_is_open():
    study, journal = study_of(max_num_minimizers=2)
    first = study.ask()
    assert study.ask() is None
    assert kinds(journal) == ["Asked", "Postponed"]
    told(study, first.id, first.x)
    second = study.ask()
    assert second.x.tolist() != START
    assert kinds(journal)[2:] == ["Told", "Recalled", "Asked"]
    assert study.num_evaluations == 1
    assert [row.value for row in study.runs] == [value_at(START)[0]] * 2


def test_another_minimizer_takes_the_place():
    study, journal = study_of()
    first, second = study.ask(2)
    assert second.x.tolist() != START
    assert kinds(journal) == ["Asked", *["Postponed"] * (len(SAME) - 1), "Asked"]
    assert (first.run, second.run) == (0, len(SAME))


def test_what_failed_for_good_fails_at_once_for_others():
    study, journal = study_of(max_num_minimizers=2, stop_after_failures=1000)
    first = study.ask()
    assert study.ask() is None
    study.tell_failure(first.id, "the mesh broke")
    found = study.ask()
    assert found.x.tolist() != START
    recalled = [event for event in journal if type(event) is Recalled]
    assert {event.source for event in recalled} == {first.id}
    assert study.info()["num_failed"] == 1
    assert study.num_evaluations == 1
    failed = [row for row in study.runs if row.state == "failed"]
    assert len(failed) == len(SAME)
    assert {row.reason for row in failed} == {"its start failed: the mesh broke"} or failed


@pytest.mark.parametrize("how", ["retries", "release", "worker", "lease"])
def test_others_wait_as_long_as_a_point_is_tried(how):
    study, journal = study_of(retries=1, lease_seconds=5.0, max_num_minimizers=2)
    study.start_clock()
    first = study.ask()
    assert study.ask() is None
    if how == "release":
        study.release(first.id)
    elif how == "lease":
        study._desk._clock.time += 6.0
    else:
        study.tell_failure(first.id, "a fault", worker_died=how == "worker")
    again = study.ask()
    assert again.id == first.id
    assert study.ask() is None
    told(study, first.id, first.x)
    assert study.ask().x.tolist() != START
    assert kinds(journal).count("Postponed") == 1
    assert study._desk.state.aside == {}


@pytest.mark.parametrize("rounds", [False, True])
def test_fill_asks_a_point_again_if_nothing_else_is_left(rounds):
    study = create_study(
        {"a": (-np.inf, np.inf), "b": (-np.inf, np.inf)}, jac=True, initial_samples=SAME,
        num_parallel=4, num_initial=4, clock=Clock(),
    )  # fmt: skip
    assert len(study.ask(4)) == 1
    if rounds:
        ids, x = study.ask_arrays(3, fill=True)
        assert x.tolist() == [START] * 3
    else:
        ids = [each.id for each in study.ask(3, fill=True)]
    assert len(set(ids)) == 3
    assert len(study.open_suggestions) == 4
    for suggestion in study.open_suggestions:
        told(study, suggestion.id, suggestion.x)
    assert len(study.ask(4)) == 1  # all of them go on alike
    assert study.info()["num_evaluations"] == 4


def test_fill_prefers_new_points():
    study, _ = study_of(max_num_minimizers=2)
    asked = study.ask(6, fill=True)
    assert len({each.x.tobytes() for each in asked}) == 6


@pytest.mark.parametrize("given", [{"memory": False}, {"noise": 1e-3}, {"memory_rule": 1}])
def test_where_values_are_not_certain_points_are_asked_again(given):
    study, journal = study_of(**given)
    assert [each.x.tolist() for each in study.ask(2)] == [START] * 2
    assert "Postponed" not in kinds(journal)


def test_uncertain_values_are_asked_for_again():
    study, journal = study_of(num_parallel=1)
    first = study.ask()
    study.tell(first.id, *value_at(first.x), uncertainty=0.1)
    assert study.ask().x.tolist() == START
    study.set_parameters(num_parallel=2)
    assert study.ask().x.tolist() != START or kinds(journal).count("Postponed") == 0


def test_what_failed_before_a_study_stopped_for_failures_may_be_tried_once_more():
    study, journal = study_of(initial_samples=(), num_parallel=1, num_initial=1,
                              stop_after_failures=2)  # fmt: skip
    for _ in range(2):
        study.tell_failure(study.ask().id, "no licence")
    assert study.stop_kind == "failures"
    assert study.ask() is None
    study.resume()
    assert study._desk.state.pardoned == {0, 1}
    study.tell_failure(study.ask().id, "of its own")
    for again in (Study.from_dict(study.to_dict()), Study.from_events(study.spec, journal)):
        assert again._desk.state.pardoned == {0, 1}
        assert same(again.to_dict() | {"elapsed": 0}, study.to_dict() | {"elapsed": 0})


def test_a_start_that_is_added_is_tried_once_more():
    study, _ = study_of(initial_samples=(), num_parallel=1, num_initial=1)
    lost = study.ask()
    study.tell_failure(lost.id, "no licence")
    study.set_parameters(initial_samples=[lost.x.tolist()])
    asked = []
    for _ in range(3):
        suggestion = study.ask()
        asked.append(suggestion.x.tolist())
        told(study, suggestion.id, suggestion.x)
    assert lost.x.tolist() in asked


def test_a_gradient_that_cannot_be_used_fails_at_once_for_others():
    study, journal = study_of(max_num_minimizers=2)
    first = study.ask()
    study.ask()
    study.tell(first.id, -5.0, [np.nan, 0.0])
    assert study.ask().x.tolist() != START
    assert study.best.value == -5.0
    assert "Recalled" in kinds(journal)
    again = Study.from_events(study.spec, journal, clock=Clock())
    assert same(again.to_dict(), study.to_dict())


def test_no_more_is_set_aside_than_a_box_of_two_points_makes_sense_for():
    study = create_study({"a": (1.0, np.nextafter(1.0, 2.0))}, jac=True, num_parallel=8,
                         num_initial=8, clock=Clock())  # fmt: skip
    for how in (lambda: study.ask(99), study.ask_arrays, lambda: study.is_done()):
        how()
    opened = study.open_suggestions
    assert 1 <= len(opened) <= 2
    assert 100 <= sum(map(len, study._desk.state.aside.values())) <= 108
    study.set_parameters(max_num_minimizers=30)
    for suggestion in opened:
        study.tell(suggestion.id, 1.0, [0.0])
    while study.ask() is not None:
        continue
    assert study.is_done()
    assert len(study.history.x) == len(opened)


def test_a_flag_of_numpy_can_be_read_again():
    study, journal = study_of()
    study.release(study.ask().id, spent=np.True_)
    again = Study.from_events(study.spec, map(unpack, map(pack, journal)))
    assert again.to_dict()["spent"] == 1


def test_another_objective_forgets_what_waits():
    study, _ = study_of()
    first = study.ask(2)[0]
    study.reevaluate()
    assert study._desk.state.aside == {}
    assert study.ask().x.tolist() == START
    study.tell(first.id, 1.0, [0.0, 0.0])  # has no effect


def test_threads_evaluate_no_point_twice():
    called = []

    def objective(a, b):
        called.append((a, b))
        found = value_at((a, b))
        if found is None:
            raise ArithmeticError("it broke")
        return found

    study, _ = study_of(num_parallel=8, num_initial=8, max_num_minimizers=30)
    study.run(objective)
    assert len(called) == len(set(called)) > 20


def test_in_a_file(tmp_path):
    path = tmp_path / "study.db"
    with create_study(BOX, jac=True, initial_samples=SAME, num_parallel=3, num_initial=3,
                      max_num_minimizers=3, storage=path) as study:  # fmt: skip
        first = study.ask(3)
        assert len(first) == 1
        study.export(tmp_path / "study.jsonl")
    with optdriver.load_study(path) as study:
        assert study.ask(3) == []
        told(study, 0, START)
        assert len(study.ask(3)) == 1
        assert study.verify().points == 2
    with optdriver.import_study(tmp_path / "study.jsonl", tmp_path / "other.db") as study:
        assert study.ask(3) == []


def test_what_is_set_aside_is_looked_at_when_it_is_restored():
    study, journal = study_of(max_num_minimizers=2)
    study.ask(2)
    good = study.to_dict()
    ((id, (entry,)),) = good["aside"]
    forged = [
        [[id + 1, [entry]]], [[id, []]], [[id, [{**entry, "x": entry["x"] + 0.1}]]],
        [[id, [{**entry, "point": 77}]]], [[id, [{**entry, "id": 0}]]], [[id]], "aside",
    ]  # fmt: skip
    assert same(Study.from_dict(good).to_dict(), good)
    for aside in forged:
        with pytest.raises(InputError):
            Study.from_dict({**good, "aside": aside})
    with pytest.raises(InputError):
        Study.from_dict({**good, "pardoned": [99]})
    for source in (1, 10**6):
        wrong = [journal[0], unpack({**pack(journal[1]), "source": source})]
        with pytest.raises(ProtocolError):
            Study.from_events(study.spec, wrong)


def test_the_rule_is_that_of_the_study():
    study, _ = study_of()
    data = study.spec.to_dict()
    del data["parameters"]["memory_rule"]
    assert type(study.spec).from_dict(data).parameters["memory_rule"] == 1
    study.ask()
    with pytest.raises(ProtocolError, match="memory_rule"):
        study.set_parameters(memory_rule=1)
