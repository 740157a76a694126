"""Who gets in, and how much they may bring: ways in which servers of one's own are attacked."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

import optdriver
from optdriver.errors import ServerError
from optdriver.server import guard
from optdriver.server.guard import Guard
from optdriver.server.http import Application
from optdriver.server.rooms import Hall
from optdriver.server.wire import REQUESTS

TOKEN = "correct-horse-battery-staple"
MARK = "<img src=x onerror=alert(1)>"


async def echo(scope, receive, send):
    message = await receive()
    body = message["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def call(app, method="POST", path="/ask", body=b"{}", *, parts=None, **headers):
    """Send one request to an ASGI application; return the status, headers and body."""
    sent = []
    given = {"host": "127.0.0.1:8787", "content-type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in given.items() if v is not None],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8787),
        "root_path": "",
    }
    left = list(parts) if parts is not None else [body]

    async def receive():
        if not left:
            await asyncio.Event().wait()
        part = left.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(left) or parts is not None}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])


@pytest.fixture
def local():
    return Guard(echo, token=None, hosts=["localhost", "127.0.0.1"])


@pytest.fixture
def open_to_others():
    return Guard(echo, token=TOKEN, hosts=["node7"], any_address=True)


def test_what_is_let_in_is_passed_on_and_answers_are_marked(local):
    status, headers, body = call(local, body=b'{"n": 2}')
    assert (status, body) == (200, b'{"n": 2}')
    assert headers["x-frame-options"] == "DENY"
    assert local.held == 0


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil:8787", "", "[::1", "127.0.0.1@evil",
     "10.0.0.1", "evil#localhost"],
)  # fmt: skip
def test_a_name_that_is_made_to_point_here_is_not_let_in(local, host):
    assert call(local, host=host)[0] == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8787"])
def test_names_of_this_server(local, host):
    assert call(local, host=host)[0] == 200


def test_a_server_for_others_is_called_by_its_names_and_addresses(open_to_others):
    right = {"authorization": f"Bearer {TOKEN}"}
    for host in ("node7:8787", "192.168.0.7:8787", "[fe80::1]:8787"):
        assert call(open_to_others, host=host, **right)[0] == 200
    assert call(open_to_others, host="evil.example", **right)[0] == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1", "", "file://",
     "http://127.0.0.1:8787.evil.example"],
)  # fmt: skip
def test_a_page_of_another_site_can_neither_read_nor_drive(local, origin):
    for method in ("GET", "POST"):
        assert call(local, method, origin=origin)[0] == 403


def test_the_page_of_this_server_can(local):
    assert call(local, origin="http://127.0.0.1:8787")[0] == 200
    assert call(local, sec_fetch_site="same-origin")[0] == 200
    assert call(local, sec_fetch_site="cross-site")[0] == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_what_a_form_can_send_changes_nothing(local, kind):
    assert call(local, content_type=kind)[0] == 415
    assert call(local, content_type=kind, authorization="Basic x")[0] == 415


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, f"Basic {TOKEN}",
     "Bearer \xff"],
)  # fmt: skip
def test_nothing_without_the_token(open_to_others, given):
    for method, path in [("GET", "/info"), ("POST", "/ask"), ("GET", "/openapi.json"),
                         ("GET", "//"), ("GET", "/studies/x/events")]:  # fmt: skip
        status, headers, _ = call(open_to_others, method, path, host="node7", authorization=given)
        assert status == 401
        assert headers["www-authenticate"] == "Bearer"
    assert call(open_to_others, "GET", "/", host="node7", authorization=given)[0] == 200


def test_bodies_are_limited_whatever_they_say_of_themselves(local, monkeypatch):
    monkeypatch.setattr(guard, "LONGEST", 1000)
    assert call(local, content_length="1001")[0] == 413
    assert call(local, content_length="-1")[0] == 413
    assert call(local, content_length="many")[0] == 413
    assert call(local, parts=[b"x" * 400] * 9, content_length="10")[0] == 413
    assert local.held == 0
    monkeypatch.setattr(guard, "HELD", 500)
    assert call(local, body=b"x" * 600)[0] == 503
    assert local.held == 0


def test_bodies_that_do_not_come_end(local, monkeypatch):
    monkeypatch.setattr(guard, "SLOWEST", 0.05)
    assert call(local, parts=[b"{"])[0] == 408
    assert call(local, parts=[b"{", None])[0] == 400
    assert local.held == 0


def test_random_requests_end_in_answers_and_lose_nothing(tmp_path):
    rng = random.Random(7)
    path = tmp_path / "fuzzed.db"
    optdriver.create_study({"x": (-2, 2)}, jac=True, num_parallel=3, storage=path).close()
    values = [0, 1, -1, 2.5, True, None, "inf", "nan", "x", [], {}, [1.0], {"x": 1}, 1e400,
              "\ud800", MARK, {"max_iter": 9}, 10**400, "../../etc/passwd"]  # fmt: skip
    names = ["id", "ids", "value", "gradient", "n", "again", "reason", "limits", "start", "lease",
             "wait_", "ticket", "worker", "point", "spent", "ask"]  # fmt: skip

    async def go():
        hall = Hall(path)
        app = Guard(Application(hall), token=None, hosts=["localhost"])
        study = hall.room(None).wire.study
        told = 0
        for _ in range(1200):
            params = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(4))}
            body = json.dumps(params).encode()
            if rng.random() < 0.1:
                body = rng.randbytes(30)
            where = rng.choice([*REQUESTS, "x", "../x", ""])
            status, answer = await once(app, rng.choice(["GET", "POST"]), "/" + where, body)
            assert status in (200, 400, 404, 405, 409), (where, params, answer)
            assert b"Traceback" not in answer
            assert isinstance(json.loads(answer), dict) or where == ""
            now = int(sum(study.history["state"] == "told"))
            assert now >= told
            told = now
        await hall.close()
        return told

    async def once(app, method, path, body):
        sent, left = [], [body]

        async def receive():
            return {"type": "http.request", "body": left.pop() if left else b""}

        async def send(message):
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": method, "path": path, "headers": headers,
                 "query_string": b"", "root_path": "", "scheme": "http",
                 "server": ("localhost", 1)}  # fmt: skip
        await app(scope, receive, send)
        answer = b"".join(m.get("body", b"") for m in sent[1:])
        return sent[0]["status"], b"{}" if path == "/" and method == "GET" else answer

    told = asyncio.run(go())
    with optdriver.load_study(path) as again:
        again.verify()
        assert int(sum(again.history["state"] == "told")) == told


def test_a_client_with_the_token_and_one_without(served, tmp_path, monkeypatch):
    path = tmp_path / "film.db"
    optdriver.create_study({"x": (-2, 2)}, storage=path).close()
    monkeypatch.delenv("OPTDRIVER_TOKEN", raising=False)
    with served(path, token=TOKEN) as server:
        assert optdriver.client(server.url, token=TOKEN).study().ask().id == 0
        with pytest.raises(ServerError, match="wants its token"):
            optdriver.client(server.url).study()
        with pytest.raises(ServerError, match="wants its token"):
            optdriver.client(server.url, token=TOKEN + "x").study()
        monkeypatch.setenv("OPTDRIVER_TOKEN", TOKEN)
        assert len(optdriver.client(server.url).study().open_suggestions) == 1
