"""Requests that mean nothing, in both dialects, to a server that must lose nothing by them.

python -m benchmarks.server_fuzz --requests 100000 --seed 3
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np

import optdriver
from benchmarks.server import DIMENSIONS, exported, memory, new, rosenbrock, server

NONSENSE: list[Any] = [
    0, 1, 2, -1, 2.5, True, None, "inf", "nan", "x", "x0", [], {}, [1.0] * DIMENSIONS, {"x0": 1},
    [[1.0] * DIMENSIONS] * 2, 10**400, "\ud800", {"max_iter": 9}, "../../etc/passwd", "a" * 10_000,
    {f"x{k}": 0.5 for k in range(DIMENSIONS)}, {"library": "os", "unit": "system"}, "fuzz",
    {"domain": [], "scale": True, "structure": {"root": {"shape": [10**9]}}},
    [{"name": "x", "domain": [0, 1], "type": "continuous"}], "L-BFGS-B", "ScipyMinimizer",
    {"null": 5}, {"null": [1]}, {"null": [{"val": 3}]}, {"null": [{"val": {"o": 1.0}, "der": []}]},
    {"null": [{"val": {"o": 2.5}, "der": {f"x{k}": {"o": 1.0} for k in range(DIMENSIONS)}}]},
    [{"null": [{"der": {"x0": 3}}]}],
]  # fmt: skip
NAMES = [
    "id", "ids", "value", "gradient", "n", "again", "reason", "limits", "start", "lease", "ticket",
    "worker", "point", "spent", "ask", "unit", "wait", "study_id", "design_space", "space", "path",
    "structure", "constraints", "environment", "driver", "max_iter", "suggestion_id", "message",
    "observation_data", "observations", "design_value", "design_values", "num_parallel",
]  # fmt: skip
JSON = {"Content-Type": "application/json"}
SANE: list[tuple[str, Any]] = [
    ("resume", {}), ("ask", {"n": 2}), ("ask", {"again": True}),
    ("extend", {"limits": {"max_iter": 10**9, "max_time": "inf", "stop_after_failures": 10**9}}),
    ("extend", {"limits": {"num_parallel": 40, "max_num_minimizers": "inf", "min_val": "-inf"}}),
]  # fmt: skip
WORDS = [
    b"GET", b"POST", b"/ask", b"/", b"HTTP/1.1", b"\r\n", b"\r\n\r\n", b"Host: 127.0.0.1", b"\0",
    b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"fffffffff", b" ",
    b"Content-Type: application/json", b"Expect: 100-continue", b"Upgrade: websocket", b"\xff",
]  # fmt: skip


class Fuzz:
    """Requests that mean nothing, or nearly; what they told all the same is written down."""

    def __init__(self, url: str, seed: int) -> None:
        from optdriver.server import jcm
        from optdriver.server.wire import REQUESTS

        self.place, self.rng = urlsplit(url).netloc, random.Random(seed)
        self.native = ["/" + name for name in (*REQUESTS, "x", "studies", "openapi.json")]
        self.native += [f"/studies/fuzz{name}" for name in self.native] + ["/studies/../x", "/%00"]
        self.spoken = [f"/{path}/fuzz" for path in (*jcm.ACTS, "suggestion/create")]
        self.spoken += ["/study/create", "/server/shutdown", "/", "/study/describe/..%2f"]
        self.statuses: dict[int, int] = {}
        self.asked: list[Any] = []
        self.told: list[tuple[int, float]] = []
        self.connection = http.client.HTTPConnection(self.place, timeout=60)

    def send(self) -> None:
        """Send one request of some kind."""
        chance = self.rng.random()
        if chance < 0.02:
            self.send_bytes()
        elif chance < 0.05:  # so that the study goes on
            request, body = self.rng.choice(SANE)
            found = self.request(
                "POST", f"/studies/fuzz/{request}", json.dumps(body).encode(), JSON
            )
            self.asked += json.loads(found[1]).get("suggestions", [])
        elif chance < 0.09 and self.asked:
            each = self.asked.pop(self.rng.randrange(len(self.asked)))
            value, gradient = rosenbrock(**each["params"])
            told = {"id": each["id"], "value": value, "gradient": gradient}
            found = self.request("POST", "/studies/fuzz/tell", json.dumps(told).encode(), JSON)
            self.told += [(each["id"], value)] if found[0] == 200 else []
        elif chance < 0.5:
            self.send_form()
        else:
            self.send_json()

    def send_json(self) -> None:
        """Send a message, or what looks like one."""
        rng = self.rng
        path, params = rng.choice(self.native), self.params()
        if path.endswith(("/tell", "/add")) and rng.random() < 0.3:
            params = {"id": rng.randrange(400), "value": rng.gauss(0.0, 1.0), "gradient": [1.0] * 5}
        body = json.dumps(params).encode() if rng.random() < 0.9 else rng.randbytes(200)
        method = rng.choice(["GET", "POST", "POST", "PUT"])
        status, answer = self.request(method, path, body, JSON)
        if status == 200 and method == "POST" and path.endswith("/tell"):
            value = params["value"]
            if isinstance(value, int | float) and np.isfinite(value):
                self.told.append((params["id"], float(value)))
        assert isinstance(json.loads(answer), dict) or path == "/", answer

    def send_form(self) -> None:
        """Send a form, as the other dialect's client does."""
        rng = self.rng
        fields = {key: json.dumps(item) for key, item in self.params().items()}
        body = urlencode(fields).encode() if rng.random() < 0.9 else rng.randbytes(200)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": "Token x"}
        self.request(rng.choice(["GET", "POST", "POST"]), rng.choice(self.spoken), body, headers)

    def params(self) -> dict[str, Any]:
        """Return parameters, few of which fit."""
        return {
            self.rng.choice(NAMES): self.rng.choice(NONSENSE) for _ in range(self.rng.randrange(5))
        } | ({"wait": 0.001} if self.rng.random() < 0.1 else {})

    def request(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, bytes]:
        """Send a request, again where the connection was closed."""
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            found = answer.read()
        except (http.client.HTTPException, ConnectionError):  # closed, as it may be
            self.connection.close()
            return self.request(method, path, body, headers)
        self.count(answer.status, found)
        return answer.status, found

    def send_bytes(self) -> None:
        """Send what is no request."""
        rng = self.rng
        host, port = self.place.split(":")
        with socket.create_connection((host, int(port)), timeout=60) as raw:
            with contextlib.suppress(OSError):  # it may be closed at any word
                for _ in range(rng.randrange(1, 12)):
                    raw.sendall(rng.choice(WORDS) if rng.random() < 0.8 else rng.randbytes(50))
                raw.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(OSError):
                answer = raw.recv(65536)
            self.count(0, answer)

    def count(self, status: int, answer: bytes) -> None:
        """Take note of an answer, which may not show where it was made."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        assert b"Traceback" not in answer, answer
        assert b'File "' not in answer, answer


def fuzz(directory: Path, requests: int, seed: int) -> None:
    path, log = directory / "fuzz.db", directory / "log.txt"
    new(path, 10**9, 4)
    begin, most = time.monotonic(), 0
    with server(directory, "--dialect", "jcm", errors=log) as (url, process):
        sent = Fuzz(url, seed)
        for k in range(requests):
            sent.send()
            if k % 1000 == 0:
                most = max(most, memory(process.pid))
        process.send_signal(signal.SIGTERM)
        process.wait()
    seconds, said = time.monotonic() - begin, log.read_text(encoding="utf-8")
    print(f"{requests} requests in {seconds:.0f} s; at most {most // 2**20} MiB;")
    print(f"statuses (0: not HTTP) {dict(sorted(sent.statuses.items()))};")
    print(f"{said.count('Traceback')} tracebacks in the log; it ends: {said.strip()[-300:]!r};")
    values = {(e["id"], e["value"]) for e in exported(path) if e["event"] in ("Told", "Late")}
    lost = sum(each not in values for each in sent.told)
    with optdriver.load_study(path, read_only=True) as study:
        print(f"{len(sent.told)} tells were taken, {lost} of them lost;")
        print(f"{study.verify().points} points replayed bit for bit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fuzz(Path(name), given.requests, given.seed)


if __name__ == "__main__":
    main()
