"""A study over HTTP: the same points, whatever is lost on the way, and answers to all mistakes."""

from __future__ import annotations

import functools
import json
import math
import threading

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, ProtocolError, StudyDoneError, UnknownIdError

BOX = {"x": (-2.0, 2.0), "y": (-1.0, 3.0), "n": 3}


def valley(x, y, n=3):
    a, b = y - x * x, 1.0 - x
    return 10.0 * a * a + b * b, [-40.0 * a * x - 2.0 * b, 20.0 * a]


def new(path, **arguments):
    arguments = {"jac": True, "max_num_minimizers": 2, "storage": path} | arguments
    return optdriver.create_study(BOX, **arguments)


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.db"
    new(path).close()
    return path


def test_points_and_reports_are_those_of_a_study_here_to_the_bit(served, film, tmp_path):
    alone = new(tmp_path / "alone.db")
    with served(film) as server, alone:
        study = optdriver.client(server.url).study()
        while (suggestion := study.ask()) is not None:
            twin = alone.ask()
            assert (suggestion.id, suggestion.params) == (twin.id, twin.params)
            assert suggestion.x.tobytes() == twin.x.tobytes()
            for each in (study, alone):
                if twin.id == 4:
                    each.tell_failure(twin.id, "no mesh")
                elif twin.id == 5:
                    each.tell(twin.id, math.nan, [1.0, 2.0])
                else:
                    each.tell(twin.id, *valley(*twin.x))
        assert alone.is_done()
        assert study.is_done()
        assert study.num_evaluations == alone.num_evaluations > 20
        assert repr(study.minima) == repr(alone.minima)
        assert repr(study.runs) == repr(alone.runs)
        assert study.best.gradient.tobytes() == alone.best.gradient.tobytes()
        here, there = alone.history, study.history
        assert list(here) == list(there)
        assert here.x.tobytes() == there.x.tobytes()
        np.testing.assert_array_equal(here.gradient, there.gradient)
        for name in ("value", "state", "reason", "kind", "run", "id"):
            np.testing.assert_array_equal(here[name], there[name])
        same = (
            "min_objective",
            "min_params",
            "success",
            "kkt_residual",
            "stop_reason",
            "num_failed",
        )
        assert {key: study.info()[key] for key in same} == {key: alone.info()[key] for key in same}
        assert study.parameters == alone.parameters


def test_the_first_dialect_reads_the_same_with_the_address_of_a_server(served, tmp_path):
    def rastrigin(study, x1, x2, radius):
        observation = study.new_observation()
        value, slopes = 20.0, {}
        for name, x in (("x1", x1), ("x2", x2)):
            value += x * x - 10.0 * math.cos(2.0 * math.pi * x)
            slopes[name] = 2.0 * x + 20.0 * math.pi * math.sin(2.0 * math.pi * x)
        observation.add(value)
        for name, slope in slopes.items():
            observation.add(derivative=name, value=slope)
        return observation

    def driven(client):
        study = client.create_study(
            domain=[
                {"name": "x1", "type": "continuous", "domain": (-1.5, 1.5)},
                {"name": "x2", "type": "continuous", "domain": (-1.5, 1.5)},
                {"name": "radius", "type": "fixed", "domain": 2},
            ],
            constraints=[{"name": "circle", "constraint": "sqrt(x1^2 + x2^2) - radius"}],
            driver="L_BFGS_B_Optimization",
            name="rastrigin",
            study_id="rastrigin",
        )
        study.set_parameters(
            max_iter=25, num_parallel=1, num_initial=1, jac=True,
            initial_samples=[[0.5, 0.5], [-0.5, -0.5]],
        )  # fmt: skip
        study.set_objective(rastrigin)
        study.run()
        return study.info()

    with served(tmp_path) as server:
        there = driven(optdriver.client(server.url))
    here = driven(optdriver.client())
    assert there["num_evaluations"] == here["num_evaluations"] == 25
    assert there["min_objective"] == here["min_objective"]
    assert there["min_params"] == here["min_params"]


def test_who_waits_gets_what_another_one_brings_about(served, film):
    with served(film) as server:
        first, second = (optdriver.client(server.url).study() for _ in range(2))
        mine = first.ask(8)
        assert len(mine) == 1
        got = []
        waiting = threading.Thread(target=lambda: got.append(second.get_suggestion(timeout=20)))
        waiting.start()
        first.tell(mine[0].id, *valley(*mine[0].x))
        waiting.join(20)
        assert got[0].id == 1
        assert second.get_suggestion(block=False) is None
        first.stop("enough")
        with pytest.raises(StudyDoneError, match="enough"):
            second.get_suggestion()


def test_an_ask_that_is_sent_twice_is_given_the_same(served, film):
    with served(film) as server:
        asked = {"n": 1, "ticket": "one", "worker": "a"}
        first = server.post("/ask", **asked)
        assert server.post("/ask", **asked) == first
        assert server.post("/ask", n=1, ticket="two")[1]["suggestions"] == []
        none = server.post("/ask", n=0)[1]
        assert (none["suggestions"], none["done"]) == ([], False)
        assert none["reason"] == "no suggestion was asked for: 'n' is 0"
        told = {"id": 0, "value": 1.5, "gradient": [1, 2], "ask": 1, "ticket": "three"}
        assert server.post("/tell", **told) == server.post("/tell", **told)
        (open_,) = server.get("/open")[1]["open"]
        assert (open_["id"], open_["params"]["n"]) == (1, 3)


@pytest.fixture(scope="module")
def mistaken(served, tmp_path_factory):
    path = tmp_path_factory.mktemp("mistaken") / "film.db"
    new(path).close()
    with served(path) as server:
        server.post("/ask")
        yield server


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/ask", b"{", 400, "no JSON"),
        ("POST", "/ask", b"[" * 100_000, 400, "no JSON"),
        ("POST", "/ask", b"[1]", 400, "object"),
        ("POST", "/ask", b'{"n": "1"}', 400, "ask"),
        ("POST", "/ask", b'{"wait": 1e9}', 400, "at most 60"),
        ("POST", "/ask", b'{"wiat": 1}', 400, "'wait'?); known: again, lease, n, ticket, wait"),
        ("POST", "/ask", b'{"lease": -1}', 400, "positive"),
        ("POST", "/ask", b'{"lease": true}', 400, "seconds"),
        ("POST", "/aks", b"{}", 400, "did you mean 'ask'"),
        ("GET", "/ask", None, 405, "POST it"),
        ("GET", "/studies/other/info", None, 404, "film"),
        ("GET", "/studies/..%2Ffilm/info", None, 404, "nothing here"),
        ("GET", "/studies/%2e%2e/info", None, 404, "no study"),
        ("GET", "/a/b/c/d", None, 404, "openapi"),
        ("GET", "/history?start=-1", None, 400, "0 or more"),
        ("GET", "/history?strat=1", None, 400, "start"),
        ("POST", "/tell", b'{"id": 7, "value": 1}', 404, "unknown"),
        ("POST", "/tell", b'{"id": 0}', 400, "needs 'value'"),
        ("POST", "/tell", b'{"id": 0, "value": 1}', 400, "jac=True"),
        ("POST", "/heartbeat", b'{"ids": 3}', 400, "list"),
        ("POST", "/extend", b'{"limits": {"maxiter": 3}}', 400, "max_iter"),
        ("POST", "/studies", b'{"domain": {"x": [0, 1]}, "name": "b"}', 409, "directory"),
        ("PUT", "/info", b"{}", 405, "PUT"),
    ],
)  # fmt: skip
def test_mistakes_are_answered(mistaken, method, path, body, status, said):
    found, headers, answer = mistaken.request(method, path, body)
    assert found == status
    assert said in json.loads(answer)["error"]["message"]
    assert "Traceback" not in answer.decode()
    assert headers["x-content-type-options"] == "nosniff"


def test_errors_are_those_of_a_study_here(served, film):
    with served(film) as server:
        study = optdriver.client(server.url).study()
        suggestion = study.ask()
        study.tell(suggestion.id, 1.0, {"x": 1.0, "y": 2.0})
        study.tell(suggestion.id, 1.0, {"x": 1.0, "y": 2.0})
        with pytest.raises(ProtocolError, match="another result"):
            study.tell(suggestion.id, 2.0, {"x": 1.0, "y": 2.0})
        with pytest.raises(UnknownIdError):
            study.tell(99, 1.0)
        with pytest.raises(InputError, match="derivative"):
            study.tell(study.ask().id, 1.0, {"x": 1.0})
        with pytest.raises(ProtocolError, match="seed"):
            study.set_parameters(seed=3)
        with pytest.raises(InputError, match="film"):
            optdriver.client(server.url).study("flim")
        assert study.add_point({"x": 1.0, "y": 1.0}, 0.0, [0.0, 0.0]) == 2
        assert study.best.value == 0.0


def test_studies_of_a_directory(served, tmp_path):
    new(tmp_path / "one.db").close()
    (tmp_path / "none.db").write_bytes(b"not a study")
    with served(tmp_path) as server:
        client = optdriver.client(server.url)
        assert client.studies() == ["one"]
        client.create_study({"x": (0, 1)}, study_id="two", max_iter=math.inf)
        assert client.create_study({"x": (0, 1)}, study_id="two").name == "two"
        assert client.studies() == ["one", "two"]
        with pytest.raises(InputError, match="another one"):
            client.create_study({"x": (0, 2)}, study_id="two")
        with pytest.raises(InputError, match="2 studies"):
            client.study()
        for name in ("../three", "/tmp/three", ".three", "a\x00b", ""):
            with pytest.raises(InputError, match="study_id"):
                client.create_study({"x": (0, 1)}, study_id=name)
        for name in ("storage", "save_dir", "journal"):
            with pytest.raises(InputError, match=f"unknown argument of create_study '{name}'"):
                client.create_study({"x": (0, 1)}, study_id="three", **{name: "x.db"})
        with pytest.raises(InputError, match="not Unicode"):
            client.create_study({"x": (0, 1)}, study_id="\ud800")
        with pytest.raises(InputError, match="bounds"):
            client.create_study({"x": (1, 0)}, study_id="three")
        new(tmp_path / "later.db").close()
        assert client.studies() == ["one", "two", "later"]
    assert sorted(p.name for p in tmp_path.glob("*.db")) == [
        "later.db", "none.db", "one.db", "two.db",
    ]  # fmt: skip
    assert not list(tmp_path.parent.glob("three*"))


def test_a_study_that_another_one_writes_is_followed(served, tmp_path):
    path = tmp_path / "film.db"
    with new(path) as writer, served(path) as server:
        study = optdriver.client(server.url).study()
        assert study.num_evaluations == 0
        with pytest.raises(ProtocolError, match="only be looked at"):
            study.ask()
        (room,) = server.hall.rooms.values()
        before = room.wire
        writer.tell(writer.ask().id, 2.5, [1.0, 1.0])
        listened = threading.Event()

        def listen():
            while room.wire is before and not listened.wait(0.02):
                pass
            listened.set()

        watching = threading.Thread(target=listen, daemon=True)
        watching.start()
        assert listened.wait(20)
        assert study.best.value == 2.5
        assert server.get("/studies")[1]["studies"][0]["writes"] is False


def test_news_come_as_they_happen(served, film):
    import http.client
    from urllib.parse import urlsplit

    with served(film) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        connection.request("GET", "/studies/film/events")
        answer = connection.getresponse()
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen = []
        while len(seen) < 2:
            line = answer.fp.readline().decode()
            if line.startswith("data: "):
                seen.append(json.loads(line[6:])["best"])
                server.post("/ask")
                server.post("/tell", id=0, value=3.5, gradient=[0, 1])
        assert seen == [None, 3.5]
        connection.close()


def test_what_was_told_is_in_the_file(served, film):
    with served(film) as server:
        server.post("/ask")
        server.post("/tell", id=0, value=0.1 + 0.2, gradient={"x": "nan", "y": 1})
        server.post("/ask")
        server.post("/tell", id=1, value=1e-300, gradient=[1e-17, 2])
    with optdriver.load_study(film) as study:
        assert study.history["value"].tolist() == [0.1 + 0.2, 1e-300]
        assert study.verify().points == 2


def test_those_who_wait_do_not_wake_each_other(served, tmp_path):
    path = tmp_path / "one.db"
    optdriver.create_study({"x": (0, 1)}, storage=path, num_parallel=1).close()
    with served(path) as server:
        server.post("/ask")  # which takes all there is
        wire, asked = server.hall.room(None).wire, []
        ask = wire.requests["ask"]
        wire.requests["ask"] = functools.wraps(ask)(lambda **k: asked.append(1) or ask(**k))
        status, answer = server.post("/ask", wait=0.3)
        assert (status, answer["suggestions"], answer["done"]) == (200, [], False)
        assert len(asked) <= 2  # once, and once when the time is over
