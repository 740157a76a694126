"""Bytes that are requests, or nearly: both protocols read the same of them, and neither is held."""

from __future__ import annotations

import json
import socket
import sys
from urllib.parse import urlsplit

import pytest

import optdriver
from optdriver.server import protocols
from optdriver.server.http import Application
from optdriver.server.turns import IN_A_ROW

TELL = b'{"id": 0, "value": 1.5, "gradient": [0.5]}'
HEAD = b"POST /tell HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(params=["httptools", "h11"])
def server(request, served, tmp_path, monkeypatch):
    made = protocols.protocol()
    assert made.__name__ == "Quick"  # httptools is there, as the extra `server` says
    if request.param == "h11":
        monkeypatch.setitem(sys.modules, "httptools", None)
        monkeypatch.delitem(sys.modules, "uvicorn.protocols.http.httptools_impl", raising=False)
        assert protocols.protocol().__name__ == "Impatient"
    path = tmp_path / "line.db"
    optdriver.create_study({"x": (-2, 2)}, jac=True, storage=path).close()
    with served(path) as found:
        found.post("/ask")
        yield found


class Raw:
    """A connection on which any bytes are sent, and answers are read one by one."""

    def __init__(self, server):
        place = urlsplit(server.url)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part)

    def answer(self):
        """Return status and body of the next answer; None when the connection has been closed."""
        try:
            line = self.file.readline()
        except ConnectionError:
            return None
        if not line:
            return None
        length = 0
        while (header := self.file.readline().strip()) != b"":
            name, _, value = header.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return int(line.split()[1]), self.file.read(length)

    def told(self):
        status, body = self.answer()
        return status, json.loads(body)


def whole(body=TELL, more=b""):
    return HEAD + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_one_after_the_other_on_one_connection(server):
    with Raw(server) as raw:
        for _ in range(3):
            raw.send(whole())
            assert raw.told() == (200, {"evaluations": 1, "best": 1.5, "done": False})


def test_requests_that_do_not_wait_for_answers_are_answered_in_their_order(server):
    with Raw(server) as raw:
        raw.send(*[b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % name
                   for name in (b"best", b"open", b"runs", b"hello")])  # fmt: skip
        keys = [next(iter(raw.told()[1])) for _ in range(4)]
        assert keys == ["best", "open", "runs", "version"]


def test_too_many_that_do_not_wait_are_cut_off(server):
    with Raw(server) as raw:
        raw.send(b"GET /best HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        answers = 0
        while raw.answer() is not None:
            answers += 1
            if answers == 200:  # h11 reads the next one when the last one is answered
                break
    assert server.get("/best")[0] == 200


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n14\r\n" + TELL[:20] + b"\r\n%x\r\n"
        % len(TELL[20:]) + TELL[20:] + b"\r\n0\r\nX-Trailer: 1\r\n\r\n",
        whole(more=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"),
        whole(more=b"Expect: 100-continue\r\n"),
        whole(more=b"X-Long: " + b"x" * 10_000 + b"\r\n"),
    ],
    ids=["chunks", "upgrade", "expect", "long"],
)  # fmt: skip
@pytest.mark.parametrize("size", [7, 10**6])
def test_unusual_requests_are_read_whatever_they_are_cut_into(server, request_, size):
    with Raw(server) as raw:
        for _ in range(2):
            raw.send(*[request_[k : k + size] for k in range(0, len(request_), size)])
            status, body = raw.answer()
            if status == 100:
                status, body = raw.answer()
            assert (status, json.loads(body)["best"]) == (200, 1.5)
        raw.send(whole())
        assert raw.told()[0] == 200


def test_an_unusual_request_after_a_usual_one(server):
    with Raw(server) as raw:
        raw.send(whole())
        assert raw.told()[0] == 200
        raw.send(whole(more=b"Connection: Upgrade\r\nUpgrade: h2c\r\n"))
        assert raw.told()[0] == 200
        raw.send(whole())
        assert raw.told()[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        [b"GET /best HTTP/1.1\r\nHost: localhost\r\nX: ", *[b"y" * 4096] * 40],
        [b"GET /", *[b"y" * 4096] * 40],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", *[b"X: " + b"y" * 4000 + b"\r\n"] * 40],
        [b"\x16\x03\x01\x02\x00 no HTTP at all\r\n\r\n"],
        [b"GET /best HTTP/1.1\r\nHost: a\r\n b\r\n\r\nGET\r\n\r\n"],
        [HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
        [HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}  "],
    ],
    ids=["header", "path", "trailers", "tls", "folded", "smuggled", "lengths"],
)
def test_what_is_no_request_is_refused(server, sent):
    with Raw(server) as raw:
        try:
            raw.send(*sent)
        except ConnectionError:  # it was closed before all was sent
            return
        found = raw.answer()
        assert found is None or found[0] in (400, 421), found
    assert server.get("/best")[0] == 200


def test_two_hosts_are_refused(server):
    with Raw(server) as raw:
        raw.send(b"GET /best HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n")
        assert raw.answer()[0] == 400


def test_a_head_that_does_not_come_ends_the_connection(served, tmp_path, monkeypatch):
    monkeypatch.setattr(protocols, "HEADER_SECONDS", 0.05)
    path = tmp_path / "line.db"
    optdriver.create_study({"x": (-2, 2)}, storage=path).close()
    with served(path) as server:
        for sent in (b"", b"GET /best HTTP/1.1\r\nHost"):
            with Raw(server) as raw:
                raw.send(sent)
                assert raw.answer() is None


class Written:
    """A transport that keeps what is written."""

    def __init__(self):
        self.packets, self.closed = [], False

    def write(self, data):
        self.packets.append(bytes(data))

    def close(self):
        self.closed = True


def test_an_answer_is_one_packet():
    transport = Written()
    joined = protocols._Joined(transport)
    joined.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    joined.write(b"HTTP/1.1 200 OK\r\n\r\n")
    joined.write(b"body")
    joined.write(b"more")
    joined.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    joined.flush()
    joined.flush()
    joined.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    joined.close()
    assert transport.packets == [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nbody",
        b"more",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ]
    assert transport.closed


def test_an_answer_without_a_body_comes(server):
    with Raw(server) as raw:
        raw.send(b"HEAD /best HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.file.readline().startswith(b"HTTP/1.1 ")


def answered_whole(raw):
    """Return the status, the headers and the body of an answer, which says how long it is."""
    status = raw.file.readline()
    headers = []
    while (header := raw.file.readline().strip()) != b"":
        headers.append(header)
    length = next(int(each[15:]) for each in headers if each.startswith(b"content-length:"))
    return status, headers, raw.file.read(length)


POSTED = [
    (b"/tell", TELL),
    (b"/studies/line/tell", TELL),
    (b"/tell", b'{"id": 0, "value": 2.5, "gradient": [0.5]}'),
    (b"/tell", b'{"id": 99, "value": 2.5}'),
    (b"/tell", b'{"id": 0, "value": "x"}'),
    (b"/tell", b'{"id": 0, "value": 1.5, "gradient": [0.5], "ask": -1}'),
    (b"/tell", b"[1]"),
    (b"/tell", b"{"),
    (b"/fail", b'{"id": []}'),
    (b"/heartbeat", b'{"ids": [0, 1, "x"]}'),
    (b"/ask", b'{"n": 0}'),
    (b"/ask", b'{"n": 0, "wait": 0}'),
    (b"/ask", b'{"lease": -1}'),
    (b"/info", b'{"a": 1}'),
    (b"/best", b""),
    (b"/aks", b"{}"),
    (b"/studies/other/tell", TELL),
    (b"/a/b/c", b"{}"),
]


@pytest.mark.parametrize("token", [None, "correct-horse-battery"])
def test_what_is_answered_at_once_is_what_is_answered_in_its_turn(
    served, tmp_path, monkeypatch, token
):
    path = tmp_path / "line.db"
    optdriver.create_study({"x": (-2, 2)}, jac=True, storage=path).close()
    given, at_once = [], Application.at_once
    monkeypatch.setattr(Application, "at_once", lambda *a: given.append(at_once(*a)) or given[-1])
    with served(path, token=token) as server, Raw(server) as raw:
        turns = server.hall.room(None)._turns
        first = HEAD + b"Authorization: Bearer %s\r\n" % str(token).encode()
        raw.send(first.replace(b"/tell", b"/ask") + b"Content-Length: 2\r\n\r\n{}")
        answered_whole(raw)
        for where, body in POSTED * 2:
            request = first.replace(b"/tell", where) + b"Content-Length: %d\r\n\r\n" % len(body)
            answers = []
            for brief in (0, IN_A_ROW):
                turns._brief = brief
                raw.send(request + body)
                answers.append(answered_whole(raw))
            assert answers[0] == answers[1], where
    assert sum(each is not None for each in given) > 30


def test_nobody_is_answered_at_once_without_the_token(served, tmp_path):
    path = tmp_path / "line.db"
    optdriver.create_study({"x": (-2, 2)}, jac=True, storage=path).close()
    with served(path, token="correct-horse-battery") as server, Raw(server) as raw:
        server.hall.room(None)._turns._brief = IN_A_ROW
        for more in (b"", b"Authorization: Bearer wrong\r\n", b"Origin: http://evil.example\r\n"):
            raw.send(whole(b'{"n": 1}', more).replace(b"/tell", b"/ask"))
            assert answered_whole(raw)[0].split()[1] in (b"401", b"403")
        assert server.hall.room(None).wire.study.open_suggestions == ()


def test_an_ask_that_waits_is_woken_by_what_is_told_at_once(served, tmp_path):
    path = tmp_path / "line.db"
    optdriver.create_study({"x": (-2, 2)}, jac=True, num_parallel=1, storage=path).close()
    with served(path) as server, Raw(server) as first, Raw(server) as second:
        server.hall.room(None)._turns._brief = IN_A_ROW
        first.send(whole(b"{}").replace(b"/tell", b"/ask"))
        assert first.told()[1]["suggestions"][0]["id"] == 0
        second.send(whole(b'{"wait": 30}').replace(b"/tell", b"/ask"))
        first.send(whole())
        assert first.told()[0] == 200
        assert second.told()[1]["suggestions"][0]["id"] == 1
