"""The process: its token, its port, and what is left when it is killed."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading

import pytest

import optdriver
from optdriver.errors import InputError, MissingExtraError, StorageError
from optdriver.server import description, rooms, serving
from optdriver.server.wire import REQUESTS


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.db"
    optdriver.create_study(
        {"x": (-2, 2), "y": (-1, 3)}, jac=True, max_num_minimizers=4, num_parallel=2, storage=path
    ).close()
    return path


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "node7"])
def test_others_need_a_token(film, host):
    with pytest.raises(InputError, match="a token is required"):
        serving.serve(film, host=host, port=0)


@pytest.mark.parametrize("token", ["", "short", "with some spaces in it", "ünprintable-in-ascii"])
def test_a_token_is_hard_to_guess_and_fits_a_header(film, token):
    with pytest.raises(InputError, match="16 or more"):
        serving.serve(film, port=0, token=token)


def test_a_token_is_written_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "token"
    first = serving.read_token(path)
    assert len(first) > 30
    assert path.stat().st_mode & 0o077 == 0
    assert serving.read_token(path) == first
    path.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        serving.read_token(path)
    with pytest.raises(InputError, match="cannot be written"):
        serving.read_token(tmp_path / "nowhere" / "token")


def test_a_port_in_use_and_an_address_that_is_not_here():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match="is another server running"):
            serving.listen("127.0.0.1", other.getsockname()[1])
    with pytest.raises(InputError, match="port"):
        serving.listen("127.0.0.1", 70_000)


def test_what_cannot_be_served(tmp_path, film):
    with pytest.raises(StorageError, match="no study and no directory"):
        serving.serve(tmp_path / "none.db", port=0)
    with pytest.raises(InputError, match="dialect"):
        serving.serve(film, port=0, dialect="klingon")
    (tmp_path / "other.db").write_bytes(b"x")
    with pytest.raises(StorageError, match="no SQLite"):
        serving.serve(tmp_path / "other.db", port=0)


def test_a_missing_extra_is_named(monkeypatch, film):
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(MissingExtraError, match=r"optdriver\[server\]"):
        serving.serve(film, port=0)


def test_every_request_is_described():
    found = description.openapi()["paths"]
    for request in REQUESTS:
        entry = found[f"/studies/{{study}}/{request}"]
        assert entry["post"]["summary"].endswith(".")
        schema = entry["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(schema.get("required", ())) <= schema["properties"].keys()
    asked = found["/studies/{study}/ask"]["post"]["requestBody"]["content"]["application/json"]
    assert {"n", "lease", "wait", "ticket"} <= asked["schema"]["properties"].keys()
    assert "get" not in found["/studies/{study}/tell"]
    json.dumps(found)


class Process:
    """`optdriver serve` as a shell starts it."""

    def __init__(self, *words):
        command = [
            sys.executable,
            "-c",
            "from optdriver.cli import main; main()",
            "serve",
            "--json",
        ]
        self.process = subprocess.Popen(
            [*command, "--json", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise AssertionError(self.error)
        self.url = json.loads(line)["url"]

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(30)

    def close(self):
        self.process.kill()
        _, self.error = self.process.communicate(timeout=30)


@pytest.fixture
def start():
    started = []

    def start(*words):
        started.append(Process(*words))
        return started[-1]

    yield start
    for each in started:
        each.close()


WORKER = """
import os, sys, optdriver
study = optdriver.client(sys.argv[1]).study()
def valley(x, y):
    a, b = y - x * x, 1.0 - x
    if sys.argv[2] == "dies" and study.num_evaluations > 5:
        os._exit(9)
    return 10.0 * a * a + b * b, [-40.0 * a * x - 2.0 * b, 20.0 * a]
study.run(valley, lease=float(sys.argv[3]))
"""


def work(url, how, lease):
    return subprocess.Popen([sys.executable, "-c", WORKER, url, how, str(lease)])


@pytest.mark.slow
def test_workers_and_servers_that_are_killed_lose_nothing(start, film):
    server = start(film, "--port", 0)
    port = server.url.rpartition(":")[2]
    dying = work(server.url, "dies", 1.0)
    try:
        assert dying.wait(60) == 9
    finally:
        dying.kill()
    workers = [work(server.url, "lives", 5.0) for _ in range(2)]
    try:
        while optdriver.client(server.url).study().num_evaluations < 30:
            pass
        server.end(signal.SIGKILL)
        server = start(film, "--port", port)
        for worker in workers:
            assert worker.wait(120) == 0
    finally:
        for worker in workers:
            worker.kill()
    study = optdriver.client(server.url).study()
    assert study.is_done()
    assert study.best.value < 1e-9
    server.end(signal.SIGTERM)
    with optdriver.load_study(film, read_only=True) as study:
        history = study.history
        assert len(set(history["id"].tolist())) == len(history["id"])
        assert study.verify().points >= len(history["id"])


@pytest.mark.slow
def test_ctrl_c_ends_it_while_somebody_waits(start, film):
    server = start(film, "--port", 0)
    study = optdriver.client(server.url).study()
    study.ask(2)
    command = f"import optdriver; optdriver.client({server.url!r}, patience=0).study().ask(wait=60)"
    waiting = subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.DEVNULL)
    try:
        server.end(signal.SIGINT)
        assert server.process.returncode in (130, -signal.SIGINT)
        waiting.wait(60)
    finally:
        waiting.kill()
    with optdriver.load_study(film) as again:
        assert len(again.open_suggestions) == 2


def test_a_fault_at_one_tick_does_not_end_the_clock(served, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("optdriver.server.http.TICK", 0.01)
    path = tmp_path / "one.db"
    optdriver.create_study({"x": (0, 1)}, storage=path).close()
    with served(path) as server:
        room, ticked, again = server.hall.room(None), [], threading.Event()

        async def tick():
            ticked.append(1)
            if len(ticked) == 1:
                raise RuntimeError("of a kind that nobody thought of")
            again.set()

        monkeypatch.setattr(room, "tick", tick)
        assert again.wait(30)
    assert "nobody thought of" in caplog.text


def test_two_who_look_at_a_directory_open_each_study_once(tmp_path, monkeypatch):
    hall = rooms.Hall(tmp_path)
    optdriver.create_study({"x": (0, 1)}, storage=tmp_path / "new.db").close()
    opened, second = rooms.Hall._open, threading.Event()
    calls = []

    def slow(self, path):
        calls.append(path)
        if len(calls) > 1:
            second.set()
        second.wait(0.2)  # so that another one, if it may, comes between
        return opened(self, path)

    monkeypatch.setattr(rooms.Hall, "_open", slow)
    lookers = [threading.Thread(target=hall.look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    assert len(calls) == 1
    assert hall.room("new").writes
    hall.room("new").wire.study.close()
