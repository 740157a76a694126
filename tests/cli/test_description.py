"""A study stated in a file: what is read, and what is refused at which line."""

from __future__ import annotations

import math

import pytest

from optdriver.cli import example
from optdriver.cli.description import check, open_or_create, read
from optdriver.errors import InputError

FILM = """\
name = "film"

[parameters]
d1 = { domain = [20, 300], unit = "nm" }
d2 = { domain = [20, 300] }
n = 1.45

[constraints]
total = "d1 + d2 <= 500"

[study]
num_parallel = 4
max_time = "1.5 h"
f_tol = 1e-8

[objective]
command = ["./film"]
timeout = "40min"
"""


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.toml"

    def write(text=FILM):
        path.write_text(text)
        return path

    return write


def test_what_a_description_says(film):
    read_ = read(film())
    assert read_.storage == read_.path.resolve().parent / "film.db"
    assert read_.given == {"num_parallel": 4, "max_time": 5400.0, "ftol": 1e-8}
    assert read_.objective == {"command": ["./film"], "timeout": 2400.0}
    assert read_.units == {"d1": "nm"}
    study = check(read_)
    assert study.space.names == ("d1", "d2", "n")
    assert study.space.fixed == {"n": 1.45}
    assert study.name == "film"


def test_a_parameter_may_depend_on_others(film):
    text = FILM.replace("d2 = { domain = [20, 300] }", 'd2 = { formula = "2*d1", unit = "nm" }')
    read_ = read(film(text))
    assert read_.units == {"d1": "nm", "d2": "nm"}
    study = check(read_)
    params = study.ask().params
    assert params["d2"] == 2 * params["d1"] <= 500
    with pytest.raises(InputError, match=r"film.toml: .*'d3'"):
        check(read(film(text.replace("2*d1", "2*d3"))))


def test_what_new_writes_can_be_checked(tmp_path):
    path = tmp_path / "valley.toml"
    path.write_text(example.text("valley", path.name))
    study = check(read(path))
    assert study.spec.parameters["max_iter"] == 200
    assert study.spec.written_constraints()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("num_parallel", "num_paralel", "line 12: .*'num_paralel'.*did you mean 'num_parallel'"),
        ("[objective]", "[objectiv]", "line 16: .*'objectiv'.*did you mean 'objective'"),
        ('unit = "nm"', 'units = "nm"', "line 4: .*key of .parameters. d1: 'units'.*'unit'"),
        ('unit = "nm"', "unit = 3", "line 4: d1 is a text, not 3"),
        ("domain = [20, 300] ", "range = [20, 300] ", "line 5: unknown key .*'range'"),
        ('"40min"', '"40 minutes"', "line 18: timeout is a number of seconds.*'40min'"),
        ('command = ["./film"]', "", r"\[objective\] needs command"),
        ("[parameters]", "[parameters]\nname = 3 4", "line 4"),
        ('"film"', "7", "line 1: name is a text, not 7"),
        ("total =", "total = 3\nother =", "line 9: total is a text, not 3"),
        ("d2 = {", "d2 = { formula = 'd1',", "line 5: parameter 'd2' has a formula, and needs"),
        (
            "d2 = { domain = [20, 300] }",
            "d2 = { formula = 3 }",
            "line 5: the formula of 'd2' is a text",
        ),
        ("d2 = { domain = [20, 300] }", "d2.w = { domain = [0, 1] }", "line 5: unknown key .*'w'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(film, old, new, said):
    path = film(FILM.replace(old, new, 1))
    with pytest.raises(InputError, match=f"(?s)film.toml.*{said}"):
        read(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[20, 300]", "[300, 20]", "the bounds of parameter 'd1' are crossed"),
        ("<= 500", "<= 10", "film.toml: "),
        ("num_parallel = 4", "num_parallel = 0", "'num_parallel' must be a whole number"),
        ("d1 + d2", "d1 + d3", "'d3'.*did you mean"),
    ],
)
def test_what_the_study_refuses_is_said_with_the_file(film, old, new, said):
    description = read(film(FILM.replace(old, new, 1)))
    with pytest.raises(InputError, match=f"(?s){said}"):
        check(description)
    with pytest.raises(InputError, match=f"(?s){said}"):
        open_or_create(description)
    assert not description.storage.exists()


def test_no_parameters_and_no_file(film, tmp_path):
    with pytest.raises(InputError, match="no table"):
        read(film('name = "film"\n'))
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "other.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read(tmp_path / "binary.toml")


def test_a_study_is_made_once_and_then_gone_on_with(film):
    description = read(film())
    with open_or_create(description)[0] as study:
        first = study.ask()
    study, notes = open_or_create(description)
    with study:
        assert notes == []
        assert [s.id for s in study.open_suggestions] == [first.id]


def test_limits_that_were_changed_in_the_file_count_and_are_said(film):
    description = read(film(FILM.replace("[study]", "[study]\nmax_num_minimizers = 9")))
    with open_or_create(description)[0] as study:
        study.ask()
        study.set_parameters(max_time=math.inf, max_num_minimizers=30)
    study, notes = open_or_create(description)
    with study:
        assert study.parameters["max_time"] == math.inf
    assert len(notes) == 2
    assert "max_time is inf in film.db (here 5400.0)" in "".join(notes)
    assert "max_num_minimizers is 30 in film.db (here 9)" in "".join(notes)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[20, 300]", "[20, 400]", "parameter 'd1' is"),
        ("f_tol = 1e-8", "f_tol = 1e-9", "ftol is 1e-08 in film.db, and 1e-09 here"),
        ("<= 500", "<= 400", "constraint 1 is"),
    ],
)
def test_another_study_is_refused_with_the_difference_and_nothing_changes(film, old, new, said):
    with open_or_create(read(film()))[0] as study:
        study.tell(study.ask().id, 1.0)
    description = read(film(FILM.replace(old, new, 1)))
    before = description.storage.read_bytes()
    with pytest.raises(InputError, match=f"(?s){said}"):
        open_or_create(description)
    assert description.storage.read_bytes() == before
