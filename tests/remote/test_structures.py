"""Studies whose parameters have a structure, formulas and units, driven from elsewhere."""

from __future__ import annotations

import json
import urllib.request
import warnings
from typing import NamedTuple

import numpy as np
import pytest
import saiunit as u

import optdriver
from optdriver.errors import InputError, StorageWarning, UnknownIdError
from optdriver.server import background

LAYERS = {
    "layer": {"w": (np.zeros((2, 3)), 1.0), "b": [(-1, 1), (0, 2)]},
    "rate": {"domain": (1e-4, 1.0), "scale": "log"},
    "twice": "2*rate + 1",
}


def loss(layer, rate, twice):
    assert layer["w"].shape == (2, 3)
    assert twice == 2 * rate + 1
    slopes = {"w": 2 * (layer["w"] - 0.25), "b": [2 * layer["b"][0], 2 * layer["b"][1] - 2]}
    value = np.sum((layer["w"] - 0.25) ** 2) + layer["b"][0] ** 2 + (layer["b"][1] - 1) ** 2
    return float(value + rate), {"layer": slopes, "rate": 0.5, "twice": 0.25}


def driven(study):
    """Tell everything in a fixed order; return what was asked."""
    asked = []
    while not study.is_done():
        for suggestion in reversed(study.ask(3)):
            study.tell(suggestion.id, *loss(**suggestion.params))
            asked.append((suggestion.id, suggestion.x.tolist()))
    return asked


def test_a_structure_comes_whole_and_the_points_are_those_of_a_study_here(tmp_path):
    options = {"jac": True, "max_num_minimizers": 2, "num_parallel": 3, "max_iter": 40}
    here = optdriver.create_study(LAYERS, **options)
    with background(tmp_path) as url:
        there = optdriver.client(url).create_study(LAYERS, study_id="layers", **options)
        assert driven(there) == driven(here)
        again = optdriver.client(url).study("layers")
        for row, own in zip(again.minima, here.minima, strict=True):
            assert row.value == own.value
            assert (row.params["layer"]["w"] == own.params["layer"]["w"]).all()
            assert row.starts[0]["layer"]["b"] == own.starts[0]["layer"]["b"]
        assert again.runs[0].start["twice"] == here.runs[0].start["twice"]
        assert again.info()["min_params"]["layer"]["w"].shape == (2, 3)
        assert again.best.params["twice"] == here.best.params["twice"]
        assert again.history.gradient.tolist() == here.history.gradient.tolist()


def test_a_worker_calls_an_objective_as_a_study_here_does(tmp_path):
    with background(tmp_path) as url:
        study = optdriver.client(url).create_study(
            LAYERS, study_id="layers", jac=True, max_num_minimizers=1
        )
        study.run(loss, slots=2)
        assert study.best.value == pytest.approx(1e-4)
        with pytest.raises(UnknownIdError, match="not open"):
            study.tell(10**6, 1.0, {"layer": {}})


class Gate(NamedTuple):
    v: object
    g: object


def test_units_come_and_go(tmp_path):
    bounds = Gate((-80 * u.mV, -40 * u.mV), (-1.0, 2.0))

    def energy(gate):
        away = gate.v + 60 * u.mV
        return away**2 + gate.g**2 * u.mV**2, Gate(2 * away, 2 * gate.g * u.mV**2)

    with background(tmp_path) as url:
        study = optdriver.client(url).create_study(
            bounds, study_id="gate", jac=True, num_parallel=2
        )
        suggestion = study.ask()
        assert isinstance(suggestion.params, Gate)
        value, slopes = energy(suggestion.params)
        study.tell(suggestion.id, value.in_unit(u.volt**2), slopes)  # the unit of the first counts
        study.stop()
        assert study.parameters["value_unit"]["unit"] == "V^2"
        study.resume()
        study.run(energy, max_evaluations=20)
        assert float(study.best.params.v / u.mV) == pytest.approx(-60.0, abs=1e-3)
        assert study.best.value == pytest.approx(0.0, abs=1e-12)
        assert study.best.gradient == pytest.approx(0.0, abs=1e-9)
        x = study.add_point(Gate(-61 * u.mV, 0.5), 1.25e-6, Gate(-2e-6, 1e-6))
        assert study.history["id"][-1] == x
        with pytest.raises(InputError, match="amount"):
            study.tell(study.ask().id, 3.0 * u.second)


def test_what_does_not_come_as_it_was_is_said(tmp_path):
    with background(tmp_path) as url:
        client = optdriver.client(url)
        bounds = {"w": (np.zeros(2, dtype=np.float32), 1.0)}
        made = client.create_study(bounds, study_id="narrow")
        assert made.ask().params["w"].dtype == np.float32
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert client.study("narrow").best is None
        client.create_study({"v": (0 * u.mV, 1 * u.mV)}, study_id="unit")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("optdriver.space.description._LIBRARIES", ())
            with pytest.warns(StorageWarning, match="plain number"):
                client.study("unit")


def test_arrays_may_be_lists_where_there_is_no_numpy(tmp_path):
    with background(tmp_path) as url:
        study = optdriver.client(url).create_study(LAYERS, study_id="layers", jac=True)
        id = study.ask().id
        slopes = {"w": [[1, 2, 3], [4, 5, 6]], "b": [7, 8]}
        gradient = {"layer": slopes, "rate": 9, "twice": 0.5}
        body = json.dumps({"id": id, "value": 1.0, "gradient": gradient}).encode()
        request = urllib.request.Request(f"{url}/tell", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["evaluations"] == 1
        assert study.history.gradient.tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 10]]


@pytest.mark.parametrize(
    "structure", [3, [], {}, {"domain": 1}, {"domain": [], "scale": True, "structure": {}},
                  {"domain": [{"name": "x", "type": "continuous", "domain": [0, 1]}],
                   "scale": True, "structure": {"root": {"shape": [10**9]}}}],
)  # fmt: skip
def test_no_structure_is_an_error_that_says_so(tmp_path, structure):
    with background(tmp_path) as url:
        client = optdriver.client(url)
        with pytest.raises(InputError):
            client._wire.send("POST", "/studies", {"structure": structure, "study_id": "s"})
        assert client.studies() == []
