"""An uncertainty that is told with what was observed: by every door, kept, and heeded."""

from __future__ import annotations

import json
import math
import pickle
import sys
import warnings

import numpy as np
import pytest
from scipy.optimize import curve_fit

import optdriver
from optdriver.errors import InputError, ObjectiveWarning, OptDriverError, ProtocolError
from optdriver.objectives import SubprocessObjective
from optdriver.server import serve_stdio
from optdriver.study import Study
from optdriver.study.events import pack, unpack
from tests.study.tools import same

BOX = {"x": (-2, 2), "y": (0.01, 100)}
SIGMA = 0.05


def bowl(x, y):
    return 3.0 + (x - 0.5) ** 2 + (y - 1.0) ** 2, [2 * (x - 0.5), 2 * (y - 1.0)]


class Noisy:
    """A bowl whose values have noise that depends on the point alone."""

    def __init__(self, sigma=SIGMA, told=True, jac=False):
        self.sigma, self.told, self.jac = sigma, told, jac

    def __call__(self, x, y):
        value, gradient = bowl(x, y)
        seed = np.array([x, y]).view(np.uint32)
        made = {"value": value + self.sigma * np.random.default_rng(seed).standard_normal()}
        if self.jac:
            made["gradient"] = gradient
        if self.told:
            made["uncertainty"] = self.sigma
        return made


def new(**more):
    given = {"max_num_minimizers": 1, "initial_samples": [[-1.5, 2.5]], "seed": 2} | more
    return optdriver.create_study({"x": (-2, 2), "y": (-3, 3)}, **given)


def ran(study, objective, **more):
    study.run(objective, **more)
    return study


# -- what it does ------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_success_is_one_to_the_noise_and_says_so(direction):
    study = new(jac=True, direction=direction)
    sign = 1 if direction == "minimize" else -1
    noisy = Noisy(jac=True)

    def objective(x, y):
        made = noisy(x, y)
        return {
            "value": sign * made["value"],
            "gradient": [sign * slope + 0.1 for slope in made["gradient"]],
            "uncertainty": SIGMA,
        }

    study.run(objective)
    (run,) = study.runs
    assert study.info()["success"]
    assert "standard deviation 0.05" in run.reason
    end = bowl(**study.best.params)[0] - 3.0
    assert end < 3 * SIGMA
    assert study.num_evaluations < 40
    assert study.best.uncertainty == SIGMA


def test_without_it_the_same_values_end_without_success():
    study = new(jac=True, max_iter=200)

    def objective(x, y):
        made = Noisy(jac=True, told=False)(x, y)
        return made["value"], [slope + 0.1 for slope in made["gradient"]]

    study.run(objective)
    assert not study.info()["success"]


def test_steps_of_differences_follow_it():
    study = ran(new(), Noisy())
    x = study.history.x
    kinds = study.history["kind"]
    first = np.flatnonzero(kinds == "iterate")[0]
    near = np.abs(x[first + 1 : first + 3] - x[first]).max()
    assert near < 1e-6  # before anything was told
    assert study.info()["success"]
    (run,) = study.runs
    assert bowl(**run.params)[0] - 3.0 < 4 * SIGMA
    last = np.flatnonzero(kinds == "iterate")[-1]
    beside = np.abs(x[last + 1 :] - x[last]).max(axis=1)
    assert beside.min() > 0.05  # sqrt(noise / curvature) is 0.16
    assert "standard deviation 0.05" in run.reason


def test_given_steps_that_are_too_short_are_told_of():
    study = new(step_size=1e-6, max_iter=40)
    with pytest.warns(ObjectiveWarning, match="below their noise") as caught:
        study.run(Noisy())
    said = next(str(each.message) for each in caught if "below" in str(each.message))
    assert said in study.info()["notes"]
    assert "step_size={'x': " in said
    step = float(said.split("'x': ")[1].split(",")[0].rstrip("}"))
    assert 0.01 < step < 1.0
    better = new(step_size={"x": 4 * step, "y": 4 * step}, max_iter=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ObjectiveWarning)  # at the minimum they are small, too
        better.run(Noisy())
    assert bowl(**better.best.params)[0] < bowl(**study.best.params)[0]


def test_noisy_points_are_not_remembered():
    study = new(jac=True, max_iter=2)
    start = study.ask()
    study.tell(start.id, *bowl(*start.x), uncertainty=0.1)
    study.reevaluate()
    assert study.ask().params == start.params
    exact = new(jac=True)
    exact.add_point([-1.5, 2.5], *bowl(-1.5, 2.5), uncertainty=0.0)
    assert exact.ask().params != start.params
    doubtful = new(jac=True)
    doubtful.add_point([-1.5, 2.5], *bowl(-1.5, 2.5), uncertainty=0.1)
    assert doubtful.ask().params == start.params


def test_ends_that_differ_by_noise_alone_are_one_minimum():
    study = optdriver.create_study({"x": (-2, 2), "y": (-3, 3)}, jac=True, max_num_minimizers=4)
    study.run(Noisy(jac=True))
    assert len(study.minima) == 1
    assert study.minima[0].times_found == 4


# -- weights of residuals ----------------------------------------------------------------------

T = np.linspace(0, 4, 25)
ERRORS = 0.02 + 0.1 * np.random.default_rng(4).random(25)
Y = 2 * np.exp(-0.7 * T) + 0.3 + ERRORS * np.random.default_rng(3).standard_normal(25)
FIT = {"a": (0.1, 10), "b": (0.01, 10), "c": (-1, 1)}


def model(t, a, b, c):
    return a * np.exp(-b * t) + c


def jacobian(a, b, c):
    return np.stack([np.exp(-b * T), -a * T * np.exp(-b * T), np.ones_like(T)], axis=1)


def weighted(a, b, c):
    return {
        "residuals": model(T, a, b, c) - Y,
        "jacobian": jacobian(a, b, c),
        "uncertainty": ERRORS,
    }


def fit(**more):
    given = {"driver": "least-squares", "max_num_minimizers": 1, "jac": True} | more
    return optdriver.create_study(FIT, **given)


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("sigma", [ERRORS, 0.07])
def test_weights_are_those_of_curve_fit(absolute, sigma):
    study = fit()
    study.run(lambda a, b, c: weighted(a, b, c) | {"uncertainty": sigma})
    expected, covariance = curve_fit(
        model, T, Y, p0=[1, 1, 0], sigma=np.broadcast_to(sigma, T.shape), absolute_sigma=absolute,
        xtol=1e-14, ftol=1e-14,
    )  # fmt: skip
    found = study.uncertainty() if absolute else study.uncertainty(absolute_sigma=False)
    assert found.x == pytest.approx(expected, rel=1e-6)
    assert found.covariance == pytest.approx(covariance, rel=1e-4)
    chi2 = np.sum(((model(T, *expected) - Y) / sigma) ** 2)
    assert study.best.value == pytest.approx(0.5 * chi2, rel=1e-9)


def test_the_same_points_as_if_the_objective_had_divided():
    told, divided = fit(), fit()
    told.run(weighted)
    divided.run(lambda a, b, c: (
        (model(T, a, b, c) - Y) / ERRORS, jacobian(a, b, c) / ERRORS[:, None]
    ))  # fmt: skip
    assert np.array_equal(told.history.x, divided.history.x)
    assert told.uncertainty().covariance == pytest.approx(
        divided.uncertainty(absolute_sigma=True).covariance, rel=1e-12
    )


def test_weights_stay_as_they_were():
    study = fit(jac=False)
    first, residuals = study.ask(), Y
    study.tell(first.id, residuals, uncertainty=ERRORS)
    second = study.ask()
    for wrong, said in [
        (None, "with all of them, or with none"),
        (2 * ERRORS, "divide in the objective"),
        (0.3, "divide in the objective"),
        (ERRORS[:3], "expected \\(25,\\)"),
    ]:
        with pytest.raises(InputError, match=said):
            study.tell(second.id, residuals, uncertainty=wrong)
    study.tell(second.id, residuals, uncertainty=ERRORS.tolist())
    plain = fit(jac=False)
    plain.tell(plain.ask().id, residuals)
    with pytest.raises(InputError, match="those before were not"):
        plain.tell(plain.ask().id, residuals, uncertainty=ERRORS)
    plain.reevaluate()
    plain.tell(plain.ask().id, residuals, uncertainty=ERRORS)


@pytest.mark.parametrize("bad", [-1, 0, math.nan, math.inf, [1, 2], "x", True, 1j, ERRORS * 0])
def test_what_is_no_standard_deviation_of_residuals_is_refused(bad):
    study = fit(jac=False)
    suggestion = study.ask()
    with pytest.raises(OptDriverError, match="uncertainty"):
        study.tell(suggestion.id, Y, uncertainty=bad)
    assert study.open_suggestions
    study.tell(suggestion.id, Y, uncertainty=ERRORS)


# -- doors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, [1, 2], "x", True, 1j])
def test_what_is_no_standard_deviation_is_refused(bad):
    study = new()
    suggestion = study.ask()
    for call in (
        lambda: study.tell(suggestion.id, 1.0, uncertainty=bad),
        lambda: study.new_observation().add(1.0, uncertainty=bad),
        lambda: study.add_point([0, 0], 1.0, uncertainty=bad),
    ):
        with pytest.raises(OptDriverError, match="uncertainty"):
            call()
    assert len(study.open_suggestions) == 1
    study.tell(suggestion.id, None, uncertainty=math.nan)  # it has failed


@pytest.mark.parametrize("bad", [-1, math.inf, [0.1], "x", [0.1, -0.2]])
def test_a_round_refuses_it_too(bad):
    study = new(num_parallel=2, max_num_minimizers=2, jac=True)
    ids, _ = study.ask_arrays()
    values, gradients = np.ones(2), np.ones((2, 2))
    with pytest.raises(OptDriverError, match="uncertainty"):
        study.tell_arrays(ids, values, gradients, uncertainty=bad)
    assert len(study.open_suggestions) == 2
    study.tell_arrays(ids, values, gradients, uncertainty=[0.1, None])
    assert np.isnan(study.history["uncertainty"][1])


def test_another_uncertainty_is_another_result():
    study = new()
    id = study.ask().id
    study.tell(id, 1.0, uncertainty=0.1)
    study.tell(id, 1.0, uncertainty=0.1)
    for other in (None, 0.2):
        with pytest.raises(ProtocolError, match="another uncertainty"):
            study.tell(id, 1.0, uncertainty=other)


def by_tell(study, x, made):
    study.tell(x.id, made["value"], made.get("gradient"), uncertainty=made["uncertainty"])


def by_observation(study, x, made):
    observation = study.new_observation()
    observation.add(made["value"], uncertainty=made["uncertainty"])
    for name, slope in zip("xy", made["gradient"], strict=True):
        observation.add(slope, derivative=name, uncertainty=0.1)
    study.add_observation(observation, x.id)


def by_arrays(study, x, made):
    gradient = [made["gradient"]]
    study.tell_arrays([x.id], [made["value"]], gradient, uncertainty=made["uncertainty"])


@pytest.mark.parametrize("door", [by_tell, by_observation, by_arrays])
def test_every_door_leads_to_the_same(door):
    study, run = new(jac=True), new(jac=True)
    run.run(Noisy(jac=True))
    while (suggestion := study.ask()) is not None:
        door(study, suggestion, Noisy(jac=True)(**suggestion.params))
    assert np.array_equal(study.history.x, run.history.x)
    assert np.array_equal(study.history["uncertainty"], run.history["uncertainty"])


def test_a_vectorized_objective_returns_it_by_name():
    study = new(jac=True, num_parallel=4, max_num_minimizers=4)

    def objective(x):
        made = [Noisy(jac=True)(*row) for row in x]
        return {name: np.array([each[name] for each in made]) for name in made[0]}

    study.run(objective, vectorized=True)
    assert (study.history["uncertainty"] == SIGMA).all()
    with pytest.raises(InputError, match="uncertainty"):
        new(jac=True).run(lambda x: {"value": [1.0], "sigma": [0.1]}, vectorized=True)


def test_unknown_names_in_what_is_returned_are_refused():
    with pytest.raises(InputError, match="uncertainty"):
        new().run(lambda x, y: {"value": 1.0, "uncertainy": 0.1})
    with pytest.raises(InputError, match="without 'value'"):
        new().run(lambda x, y: {"uncertainty": 0.1})


def test_it_is_taken_over_with_a_history():
    study = ran(new(max_iter=12), Noisy())
    other, third = new(), new()
    other.add_history(study)
    third.add_observation_data(study.get_observation_data())
    for each in (other, third):
        assert np.array_equal(each.history["uncertainty"], study.history["uncertainty"])


PROGRAM = """
import json, sys
p = json.load(sys.stdin)
print(json.dumps({"value": p["x"] ** 2 + p["y"] ** 2, "uncertainty": 0.25}))
"""


def test_a_program_says_it():
    study = new(max_iter=3)
    study.run(SubprocessObjective([sys.executable, "-c", PROGRAM]))
    assert (study.history["uncertainty"] == 0.25).all()
    printed = "print('f = 1.5'); print('error: 0.5')"
    said = SubprocessObjective(
        [sys.executable, "-c", printed],
        value={"pattern": r"f = (\S+)"},
        uncertainty={"pattern": r"error: (\S+)"},
    )(x=1.0, y=2.0)
    assert said == {"value": 1.5, "gradient": None, "uncertainty": 0.5}


def test_the_wire_carries_it(tmp_path):
    study = new(max_iter=2)
    lines = [
        {"id": 1, "method": "ask", "params": {}},
        {"id": 2, "method": "tell", "params": {"id": 0, "value": 2.0, "uncertainty": 0.5}},
        {"id": 3, "method": "add", "params": {"point": [0, 0], "value": 1.0, "uncertainty": 0.1}},
        {"id": 4, "method": "best", "params": {}},
        {"id": 5, "method": "tell", "params": {"id": 0, "value": 2.0, "uncertainty": -1}},
    ]
    given, answers = tmp_path / "in", tmp_path / "out"
    given.write_text("\n".join(json.dumps({"jsonrpc": "2.0"} | line) for line in lines) + "\n")
    with given.open("rb") as read, answers.open("wb") as written:
        serve_stdio(study, read, written)
    found = [json.loads(line) for line in answers.read_text().splitlines()]
    assert found[3]["result"]["best"]["uncertainty"] == 0.1
    assert "uncertainty" in found[4]["error"]["message"]
    assert study.history["uncertainty"].tolist() == [0.5, 0.1]


# -- kept ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("jac", [True, False])
def test_it_goes_on_the_same_from_everywhere(jac):
    journal = []
    study = new(jac=jac, journal=journal, max_iter=45)
    while (suggestion := study.ask()) is not None:
        made = Noisy(jac=jac)(**suggestion.params)
        by_tell(study, suggestion, made)
    whole = study.to_dict()
    assert study.info()["success"] or not jac
    for cut in range(0, len(journal), 5):
        rest = journal[cut:]
        events = [unpack(pack(event)) for event in journal[:cut]]
        for start in (
            Study.from_events(study.spec, events),
            Study.from_dict(Study.from_events(study.spec, events).to_dict()),
            pickle.loads(pickle.dumps(Study.from_events(study.spec, events))),
        ):
            for suggestion in start.open_suggestions:
                by_tell(start, suggestion, Noisy(jac=jac)(**suggestion.params))
            while (suggestion := start.ask()) is not None:
                by_tell(start, suggestion, Noisy(jac=jac)(**suggestion.params))
            assert np.array_equal(start.history.x, study.history.x), (cut, len(rest))
            assert same(start.to_dict()["driver"], whole["driver"])


def test_a_file_keeps_it(tmp_path):
    path = tmp_path / "noisy.db"
    study = new(jac=True, storage=path, max_iter=3)
    study.run(Noisy(jac=True))
    before = study.history
    study.close()
    with optdriver.load_study(path) as again:
        again.verify()
        assert np.array_equal(again.history["uncertainty"], before["uncertainty"])
        again.export(tmp_path / "noisy.jsonl")
    copied = optdriver.import_study(tmp_path / "noisy.jsonl", tmp_path / "copy.db")
    with copied:
        copied.set_parameters(max_iter=100)
        copied.run(Noisy(jac=True))
        alone = new(jac=True, max_iter=100)
        alone.run(Noisy(jac=True))
        assert np.array_equal(copied.history.x, alone.history.x)


def test_a_kept_fit_knows_its_weights(tmp_path):
    with fit(storage=tmp_path / "fit.db") as study:
        study.run(weighted)
        covariance = study.uncertainty().covariance
    with optdriver.load_study(tmp_path / "fit.db") as again:
        assert np.array_equal(again.uncertainty().covariance, covariance)
        assert "weighted" in again.uncertainty().source


@pytest.mark.parametrize("jac", [None, "2-point"])
def test_minimize_weights_residuals(jac, tmp_path):
    xp = pytest.importorskip("jax.numpy") if jac is None else np
    result = optdriver.minimize(
        lambda a, b, c: a * xp.exp(-b * T) + c - Y,
        FIT, residuals=True, uncertainty=ERRORS, n_iter=1, jac=jac, storage=tmp_path / "m.db",
    )  # fmt: skip
    study = fit()
    study.run(weighted)
    assert result.uncertainty().standard_errors == pytest.approx(
        study.uncertainty().standard_errors, rel=1e-5
    )
    for bad in (0.0, -ERRORS, math.nan, []):
        with pytest.raises(InputError, match="standard deviations"):
            optdriver.minimize(weighted, FIT, residuals=True, uncertainty=bad)
    with pytest.raises(InputError, match="residuals=True"):
        optdriver.minimize(bowl, BOX, uncertainty=0.1)


# -- under constraints ---------------------------------------------------------------------------


def on_a_disc(jac, rule=6, outputs=False, sigma=1e-2):
    """Return a study whose minimum is where the disc ends, its first run, and how far off it is."""
    limits = {"outputs": {"c": "<= 0.25"}} if outputs else {"constraints": ["x^2 + y^2 <= 0.25"]}
    study = optdriver.create_study(
        {"x": (-2, 2), "y": (-2, 2)},
        jac=jac,
        max_num_minimizers=1,
        max_iter=400,
        initial_samples=[[-0.3, 0.1]],
        constraint_rule=rule,
        **limits,
    )
    count = iter(range(10_000))

    def objective(x, y):
        value, gradient = bowl(x, y)
        shift = sigma * np.random.default_rng([5, next(count)]).standard_normal()
        made = {"value": value + shift, "uncertainty": sigma}
        if jac:
            made["gradient"] = gradient
        if outputs:
            c = x * x + y * y
            made["outputs"] = {"c": (c, [2 * x, 2 * y]) if jac else c}
        return made

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ObjectiveWarning)
        study.run(objective)
    least = 3.0 + (np.hypot(0.5, 1.0) - 0.5) ** 2
    run = study.runs[0]
    return study, run, bowl(*run.params.values())[0] - least


@pytest.mark.parametrize("outputs", [False, True])
@pytest.mark.parametrize("jac", [True, False])
def test_noise_refuses_no_step_under_constraints(jac, outputs):
    study, run, above = on_a_disc(jac, outputs=outputs)
    assert study.info()["success"]
    assert "standard deviation 0.01" in run.reason
    assert above < 0.03
    assert study.num_evaluations < (20 if jac else 250)
    believed = outputs and not jac
    assert ("the error of the differences may hide" in run.reason) is believed
    assert ("this end was not surveyed" in run.reason) is believed
    assert ("a parabola through values round the end" in run.reason) is not (jac or outputs)
    assert ("if the gradients that were told are exact" in run.reason) is (
        jac and "the model promises" in run.reason
    )
    x, y = run.params.values()
    assert x * x + y * y <= 0.25 * (1.0 + 1e-6)


def test_what_was_begun_before_does_not_allow_for_it():
    _, run, _ = on_a_disc(jac=True, rule=5, outputs=True)
    assert run.state == "stopped"
