"""What is stored of a structure comes back; what a forger puts there does no harm."""

from __future__ import annotations

import json
import warnings

import ml_dtypes
import numpy as np
import pint
import pytest
import saiunit

import optdriver
from optdriver.errors import InputError, StorageError
from optdriver.space.description import Rebuilt, describe_unit, rebuilt_unit
from optdriver.space.units import Unit

PINT = pint.get_application_registry()
PLAIN = {"shape": [], "dtype": None, "unit": None}

PINT_UNITS = [
    "kg*m/s**2", "1/s", "m**0.5", "m**-1.5", "degC", "delta_degC/m", "dimensionless", "angstrom",
    "elementary_charge", "kelvin*meter", "percent",
]  # fmt: skip


@pytest.mark.parametrize("text", PINT_UNITS)
def test_units_of_pint_come_back(text):
    unit = Unit(PINT.Quantity, PINT.Unit(text))
    stored = describe_unit(unit)
    assert rebuilt_unit(stored["library"], stored["unit"]).unit == unit.unit


def test_units_come_back_whatever_their_default_format():
    registry = pint.get_application_registry()
    before = registry.formatter.default_format
    registry.formatter.default_format = "~P"
    try:
        stored = describe_unit(Unit(PINT.Quantity, PINT.Unit("km**2/hour")))
    finally:
        registry.formatter.default_format = before
    assert rebuilt_unit(stored["library"], stored["unit"]).unit == PINT.Unit("km**2/hour")


def test_units_of_saiunit_come_back():
    unit = Unit(saiunit.Quantity, saiunit.mV / saiunit.ms**2)
    stored = describe_unit(unit)
    assert rebuilt_unit(stored["library"], stored["unit"]).unit == unit.unit


@pytest.mark.parametrize("library", ["pint", "saiunit", "os", "builtins"])
@pytest.mark.parametrize(
    "text",
    [
        "metre**9**9**9**9", "9**9**9*metre", "metre**(1/0)", "().__class__", "metre.__init__", "",
        "metre" + "*metre" * 20_000, "(" * 5_000 + "metre" + ")" * 5_000, "parse_units",
        "metre + 1",
    ],
)  # fmt: skip
def test_no_text_in_the_place_of_a_unit_does_harm(library, text):
    assert rebuilt_unit(library, text) is None


def rebuilt(node, n):
    root = {"container": "dict", "label": "", "keys": ["a", "b"], "children": [node, PLAIN]}
    return Rebuilt({"positions": [], "root": root}, np.zeros(n), np.ones(n), np.zeros(n, bool))


@pytest.mark.parametrize(
    "name",
    ["O", "U5", "S", "M8[s]", "i8,f8", "(9,9,9)f8", "V8", "int32", "x" * 99, 3, [], "object"],
)
def test_a_parameter_is_of_no_type_but_those_of_numbers(name):
    if name == "object":
        (said,) = rebuilt(PLAIN | {"dtype": name}, 2).plain
        assert said == "the type of a was object, and is float64"
        return
    with pytest.raises(InputError, match="no stored structure"):
        rebuilt(PLAIN | {"dtype": name}, 2)


@pytest.mark.parametrize("name", ["float16", "float32", "longdouble", "bfloat16", "float8_e4m3"])
def test_types_of_numbers_come_back(name):
    data = {"numbers": [1, 2], "shape": [2], "dtype": name, "unit": None}
    value = rebuilt({"fixed": data}, 1).structure.root.children[0].value
    assert value.dtype == np.dtype(getattr(np, name, None) or getattr(ml_dtypes, name))
    assert value.astype(float).tolist() == [1.0, 2.0]


def test_a_long_double_is_kept_where_it_is_a_double(tmp_path):
    for value in (np.longdouble(2), np.array([1, 3], dtype=np.longdouble)):
        path = tmp_path / f"{np.ndim(value)}.db"
        with optdriver.create_study({"n": [(0, 1)], "v": value}, storage=path) as study:
            given = study.ask().params["v"]
        with optdriver.load_study(path) as study:
            again = study.open_suggestions[0].params["v"]
        assert np.array_equal(given, again)
        assert np.asarray(again).dtype == np.longdouble


@pytest.mark.skipif(np.finfo(np.longdouble).bits == 64, reason="long doubles are doubles here")
def test_a_long_double_with_more_digits_is_refused(tmp_path):
    third = np.longdouble(1) / 3
    with pytest.raises(InputError, match="more digits than a file holds"):
        optdriver.create_study({"n": [(0, 1)], "v": third}, storage=tmp_path / "study.db")
    assert not (tmp_path / "study.db").exists()


@pytest.mark.parametrize("path", [["unit", "unit"], ["dtype"], ["shape"]])
@pytest.mark.parametrize("value", ["metre**9**9**9**9", "O", [10**9, 10**9], -1, None, {}])
def test_a_forged_structure_is_refused_or_comes_back_in_words(path, value, tmp_path):
    quantities = {"x": (0.0 * PINT.metre, 1.0 * PINT.metre), "y": (np.zeros(2), np.ones(2))}
    text = tmp_path / "study.jsonl"
    with optdriver.create_study(quantities, storage=tmp_path / "first.db") as study:
        study.ask()
        study.export(text)
    first, *rest = text.read_text().splitlines()
    forged = json.loads(first)
    spec = forged["spec"]
    node = spec["space"]["structure"]["root"]["children"][0]
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    text.write_text("\n".join([json.dumps(forged), *rest]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says what came back otherwise
        try:
            study = optdriver.import_study(text, tmp_path / "study.db")
        except StorageError:
            return
    with study:
        assert study.open_suggestions[0].params.keys() == {"x", "y"}
        study.verify()
