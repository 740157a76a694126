"""The words of simulation drivers, and the aliases."""

from __future__ import annotations

import inspect
import math
import re

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, InputTypeError, ProtocolError, UnknownOptionError
from optdriver.studies import Client, client, create_study
from optdriver.study import Study
from optdriver.study.dialect import ARGUMENTS, KEYWORDS, METHODS
from optdriver.study.hints import _MEANT
from optdriver.study.parameters import TABLE
from tests.study.tools import BOX, rastrigin

DOMAIN = [
    {"name": "x1", "type": "continuous", "domain": (-1.5, 1.5)},
    {"name": "x2", "type": "continuous", "domain": (-1.5, 1.5)},
    {"name": "radius", "type": "fixed", "domain": 2},
]


def first_example():
    study = client().create_study(
        domain=DOMAIN,
        constraints=[],
        driver="L_BFGS_B_Optimization",
        name="Rastrigin on a disc",
        study_id="rastrigin",
    )
    study.set_parameters(
        max_iter=25,
        num_parallel=3,
        num_initial=3,
        jac=True,
        initial_samples=[[0.5, 0.5], [-0.5, -0.5]],
    )
    return study


def observe(study, x1, x2, radius):
    observation = study.new_observation()
    observation.add(
        10 * 2
        + x1**2 - 10 * math.cos(2 * math.pi * x1)
        + x2**2 - 10 * math.cos(2 * math.pi * x2)
    )  # fmt: skip
    observation.add(derivative="x1", value=2 * x1 + 20 * math.pi * math.sin(2 * math.pi * x1))
    observation.add(derivative="x2", value=2 * x2 + 20 * math.pi * math.sin(2 * math.pi * x2))
    return observation


def test_the_first_example():
    study = first_example()
    study.set_objective(observe)
    study.run()
    info = study.info()
    assert info["min_objective"] == pytest.approx(0.0, abs=1e-9)
    assert info["min_params"] == {
        "x1": pytest.approx(0, abs=1e-6), "x2": pytest.approx(0, abs=1e-6), "radius": 2,
    }  # fmt: skip
    assert info["num_evaluations"] == 25
    assert (info["name"], info["study_id"]) == ("Rastrigin on a disc", "rastrigin")
    assert info["driver"] == "L-BFGS-B"
    assert study.history.x[:2].tolist() == [[0.5, 0.5], [-0.5, -0.5]]


def test_the_loop_of_that_dialect():
    study = first_example()
    study.start_clock()
    while not study.is_done():
        suggestion = study.get_suggestion()
        observation = observe(study, **suggestion.kwargs)
        study.add_observation(observation, suggestion.id)
    assert study.info()["num_evaluations"] == 25
    state = study.get_state()
    assert state["is_done"]
    assert state["open"] == {}
    assert state["min_objective"] == study.best.value


def test_both_dialects_ask_the_same_points():
    study = first_example()
    study.configure(num_parallel=1)
    study.set_evaluator(observe)
    study.run()
    native = create_study(
        BOX, jac=True, max_iter=25, num_initial=3, initial_samples=[[0.5, 0.5], [-0.5, -0.5]]
    )
    native.run(lambda x1, x2, radius: observe(native, x1, x2, radius))
    assert study.history.x.tobytes() == native.history.x.tobytes()


def test_the_table_of_aliases():
    for alias, name in METHODS.items():
        assert getattr(Study, alias) is getattr(Study, name)
    arguments = inspect.signature(create_study).parameters
    for alias, name in ARGUMENTS.items():
        assert {alias, name} <= arguments.keys()
    one = create_study(domain=DOMAIN, name="r")
    other = create_study(design_space=DOMAIN, study_name="r")
    assert (
        one.spec.to_dict()
        == other.spec.to_dict()
        == create_study(DOMAIN[:2], environment={"radius": 2}, name="r").spec.to_dict()
    )
    with pytest.raises(InputError, match="'domain' or 'design_space', not both"):
        create_study(domain=DOMAIN, design_space=DOMAIN)
    with pytest.raises(InputError, match="'name' or 'study_name', not both"):
        create_study(DOMAIN, name="a", study_name="b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs the parameters once"),
        ({"space": DOMAIN, "domain": DOMAIN}, "needs the parameters once"),
        ({"space": DOMAIN, "driver": "L-BFGS"}, "unknown driver 'L-BFGS'.*mean 'L-BFGS-B'"),
        ({"space": DOMAIN, "driver": 3}, "a string, not 3"),
        ({"space": DOMAIN, "name": 3}, "name is a string, not 3"),
        ({"space": DOMAIN, "study_id": 3}, "study_id is a string, not 3"),
        ({"space": DOMAIN, "constraint": []}, "'constraint'.*did you mean 'constraints'"),
        ({"space": DOMAIN, "max_itre": 3}, "'max_itre'.*did you mean 'max_iter'"),
        ({"space": DOMAIN, "constraints": 5}, "constraints are texts"),
        ({"space": DOMAIN, "constraints": "x1^2 + x3 <= 1"}, "x3"),
        ({"space": DOMAIN, "constraints": [{"nam": "c", "constraint": "x1 <= 1"}]}, "'nam'"),
    ],
)
def test_arguments_that_cannot_be_used(arguments, message):
    with pytest.raises(InputError, match=message):
        Client().create_study(**arguments)


def test_misspelled_arguments_are_unknown_options():
    with pytest.raises(UnknownOptionError):
        create_study(BOX, enviroment={})
    assert repr(client()) == "Client()"


@pytest.mark.parametrize("driver", ["L-BFGS-B", "l_bfgs_b", "L_BFGS_B_Optimization", "l-bfgs-b"])
def test_names_of_the_driver(driver):
    assert create_study(BOX, driver=driver).spec.driver == "L-BFGS-B"


def observation_of(study, x1, x2):
    return observe(study, x1, x2, 2)


def test_observations_of_points_of_ones_own():
    study = first_example()
    study.add_observation(observation_of(study, 0.1, 0.2), sample={"x1": 0.1, "x2": 0.2})
    study.add_observation(observation_of(study, 0.3, 0.2), design_value=[0.3, 0.2])
    assert study.history.x.tolist() == [[0.1, 0.2], [0.3, 0.2]]
    ids = study.add_many(
        [observation_of(study, 0, 0), observation_of(study, 1, 1)], [[0, 0], {"x1": 1, "x2": 1}]
    )
    assert ids == [2, 3]
    assert study.best.params == {"x1": 0.0, "x2": 0.0, "radius": 2}
    with pytest.raises(InputError, match="1 observations for 2 points"):
        study.add_many([observation_of(study, 0, 0)], [[0, 0], [1, 1]])


def test_the_point_may_be_said_again():
    study = first_example()
    suggestion = study.get_suggestion()
    observation = observe(study, **suggestion.kwargs)
    with pytest.raises(InputError, match=r"suggestion 0 is at \[0.5, 0.5\], but the point"):
        study.add_observation(observation, suggestion.id, sample={"x1": 0, "x2": 0})
    with pytest.raises(InputError, match="not both"):
        study.add_observation(observation, 0, sample={"x1": 0}, design_value=[0, 0])
    study.add_observation(observation, suggestion.id, sample={}, design_value=[])
    study.add_observation(observation, suggestion.id, design_value=[0.5, 0.5])
    assert study.num_evaluations == 1


def test_observations_need_a_place():
    study = first_example()
    with pytest.raises(InputError, match="needs suggestion_id="):
        study.add_observation(observation_of(study, 0, 0))
    with pytest.raises(InputTypeError, match="takes an Observation"):
        study.add_observation(3.0, 0)


def test_observation_data():
    study = first_example()
    first, second = study.ask(2)
    for suggestion in (second, first):
        study.add_observation(observe(study, **suggestion.kwargs), suggestion.id)
    study.add_point([0, 0], 3.0)
    data = study.get_observation_data()
    assert data["suggestion_id"] == [0, 1, 2]
    assert data["sample"][0] == {"x1": 0.5, "x2": 0.5, "radius": 2}
    value, gradient = rastrigin(0.5, 0.5)
    assert data["value"][0] == pytest.approx(value)
    assert data["derivatives"][0] == pytest.approx({"x1": gradient[0], "x2": gradient[1]})
    assert data["derivatives"][2] is None
    assert study.get_observation_data(2) == {
        "suggestion_id": 2,
        "sample": {"x1": 0.0, "x2": 0.0, "radius": 2},
        "value": 3.0,
        "derivatives": None,
    }
    third = study.ask()
    with pytest.raises(ProtocolError, match="suggestion 3 has no observation"):
        study.get_observation_data(third.id)


def test_get_state_tells_what_is_open():
    study = first_example()
    suggestion = study.get_suggestion()
    state = study.get_state()
    assert not state["is_done"]
    assert state["status"] == "running"
    assert state["open"] == {suggestion.id: suggestion.kwargs}


@pytest.mark.parametrize("given", [{"scale": "no"}, {"journal": 3}, {"clock": 3.0}])
def test_parts_of_the_wrong_kind_are_refused_at_once(given):
    with pytest.raises(InputTypeError, match=f"{next(iter(given))} is"):
        create_study(BOX, **given)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("maximize", "direction='maximize'"),
        ("directions", "direction='maximize'"),
        ("x0", "initial_samples"),
        ("n_trials", "max_iter"),
        ("maxfev", "max_iter"),
        ("n_jobs", "num_parallel"),
        ("timeout", "max_time"),
        ("random_state", "seed"),
        ("gradient", "jac=True"),
        ("bounds", "domain"),
    ],
)
def test_arguments_of_other_packages_get_a_hint(name, hint):
    with pytest.raises(UnknownOptionError, match=f"{name!r}: .*{hint}"):
        create_study({"x": (0, 1)}, **{name: 1})
    with pytest.raises(UnknownOptionError, match=f"{name!r}: .*{hint}"):
        create_study({"x": (0, 1)}).set_parameters(**{name: 1})


def test_hints_name_what_exists():
    for words in _MEANT:
        named = set(re.findall(r"(\w+)=", words)) - {"executor", "progress"}
        assert named <= {*KEYWORDS, *TABLE}, words


def seen(study):
    """Return an observation of a parabola at a suggestion's place."""

    def objective(x):
        observation = study.new_observation()
        observation.add((x - 1.0) ** 2)
        observation.add(derivative="x", value=2.0 * (x - 1.0))
        return observation

    return objective


LINE = [{"name": "x", "type": "continuous", "domain": (-2.0, 3.0)}]


def test_a_study_goes_on_by_its_id_alone(tmp_path):
    client = optdriver.client()
    given = {"study_id": "line", "save_dir": tmp_path}
    with client.create_study(domain=LINE, max_iter=3, jac=True, **given) as study:
        study.run(seen(study))
    with client.create_study(**given, max_iter=30) as again:
        assert again.num_evaluations == 3
        again.run(seen(again))
        assert again.best.value == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(InputError, match="constraints and environment go with the parameters"):
        client.create_study(**given, constraints="x <= 1")
    with pytest.raises(InputError, match="has the driver 'L-BFGS-B'"):
        client.create_study(**given, driver="CMA-ES")
    with pytest.raises(InputError, match="no file of a study 'lime'"):
        client.create_study(study_id="lime", save_dir=tmp_path)


def test_the_driver_and_what_was_observed_are_there_under_those_names():
    study = optdriver.client().create_study(domain=LINE, max_iter=9, jac=True)
    assert study.driver.best_sample is study.driver.min_objective is None
    study.run(seen(study))
    assert study.configuration == study.driver.configuration == study.parameters
    assert (str(study.driver), study.driver.name) == ("L-BFGS-B", "L-BFGS-B")
    assert study.driver.best_sample == study.info()["min_params"]
    assert study.driver.min_objective == study.info()["min_objective"]
    assert study.driver.describe()["max_iter"]["value"] == 9
    values = study.historic_parameter_values("observation.value")
    assert values == study.history["value"].tolist()
    best = study.driver.historic_parameter_values("driver.min_objective")
    assert best == np.minimum.accumulate(values).tolist()
    with pytest.raises(InputError, match="'observation.value'"):
        study.historic_parameter_values("value.of.nothing")


def test_observed_data_can_be_added():
    first = optdriver.client().create_study(domain=LINE, max_iter=4, jac=True)
    first.run(seen(first))
    data = first.get_observation_data()
    second = optdriver.client().create_study(domain=LINE, jac=True)
    assert second.add_observation_data(data) == list(range(len(data["value"])))
    assert second.add_observation_data(first.get_observation_data(0)) == [len(data["value"])]
    assert second.best.value == first.best.value
    np.testing.assert_array_equal(second.best.gradient, first.best.gradient)
    for wrong, words in (
        ({"value": [1.0]}, "no 'sample'"),
        ({**data, "value": data["value"][1:]}, "not as many"),
        ([1.0], "get_observation_data"),
    ):
        with pytest.raises(InputError, match=words):
            second.add_observation_data(wrong)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dashboard": False}, "optdriver serve"),
        ({"open_browser": True}, "optdriver serve"),
        ({"output_precision": 1e-8}, "all their digits"),
    ],
)
def test_what_is_not_here_is_refused_with_what_to_do(given, words):
    with pytest.raises(InputError, match=words):
        optdriver.client().create_study(domain=LINE, **given)


def test_what_cannot_be_changed_any_more_can_be_taken_over():
    study = optdriver.client().create_study(domain=LINE, max_iter=4)
    study.run(lambda x: (x - 1.0) ** 2)
    with pytest.raises(ProtocolError, match="add_history"):
        study.set_parameters(jac=True)


def test_the_clock_is_set_to_zero_by_start_clock():
    time = [0.0]
    made = optdriver.create_study({"x": (-2.0, 3.0)}, jac=True, max_time=10, clock=lambda: time[0])
    suggestion = made.ask()
    time[0] += 11.0
    made.tell(suggestion.id, 1.0, [1.0])
    assert made.is_done()
    assert "start_clock() counts it anew" in made.how_to_go_on()
    made.start_clock()
    assert made.ask() is not None
    assert made.info()["elapsed"] == 11.0  # the history goes on
    again = optdriver.Study.from_dict(made.to_dict(), clock=lambda: time[0])
    again.start_clock(anew=False)
    time[0] += 9.0
    assert not again.is_done()
    time[0] += 2.0
    assert again.is_done()


@pytest.mark.parametrize("driver", ["BFGS", "CG", "Newton-CG", "dogleg", "trust-exact"])
def test_a_driver_that_leaves_bounds_is_refused_at_once(driver):
    free = {"x": (-math.inf, math.inf), "y": (-math.inf, math.inf)}
    for space, constraints in (
        (BOX, None),
        ({**free, "y": (0.0, math.inf)}, None),
        (free, ["x <= 1"]),
    ):
        with pytest.raises(
            InputError, match=f"'{driver}' does not keep to bounds.*L-BFGS-B, SLSQP"
        ):
            create_study(space, driver=driver, constraints=constraints)
    study = create_study(free, driver=driver, jac=True, initial_samples=[[1.0, 2.0]])
    assert study.ask().params == {"x": 1.0, "y": 2.0}
