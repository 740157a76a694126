"""A server in a thread of this process, on a free port of this machine, which always ends."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from optdriver.server import background, rooms

Hall = rooms.Hall


class Served:
    """Where a server is, and plain requests to it."""

    def __init__(self, url, hall):
        self.url, self.hall = url, hall

    def request(self, method, path, body=None, **headers):
        """Return the status, the headers and the body."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            if body is not None:
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, path, **params):
        status, _, body = self.request("POST", path, params)
        return status, json.loads(body)

    def get(self, path, **headers):
        status, _, body = self.request("GET", path, **headers)
        return status, json.loads(body)


@contextmanager
def serving_in_a_thread(path, **options):
    halls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "Hall", lambda *a, **k: halls.append(Hall(*a, **k)) or halls[0])
        with background(path, **options) as url:
            yield Served(url, halls[0])


@pytest.fixture(scope="session")
def served():
    return serving_in_a_thread
