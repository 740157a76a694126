"""The client of the first dialect, as it is on the package index, drives this server."""

from __future__ import annotations

import json
import math
from urllib.parse import urlencode

import pytest

import optdriver

jcm = pytest.importorskip("jcmoptimizer", reason="the client is not installed (extra test)")

TOKEN = "a-token-of-some-length"
DESIGN = [
    {"name": "x1", "type": "continuous", "domain": (-1.5, 1.5)},
    {"name": "x2", "type": "continuous", "domain": (-1.5, 1.5)},
]
CIRCLE = [{"name": "circle", "expression": "x1^2 + x2^2 <= radius^2"}]
RADIUS = [{"name": "radius", "type": "fixed", "domain": 2.0}]


def rastrigin(study, x1, x2, radius):
    observation = study.new_observation()
    value = 20.0
    for name, x in (("x1", x1), ("x2", x2)):
        value += x * x - 10.0 * math.cos(2.0 * math.pi * x)
        slope = 2.0 * x + 20.0 * math.pi * math.sin(2.0 * math.pi * x)
        observation.add(slope, derivative=name)
    observation.add(value)
    return observation


@pytest.fixture
def client(served, tmp_path):
    with served(tmp_path, dialect="jcm", token=TOKEN) as server:
        client = jcm.Client(server.url, token=TOKEN, verbose=False)
        client.place = tmp_path
        made = []

        def create(**arguments):
            given = {"design_space": DESIGN, "environment": RADIUS, "constraints": CIRCLE,
                     "driver": "ScipyMinimizer", "open_browser": False}  # fmt: skip
            made.append(client.create_study(**given | arguments))
            return made[-1]

        client.create = create
        yield client
        for study in made:
            study._delete_on_server()


def test_a_run_with_gradients(client):
    study = client.create(study_id="disc")
    study.configure(max_iter=25, num_parallel=3, num_initial=3, jac=True)
    study.set_evaluator(rastrigin)
    study.run()
    best = study.driver.best_sample
    assert study.driver.min_objective == study.get_state("driver.min_objective")
    assert best["radius"] == 2.0
    values = study.historic_parameter_values("observation.value")
    assert min(values) == study.driver.min_objective
    assert study.historic_parameter_values("driver.min_objective")[-1] == min(values)
    data = study.get_observation_data()
    assert len(data["value"]) == 3 * len(values) == len(data["design_value"])
    study._delete_on_server()
    with optdriver.load_study(client.place / "disc.db", read_only=True) as kept:
        assert kept.num_evaluations == 25
        assert kept.best.value == min(values)


def test_a_run_that_ends_by_itself(client):
    study = client.create(study_id="converges", constraints=[])
    study.configure(num_parallel=1, jac=True, max_num_minimizers=1)
    study.set_evaluator(rastrigin)
    study.run()
    state = study.get_state("driver")
    assert state["success"] is True
    assert "converged" in state["stop_reason"]
    with optdriver.load_study(client.place / "converges.db", read_only=True) as kept:
        assert kept.num_evaluations == state["num_evaluations"]


def test_a_loop_of_ones_own_and_points_from_elsewhere(client):
    study = client.create(study_id="loop", constraints=[], environment=[])
    study.configure(max_iter=6)
    first = study.get_suggestion()
    study.clear_suggestion(first.id, "no mesh")
    while not study.is_done():
        suggestion = study.get_suggestion()
        observation = study.new_observation()
        observation.add(sum(x * x for x in suggestion.kwargs.values()))
        study.add_observation(observation, suggestion.id)
    observation = study.new_observation()
    observation.add(-1.0)
    study.add_observation(observation, design_value=[0.5, 0.25])
    study.add_many([observation, observation], [[0.1, 0.2], [0.2, 0.1]])
    noisy = study.new_observation()
    noisy.add(2.0, uncertainty=0.5)
    study.add_observation(noisy, design_value=[0.3, 0.3])
    assert study.driver.best_sample == {"x1": 0.5, "x2": 0.25}
    assert study.get_state("driver.num_failed") == 1
    again = client.create_study(study_id="loop", driver="ScipyMinimizer", open_browser=False)
    assert again.driver.min_objective == -1.0
    again._delete_on_server()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"driver": None}, "Bayesian"),
        ({"driver": "BayesianOptimization"}, "BayesianOptimization"),
        ({"driver": "ScipyLeastSquares"}, "ScipyLeastSquares"),
        ({"save_dir": "/tmp"}, "own directory"),
        ({"study_id": "../up"}, "study_id"),
        ({"constraints": [{"name": "c", "expression": "__import__('os')"}]}, "c"),
        ({"environment": [{"name": "t", "type": "variable", "domain": [0, 1]}]}, "t"),
    ],
)
def test_what_is_not_there_is_refused_by_name(client, arguments, said):
    with pytest.raises(OSError, match=said):
        client.create(**arguments)
    assert not list(client.place.glob("*.db"))


def test_mistakes_in_a_study_are_told(client):
    study = client.create(study_id="mistakes", constraints=[])
    with pytest.raises(OSError, match="max_iter"):
        study.configure(maxiter=3)
    study.configure(max_iter=3)
    suggestion = study.get_suggestion()
    for more, said in [({"model_name": "m"}, "model_name"), ({"uncertainty": -1.0}, "uncertainty")]:
        observation = study.new_observation()
        observation.add(1.0, **more)
        with pytest.raises(OSError, match=said):
            study.add_observation(observation, suggestion.id)
    with pytest.raises(OSError, match="does not do that"):
        client.create_benchmark()
    with pytest.raises(OSError, match="does not do that"):
        client.shutdown_server()
    with pytest.raises(OSError, match="nowhere"):
        study.get_state("nowhere")
    with pytest.raises(ConnectionError, match="token"):
        wrong = jcm.Client(client.requestor.endpoint, token="wrong", verbose=False)
        wrong.create_study(design_space=DESIGN, driver="ScipyMinimizer", open_browser=False)


def posted(server, path, **fields):
    body = urlencode({key: json.dumps(value) for key, value in fields.items()}).encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"Token {TOKEN}",
    }
    status, _, answer = server.request("POST", path, body, **headers)
    return status, json.loads(answer)


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("/study/create", {"study_id": "s", "driver": ["ScipyMinimizer"]}, "there is no driver"),
        ("/study/create", {"study_id": ["s"]}, "study_id is a text"),
        ("/study/create", {"study_id": 7, "driver": "CMAES"}, "study_id is a text"),
        ("/observation/create/disc", {"observation_data": {"null": 5}}, "a list of JSON"),
        ("/observation/create/disc", {"observation_data": {"null": [5]}}, "an object of JSON"),
        ("/observation/create/disc", {"observation_data": {"null": [{"val": 3.5}]}}, "a value"),
        ("/observation/create/disc", {"observation_data": {"null": [{"der": [1]}]}}, "derivatives"),
        ("/suggestion/create/layer", {}, "structure"),
        ("/study/get_observation_data/layer", {}, "structure"),
    ],
)
def test_what_that_client_never_sends_is_refused_and_no_fault(served, tmp_path, path, fields, said):
    optdriver.create_study({"x": (0, 1)}, storage=tmp_path / "disc.db").close()
    optdriver.create_study({"layer": {"w": (0, 1)}}, storage=tmp_path / "layer.db").close()
    with served(tmp_path, dialect="jcm", token=TOKEN) as server:
        status, answer = posted(server, path, **fields)
        assert status == 400
        assert said in answer["detail"]
