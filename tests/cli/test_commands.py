"""The commands, as a shell sees them: what they print, and how they end."""

from __future__ import annotations

import json
import math
import runpy
import sys
import warnings

import numpy as np
import pytest

import optdriver
from optdriver.cli import commands, main

STUDY = """\
[parameters]
x = { domain = [-2, 2] }
y = { domain = [-2, 2] }

[study]
jac = true
max_num_minimizers = 1
max_iter = 40

[objective]
command = ["PYTHON", "-c", '''
import json, sys
p = json.load(sys.stdin)
x, y = p["x"], p["y"]
if x > 1.5: sys.exit("no mesh")
print(json.dumps({"value": (x - .5)**2 + (y + 1)**2, "gradient": [2*(x - .5), 2*(y + 1)]}))
''']
"""


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["optdriver", *map(str, words)])
        status = commands.run_app()
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.fixture
def described(tmp_path):
    path = tmp_path / "bowl.toml"
    path.write_text(STUDY.replace("PYTHON", sys.executable))
    return path


def test_the_package_is_run_as_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["somewhere/optdriver/__main__.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("optdriver", run_name="__main__")
    assert ended.value.code == 0
    assert "Usage: optdriver " in capsys.readouterr().out


def test_from_a_new_file_to_a_minimum(call, tmp_path):
    assert call("new", "bowl.toml")[0] == 0
    status, out, _ = call("check", "bowl.toml")
    assert status == 0
    assert "can be run" in out
    assert not (tmp_path / "bowl.db").exists()
    status, _, err = call("new", "bowl.toml")
    assert (status, "there already" in err) == (1, True)


def test_a_check_shows_ranges_units_and_formulas(call, tmp_path):
    (tmp_path / "film.toml").write_text(
        "[parameters]\nd = { domain = [20, 300], unit = 'nm' }\nn = 1.45\n"
        "twice = { formula = '2*d', unit = 'nm' }\n"
    )
    status, out, _ = call("check", "film.toml")
    assert status == 0
    assert out.splitlines()[:3] == ["d: [20, 300] nm", "n: 1.45", "twice: 2*d nm"]


def test_run_show_and_extend(call, described):
    status, out, err = call("run", described, "--max-evaluations", 3)
    assert status == 0
    assert sum(" evaluation " in line for line in err.splitlines()) == 3
    assert "best" in out
    status, out, _ = call("run", described, "--quiet", "--json")
    summary = json.loads(out)
    assert status == 0
    assert summary["success"] is True
    assert summary["minima"][0]["params"] == pytest.approx({"x": 0.5, "y": -1.0}, abs=1e-6)
    assert (
        json.loads(call("show", "bowl.db", "--json")[1])["min_objective"]
        == summary["min_objective"]
    )
    assert "bowl" in call("show", "bowl.db")[1]
    assert json.loads(call("show", "bowl.db", "--json", "--watch")[1])["status"] == "stopped"


def test_a_stated_study_is_shown_with_its_units(call, described):
    text = described.read_text().replace(
        "x = { domain = [-2, 2] }", "x = {domain=[-2, 2], unit='nm'}"
    )
    described.write_text(text)
    assert call("run", described, "--quiet")[1].count("x (nm)") == 2  # best, and minima
    assert call("show", described)[1].count("x (nm)") == 2
    shown = call("show", described, "--json")[1]
    assert json.loads(shown) == json.loads(call("show", "bowl.db", "--json")[1])


def test_another_night(call, described):
    described.write_text(described.read_text().replace("max_iter = 40", "max_iter = 2"))
    assert json.loads(call("run", described, "--quiet", "--json")[1])["stop_kind"] == "max_iter"
    status, out, _ = call("extend", "bowl.db", "max_iter=40", "max_time=1.5h")
    assert (status, "can go on" in out) == (0, True)
    with optdriver.load_study("bowl.db", read_only=True) as study:
        assert study.parameters["max_time"] == 5400.0
    status, out, err = call("run", described, "--json")
    assert json.loads(out)["success"] is True
    assert "max_iter is 40 in bowl.db (here 2)" in err


def test_a_loop_in_a_shell(call, described):
    with optdriver.create_study({"x": (-2, 2)}, jac=True, max_num_minimizers=1, storage="loop.db"):
        pass
    steps = 0
    while True:
        status, out, err = call("ask", "loop.db")
        if status == commands.DONE:
            break
        assert status == 0
        asked = json.loads(out)
        x = asked["params"]["x"]
        if steps == 1:
            assert call("fail", "loop.db", asked["id"], "no licence")[0] == 0
        else:
            value = repr((x - 0.5) ** 2).replace("e", "D")
            assert (
                call("tell", "loop.db", asked["id"], value, "--gradient", f"{2 * (x - 0.5)}")[0]
                == 0
            )
        steps += 1
        assert steps < 30
    assert "converged" in err
    with optdriver.load_study("loop.db", read_only=True) as study:
        assert study.best.params["x"] == pytest.approx(0.5, abs=1e-7)
        assert "no licence" in list(study.history["reason"])


def test_what_is_open_is_said_and_can_be_asked_again(call):
    optdriver.create_study({"x": (-2, 2)}, storage="open.db", jac=True, num_parallel=1).close()
    first = call("ask", "open.db")[1]
    status, out, err = call("ask", "open.db")
    assert (status, out) == (commands.NOTHING_NOW, "")
    assert "1 suggestions are open" in err
    assert call("ask", "open.db", "--again")[1] == first
    assert json.loads(first)["params"]["x"] == json.loads(first)["params"]["x"]


def test_gradients_in_three_forms(call):
    for text in ("[1.5, -2]", '{"x": 1.5, "y": -2}', "1.5D0,-2."):
        path = f"g{len(text)}.db"
        optdriver.create_study({"x": (-2, 2), "y": (-2, 2)}, jac=True, storage=path).close()
        call("ask", path)
        assert call("tell", path, 0, "3.5", "--gradient", text) == (0, "", "")
        with optdriver.load_study(path, read_only=True) as study:
            assert study.best.gradient.tolist() == [1.5, -2.0]


def test_parameters_with_a_structure_are_asked_told_and_shown(call):
    bounds = {
        "layer": {"w": (np.zeros((2, 3)), 1.0), "b": [(-1, 1), (0, 2)]},
        "twice": "2*layer_b_1",
    }
    optdriver.create_study(bounds, jac=True, storage="layer.db").close()
    params = json.loads(call("ask", "layer.db")[1])["params"]
    assert np.shape(params["layer"]["w"]) == (2, 3)
    assert params["twice"] == 2 * params["layer"]["b"][1]
    slopes = {"layer": {"w": [[1, 2, 3], [4, 5, 6]], "b": [7, 8]}, "twice": 0.5}
    assert call("tell", "layer.db", 0, "2.5", "--gradient", json.dumps(slopes)) == (0, "", "")
    status, _, err = call("tell", "layer.db", 0, "2.5", "--gradient", '{"layer": {"w": [[1], 2]}}')
    assert (status, "structure" in err) == (1, True)
    with optdriver.load_study("layer.db", read_only=True) as study:
        assert study.best.gradient.tolist() == [1, 2, 3, 4, 5, 6, 7, 9]
    shown = call("show", "layer.db")[1]
    assert "layer.w[1, 2]" in shown
    assert "twice" in shown
    assert call("plot", "layer.db", "slices.png")[0] == 0
    assert call("export", "layer.db", "layer.jsonl")[0] == 0
    assert call("import", "layer.jsonl", "again.db")[0] == 0
    assert json.loads(call("show", "again.db", "--json")[1])["min_params"] == params


def test_a_time_limit_for_one_call(call, described, tmp_path):
    described.write_text(
        described.read_text().replace("import json, sys", "import time; time.sleep(99)")
    )
    status, _, _ = call("run", described, "--timeout", "0.3s", "--max-evaluations", 1, "--quiet")
    assert status == 0
    (reason,) = json.loads(call("show", "bowl.db", "--json")[1])["failures"]
    assert "killed after 0.3 s" in reason
    assert "--timeout is a number of seconds" in call("run", described, "--timeout", "soon")[2]


def test_values_that_are_not_finite_are_texts_in_json(call):
    optdriver.create_study({"x": (-math.inf, 2)}, initial_samples=[[0.0]], storage="i.db").close()
    json.loads(call("show", "i.db", "--json")[1], parse_constant=lambda name: pytest.fail(name))


def test_pictures_exports_imports_and_verifies(call, described, tmp_path):
    call("run", described, "--quiet")
    for name in ("history.png", "gradient.svg", "whatever.png"):
        assert call("plot", "bowl.db", name)[0] == 0
        assert (tmp_path / name).stat().st_size > 1000
    assert call("plot", "bowl.db", "runs.xyz")[0] == 1
    assert call("export", "bowl.db", "bowl.jsonl")[0] == 0
    assert call("import", "bowl.jsonl", "again.db")[0] == 0
    status, out, _ = call("verify", "again.db")
    assert status == 0
    assert "bit for bit" in out


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"-c"', '"{z}"', "which is none of x, y"),
        ("command = [", "template = {'deck' = 'deck.in'}\ncommand = [", "did you mean 'y'"),
        ("PYTHON", "./no-such-program", "there is no program './no-such-program'"),
        ("PYTHON", "{x}", "there is no program"),
    ],
)
def test_what_a_program_cannot_be_given_is_found_before_there_is_a_file(
    call, tmp_path, command, old, new, said
):
    (tmp_path / "deck").write_text("{{ x }} {{ yy }}")
    (tmp_path / "bad.toml").write_text(STUDY.replace(old, new).replace("PYTHON", sys.executable))
    before = sorted(tmp_path.iterdir())
    status, _, err = call(command, "bad.toml")
    assert (status, said in err) == (1, True), err
    assert sorted(tmp_path.iterdir()) == before


def test_a_study_without_a_program_is_created_asked_and_told(call, tmp_path):
    (tmp_path / "loop.toml").write_text("[parameters]\nx = { domain = [-2, 2] }\n")
    assert "can be created" in call("check", "loop.toml")[1]
    status, _, err = call("run", "loop.toml")
    assert (status, "optdriver create loop.toml" in err) == (1, True)
    status, out, _ = call("create", "loop.toml")
    assert (status, "was made" in out) == (0, True)
    asked = json.loads(call("ask", "loop.db")[1])
    assert call("tell", "loop.db", asked["id"], asked["params"]["x"] ** 2)[0] == 0
    status, out, _ = call("create", "loop.toml")
    assert (status, "is there already" in out) == (0, True)
    assert optdriver.load_study(tmp_path / "loop.db", read_only=True).num_evaluations == 1
    (tmp_path / "loop.toml").write_text("[parameters]\nx = { domain = [-2, 3] }\n")
    status, _, err = call("create", "loop.toml")
    assert (status, "another one" in err) == (1, True)


def test_a_picture_without_matplotlib_names_the_extra(call, tmp_path, monkeypatch):
    optdriver.create_study({"x": (-2, 2)}, storage=tmp_path / "s.db").close()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, err = call("plot", "s.db", "history.png")
    assert (status, "optdriver[plot]" in err) == (1, True), err


@pytest.mark.parametrize("value", ["-1.5", "-.5D+01", "-inf"])
def test_a_negative_value_is_no_option(call, tmp_path, value):
    optdriver.create_study({"x": (-2, 2)}, storage=tmp_path / "loop.db").close()
    assert call("ask", "loop.db")[0] == 0
    status, _, err = call("tell", "loop.db", "0", value)
    assert (status, err) == (0, "")


def test_what_the_commands_take_is_listed(call):
    assert "serve" in call("--help")[1]
    out = call("tell", "--help")[1]
    assert "The value, in any form that programs print" in out
    assert "--gradient" in out
    assert [out.count(f"  {name}  ") for name in ("STUDY.db", "ID", "VALUE")] == [1, 1, 1]
    status, out, err = call()
    assert (status, "Usage: optdriver" in out + err) == (2, True)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("show", "no.db"), 1, "no.db"),
        (("ask", "no.db", "-n", "0"), 1, "positive"),
        (("extend", "no.db", "max_iter"), 1, "max_iter=500"),
        (("extend", "no.db", "maxiter=3"), 1, "max_iter"),
        (("extend", "no.db", "max_time=12hours"), 1, "'90s', '40min', '12h', '2d'; not '12hours'"),
        (("plot", "no.db", "a.png", "--kind", "hstory"), 1, "did you mean 'history'"),
        (("show", "no.db", "--watch", "--every", "0"), 1, "positive"),
        (("shwo",), 2, "show"),
        (("tell", "no.db", "1"), 2, "VALUE"),
        (("tell", "no.db", "1", "1,5"), 1, "is not a number"),
        (("tell", "no.db", "1", "1.5", "--gradient", "[1,"), 1, "--gradient is no JSON"),
    ],
)
def test_what_is_wrong_is_one_message(call, words, status, said):
    ended, out, err = call(*words)
    assert ended == status
    assert said in err
    assert "Traceback" not in err + out


def test_run_ends_with_a_status_of_its_own_where_nothing_works(call, tmp_path):
    broken = STUDY.replace("PYTHON", sys.executable).replace("x > 1.5", "True")
    broken = broken.replace("max_iter = 40\n", "")
    (tmp_path / "broken.toml").write_text(broken)
    with pytest.warns(RuntimeWarning, match="the study stopped"):
        status, out, _ = call("run", "broken.toml", "--quiet", "--json")
    assert status == commands.STOPPED
    assert next(iter(json.loads(out)["failures"])).endswith("no mesh")


@pytest.mark.filterwarnings("always")
def test_a_warning_is_one_message_without_a_line_of_ours(monkeypatch, capsys):
    monkeypatch.setattr(commands, "run_app", lambda: warnings.warn("no mesh", stacklevel=1))
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "optdriver: no mesh\n"


def test_an_objective_that_was_changed(call, described):
    call("run", "bowl.toml", "--quiet")
    before = json.loads(call("show", "bowl.db", "--json")[1])
    status, out, _ = call("reevaluate", "bowl.db")
    assert status == 0
    assert f"{before['num_evaluations']} evaluations are kept" in out
    described.write_text(described.read_text().replace('{"value": ', '{"value": 7 + '))
    assert call("run", "bowl.toml", "--quiet")[0] == 0
    after = json.loads(call("show", "bowl.db", "--json")[1])
    assert after["min_objective"] == pytest.approx(7.0)
    assert after["num_former"] == before["num_evaluations"]
    assert "of former objectives" in " ".join(call("show", "bowl.db")[1].split())


def test_a_study_that_maximises(call, described):
    text = described.read_text().replace("jac = true", 'jac = true\ndirection = "maximize"')
    text = text.replace("(x - .5)**2 + (y + 1)**2", "3 - (x - .5)**2 - (y + 1)**2")
    described.write_text(text.replace("[2*(x - .5), 2*(y + 1)]", "[-2*(x - .5), -2*(y + 1)]"))
    status, out, _ = call("run", "bowl.toml", "--quiet")
    assert status == 0
    assert "maxima" in out
    shown = json.loads(call("show", "bowl.db", "--json")[1])
    assert shown["min_objective"] == shown["minima"][0]["value"] == pytest.approx(3.0)
    described.write_text(described.read_text().replace('"maximize"', '"minimize"'))
    status, _, said = call("run", "bowl.toml", "--quiet")
    assert status == 1
    assert "direction is 'maximize' in bowl.db" in said


def test_a_fit_whose_program_answers_residuals(call, described):
    text = described.read_text().replace("jac = true", 'jac = true\ndriver = "least-squares"')
    old = '"value": (x - .5)**2 + (y + 1)**2, "gradient": [2*(x - .5), 2*(y + 1)]'
    assert old in text
    new = '"residuals": [x - .5, y + 1, x*y + .5], "jacobian": [[1, 0], [0, 1], [y, x]]'
    described.write_text(text.replace(old, new))
    status, _, said = call("run", "bowl.toml", "--quiet")
    assert (status, said) == (0, "")
    shown = json.loads(call("show", "bowl.db", "--json")[1])
    assert shown["success"]
    assert shown["min_params"] == pytest.approx({"x": 0.5, "y": -1.0})


def test_outputs_of_a_program(call, described):
    text = described.read_text()
    old = '"value": (x - .5)**2 + (y + 1)**2, "gradient": [2*(x - .5), 2*(y + 1)]'
    new = f'{old}, "outputs": {{"u": {{"value": x*y, "gradient": [y, x]}}, "v": [x, [1, 0]]}}'
    limits = '\n[outputs]\nu = "<= -0.75"\n"u - v" = [-3, "none"]\nv = ""\n'
    described.write_text(text.replace(old, new) + limits)
    status, _, said = call("check", "bowl.toml")
    assert status == 1
    assert "the pair of 'u - v' has numbers" in said
    described.write_text(described.read_text().replace('"none"', "inf"))
    status, _, said = call("run", "bowl.toml", "--quiet")
    assert (status, said) == (0, "")
    shown = json.loads(call("show", "bowl.db", "--json")[1])
    assert shown["success"]
    assert shown["outputs"]["u"] == pytest.approx(-0.75, abs=1e-7)
    assert shown["outputs"]["v"] == shown["min_params"]["x"]


def test_outputs_are_told_by_hand(call, tmp_path):
    optdriver.create_study(
        {"x": (-2, 2)}, outputs={"u": ">= 1"}, jac=True, storage=tmp_path / "o.db"
    ).close()
    first = json.loads(call("ask", "o.db")[1])
    tell = ("tell", "o.db", first["id"], "1.5", "--gradient", "[2]")
    status, _, said = call(*tell, "--output", "u")
    assert (status, "name=value, not 'u'" in said) == (1, True)
    status, _, said = call(*tell)
    assert (status, "the output 'u' is missing" in said) == (1, True)
    assert call(*tell, "--output", 'u={"value": 3.5, "gradient": [1]}')[0] == 0
    assert json.loads(call("show", "o.db", "--json")[1])["outputs"] == {"u": 3.5}


def test_residuals_are_told_by_hand(call, tmp_path):
    optdriver.create_study(
        {"x": (-2, 2), "y": (-2, 2)}, driver="least-squares", jac=True, storage=tmp_path / "f.db"
    ).close()
    first = json.loads(call("ask", "f.db")[1])
    status, _, said = call("tell", "f.db", first["id"], "[1.5, 2", "--gradient", "[[1, 0], [0, 1]]")
    assert status == 1
    assert "the value is no JSON" in said
    status, _, said = call("tell", "f.db", first["id"], "[1.5, 2]", "--gradient", "[1, 0]")
    assert status == 1
    assert "expected (2, 2)" in said
    assert call("tell", "f.db", first["id"], "[1.5, 2]", "--gradient", "[[1, 0], [0, 1]]")[0] == 0
    shown = json.loads(call("show", "f.db", "--json")[1])
    assert shown["min_objective"] == 0.5 * (1.5**2 + 4.0)
