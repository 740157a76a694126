"""What programs print is read as they mean it."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver import SubprocessObjective, create_study
from optdriver.errors import EvaluationError, InputError, UnknownOptionError
from optdriver.objectives.answers import Place, find_gradient, find_number, read_answer, read_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.", 1.0), (".5", 0.5), ("+1.5", 1.5), ("-.25e+2", -25.0), ("0.1D+01", 1.0),
        ("1.5d-3", 1.5e-3), ("2.5Q0", 2.5), ("1.234-101", 1.234e-101), ("-7.0+120", -7e120),
        (" 12 ", 12.0), ("inf", math.inf), ("-Infinity", -math.inf), ("+INF", math.inf),
    ],
)  # fmt: skip
def test_numbers_of_simulators(text, number):
    assert read_number(text) == number


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "NaN(0x7ff8)"])
def test_what_is_not_a_number_is_one_of_theirs(text):
    assert math.isnan(read_number(text))


@pytest.mark.parametrize(
    "text", ["", ".", "e5", "1e", "1.2.3", "0x10", "1,5", "1 2", "infinite", "1_000", "--1", "d"]
)
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match="is not a number"):
        read_number(text)


@given(st.floats(allow_nan=False))
def test_every_float_that_is_printed_is_read_with_its_bits(number):
    assert read_number(repr(number)).hex() == number.hex()
    assert read_number(f"{number:.16e}".replace("e", "D")) == number


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("R = 0.25", 0.25),
        ("cost: 1.D0", 1.0),
        ("+.5", 0.5),
        ('{"value": 1, "gradient": [2]}', (1.0, [2])),
    ],
)
def test_answers_of_one_line(text, answer):
    assert read_answer(text) == answer


def test_an_answer_that_is_nested_deeply_is_no_answer():
    with pytest.raises(EvaluationError, match="should answer"):
        read_answer("[" * 100_000)


def test_the_last_match_of_a_pattern_counts(tmp_path):
    (tmp_path / "out.txt").write_text("step 1 R= 3.0\nstep 2 R= 0.2D+01\nR squared = 9\n")
    place = Place.of({"file": "out.txt", "pattern": r"R=\s*(\S+)"}, "value")
    assert find_number(place, tmp_path, "") == 2.0


def test_a_pattern_that_matches_nothing_shows_the_end_of_the_file(tmp_path):
    (tmp_path / "out.txt").write_text("x" * 2000 + "\nmesh failed at element 12\n")
    place = Place(file="out.txt", pattern=r"R=(\S+)")
    with pytest.raises(
        EvaluationError, match="matches nothing in out.txt.*mesh failed at element 12"
    ):
        find_number(place, tmp_path, "")
    with pytest.raises(EvaluationError, match="wrote no file other.txt"):
        find_number(Place(file="other.txt"), tmp_path, "")
    with pytest.raises(EvaluationError, match=r"'fine' is not a number \(the standard output\)"):
        find_number(Place(pattern="R=(.*)"), tmp_path, "R=fine")


@pytest.mark.parametrize(
    ("text", "pattern", "gradient"),
    [
        ("# by x1 and x2\n1.0\n\n-2.D0\n", None, [1.0, -2.0]),
        ("1.0 -2.0, 3\n", None, [1.0, -2.0, 3.0]),
        ("x2 = 5\nx1 = -.5\n", None, {"x2": 5.0, "x1": -0.5}),
        ("dR/dx = 1 (ok)\ndR/dy = 2 (ok)\n", r"dR/d\w = (\S+)", [1.0, 2.0]),
        ("R 5\n dR  1.D0 -.5\n", r"dR +(\S+) +(\S+)", [1.0, -0.5]),
        ("x1 1 2\nx3 3 4\n", r"x\d (\S+) (\S+)", [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_gradients(text, pattern, gradient, tmp_path):
    (tmp_path / "grad.txt").write_text(text)
    assert find_gradient(Place(file="grad.txt", pattern=pattern), tmp_path, "") == gradient


def test_a_gradient_that_is_not_there_shows_the_end_of_the_file(tmp_path):
    (tmp_path / "out.txt").write_text("R = 5\nno adjoint\n")
    with pytest.raises(EvaluationError, match="matches nothing in out.txt, which ends: .*adjoint"):
        find_gradient(Place(file="out.txt", pattern=r"dR (\S+)"), tmp_path, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"value": {"file": "o", "pattern": "R=("}}, "no regular expression"),
        (
            {"value": "o", "gradient": {"pattern": "R="}},
            "0 groups .* needs one for each derivative",
        ),
        ({"value": {"file": "o", "pattern": "(.)(.)"}}, "2 groups .* needs one: the number"),
        ({"value": {"pattern": "R="}}, "0 groups in parentheses, and needs one"),
        ({"value": {"flie": "o"}}, "did you mean 'file'"),
        ({"value": 3}, "value is where the program leaves it"),
        ({"gradient": "grad.txt"}, "say where the value is"),
        ({"workdir": "runs"}, "write {id}"),
        ({"workdir": 3}, "workdir is a path"),
        ({"keep": "fialed"}, "did you mean 'failed'"),
        ({"template": ["a"]}, "template is a dictionary"),
        ({"template": {"no-such.in": "deck"}}, "there is no template no-such.in"),
        ({"cwd": ".", "workdir": "runs/{id}"}, "leave cwd out"),
    ],
)
def test_what_cannot_be_used_is_said_when_it_is_given(arguments, said):
    with pytest.raises((InputError, UnknownOptionError), match=said):
        SubprocessObjective(["run"], **arguments)


SIMULATOR = """
import os, sys
deck = dict(line.split("=") for line in open("deck.in").read().split("\\n") if "=" in line)
x, y = float(deck["x"]), float(deck["y"])
open("mesh.txt", "w").write(os.environ["OPTDRIVER_ID"])
if x > 0.8:
    sys.exit("no mesh")
f = lambda v: f"{v:+.17E}".replace("E", "D")
value = f((x - .25)**2 + (y + 1)**2)
open("out.txt", "w").write(f"iteration 1: R = 99.\\n iteration 2: R = {value}\\n")
open("grad.txt", "w").write(f"x = {f(2*(x - .25))}\\ny = {f(2*(y + 1))}\\n")
"""


def test_a_study_of_a_program_with_decks_and_patterns(tmp_path, monkeypatch):
    pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sim.py").write_text(SIMULATOR)
    (tmp_path / "deck.j2").write_text('x={{ "%.17e" % x }}\ny={{ y }}\nn={{ n }}\n')
    objective = SubprocessObjective(
        [sys.executable, str(tmp_path / "sim.py")],
        template={"deck.j2": "deck.in"},
        value={"file": "out.txt", "pattern": r"R = (\S+)"},
        gradient={"file": "grad.txt"},
        workdir="runs/{id}",
        keep="failed",
    )
    study = create_study(
        {"x": (-1, 1), "y": (-2, 1), "n": 3},
        jac=True,
        max_num_minimizers=1,
        initial_samples=[[0.9, 0.0], [0.5, 0.0]],
    )
    study.run(objective)
    assert study.best.x == pytest.approx([0.25, -1.0], abs=1e-9)
    failed = [str(i) for i, s in zip(study.history["id"], study.history["state"], strict=True)
              if s == "failed"]  # fmt: skip
    assert failed
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == sorted(failed)
    assert (tmp_path / "runs" / failed[0] / "mesh.txt").read_text() == failed[0]


def test_an_evaluation_that_is_tried_again_has_a_directory_of_its_own(tmp_path):
    objective = SubprocessObjective(
        [sys.executable, "-c", "import os; print(os.getcwd().endswith('-2'), 1)"],
        value={"pattern": r"(\d)$"},
        workdir=tmp_path / "{id}",
    )
    assert objective.evaluate_suggestion(7, {"x": 1.0}) == 1.0
    assert objective.evaluate_suggestion(7, {"x": 1.0}) == 1.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "7-2"]


def test_a_template_that_names_no_parameter_ends_the_run_and_says_which(tmp_path):
    pytest.importorskip("jinja2")
    (tmp_path / "deck").write_text("{{ width }}")
    objective = SubprocessObjective(["true"], template={str(tmp_path / "deck"): "deck.in"})
    study = create_study({"witdh": (0, 1)}, max_iter=3)
    with pytest.raises(InputError, match="'width' is undefined.*did you mean 'witdh'"):
        study.run(objective)
    assert study.num_evaluations <= 1


@pytest.mark.parametrize("text", ["{{ ''.__class__.__mro__ }}", "{{ x.__init__.__globals__ }}"])
def test_a_template_runs_no_code(text, tmp_path):
    pytest.importorskip("jinja2")
    (tmp_path / "deck").write_text(text)
    objective = SubprocessObjective(["true"], template={str(tmp_path / "deck"): "deck.in"})
    with pytest.raises(InputError, match="unsafe"):
        objective(x=1.0)


def test_residuals_with_a_jacobian_and_without():
    assert read_answer('{"residuals": [1, "nan", -2.5]}')[2] == -2.5
    found = read_answer('{"residuals": [1, 2], "jacobian": [[1, 0], [0, 3]]}')
    assert found == ([1, 2], [[1, 0], [0, 3]])


@pytest.mark.parametrize("given", ["3", "[]", "null", '"a"', "{}"])
def test_residuals_that_are_no_list_are_a_failed_evaluation(given):
    with pytest.raises(EvaluationError, match='"residuals" is a list of numbers'):
        read_answer(f'{{"residuals": {given}}}')


def test_outputs_beside_a_value():
    found = read_answer('{"value": 1, "outputs": {"u": "nan", "v": {"value": 2, "gradient": [3]}}}')
    assert math.isnan(found["outputs"].pop("u"))
    assert found == {"value": 1, "outputs": {"v": {"value": 2, "gradient": [3]}}}


def test_a_place_for_each_output(tmp_path):
    program = "print('mass = 3'); print('stress = 1.5D+2'); open('t.txt', 'w').write('20\\n')"
    objective = SubprocessObjective(
        [sys.executable, "-c", program],
        value={"pattern": r"mass = (\S+)"},
        outputs={"stress": {"pattern": r"stress = (\S+)"}, "t": "t.txt"},
    )
    assert objective(x=1.0) == {
        "value": 3.0, "gradient": None, "outputs": {"stress": 150.0, "t": 20.0}
    }  # fmt: skip
    with pytest.raises(InputError, match="say where the value is"):
        SubprocessObjective(["true"], outputs={"t": "t.txt"})
    with pytest.raises(InputError, match="where each output stands"):
        SubprocessObjective(["true"], value="a.txt", outputs=["t"])
