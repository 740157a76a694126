"""The client's end: what it sends is one packet, and answers of any kind are read."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest

import optdriver
from optdriver.errors import InputError, ServerError
from optdriver.remote.connection import Connection, _simple


@contextmanager
def answering(*answers):
    """Yield the address of a server that gives these answers, and what it has been sent.

    Each is parts that are sent one by one; None closes the connection.
    """
    sent, listening = [], socket.create_server(("127.0.0.1", 0))

    def serve():
        connection = None
        for parts in answers:
            if connection is None:
                connection, _ = listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sent.append(connection.recv(65536))
            for part in parts:
                if part is None:
                    connection.close()
                    connection = None
                else:
                    connection.sendall(part)
        if connection is not None:
            connection.recv(1)
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", sent
    finally:
        thread.join(30)
        listening.close()


BODY = b'{"a": "b c"}'
HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "usual": [HEAD + b"Content-Length: 12\r\n\r\n" + BODY],
    "in pieces": [bytes([each]) for each in HEAD + b"content-length: 12\r\n\r\n" + BODY],
    "head and body": [HEAD + b"X: y\r\nContent-Length:12\r\nA: b\r\n\r\n", BODY],
    "chunks": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY[:5] + b"\r\n7\r\n"
               + BODY[5:] + b"\r\n0\r\n\r\n"],
    "to the end": [HEAD + b"\r\n" + BODY, None],
    "closing": [HEAD + b"Connection: close\r\nContent-Length: 12\r\n\r\n" + BODY, None],
    "old": [b"HTTP/1.0 200 OK\r\n\r\n" + BODY, None],
    "after another": [b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD,
                      b"Content-Length: 12\r\n\r\n" + BODY],
}  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
def test_answers_of_any_kind_are_read_and_the_connection_goes_on(kind):
    with answering(ANSWERS[kind], ANSWERS["usual"]) as (url, sent):
        connection = Connection(url, None, 5.0)
        for _ in range(2):
            assert connection.send("POST", "/tell", {"id": 1}) == {"a": "b c"}
        connection._drop()
    assert len(sent) == 2


def test_a_request_is_one_packet_with_all_that_is_to_be_said():
    with answering(ANSWERS["usual"], ANSWERS["usual"]) as (url, sent):
        connection = Connection(url + "/behind a proxy/", "correct-horse-battery", 5.0)
        connection.send("POST", "/studies/a%2Fb/tell", {"id": 1, "value": float("inf")})
        connection.send("GET", "/studies")
        connection._drop()
    place = url.removeprefix("http://").encode()
    same = (
        b"Host: " + place + b"\r\nUser-Agent: optdriver\r\n"
        b"Authorization: Bearer correct-horse-battery\r\n"
    )
    assert sent == [
        b"POST /behind%20a%20proxy/studies/a%2Fb/tell HTTP/1.1\r\n" + same
        + b"Content-Type: application/json\r\nContent-Length: 25\r\n\r\n"
        b'{"id": 1, "value": "inf"}',
        b"GET /behind%20a%20proxy/studies HTTP/1.1\r\n" + same + b"\r\n",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "lost",
    [
        [None],
        [HEAD + b"Content-Length: 12\r\n\r\n" + BODY[:5], None],
        [HEAD + b"Content-Le", None],
        [b"\x15\x03\x03\x00\x02\x02\x46", None],
        [b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno"],
    ],
    ids=["nothing", "half a body", "half a head", "no HTTP", "a proxy"],
)
def test_a_request_without_an_answer_is_sent_again(lost):
    with answering(lost, [None], ANSWERS["usual"]) as (url, sent):
        if lost[-1] is not None:
            lost.append(None)
        connection = Connection(url, None, 5.0)
        assert connection.send("POST", "/tell", {"id": 1}) == {"a": "b c"}
        connection._drop()
    assert len(sent) == 3
    assert len(set(sent)) == 1


def test_an_answer_that_never_comes_is_an_error():
    half = [HEAD + b"Content-Length: 12\r\n\r\n", None]
    with answering(half) as (url, _), pytest.raises(ServerError, match="does not answer"):
        Connection(url, None, 0.0).send("GET", "/studies")


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
    ],
)
def test_what_is_left_to_the_library(start):
    assert _simple(start) is None


def test_what_is_read_here():
    head = b"HTTP/1.1 404 Not Found\r\ncontent-type: a\r\nCONTENT-LENGTH:  7\r\nB: c\r\n\r\n"
    assert _simple(head + b"x" * 7) == (404, len(head), 7)


def test_what_cannot_be_an_address_or_a_token():
    for url in ("http://host:99999", "http://host:x", "http://host:0"):
        with pytest.raises(InputError, match="the address of a server"):
            optdriver.client(url)
    for token in ("a\r\nHost: b", "tøken", "a\nb"):
        with pytest.raises(InputError, match="printable"):
            optdriver.client("http://127.0.0.1:1", token=token)


def test_a_host_with_a_name_of_any_alphabet():
    assert (
        "Host: xn--bcher-kva.example:8\r\n"
        in Connection("http://bücher.example:8", None, 1.0)._headers
    )
