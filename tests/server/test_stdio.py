"""A study driven by lines of JSON: the same points as from Python, and errors that are answers."""

from __future__ import annotations

import io
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import optdriver
from optdriver.messages import encoded
from optdriver.server import serve_stdio
from optdriver.server.stdio import LONGEST, respond
from optdriver.server.wire import REQUESTS, Wire

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "clients"
BOX = {"x": (-2.0, 2.0), "y": (-1.0, 3.0), "n": 3}


def valley(x, y):
    a, b = y - x * x, 1.0 - x
    return 10.0 * a * a + b * b, [-40.0 * a * x - 2.0 * b, 20.0 * a]


def new(**arguments):
    return optdriver.create_study(BOX, jac=True, max_num_minimizers=2, **arguments)


class Client:
    """Sends requests to a study as lines, and reads the answers."""

    def __init__(self, study):
        self.wire = Wire(study)

    def raw(self, line):
        answer = respond(self.wire.found, line if isinstance(line, bytes) else line.encode())
        return json.loads(encoded(answer))

    def __call__(self, method, **params):
        return self.raw(json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))


def result(answer):
    assert answer["id"] == 7
    return answer["result"]


def test_the_points_are_those_of_a_study_in_python_to_the_bit():
    client, alone = Client(new()), new()
    steps = 0
    while suggestions := result(client("ask"))["suggestions"]:
        (s,) = suggestions
        twin = alone.ask()
        assert (s["id"], s["params"]) == (twin.id, twin.params)
        assert [v.hex() for v in s["vector"]] == [v.hex() for v in twin.x.tolist()]
        value, gradient = valley(*s["vector"])
        assert result(client("tell", id=s["id"], value=value, gradient=gradient))["done"] in (
            True,
            False,
        )
        alone.tell(twin.id, value, gradient)
        steps += 1
    assert steps > 20
    answer = result(client("ask"))
    assert answer["done"] is True
    assert "converged" in answer["reason"]
    assert result(client("best"))["best"]["value"] == alone.best.value
    assert len(result(client("minima"))["minima"]) == len(alone.minima)
    assert len(result(client("runs"))["runs"]) == len(alone.runs)


def test_what_hello_says_is_enough_to_make_a_client():
    hello = result(Client(new())("hello"))
    assert hello["parameters"] == ["x", "y"]
    assert hello["fixed"] == {"n": 3}
    assert (hello["lower"], hello["upper"]) == ([-2.0, -1.0], [2.0, 3.0])
    assert hello["jac"] is True


def test_failures_limits_and_a_stop():
    client = Client(new(max_iter=2))
    first = result(client("ask"))["suggestions"][0]
    waiting = result(client("ask"))
    assert waiting["done"] is False
    assert "tell what is open" in waiting["reason"]
    again = result(client("ask", again=True, n=1))
    assert again["suggestions"] in ([], [first])
    result(client("fail", id=first["id"], reason="no licence"))
    history = result(client("history"))["history"]
    assert history["reason"] == ["no licence"]
    assert history["value"] == ["nan"]
    assert result(client("history", start=1))["history"]["id"] == []
    second = result(client("ask"))["suggestions"][0]
    result(client("tell", id=second["id"], value="inf", gradient={"x": "nan", "y": 1}))
    assert result(client("ask"))["done"] is True
    assert result(client("extend", limits={"max_iter": "inf"}))["done"] is False
    assert result(client("info"))["num_failed"] == 2
    assert result(client("stop"))["done"] is True
    assert result(client("resume"))["done"] is False


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (b"{", -32700, "no JSON"),
        (b"[" * 200_000, -32700, "no JSON"),
        (b"[]", -32600, "a request is"),
        (b'{"id": 1}', -32600, "a request is"),
        (b'{"id": 1, "method": "aks"}', -32602, "did you mean 'ask'"),
        (b'{"id": 1, "method": "_tell"}', -32602, "unknown request"),
        (b'{"id": 1, "method": "ask", "params": [1]}', -32602, "by name"),
        (b'{"id": 1, "method": "ask", "params": {"m": 1}}', -32602, "'m'"),
        (b'{"id": 1, "method": "ask", "params": {"n": "1"}}', -32602, "ask"),
        (b'{"id": 1, "method": "ask", "params": {"n": -1}}', -32602, "n"),
        (b'{"id": 1, "method": "tell", "params": {"id": 0}}', -32602, "needs 'value'"),
        (b'{"id": 1, "method": "tell", "params": {"id": 99, "value": 1}}', -32000, "unknown"),
        (b'{"id": 1, "method": "tell", "params": {"id": [], "value": 1}}', -32000, "unknown"),
        (b'{"id": 1, "method": "tell", "params": {"id": 0, "value": "one"}}', -32602, "no number"),
        (b'{"id": 1, "method": "tell", "params": {"id": 0, "value": 1}}', -32602, "gradient|deriv"),
        (b'{"id": 1, "method": "history", "params": {"start": -1}}', -32602, "0 or more"),
        (b'{"id": 1, "method": "extend", "params": {"limits": 3}}', -32602, "object"),
        (
            b'{"id": 1, "method": "extend", "params": {"limits": {"maxiter": 3}}}',
            -32602,
            "max_iter",
        ),
    ],
)
def test_what_is_wrong_is_answered(line, code, said):
    client = Client(new())
    client("ask")
    answer = client.raw(line)
    assert answer["error"]["code"] == code
    assert re.search(said, answer["error"]["message"])
    assert len(answer["error"]["message"]) < 2000


@pytest.mark.parametrize("how", ["tell", "fail"])
def test_what_is_told_and_asked_for_in_one_request_counts_once_however_often_it_comes(how):
    client, alone = Client(new(retries=1)), new(retries=1)
    (first,) = result(client("ask"))["suggestions"]
    alone.ask()
    ids = [first["id"]]
    for count in range(12):
        point = alone.open_suggestions[-1]
        if how == "fail" and count % 4 == 3:
            given = {"id": ids[-1], "reason": "no mesh"}
            request = "fail"
            alone.tell_failure(point.id, "no mesh")
        else:
            value, gradient = valley(*point.x)
            given = {"id": ids[-1], "value": value, "gradient": gradient}
            request = "tell"
            alone.tell(point.id, value, gradient)
        asked = {"ask": 1, "worker": "w", "ticket": f"t{count}", "lease": 60}
        found = result(client(request, **given, **asked))
        assert result(client(request, **given, **asked)) == found
        twin = alone.ask()
        assert [each["vector"] for each in found["suggestions"]] == [twin.x.tolist()]
        assert found["evaluations"] == alone.num_evaluations == count + 1
        assert found["best"] == alone.best_value
        assert found["suggestions"][0]["lease"] == 60
        ids.append(found["suggestions"][0]["id"])
    assert len(set(ids)) == len(ids) - (3 if how == "fail" else 0)  # which were tried once more
    assert len(client.wire.study.open_suggestions) == 1


def test_what_comes_twice_with_one_ticket_counts_once():
    client = Client(new(num_parallel=1, retries=1))
    (first,) = result(client("ask"))["suggestions"]
    added = {"point": [0.5, 0.5], "value": 1.0, "gradient": [0.0, 1.0], "ticket": "a"}
    assert result(client("add", **added)) == result(client("add", **added))
    assert result(client("add", **added | {"value": 2.0}))["id"] == 2
    failed = {"id": first["id"], "reason": "no mesh", "ticket": "b"}
    client("fail", **failed)
    (again,) = result(client("ask"))["suggestions"]  # it is tried once more
    client("fail", **failed)
    released = {"id": again["id"], "spent": True, "ticket": "b"}
    client("release", **released)
    client("ask")
    client("release", **released)
    study = client.wire.study
    assert again["id"] == first["id"] == study.open_suggestions[0].id
    assert study.info()["num_failed"] == 1
    assert study.num_evaluations == 2  # the failed one, and the one that was given up


@pytest.mark.parametrize(
    "wrong", [{"ask": "x"}, {"ask": -1}, {"ask": True}, {"ask": 1, "lease": -1}]
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_told(wrong):
    client = Client(new())
    client("ask")
    assert "error" in client("tell", id=0, value=1.0, gradient=[0.0, 0.0], **wrong)
    assert "error" in client("fail", id=0, **wrong)
    assert client.wire.study.num_evaluations == 0
    assert result(client("tell", id=0, value=1.0, gradient=[0.0, 0.0], ask=0))["evaluations"] == 1


def test_a_notification_is_not_answered():
    client = Client(new())
    assert client.raw(b'{"method": "ask"}') is None
    assert len(client.wire.study.open_suggestions) == 1


def test_lines_that_are_too_long_are_passed_over():
    out = io.BytesIO()
    lines = (
        b"x" * (2 * LONGEST + 5) + b'\n\n{"id": 1, "method": "info"}\n{"id": 2, "method": "best"}'
    )
    serve_stdio(new(), io.BytesIO(lines), out)
    first, *others = [json.loads(line) for line in out.getvalue().splitlines()]
    assert str(LONGEST) in first["error"]["message"]
    assert [answer["id"] for answer in others] == [1, 2]


@pytest.mark.parametrize("kept", [False, True])
def test_random_requests_end_in_answers_and_lose_nothing(kept, tmp_path):
    storage = tmp_path / "fuzzed.db" if kept else None
    rng = random.Random(5)
    values = [0, 1, -1, 2.5, True, None, "inf", "nan", "x", [], {}, [1.0, 2.0], {"x": 1, "y": 2},
              1e400, "\ud800", {"max_iter": 9}]  # fmt: skip
    names = ["id", "value", "gradient", "n", "again", "reason", "limits", "start", "more"]
    client = Client(new(storage=storage))
    told = 0
    for _ in range(1500):
        params = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(4))}
        request = {
            "id": rng.choice(values),
            "method": rng.choice([*REQUESTS, "x"]),
            "params": params,
        }
        answer = client.raw(json.dumps(request))
        assert ("result" in answer) != ("error" in answer)
        now = sum(np.isfinite(client.wire.study.history["value"]))
        assert now >= told
        told = now
    if kept:
        client.wire.study.close()
        with optdriver.load_study(storage) as again:
            assert again.verify().points > 0
            assert sum(np.isfinite(again.history["value"])) == told


def test_a_child_process_answers(tmp_path):
    path = tmp_path / "study.db"
    new(storage=path).close()
    requests = [{"id": 1, "method": "ask"}, {"id": 2, "method": "tell",
                "params": {"id": 0, "value": 0.5, "gradient": [1, math.pi]}}]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", "from optdriver.cli import main; main()", "stdio", str(path)],
        input="\n".join(map(json.dumps, requests)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2]
    with optdriver.load_study(path, read_only=True) as study:
        assert study.best.gradient.tolist() == [1.0, math.pi]


def found(*names):
    """Return what a test needs, or skip it by name."""
    missing = [name for name in names if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"there is no {' and no '.join(missing)} here")


@pytest.fixture
def film(tmp_path, monkeypatch):
    """A study, and a directory with `optdriver` on the path in which clients run."""
    path = tmp_path / "film.db"
    optdriver.create_study(
        {"x": (-2, 2), "y": (-1, 3)}, jac=True, max_num_minimizers=1, storage=path
    ).close()
    command = tmp_path / "optdriver"
    command.write_text(f"#!{sys.executable}\nfrom optdriver.cli import main\nmain()\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parents[1]))
    return path


def run(film, *command):
    """Run a client; check that it found the minimum by the points of a study in Python."""
    done = subprocess.run(
        [*command, film], cwd=film.parent, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    alone = optdriver.create_study({"x": (-2, 2), "y": (-1, 3)}, jac=True, max_num_minimizers=1)
    alone.run(valley)
    with optdriver.load_study(film, read_only=True) as study:
        assert study.is_done()
        assert study.best.value < 1e-9
        assert str(study.best.value)[:6] in done.stdout
        # the first points are the same to the bit; later ones may differ by how x*x is rounded
        assert study.history.x[:2].tobytes() == alone.history.x[:2].tobytes()


@pytest.mark.slow
@found("cc")
def test_a_client_in_c(film):
    subprocess.run(["cc", "-o", film.with_name("client"), EXAMPLES / "client.c"], check=True)
    run(film, film.with_name("client"))


@pytest.mark.slow
@found("gfortran", "mkfifo")
def test_a_client_in_fortran(film):
    source = EXAMPLES / "client.f90"
    built = film.with_name("client")
    subprocess.run(["gfortran", "-std=f2008", "-Wall", "-o", built, source], check=True)
    run(film, built)


@pytest.mark.slow
@found("octave-cli")
def test_a_client_in_octave(film):
    run(film, "octave-cli", EXAMPLES / "client.m")


def julia(template, **values):
    """Fill in a text of Julia's as Julia does."""
    return re.sub(r"\$(\w+)", lambda found: str(values[found[1]]), template.replace('\\"', '"'))


def test_a_client_in_julia_speaks_what_is_understood(film):
    """Its texts and its pattern, taken from the file, do what the client does; Julia is not run."""
    source = (EXAMPLES / "client.jl").read_text(encoding="utf-8")
    pattern = re.search(r'= r"(.*)"\n', source)[1].replace('\\"', '"')
    message = re.search(r'"""(.*)"""', source)[1]
    methods = re.findall(r'request\(server, "(\w+)", "(.*)"\)', source)
    assert [method for method, _ in methods] == ["ask", "tell", "best"]
    templates = dict(methods)

    answers, lines = [], []
    with optdriver.load_study(film) as study:
        wire = Wire(study)

        def request(method, **values):
            params = julia(templates[method], **values)
            lines.append(julia(message, method=method, params=params))
            answers.append(json.dumps(respond(wire.answer, lines[-1].encode())))
            assert '"error":' not in answers[-1]
            return answers[-1]

        while asked := re.search(pattern, request("ask")):
            x = [float(part) for part in asked[2].split(", ")]
            value, gradient = valley(*x)
            request("tell", id=asked[1], f=value, gradient=gradient)
        assert study.is_done()
        assert study.best.value < 1e-9
        assert str(study.best.value) in request("best")
