"""Structures in a study: what is asked, told, constrained, kept and reported."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import jax
import numpy as np
import pint
import pytest
import saiunit as u

import optdriver
from optdriver import Interval, create_study, load_study
from optdriver.errors import ConstraintError, InputError, StorageWarning


class Point(NamedTuple):
    """Two coordinates."""

    x: object
    y: object


BOUNDS = {
    "layer": {"w": (np.zeros((2, 2)), 1.0), "b": (-1.0, 1.0)},
    "rate": {"domain": (1e-4, 1.0), "scale": "log"},
    "at": Point((0.0, 1.0), [(0.0, 1.0), (0.0, 2.0)]),
    "order": 3,
    "solver": {"type": "fixed", "domain": "euler"},
    "table": {"type": "fixed", "domain": np.arange(3.0)},
    "c": "2*layer.b + rate",
}
NAMES = ("layer_w_0_0", "layer_w_0_1", "layer_w_1_0", "layer_w_1_1", "layer_b", "rate")
NAMES += ("at_x", "at_y_0", "at_y_1")


def loss(layer, rate, at, order, solver, table, c):
    assert (order, solver, table.tolist(), type(at)) == (3, "euler", [0.0, 1.0, 2.0], Point)
    away = ((layer["w"] - 0.3) ** 2).sum() + (layer["b"] - 0.1) ** 2 + (np.log(rate) + 2) ** 2
    return float(away + (at.x - 0.5) ** 2 + (at.y[0] - 0.2) ** 2 + (at.y[1] - 1) ** 2 + c**2 / 8)


def test_what_is_asked_has_the_structure():
    study = create_study(BOUNDS)
    suggestion = study.ask()
    params = suggestion.params
    assert list(params) == list(BOUNDS)
    assert study.space.free == NAMES
    assert params["layer"]["w"].shape == (2, 2)
    assert params["layer"]["w"][1, 0] == suggestion.x[2]
    assert type(params["at"]) is Point
    assert params["at"].y == suggestion.x[7:9].tolist()
    assert params["c"] == 2 * params["layer"]["b"] + params["rate"]
    np.testing.assert_array_equal(study.space.vector(params), suggestion.x)


def test_a_study_of_a_structure_is_run_and_reported():
    study = create_study(BOUNDS, max_num_minimizers=1, max_iter=400)
    study.run(loss, progress=False)
    assert study.info()["success"]
    assert loss(**study.best.params) == study.best.value
    assert [*study.history][:9] == [*NAMES]
    assert "layer.w[1, 0]" in repr(study.minima)
    assert study.minima[0].params["at"].x == pytest.approx(0.5, abs=1e-4)
    assert study.runs[0].start["solver"] == "euler"
    before = study.num_evaluations
    study.add_point(study.best.params, study.best.value)
    assert (study.num_evaluations, study.history["kind"][-1]) == (before, "added")


@pytest.mark.parametrize(
    ("bounds", "objective"),
    [
        ((np.zeros(2), 1.0), lambda x: float(((x - 0.5) ** 2).sum())),
        ([(0, 1), (np.zeros(2), 1.0)], lambda a, b: (a - 0.5) ** 2 + float(((b - 0.5) ** 2).sum())),
        (Point((0, 1), (0, 1)), lambda p: (p.x - 0.5) ** 2 + (p.y - 0.5) ** 2),
        (Interval([0, 0], 1), lambda x: float(((x - 0.5) ** 2).sum())),
        ({"a": (0, 1), "b": "2*a"}, lambda a, b: (a - 0.5) ** 2 + (b - 1) ** 2),
        ([{"name": "a", "domain": (0, 1)}, {"name": "s", "type": "fixed", "domain": "up"}],
         lambda a, s: (a - 0.5) ** 2 + (s != "up")),
    ],
)  # fmt: skip
def test_an_objective_gets_the_members_as_minimize_gives_them(bounds, objective):
    study = create_study(bounds, max_num_minimizers=1, max_iter=100)
    study.run(objective, progress=False)
    np.testing.assert_allclose(study.best.x, 0.5, atol=1e-5)
    with pytest.raises(InputError, match="does not fit the parameters"):
        create_study(bounds).run(lambda: 0.0, progress=False)


def test_who_wants_one_array_is_told_its_bounds():
    def squares(x):
        return float(np.sum((x - 0.5) ** 2))

    for call in (lambda bounds: create_study(bounds).run(squares, progress=False),
                 lambda bounds: optdriver.minimize(squares, bounds)):  # fmt: skip
        with pytest.raises(InputError, match=r"single array are optdriver.Interval\(lower, upper"):
            call([(0, 1), (0, 2), (0, 3)])
    study = create_study(
        optdriver.Interval([0, 0, 0], [1, 2, 3]), max_num_minimizers=1, max_iter=100
    )
    study.run(squares, progress=False)
    np.testing.assert_allclose(study.best.x, 0.5, atol=1e-5)


def test_gradients_come_in_the_structure_or_as_a_vector():
    bounds = {"w": (np.zeros(2), 1.0), "b": (-1, 1), "c": "b^2", "k": 2}
    given = {"w": np.array([1.0, 2.0]), "b": 3.0, "c": 10.0}
    told = []
    for gradient in (given, {**given, "k": None}, {"w_0": 1, "w_1": 2, "b": 3, "c": 10}):
        study = create_study(bounds, jac=True, initial_samples=[[0.5, 0.5, 0.25]])
        study.tell(study.ask().id, 1.0, gradient)
        told.append(study.best.gradient)
    study.tell(study.ask().id, 0.5, np.array([1.0, 2.0, 8.0]))
    for gradient in (*told, study.best.gradient):
        np.testing.assert_array_equal(gradient, [1.0, 2.0, 3.0 + 10.0 * 2 * 0.25])
    for wrong in ({"w": np.ones(3), "b": 1.0}, {"w": np.ones(2)}, np.ones(4), {"v": 1.0}):
        with pytest.raises(InputError):
            study.tell(study.ask().id if not study.open_suggestions else 2, 0.1, wrong)


def test_dependent_parameters_can_be_constrained():
    texts = ["c <= 0.4", {"name": "sum", "constraint": "layer.w[0, 0] + layer_w_0_1 - 0.5"}]
    study = create_study(BOUNDS, constraints=texts, max_num_minimizers=1, max_iter=400)
    seen = []

    def watched(**params):
        seen.append((params["c"], params["layer"]["w"][0].sum()))
        return loss(**params) - params["c"]

    study.run(watched, progress=False)
    assert study.info()["success"]
    assert np.all(np.array(seen) <= [0.4, 0.5])
    assert set(study.info()["active_constraints"]) == {"c <= 0.4", "sum"}
    assert study.best.params["c"] == pytest.approx(0.4, abs=1e-9)


def test_a_kept_study_goes_on_bit_for_bit_and_refuses_other_bounds(tmp_path):
    path, texts = tmp_path / "study.db", ["c <= 0.4"]
    arguments = {"constraints": texts, "max_num_minimizers": 1, "max_iter": 60, "seed": 3}
    whole = create_study(BOUNDS, **arguments)
    whole.run(loss, progress=False)
    with create_study(BOUNDS, storage=path, **arguments) as study:
        study.run(loss, max_evaluations=17, progress=False)
    with create_study(BOUNDS, storage=path, constraints=texts) as study:
        study.run(loss, progress=False)
        assert study.history.x.tobytes() == whole.history.x.tobytes()
        assert study.verify()
        study.export(tmp_path / "study.jsonl")
    others = [
        ({**BOUNDS, "order": 4}, "order is fixed 3 there, fixed 4 here"),
        ({**BOUNDS, "c": "layer.b + rate"}, "formula layer.b"),
        ({**BOUNDS, "at": [(0.0, 1.0), [(0.0, 1.0), (0.0, 2.0)]]}, "named tuple Point there"),
        ({**BOUNDS, "rate": (1e-4, 1.0)}, "'rate'"),
    ]
    for bounds, words in others:
        with pytest.raises(InputError, match=words):
            create_study(bounds, storage=path, constraints=texts)
    with optdriver.import_study(tmp_path / "study.jsonl", tmp_path / "copy.db") as copy:
        assert copy.best.x.tobytes() == whole.best.x.tobytes()


def test_a_file_alone_gives_the_containers_back(tmp_path):
    path = tmp_path / "study.db"
    with create_study(BOUNDS, storage=path) as study:
        id, params = (suggestion := study.ask()).id, suggestion.params
    with load_study(path) as study:
        again = study.open_suggestions[0]
        assert again.id == id
        assert again.params["at"].y == params["at"].y
        assert type(again.params["at"]).__name__ == "Point"
        assert pickle.loads(pickle.dumps(again.params["at"])).x == params["at"].x
        np.testing.assert_array_equal(again.params["layer"]["w"], params["layer"]["w"])
        assert again.params["table"].tolist() == [0.0, 1.0, 2.0]
        study.tell(id, 1.0)


def test_a_class_comes_back_as_a_tuple_which_is_said(tmp_path):
    @partial(jax.tree_util.register_dataclass, data_fields=["w"], meta_fields=[])
    @dataclass
    class Model:
        w: object

    path = tmp_path / "study.db"
    bounds = {"model": Model((np.zeros(2), 1.0))}
    with create_study(bounds, storage=path) as study:
        assert isinstance(study.ask().params["model"], Model)
    with pytest.warns(StorageWarning, match=r"model was of the class .*Model, and is a tuple"):
        study = load_study(path)
    assert isinstance(study.open_suggestions[0].params["model"], tuple)
    study.close()
    with create_study(bounds, storage=path) as study:
        assert isinstance(study.open_suggestions[0].params["model"], Model)


UNITS = {"v": (-80 * u.mV, -40 * u.mV), "t": (np.zeros(2) * u.ms, 1 * u.ms)}


def squared(v, t):
    return (v + 60 * u.mV) ** 2 + (u.mV / u.ms) ** 2 * ((t - 0.3 * u.ms) ** 2).sum()


def squared_with_gradient(v, t):
    slopes = {"v": 2 * (v + 60 * u.mV), "t": 2 * (u.mV / u.ms) ** 2 * (t - 0.3 * u.ms)}
    return squared(v, t), slopes


def test_units_are_attached_taken_and_kept(tmp_path):
    path = tmp_path / "study.db"
    with create_study(UNITS, jac=True, max_num_minimizers=1, storage=path) as study:
        study.run(squared_with_gradient, max_evaluations=2, progress=False)
        assert study.parameters["value_unit"] == {"library": "saiunit", "unit": "mV^2"}
    with load_study(path) as study:
        study.run(squared_with_gradient, progress=False)
        best = study.best
        assert study.info()["success"]
        assert best.params["v"].unit == u.mV
        assert float(best.params["v"] / u.mV) == pytest.approx(-60)
        value = float(squared(**best.params) / u.mV**2)
        assert best.value == pytest.approx(value, rel=1e-6, abs=1e-12)
        with pytest.raises(InputError, match="no amount of mV"):
            study.add_point(best.params | {"v": 1 * u.ms}, 1.0)
    again = create_study(UNITS)
    again.tell(again.ask().id, 1.0)
    with pytest.raises(InputError, match="told before have no unit"):
        again.tell(again.ask().id, 1.0 * u.mV)


def test_pints_quantities_go_through_too():
    unit = pint.get_application_registry()
    study = create_study({"x": (0 * unit.cm, 1 * unit.m)}, max_num_minimizers=1, max_iter=50)
    study.run(lambda x: ((x - 30 * unit.cm) / unit.cm) ** 2, progress=False)
    assert study.best.params["x"].to("cm").magnitude == pytest.approx(30, abs=1e-3)


def test_narrow_parameters_are_asked_as_they_are_recorded():
    low, high = np.full(2, 0.1, np.float32), np.full(2, 0.7, np.float32)
    wide = create_study({"x": Interval(0.1, 0.7, shape=2, dtype=np.float32)}, max_iter=40,
                        max_num_minimizers=1, constraints="x[0] + x[1] <= 0.77")  # fmt: skip
    while (suggestion := wide.ask()) is not None:
        x = suggestion.params["x"]
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x.astype(float), suggestion.x)
        assert np.all((suggestion.x >= 0.1) & (suggestion.x <= 0.7) & (sum(suggestion.x) <= 0.77))
        wide.tell(suggestion.id, float(((suggestion.x - 0.5) ** 2).sum()))
    assert wide.best.x.sum() == pytest.approx(0.77, abs=1e-5)
    assert create_study({"x": (low, high)}).ask().params["x"].dtype == np.float32


def twice(a, b):
    return (a - 0.25) ** 2 + float(((b["c"] - 0.5) ** 2).sum())


@pytest.mark.slow
def test_structures_go_to_other_processes():
    bounds = {"a": (0, 1), "b": {"c": (np.zeros(2), 1.0)}}
    study = create_study(bounds, max_num_minimizers=1, max_iter=60, num_parallel=2)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        study.run(twice, executor=pool, progress=False)
    assert study.best.params["b"]["c"] == pytest.approx(np.full(2, 0.5), abs=1e-4)


def test_a_study_in_memory_keeps_its_containers_in_a_copy():
    study = create_study({"p": Point((0, 1), (0, 1)), "v": (0 * u.mV, 1 * u.mV)})
    study.tell(study.ask().id, 1.0)
    copy = pickle.loads(pickle.dumps(study))
    assert copy.space == study.space
    assert copy.best.params["v"] == study.best.params["v"]


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"a": (0, 1), "b": "2*c"}, "formula of 'b': unknown name 'c'"),
        ({"a": (0, 1), "b": "c", "c": "b"}, "in a circle"),
        ({"a": (0, 1), "b": "a <= 1"}, "comparison"),
        ({"a": (np.zeros(2), 1.0), "study": 1}, "cannot be called 'study'"),
        ({"a": {"domain": (np.zeros(2), 1.0), "scale": "log"}}, "must be above 0"),
        ({"a": {"b": 1.0}}, "at least one pair"),
        ({"a": (np.zeros(2), np.zeros(3))}, "do not go together"),
        ({"a": (0, 1), "b": {"c": np.array([1.0, np.nan, 2.0])}}, "must be finite"),
    ],
)
def test_what_cannot_be_used_is_named(bounds, words):
    with pytest.raises(InputError, match=words):
        create_study(bounds)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ("aera <= 3", "unknown name 'aera' (did you mean 'area'?); parameters: area, x, y"),
        ("area <= 3; x", "area <= 3; x\n             ^"),
        (
            [{"name": "roof", "constraint": "area*cost <= 3"}],
            "constraint 'roof': unknown name 'cost'",
        ),
        (["x <= y", "area = 1"], "area = 1\n         ^"),
    ],
)
def test_a_mistake_beside_a_dependent_parameter_is_shown_as_it_was_written(constraints, message):
    domain = {"x": (0, 1), "y": (0, 1), "area": "2*x*y"}
    with pytest.raises(ConstraintError) as caught:
        optdriver.create_study(domain, constraints=constraints)
    assert message in str(caught.value)
    assert "2*x*y" not in str(caught.value)
    with pytest.raises(ConstraintError) as caught:
        optdriver.minimize(lambda x, y, area: area, domain, constraints=constraints, jac="3-point")
    assert message in str(caught.value)
