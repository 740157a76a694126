"""Studies whose objective puts out more than its value, with limits on it."""

from __future__ import annotations

import math
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

import optdriver
from optdriver.errors import (
    ConstraintError,
    GradientError,
    InputError,
    InputTypeError,
    OptDriverError,
    ProtocolError,
)
from optdriver.study import Study
from optdriver.study.events import pack, unpack
from tests.contracts.interrupts import insist

BOX = {"x": (-3, 3), "y": (-3, 3)}
LIMITS = {"q": "<= 1", "r + shift": "== 0", "lift": None}
"""Problem 14 of Hock and Schittkowski, an ellipse and a line."""

END = 0.5 * (math.sqrt(7) - 1), 0.25 * (math.sqrt(7) + 1)
VALUE = 9 - 2.875 * math.sqrt(7)


def parts(x, y):
    """Value, outputs, and the gradients of both."""
    put = {"q": x**2 / 4 + y**2, "r": x - 2 * y, "lift": x * y}
    slopes = {"q": [x / 2, 2 * y], "r": [1.0, -2.0], "lift": [y, x]}
    return (x - 2) ** 2 + (y - 1) ** 2, put, [2 * (x - 2), 2 * (y - 1)], slopes


def plain(x, y, shift=1.0):
    value, put, _, _ = parts(x, y)
    return {"value": value, **put}


def smooth(x, y, shift=1.0):
    value, put, gradient, slopes = parts(x, y)
    return {
        "value": value,
        "gradient": gradient,
        "outputs": {name: (put[name], slopes[name]) for name in put},
    }


def flat(x, y, shift=1.0):
    value, put, gradient, slopes = parts(x, y)
    return value, gradient, {n: {"value": put[n], "gradient": slopes[n]} for n in put}


def observed(x, y, shift=1.0):
    value, put, gradient, slopes = parts(x, y)
    made = optdriver.Observation()
    made.add(value)
    for name, slope in zip("xy", gradient, strict=True):
        made.add(derivative=name, value=slope)
    for name in put:
        made.add(output=name, value=put[name], derivative=slopes[name])
    return made


def by_name(x, y, shift=1.0):
    value, put, gradient, slopes = parts(x, y)
    made = optdriver.Observation()
    made.add(value)
    for name, slope in zip("xy", gradient, strict=True):
        made.add(derivative=name, value=slope)
    for name in put:
        made.add(output=name, value=put[name])
        for parameter, slope in zip("xy", slopes[name], strict=True):
            made.add(output=name, derivative=parameter, value=slope)
    return made


def study_of(space=BOX, **given):
    settings = {"jac": True, "max_num_minimizers": 2, "outputs": LIMITS, **given}
    return optdriver.create_study({**space, "shift": 1.0}, **settings)


def history(study):
    table = study.history
    columns = [table[name].tobytes() for name in ("value", "q", "r", "lift", "feasible")]
    return [*columns, table.x.tobytes(), study.best.value]


@pytest.mark.parametrize(("objective", "jac"), [(smooth, True), (plain, False)])
def test_a_study_ends_where_all_limits_are_satisfied(objective, jac):
    study = study_of(jac=jac)
    study.run(objective)
    info, best = study.info(), study.best
    assert study.spec.driver == "trust-region-SQP"
    assert info["success"]
    assert best.value == pytest.approx(VALUE, rel=1e-9)
    assert best.x == pytest.approx(END, abs=1e-6)
    assert best.outputs["q"] == pytest.approx(1.0, abs=1e-7)
    assert best.outputs["r"] == pytest.approx(-1.0, abs=1e-9)
    assert info["outputs"] == study.minima[0].outputs == best.outputs
    assert info["active_constraints"] == ("q <= 1", "r + shift == 0")
    table = study.history
    assert not table["feasible"].all()
    assert table["value"][table["feasible"]].min() >= VALUE - 1e-6
    assert table["value"].min() < VALUE
    put = [parts(*x)[1]["lift"] for x in table.x]
    assert table["lift"].tolist() == put


def test_multipliers_say_what_a_limit_costs():
    """By differences of the least values of two studies, with limits that are moved a little."""
    study = study_of(outputs={"q": "<= 1", "lift": None, "r": None})
    study.run(smooth)
    moved = study_of(outputs={"q": "<= 1.0001", "lift": None, "r": None})
    moved.run(smooth)
    slope = (study.best.value - moved.best.value) / 1e-4
    assert study.info()["multipliers"]["q <= 1"] == pytest.approx(slope, rel=1e-3)


def test_all_ways_to_tell_are_the_same():
    told = []
    for objective in (smooth, flat, observed, by_name):
        study = study_of()
        study.run(objective)
        told.append(history(study))
    by_hand = study_of()
    while (suggestion := by_hand.ask()) is not None:
        made = smooth(**suggestion.params)
        for _ in range(2):  # the same again
            by_hand.tell(suggestion.id, made["value"], made["gradient"], outputs=made["outputs"])
    assert told == [history(by_hand)] * 4


def test_values_without_gradients_are_told_in_short():
    def pair(x, y, shift):
        value, put, _, _ = parts(x, y)
        return value, put

    one, other = study_of(jac=False), study_of(jac=False)
    one.run(pair)
    other.run(plain)
    assert history(one) == history(other)


@pytest.mark.parametrize(("objective", "jac"), [(smooth, True), (plain, False)])
@pytest.mark.parametrize("constraints", [(), ("x + y <= 1.6",)])
def test_a_kept_study_goes_on_to_the_bit(tmp_path, objective, jac, constraints):
    whole = study_of(jac=jac, constraints=constraints)
    whole.run(objective)
    path = tmp_path / "limits.db"
    study_of(jac=jac, storage=path, constraints=constraints).close()
    done = False
    while not done:
        with optdriver.load_study(path) as study:
            study.run(objective, max_evaluations=7)
            done = study.is_done()
            again = pickle.loads(pickle.dumps(Study.from_dict(study.to_dict())))
            assert history(again) == history(study) if study.best else again.best is None
    with optdriver.load_study(path) as study:
        assert history(study) == history(whole)
        study.verify()
        exported = study.export(tmp_path / "limits.jsonl")
    with optdriver.import_study(exported, tmp_path / "again.db") as study:
        assert history(study) == history(whole)


def test_a_state_goes_on_from_any_evaluation():
    whole = study_of(jac=False, max_num_minimizers=1)
    whole.run(plain)
    study = study_of(jac=False, max_num_minimizers=1)
    while (suggestion := study.ask()) is not None:
        study = Study.from_dict(study.to_dict())
        value, put, _, _ = parts(suggestion.params["x"], suggestion.params["y"])
        study.tell(suggestion.id, value, outputs=put)
    assert history(study) == history(whole)


def test_formulas_are_never_violated_beside_limits():
    study = study_of(constraints=["x + y <= 1.6"], max_num_minimizers=4)
    study.run(smooth)
    assert (study.history.x.sum(axis=1) <= 1.6).all()
    assert study.info()["success"]
    by_differences = study_of(constraints=["x + y <= 1.6"], jac=False)
    by_differences.run(plain)
    assert (by_differences.history.x.sum(axis=1) <= 1.6).all()
    peer = scipy_minimize(
        lambda x: parts(*x)[0],
        [0.0, 0.0],
        method="SLSQP",
        bounds=[(-3, 3)] * 2,
        constraints=[
            {"type": "ineq", "fun": lambda x: 1 - parts(*x)[1]["q"]},
            {"type": "eq", "fun": lambda x: parts(*x)[1]["r"] + 1},
            {"type": "ineq", "fun": lambda x: 1.6 - x[0] - x[1]},
        ],
        options={"ftol": 1e-14},
    )
    assert study.best.value == pytest.approx(peer.fun, abs=1e-7)
    assert by_differences.best.value == pytest.approx(peer.fun, abs=1e-7)


def test_maximising_is_minimising_the_other_way_round():
    def upward(x, y, shift):
        made = smooth(x, y)
        return {**made, "value": -made["value"], "gradient": [-g for g in made["gradient"]]}

    down, up = study_of(), study_of(direction="maximize")
    down.run(smooth)
    up.run(upward)
    assert up.best.value == -down.best.value
    assert np.array_equal(up.history.x, down.history.x)


@pytest.mark.parametrize("jac", [True, False])
def test_logarithmic_parameters(jac):
    def objective(d, t):
        put = {"stress": (100 / (d * t), [-100 / (d**2 * t), -100 / (d * t**2)])}
        made = {"value": d**2 * t, "gradient": [2 * d * t, d**2], "outputs": put}
        return made if jac else {"value": made["value"], "stress": put["stress"][0]}

    study = optdriver.create_study(
        {
            "d": {"domain": (1e-2, 1e2), "scale": "log"},
            "t": {"domain": (1e-2, 1e3), "scale": "log"},
        },
        outputs={"stress*sqrt(t)": "<= 50"},
        jac=jac,
        max_num_minimizers=2,
    )
    study.run(objective)
    assert study.info()["success"]
    d, t = study.best.x
    assert 100 / (d * t) * math.sqrt(t) <= 50 * (1 + 1e-6)
    assert d**2 * t == pytest.approx(4.0, rel=1e-6)  # on the limit d sqrt(t) = 2


def test_structured_parameters_and_places_in_limits():
    def objective(beam):
        w = beam["w"]
        put = {"load": (w[0] * w[1], {"beam": {"w": np.array([w[1], w[0]])}})}
        return {"value": w.sum(), "gradient": {"beam": {"w": np.ones(2)}}, "outputs": put}

    study = optdriver.create_study(
        {"beam": {"w": (np.full(2, 0.1), 5.0)}},
        outputs=["load - beam.w[0] >= 1"],
        jac=True,
        max_num_minimizers=1,
    )
    study.run(objective)
    assert study.info()["success"]
    assert study.best.params["beam"]["w"] == pytest.approx([1.0, 2.0], abs=1e-5)


def test_the_order_of_tells_does_not_change_where_a_start_leads():
    whole = study_of(num_initial=3, max_num_minimizers=3, num_parallel=3)
    whole.run(smooth)
    mixed = study_of(num_initial=3, max_num_minimizers=3, num_parallel=3)
    rng = np.random.default_rng(0)
    opened = []
    while not mixed.is_done():
        opened += mixed.ask(3)
        k = int(rng.integers(len(opened)))
        suggestion = opened.pop(k)
        made = smooth(**suggestion.params)
        mixed.tell(suggestion.id, made["value"], made["gradient"], outputs=made["outputs"])
    ends = [{run.index: (run.state, run.value) for run in s.runs} for s in (whole, mixed)]
    assert ends[0] == ends[1]


def test_threads_evaluate_it_too():
    study = study_of(jac=False, num_parallel=4, max_num_minimizers=3)
    with ThreadPoolExecutor(4) as pool:
        study.run(plain, executor=pool)
    assert study.best.value == pytest.approx(VALUE, rel=1e-8)


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_an_output_that_is_not_finite_is_a_failure_and_poisons_nothing(jac, bad):
    calls = iter(range(10_000))

    def objective(x, y, shift):
        made = smooth(x, y) if jac else plain(x, y)
        k = next(calls)
        if k % 5 == 3:
            where = made["outputs"] if jac else made
            where["q" if k % 2 else "r"] = (bad, [1.0, 1.0]) if jac else bad
        return made

    study = study_of(jac=jac, max_num_minimizers=3)
    study.run(objective)
    assert study.info()["num_failed"] > 3
    assert study.best.value == pytest.approx(VALUE, rel=1e-7)
    failed = study.history["state"] == "failed"
    assert not study.history["feasible"][failed].any()
    assert "the output 'q' is" in " ".join(study.history["reason"])
    assert np.isfinite(study.history["value"]).all()  # what was observed is there all the same


def test_a_derivative_that_is_not_finite_is_named():
    study = study_of()
    suggestion = study.ask()
    made = smooth(**suggestion.params)
    made["outputs"]["r"] = (made["outputs"]["r"][0], [1.0, math.nan])
    study.tell(suggestion.id, made["value"], made["gradient"], outputs=made["outputs"])
    assert study.history["reason"][0] == "the derivative of the output 'r' by 'y' is nan"


def test_a_limit_without_a_value_is_a_failure_that_says_so():
    study = study_of(outputs={"log(q - 5)": "<= 1", "r": None, "lift": None}, jac=False)
    suggestion = study.ask()
    study.tell(suggestion.id, 1.0, outputs={"q": 1.0, "r": 0.0, "lift": math.nan})
    (reason,) = study.history["reason"]
    assert reason.startswith("the limit 'log(q - 5) <= 1' has no value there")


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (None, InputError, "the output 'q' is missing; none was told"),
        ({"q": 1.0, "lift": 2.0}, InputError, "'r' is missing; told were 'q', 'lift'"),
        ({"q": 1.0, "rr": 2.0}, InputError, "an output 'rr' was told.*did you mean 'r'"),
        ({"q": [1.0, 2.0, 3.0], "r": 0.0, "lift": 0.0}, InputError, "'q' is one number"),
        ({"q": np.ones(2), "r": 0.0, "lift": 0.0}, InputError, "the output 'q'"),
        ({"q": 1j, "r": 0.0, "lift": 0.0}, InputError, "the output 'q'"),
        ({"q": "high", "r": 0.0, "lift": 0.0}, InputError, "the output 'q'"),
        ({"q": {"v": 1}, "r": 0.0, "lift": 0.0}, InputError, "'q' is a number, a pair"),
        ([1.0, 2.0, 3.0], InputTypeError, "outputs are told by name"),
    ],
)
def test_what_is_no_output_is_refused_and_nothing_is_lost(given, kind, message):
    study = study_of(jac=False)
    first = study.ask()
    study.tell(first.id, 1.0, outputs={"q": 0.5, "r": -1.0, "lift": 0.0})
    second = study.ask()
    with pytest.raises(kind, match=message):
        study.tell(second.id, 1.0, outputs=given)
    assert [s.id for s in study.open_suggestions] == [second.id]
    study.tell(second.id, 2.0, outputs={"q": 0.25, "r": -1.0, "lift": 0.0})
    assert study.num_evaluations == 2


@pytest.mark.parametrize(
    ("slopes", "message"),
    [
        (None, "derivatives of the output 'q' are missing"),
        ([1.0], "of the output 'q': .*shape"),
        ({"x": 1.0}, "of the output 'q': .*'y' is missing"),
        ({"x": 1.0, "z": 2.0}, "of the output 'q': .*'z'"),
    ],
)
def test_derivatives_of_outputs_are_promised_by_jac(slopes, message):
    study = study_of()
    suggestion = study.ask()
    made = smooth(**suggestion.params)
    wrong = {**made["outputs"], "q": 1.0 if slopes is None else (1.0, slopes)}
    with pytest.raises(InputError, match=message):
        study.tell(suggestion.id, made["value"], made["gradient"], outputs=wrong)
    value, _ = made["outputs"]["lift"]  # of one without a limit they are not needed
    right = {**made["outputs"], "lift": value}
    study.tell(suggestion.id, made["value"], made["gradient"], outputs=right)
    assert study.num_evaluations == 1


def test_another_result_for_the_same_id_is_refused():
    study = study_of(jac=False)
    suggestion = study.ask()
    put = {"q": 0.5, "r": -1.0, "lift": 0.0}
    study.tell(suggestion.id, 1.0, outputs=put)
    with pytest.raises(ProtocolError, match="with other outputs"):
        study.tell(suggestion.id, 1.0, outputs={**put, "r": 0.0})


def test_a_study_without_outputs_says_how_to_declare_them():
    study = optdriver.create_study(BOX)
    suggestion = study.ask()
    with pytest.raises(InputError, match=r"create_study\(..., outputs="):
        study.tell(suggestion.id, 1.0, outputs={"q": 1.0})
    made = optdriver.Observation()
    made.add(1.0)
    made.add(output="q", value=1.0)
    with pytest.raises(InputError, match="this study has none"):
        study.tell(suggestion.id, made)


@pytest.mark.parametrize(
    ("outputs", "kind", "message"),
    [
        ({"x + y": "<= 1"}, ConstraintError, "one of constraints="),
        ({"e": "<= 1"}, ConstraintError, "'e' is the constant, rename it"),
        ({"stress": "250"}, ConstraintError, "begins with a relation"),
        ({"stress": "<= = 250"}, ConstraintError, "write '=='"),
        ({"stress": (3, 1, 2)}, InputTypeError, "a pair"),
        ({"stress": (math.nan, 1)}, InputError, "NaN"),
        ({"stress": 250}, InputTypeError, "such as '<= 250'"),
        ({"x": None}, InputError, "has the name of a parameter"),
        ({"value": "<= 1"}, InputError, "a name that is taken"),
        (["stress"], InputError, "is no limit"),
        ([3], InputTypeError, "a limit is a text"),
        (3, InputTypeError, "outputs are"),
        ({"__import__('os').system('true')": "<= 1"}, ConstraintError, "has no meaning here"),
        ({"sin": None}, InputError, "a function or constant"),
    ],
)
def test_what_is_no_limit_is_refused(outputs, kind, message):
    with pytest.raises(kind, match=message):
        optdriver.create_study(BOX, outputs=outputs)


def test_limits_are_for_their_driver():
    with pytest.raises(
        InputError, match="knows no outputs; they are for driver='trust-region-SQP'"
    ):
        study_of(driver="CMA-ES")
    with pytest.raises(InputError, match="start_rule='mlsl' compares starts by their values"):
        study_of(start_rule="mlsl").ask()


def test_ranges_and_names_of_limits():
    study = optdriver.create_study(
        BOX, outputs=[{"name": "warm", "constraint": "20 <= T <= 80"}], max_num_minimizers=1
    )
    study.run(lambda x, y: {"value": x**2 + y, "T": 10 * x + 20 * y + 20})
    assert study.info()["active_constraints"] == ("warm[1]",)
    assert study.best.outputs["T"] == pytest.approx(20.0, abs=1e-5)


def test_one_that_cannot_be_satisfied_ends_and_has_no_best_point():
    study = study_of(outputs={"q": "<= -1", "r": None, "lift": None}, max_num_minimizers=1)
    study.run(smooth, max_evaluations=300)
    assert study.best is None
    assert study.info()["success"] is False
    assert {run.state for run in study.runs} <= {"stopped", "running"}
    assert not study.history["feasible"].any()
    assert "constraints are violated there" in study.runs[0].reason


def test_points_of_others_count_where_they_satisfy_all_limits(tmp_path):
    study = study_of(jac=True)
    value, put, gradient, slopes = parts(*END)
    told = {name: (put[name], slopes[name]) for name in put}
    study.add_point(list(END), value, gradient, outputs=told)
    assert study.best.value == value
    value, put, gradient, slopes = parts(2.0, 1.0)
    told = {name: (put[name], slopes[name]) for name in put}
    study.add_point([2.0, 1.0], value, gradient, outputs=told)
    assert study.best.id == 0  # the other one is lower, and violates a limit
    assert study.history["feasible"].tolist() == [True, False]
    with pytest.raises(InputError, match="'q' is missing"):
        study.add_point([0.0, 0.0], 1.0)
    study.run(smooth)
    path = tmp_path / "other.db"
    with study_of(jac=False, storage=path) as other:
        other.add_history(study)
        other.add_point([0.0, 0.0], 5.0, [0.0, 0.0], outputs=dict.fromkeys(put, 0.0))
        assert len(other.history["q"]) > 5
        copied = study_of(jac=False)
        copied.add_observation_data(study.get_observation_data())
        assert copied.history["q"].tolist() == study.history["q"].tolist()
        seen = history(other)
    with optdriver.load_study(path) as other:
        assert history(other) == seen
        other.verify()
    with pytest.raises(InputError, match="has other outputs"):
        study_of(outputs={"s": "<= 1"}).add_history(study)


def test_a_new_objective_begins_anew():
    study = study_of()
    study.run(smooth)
    before = study.num_evaluations
    study.reevaluate()
    assert study.best is None
    study.run(smooth)
    assert study.best.value == pytest.approx(VALUE, rel=1e-9)
    assert study.history["objective"].tolist().count(0) == before


def test_a_file_with_other_limits_is_another_study(tmp_path):
    path = tmp_path / "limits.db"
    study_of(storage=path).close()
    study_of(storage=path).close()
    with pytest.raises(InputError, match=r"limit 1 is .*q <= 1.* there, .*q <= 2"):
        study_of(storage=path, outputs={**LIMITS, "q": "<= 2"})


def test_the_driver_minimises_without_outputs_too():
    study = optdriver.create_study(BOX, driver="SQP", jac=True, max_num_minimizers=1)
    study.run(lambda x, y: ((x - 1) ** 2 + y**2, [2 * (x - 1), 2 * y]))
    assert study.best.x == pytest.approx([1.0, 0.0], abs=1e-6)
    assert study.info()["success"]


def interrupted_play(study, objective, make):
    """Run a study whose calls `make` makes; return what was asked."""
    asked = []
    while (suggestion := make(study.ask)) is not None:
        asked.append((suggestion.id, suggestion.x.tobytes()))
        told = objective(**suggestion.params)
        if suggestion.id % 9 == 4:
            told["q" if "q" in told else "outputs"] = (
                math.nan if "q" in told else {**told["outputs"], "q": (math.nan, [0.0, 0.0])}
            )
        put = told.get("outputs", {name: told[name] for name in LIMITS_TOLD if name in told})
        make(
            lambda suggestion=suggestion, told=told, put=put: study.tell(
                suggestion.id, told["value"], told.get("gradient"), outputs=put
            )
        )
    return asked, history(study)


LIMITS_TOLD = ("q", "r", "lift")


@pytest.mark.parametrize(("objective", "jac"), [(smooth, True), (plain, False)])
def test_what_is_asked_does_not_depend_on_interrupts(objective, jac, tmp_path):
    expected = interrupted_play(study_of(jac=jac), objective, lambda call: call())
    for seed in range(2):
        rng = np.random.default_rng(seed)
        moments = iter([int(rng.integers(1, 10 ** rng.integers(2, 4))) for _ in range(60)])
        path = tmp_path / f"{seed}.db"
        with study_of(jac=jac, storage=path) as study:
            assert interrupted_play(study, objective, insist(moments)) == expected
            study.verify()
        with optdriver.load_study(path) as study:
            assert history(study) == expected[1]


@pytest.mark.parametrize(
    "forge",
    [
        lambda data: data.update(outputs=[1.0]),
        lambda data: data.update(outputs=None),
        lambda data: data.update(slopes=[1.0]),
        lambda data: data.update(outputs=[[1.0], [2.0]]),
        lambda data: data.update(outputs="high"),
    ],
)
def test_forged_events_are_refused(forge):
    events = []
    study = study_of(journal=events)
    study.run(smooth, max_evaluations=6)
    packed = [pack(event) for event in events]
    forge(next(data for data in packed if data["event"] == "Told"))
    with pytest.raises(OptDriverError):
        Study.from_events(study.spec, map(unpack, packed))


@pytest.mark.parametrize(
    "forge",
    [
        lambda data: data["spec"].pop("outputs"),
        lambda data: data["spec"]["outputs"]["limits"].pop(),
        lambda data: data["spec"]["outputs"]["limits"].append({"constraint": "q <= "}),
        lambda data: data["spec"]["outputs"].update(recorded=["x"]),
        lambda data: data["ledger"].update(outputs=[[1.0]]),
        lambda data: data["ledger"].update(outputs=np.zeros((3, 2))),
        lambda data: data["driver"]["options"].update(inequalities=[]),
        lambda data: data["driver"]["options"].update(inequalities="q"),
        lambda data: data["driver"]["runs"][0]["minimizer"].update(inequalities=2),
        lambda data: data["driver"]["runs"][0]["minimizer"].update(values=[1.0]),
    ],
)
def test_forged_states_are_refused(forge):
    study = study_of()
    study.run(smooth, max_evaluations=3)
    data = study.to_dict()
    Study.from_dict(data)
    forge(data)
    with pytest.raises(OptDriverError):
        Study.from_dict(data)


@pytest.mark.parametrize("wrong", [None, "value", "q", "r", "lift"])
def test_a_wrong_derivative_of_an_output_is_found(wrong):
    def objective(x, y, shift):
        made = smooth(x, y)
        if wrong == "value":
            made["gradient"] = [-made["gradient"][0], made["gradient"][1]]
        elif wrong:
            value, (first, second) = made["outputs"][wrong]
            made["outputs"][wrong] = value, [-first, second]
        return made

    study = study_of(check_grad=True, initial_samples=[[0.7, -0.4]])
    if wrong in (None, "lift"):  # which has no limit, and is not used
        study.run(objective)
        assert study.info()["success"]
        return
    study.run(objective, max_evaluations=2)
    study = Study.from_dict(study.to_dict())
    with pytest.raises(GradientError, match="by 'x' looks wrong, of the objective or of an output"):
        study.run(objective)


def test_an_uncertainty_under_limits_is_refused():
    study = study_of()
    study.run(smooth)
    with pytest.raises(InputError, match="under limits on outputs"):
        study.uncertainty(smooth)


def test_what_is_known_is_not_evaluated_again():
    journal, asked = [], []
    study = optdriver.create_study(
        BOX, outputs=LIMITS, environment={"shift": 1.0}, max_num_minimizers=2, journal=journal,
        initial_samples=[[1.0, 1.0], [-1.0, 0.5]],
    )  # fmt: skip
    alone = optdriver.create_study(
        BOX, outputs=LIMITS, environment={"shift": 1.0}, max_num_minimizers=2, memory=False,
        initial_samples=[[1.0, 1.0], [-1.0, 0.5]],
    )  # fmt: skip
    value, put, _, _ = parts(1.0, 1.0)
    study.add_point([1.0, 1.0], value, outputs=put)
    study.run(lambda **params: asked.append(params) or plain(**params))
    alone.run(plain)
    assert {"x": 1.0, "y": 1.0, "shift": 1.0} not in asked
    assert any(type(event).__name__ == "Recalled" for event in journal)
    assert study.best.value == alone.best.value
    assert [run.evaluations for run in study.runs] == [run.evaluations for run in alone.runs]
    again = Study.from_events(study.spec, [unpack(pack(event)) for event in journal])
    assert np.array_equal(again.history.x, study.history.x)
    assert again.best.value == study.best.value


@pytest.mark.parametrize("seed", range(3))
def test_steps_of_differences_follow_a_noise_that_is_told(seed):
    rng = np.random.default_rng(seed)
    study = optdriver.create_study(
        BOX, outputs={"q": "<= 1"}, max_iter=100, max_num_minimizers=1, seed=seed
    )

    def noisy(x, y):
        value = (x - 2) ** 2 + (y - 1) ** 2 + 1e-3 * rng.standard_normal()
        return {"value": value, "q": x**2 / 4 + y**2, "uncertainty": 1e-3}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.run(noisy)
    expected = scipy_minimize(
        lambda z: (z[0] - 2) ** 2 + (z[1] - 1) ** 2, [1.0, 0.5], method="SLSQP",
        constraints={"type": "ineq", "fun": lambda z: 1 - z[0] ** 2 / 4 - z[1] ** 2},
    ).fun  # fmt: skip
    best = study.best.params
    assert (best["x"] - 2) ** 2 + (best["y"] - 1) ** 2 < expected + 0.02
