"""Points and results as arrays: the same study as one by one, in one event a round."""

from __future__ import annotations

import math

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, InputTypeError, ProtocolError, UnknownIdError
from optdriver.studies import create_study
from optdriver.study import Study
from optdriver.study.events import Added, Asked, Recalled, RoundAsked, RoundTold, Told, pack, unpack
from tests.study.tools import BOX, Clock, same


def values_at(x):
    return 20 + np.sum(x**2 - 10 * np.cos(2 * np.pi * x), axis=1)


def gradients_at(x):
    return 2 * x + 20 * np.pi * np.sin(2 * np.pi * x)


def by_rounds(study, number, *, rounds=10**6):
    """Answer in rounds; return all points in the order of their ids."""
    asked = {}
    for _ in range(rounds):
        ids, x = study.ask_arrays(number)
        if not len(ids):
            break
        asked.update(zip(ids.tolist(), x.tolist(), strict=True))
        study.tell_arrays(ids, values_at(x), gradients_at(x) if study.parameters["jac"] else None)
    return asked


def one_by_one(study, number, *, rounds=10**6):
    asked = {}
    for _ in range(rounds):
        found = study.ask(number)
        if not found:
            break
        for suggestion in found:
            asked[suggestion.id] = suggestion.x.tolist()
        for suggestion in found:
            x = suggestion.x[None]
            gradient = gradients_at(x)[0] if study.parameters["jac"] else None
            study.tell(suggestion.id, values_at(x)[0], gradient)
    return asked


VARIANTS = {
    "gradients": {"jac": True},
    "differences": {},
    "constraints": {"jac": True, "constraints": ["x1^2 + x2^2 <= radius"]},
    "constraints and differences": {"constraints": ["x1 + x2 <= radius/2"]},
    "logarithmic": {"jac": True, "box": {"x1": {"domain": (0.1, 3), "scale": "log"}, "x2": (0, 2)}},
    "check": {"jac": True, "check_grad": True},
    "mlsl": {"jac": True, "start_rule": "mlsl"},
    "auto": {"jac": True, "start_rule": "auto"},
    "method": {"driver": "SLSQP", "jac": True},
    "CMA-ES": {"driver": "CMA-ES"},
    "eps": {"jac": True, "eps": 1e-3},
}


def study_of(variant, **more):
    given = {"num_parallel": 7, "num_initial": 3, "max_iter": 90, "clock": Clock()}
    given |= VARIANTS[variant] | more
    return create_study(given.pop("box", BOX), **given)


@pytest.mark.parametrize("variant", VARIANTS)
def test_rounds_lead_where_single_evaluations_lead(variant):
    a, b = study_of(variant, memory=False), study_of(variant, memory=False)
    together, alone = by_rounds(a, 7), one_by_one(b, 7)
    shared = together.keys() & alone.keys()
    assert len(shared) >= 20
    assert all(together[id] == alone[id] for id in shared)
    assert a.num_evaluations <= 90


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rounds", [6, 14])
def test_a_study_goes_on_from_its_events(variant, rounds):
    journal = []
    study = study_of(variant, journal=journal)
    by_rounds(study, 5, rounds=rounds)
    again = Study.from_events(study.spec, [unpack(pack(event)) for event in journal])
    assert same(again.to_dict(), study.to_dict())
    other = Study.from_dict(study.to_dict())
    assert by_rounds(other, 5, rounds=4) == by_rounds(study, 5, rounds=4)


def test_a_round_is_one_event_each_way():
    journal = []
    study = study_of("gradients", journal=journal, memory=False)
    by_rounds(study, 7, rounds=3)
    assert [type(event) for event in journal] == [RoundAsked, RoundTold] * 3
    assert all(len(event.ids) == 7 for event in journal)


def knowing(study, share):
    """Add every third point, or all, of a study like this one to it, with its value."""
    like = create_study(BOX, clock=Clock(), **REMEMBERED)
    x = np.array(list(by_rounds(like, 6).values()))[::share]
    for point, value, gradient in zip(x, values_at(x), gradients_at(x), strict=True):
        study.add_point(point, value, gradient)


REMEMBERED = {"jac": True, "num_initial": 6, "num_parallel": 6, "max_iter": 150, "seed": 4}


@pytest.mark.parametrize("number", [1, 4, 6])
@pytest.mark.parametrize("share", [1, 3])
def test_rounds_of_which_memory_answers_a_part(number, share):
    found = []
    for ask in (by_rounds, one_by_one):
        events = []
        study = create_study(BOX, clock=Clock(), journal=events, **REMEMBERED)
        knowing(study, share)
        asked = ask(study, number)
        assert sum(type(event) is Recalled for event in events) > 20
        known = {event.x.tobytes() for event in events if type(event) is Added}
        assert not known & {np.array(x).tobytes() for x in asked.values()}
        found.append(sorted(asked.values()))
        assert same(Study.from_events(study.spec, events, clock=Clock()).to_dict(), study.to_dict())
    if number == 1:
        assert found[0] == found[1]


@pytest.mark.parametrize("rounds", [0, 3, 10])
def test_a_study_with_memory_goes_on_from_its_events(rounds):
    events = []
    study = create_study(BOX, clock=Clock(), journal=events, **REMEMBERED)
    by_rounds(study, 6, rounds=rounds)
    knowing(study, 3)
    by_rounds(study, 6, rounds=rounds)
    kept = Study.from_events(study.spec, events, clock=Clock())
    again = Study.from_dict(study.to_dict(), clock=Clock())
    ends = [by_rounds(each, 6) for each in (study, kept, again)]
    assert ends[0] == ends[1] == ends[2]
    assert sum(type(event) is Recalled for event in events) > 0
    assert same(study.to_dict(), kept.to_dict())


@pytest.mark.parametrize("variant", ["gradients", "constraints and differences", "check"])
def test_in_a_file(variant, tmp_path):
    path = tmp_path / "study.db"
    with study_of(variant, storage=path) as study:
        first = by_rounds(study, 7, rounds=4)
        ids, x = study.ask_arrays(4)  # open when the process ends
        study.export(tmp_path / "study.jsonl")
        journal_less = Study.from_dict(study.to_dict())
    with optdriver.load_study(path) as study:
        assert study.verify().points == len(first) + len(ids)
        study.tell_arrays(ids, values_at(x), gradients_at(x))
        rest = by_rounds(study, 7)
        ended = study.info()
    journal_less.tell_arrays(ids, values_at(x), gradients_at(x))
    assert by_rounds(journal_less, 7) == rest
    with optdriver.import_study(tmp_path / "study.jsonl", tmp_path / "other.db") as study:
        study.tell_arrays(ids, values_at(x), gradients_at(x))
        assert by_rounds(study, 7) == rest
        assert study.info()["min_objective"] == ended["min_objective"]


def test_both_ways_of_asking_and_telling_mix():
    study, alone = (study_of("gradients", memory=False) for _ in range(2))
    for _ in range(5):
        single = study.ask()
        ids, x = study.ask_arrays(6)
        everything = [single.id, *ids.tolist()]
        points = np.concatenate([single.x[None], x])
        last = everything.pop()
        study.tell_arrays(everything, values_at(points)[:-1], gradients_at(points)[:-1])
        study.tell(last, values_at(points)[-1], gradients_at(points)[-1])
        for suggestion in alone.ask(7):
            z = suggestion.x[None]
            alone.tell(suggestion.id, values_at(z)[0], gradients_at(z)[0])
    assert same(study.to_dict()["driver"], alone.to_dict()["driver"])


BAD = {
    "nan": lambda v: v * np.where(np.arange(v.size) == 2, np.nan, 1.0),
    "inf": lambda v: np.where(np.arange(v.size) == 2, np.inf, v),
    "None": lambda v: [None if k == 2 else value for k, value in enumerate(v)],
    "mask": lambda v: np.ma.masked_array(v, mask=np.arange(v.size) == 2),
    "masked entry": lambda v: [np.ma.masked if k == 2 else value for k, value in enumerate(v)],
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("retries", [0, 1])
def test_a_row_that_failed(kind, retries):
    study = study_of("gradients", retries=retries)
    ids, x = study.ask_arrays()
    study.tell_arrays(ids, BAD[kind](values_at(x)), gradients_at(x))
    info = study.info()
    assert (info["num_failed"], info["num_evaluations"]) == (1, 7)
    assert study.wants(int(ids[2])) == bool(retries)
    if retries:
        again, z = study.ask_arrays()
        assert again[0] == ids[2]
        assert z[0].tolist() == x[2].tolist()
    else:
        assert "the value is" in study.history["reason"][2]
    assert study.best.value == np.delete(values_at(x), 2).min()


@pytest.mark.parametrize("none", [True, False])
def test_a_gradient_that_failed(none):
    study = study_of("gradients")
    ids, x = study.ask_arrays()
    slopes = gradients_at(x)
    slopes[3, 1] = np.nan
    lowest = np.where(np.arange(7) == 3, -1e3, values_at(x))
    rows = [None if none and k == 3 else slope for k, slope in enumerate(slopes)]
    study.tell_arrays(ids, lowest, rows)
    assert study.info()["num_failed"] == 1
    assert study.best.value == -1e3  # the value counts all the same
    name = "x1" if none else "x2"
    assert f"the derivative by '{name}' is nan" in study.history["reason"][3]


def test_gradients_by_name():
    study, other = study_of("gradients"), study_of("gradients")
    ids, x = study.ask_arrays()
    other.ask_arrays()
    slopes = gradients_at(x)
    study.tell_arrays(ids, values_at(x), {"x2": slopes[:, 1], "x1": slopes[:, 0]})
    other.tell_arrays(ids, values_at(x), slopes)
    assert same(study.to_dict(), other.to_dict())


def test_the_same_again_is_ignored_and_something_else_refused():
    study = study_of("gradients")
    ids, x = study.ask_arrays()
    half = ids[:4]
    study.tell_arrays(half, values_at(x[:4]), gradients_at(x[:4]))
    study.tell_arrays(ids, values_at(x), gradients_at(x))
    assert study.num_evaluations == 7
    study.tell_arrays(ids[::-1], values_at(x)[::-1], gradients_at(x)[::-1])
    with pytest.raises(ProtocolError, match=r"suggestion 0 has been told already"):
        study.tell_arrays(ids, values_at(x) + 1, gradients_at(x))
    assert study.num_evaluations == 7


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda i, v, g: (i + 100, v, g), UnknownIdError, "unknown suggestion id 100"),
        (lambda i, v, g: (i * 0, v, g), InputError, "suggestion 0 is there twice"),
        (lambda i, v, g: (i / 2, v, g), InputTypeError, "ids are whole numbers"),
        (lambda i, v, g: (i, v[1:], g), InputError, r"the values have shape \(6,\)"),
        (lambda i, v, g: (i, v[:, None], g), InputError, r"the values have shape \(7, 1\)"),
        (lambda i, v, g: (i, v, g.T), InputError, r"the gradients have shape \(2, 7\)"),
        (lambda i, v, g: (i, v, None), InputError, "the derivative by 'x1' is missing"),
        (lambda i, v, g: (i, v, {"x1": g[:, 0]}), InputError, "derivative by 'x2' is missing"),
        (lambda i, v, g: (i, v, {"x3": g[:, 0]}), InputError, "x3"),
        (lambda i, v, g: (i, v + 1j, g), InputTypeError, "real numbers"),
        (lambda i, v, g: (i, ["1"] * 7, g), InputTypeError, "real numbers"),
    ],
)
def test_what_cannot_be_used_changes_nothing(change, error, said):
    study = study_of("gradients")
    ids, x = study.ask_arrays()
    before = study.to_dict()
    with pytest.raises(error, match=said):
        study.tell_arrays(*change(ids, values_at(x), gradients_at(x)))
    before["elapsed"] = study.to_dict()["elapsed"]
    assert same(before, study.to_dict())
    study.tell_arrays(ids, values_at(x), gradients_at(x))


def test_limits_hold():
    study = study_of("gradients", max_iter=17)
    assert sum(1 for _ in by_rounds(study, 7)) == 17
    assert study.stop_kind == "max_iter"
    study = study_of("gradients", num_parallel=4)
    assert len(study.ask_arrays(9)[0]) == 4
    assert len(study.ask_arrays(9)[0]) == 0
    assert len(study.ask_arrays(9, fill=True)[0]) == 9
    assert study.ask_arrays()[1].shape == (0, 2)


def test_a_whole_round_can_be_given_up():
    study = study_of("gradients")
    ids, _ = study.ask_arrays()
    study.fail_arrays(ids, "no licence")
    assert list(study.history["reason"]) == ["no licence"] * 7
    assert study.info()["num_failed"] == 7


def test_the_objective_may_write_into_its_points():
    study, other = study_of("gradients"), study_of("gradients")
    for _ in range(4):
        ids, x = study.ask_arrays()
        values, slopes = values_at(x), gradients_at(x)
        study.tell_arrays(ids, values, slopes)
        x[:], values[:], slopes[:] = math.nan, 0.0, 0.0
        ids, x = other.ask_arrays()
        other.tell_arrays(ids, values_at(x), gradients_at(x))
    assert same(study.to_dict()["driver"], other.to_dict()["driver"])


def test_forged_rounds():
    study = study_of("gradients", journal=(journal := []))
    by_rounds(study, 3, rounds=2)
    asked, told = (pack(event) for event in journal[:2])
    for event, name, wrong in [
        (asked, "ids", [0, 1]), (asked, "ids", [0, 0, 1]), (asked, "ids", [0.5, 1, 2]),
        (asked, "points", [0, 1, -9]), (asked, "matrix", [1.0, 2.0, 3.0]),
        (asked, "wanted", -5), (asked, "kinds", [[0, 0, 0]]), (told, "values", [1.0]),
        (told, "gradients", [[1.0, 2.0]]), (told, "reason", 3), (told, "ids", None),
    ]:  # fmt: skip
        with pytest.raises(InputError, match="not an event"):
            unpack({**event, name: wrong})
    for change in ({"ids": [3, 4, 5]}, {"points": [5, 6, 7]}, {"matrix": np.zeros((3, 2))}):
        with pytest.raises(ProtocolError, match="do not fit|hand out"):
            Study.from_events(study.spec, [unpack({**asked, **change})])
    with pytest.raises(ProtocolError, match="suggestion 0, which is not open"):
        Study.from_events(study.spec, [unpack(told)])
    assert {Asked, Told}.isdisjoint(map(type, journal))


# -- run(vectorized=True) ---------------------------------------------------------------------


def vectorized(x):
    return values_at(x), gradients_at(x)


def test_run():
    study = study_of("gradients", max_iter=60)
    sizes = []

    def objective(x):
        sizes.append(len(x))
        return vectorized(x)

    study.run(objective, vectorized=True)
    assert study.num_evaluations == sum(sizes) == 60
    assert max(sizes) == 7
    other = study_of("gradients", max_iter=60)
    by_rounds(other, 7)
    assert other.best.value == study.best.value


def test_run_without_gradients_and_by_parts():
    study = study_of("differences", max_iter=60)
    study.set_objective(values_at)
    study.run(vectorized=True, max_evaluations=9)
    assert study.num_evaluations == 9
    study.run(vectorized=True)
    assert study.num_evaluations == 60


def test_an_exception_fails_the_point_that_raises():
    study = study_of("gradients", max_iter=40)

    def objective(x):
        if (x[:, 0] > 0.5).any():
            raise RuntimeError("no mesh there")
        return vectorized(x)

    study.run(objective, vectorized=True)
    failed = np.array([bool(reason) for reason in study.history["reason"]])
    x1 = np.array(study.history["x1"])
    assert failed.tolist() == (x1 > 0.5).tolist()
    assert "RuntimeError: no mesh there" in study.history["reason"][int(np.argmax(failed))]
    assert study.num_evaluations == 40


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (lambda x: (1.0, 2.0, 3.0), "it returned 3 things"),
        (lambda x: values_at(x)[:-1], "the values have shape"),
        (values_at, "the derivative by 'x1' is missing"),
        (lambda x, y: 0.0, "called with one argument"),
    ],
)
def test_mistakes_are_told_and_the_points_come_again(objective, said):
    study = study_of("gradients")
    with pytest.raises(InputError, match=said):
        study.run(objective, vectorized=True)
    study.run(vectorized, vectorized=True, max_evaluations=7)
    assert sorted(study.history["id"]) == list(range(7))


def test_what_does_not_go_with_it():
    study = study_of("gradients")
    with pytest.raises(InputError, match="neither executor= nor timeout="):
        study.run(vectorized, vectorized=True, timeout=3.0)
    with pytest.raises(InputError, match="no objective"):
        study.run(vectorized=True)


def test_an_interrupt_in_the_objective_gives_the_round_back():
    study = study_of("gradients")

    def objective(_x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.run(objective, vectorized=True)
    assert study.open_suggestions == ()
    study.run(vectorized, vectorized=True, max_evaluations=7)
    assert sorted(study.history["id"]) == list(range(7))


def test_a_fit_is_told_a_point_at_a_time_and_says_so():
    study = create_study(BOX, driver="least-squares", max_iter=20)
    ids, x = study.ask_arrays(1)
    for values in (x - 0.25, np.ones(len(ids))):
        with pytest.raises(InputError, match="is told residuals, a point at a time: use tell"):
            study.tell_arrays(ids, values)
    study.release_all()
    with pytest.raises(InputError, match="without vectorized=True"):
        study.run(lambda x: x - 0.25, vectorized=True)
    study.run(lambda **x: [value - 0.25 for value in x.values()])
    assert study.best.x.round(9).tolist() == [0.25, 0.25]
