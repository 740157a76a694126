"""Workers: what they cannot evaluate they give back, what they cannot tell is not lost."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, InputTypeError, ProtocolError, ServerError
from optdriver.server import background


def bowl(x, y):
    return (x - 0.5) ** 2 + y**2, [2.0 * (x - 0.5), 2.0 * y]


def dies(x, y):
    raise SystemExit(9) if x > 10 else RuntimeError("no mesh")


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "bowl.db"
    optdriver.create_study(
        {"x": (-2, 2), "y": (-2, 2)}, jac=True, num_parallel=4, max_num_minimizers=6, storage=path
    ).close()
    return path


def test_slots_evaluate_at_a_time_and_every_point_once(place):
    seen, lock, together = [], threading.Lock(), threading.Barrier(4)

    def objective(x, y):
        with lock:
            seen.append((x, y))
            first = len(seen) <= 4
        if first:
            together.wait(30)  # all four slots are busy at a time
        return bowl(x, y)

    with background(place) as url:
        study = optdriver.client(url).study()
        study.run(objective, slots=4)
        assert study.is_done()
        assert len(seen) == study.num_evaluations == len(set(study.history["id"].tolist()))
        assert study.best.value == pytest.approx(0.0, abs=1e-9)


def test_a_worker_evaluates_as_often_as_it_may(place):
    with background(place) as url:
        study = optdriver.client(url).study()
        for slots in (1, 3):
            before = study.num_evaluations
            study.run(bowl, slots=slots, max_evaluations=7)
            assert study.num_evaluations == before + 7
            assert study.open_suggestions == ()
        study.run(bowl, max_evaluations=0)
        assert study.num_evaluations == 14


def test_failures_are_told_with_their_reason(place):
    with background(place) as url:
        study = optdriver.client(url).study()
        study.run(dies, max_evaluations=2)
        assert study.info()["num_failed"] == 2
        assert "RuntimeError: no mesh" in study.history["reason"][0]


@pytest.mark.parametrize("slots", [1, 2])
def test_mistakes_of_the_objective_are_told_and_the_point_stays(place, slots):
    with background(place) as url:
        study = optdriver.client(url).study()
        with pytest.raises(InputError, match="returned None"):
            study.run(lambda x, y: None, slots=slots)
        with pytest.raises(InputError, match="derivative"):
            study.run(lambda x, y: 1.0, slots=slots)
        with pytest.raises(InputError, match="does not fit"):
            study.run(lambda z: 1.0)
        assert study.open_suggestions == ()
        assert study.info()["num_failed"] == 0
        study.run(bowl, slots=slots)
        assert study.info()["success"]


def test_an_interrupt_gives_back_what_was_being_evaluated(place):
    def objective(x, y):
        raise KeyboardInterrupt

    with background(place) as url:
        study = optdriver.client(url).study()
        with pytest.raises(KeyboardInterrupt):
            study.run(objective)
        assert study.open_suggestions == ()
        assert study.ask().id == 0


def test_executors(place):
    with background(place) as url:
        study = optdriver.client(url).study()
        with ThreadPoolExecutor(2) as pool:
            study.run(bowl, executor=pool, slots=2, max_evaluations=5)
        with pytest.raises(ProtocolError, match="takes no more work"):
            study.run(bowl, executor=pool)
        with pytest.raises(InputError, match="cannot be sent"), ProcessPoolExecutor(1) as pool:
            study.run(lambda x, y: bowl(x, y), executor=pool)
        assert study.open_suggestions == ()


def test_a_result_that_comes_too_late_ends_nothing(place):
    with background(place) as url:
        study = optdriver.client(url).study()

        def objective(x, y):
            if study.num_evaluations == 0:
                study.tell(0, 5.0, [1.0, 1.0])  # somebody else was quicker
            return bowl(x, y)

        study.run(objective)
        assert study.history["value"][0] == 5.0
        assert study.is_done()


def test_what_is_no_server():
    for url in ("film.db", "ftp://host", "http://", "", None.__class__, 3):
        with pytest.raises(InputError, match="the address of a server"):
            optdriver.client(url)
    with pytest.raises(InputError, match="token"):
        optdriver.client(token="x")
    page = background_of(lambda handler: (200, b"<html>"))
    with page as url, pytest.raises(ServerError, match="no such server"):
        optdriver.client(url).studies()
    with pytest.raises(ServerError, match="does not answer"):
        optdriver.client(url, patience=0.0).studies()


def test_another_version_is_told():
    def answer(handler):
        return 200, json.dumps({"version": 99, "studies": [{"study": "a"}]}).encode()

    with background_of(answer) as url, pytest.raises(InputError, match="version 99"):
        optdriver.client(url).study()


def test_a_request_whose_answer_is_lost_is_sent_again():
    asked = []

    def answer(handler):
        asked.append(handler.path)
        return (502, b"no") if len(asked) < 3 else (200, b'{"studies": []}')

    with background_of(answer) as url:
        assert optdriver.client(url).studies() == []
    assert len(asked) == 3


class Heard(logging.Handler):
    """What was said, by whichever thread; `act` is called at the first word."""

    def __init__(self, act):
        super().__init__(logging.WARNING)
        self.said, self.act = [], act

    def emit(self, record):
        self.said.append(record.getMessage())
        if len(self.said) == 1:
            self.act()

    def __enter__(self):
        logging.getLogger("optdriver").addHandler(self)
        return self

    def __exit__(self, *_):
        logging.getLogger("optdriver").removeHandler(self)


@pytest.mark.parametrize("slots", [0, 1, 3])
def test_who_waits_for_what_others_hold_says_so_once(place, monkeypatch, slots):
    monkeypatch.setattr("optdriver.remote.worker.WAIT", 0.01)
    monkeypatch.setattr("optdriver.remote.study.WAIT", 0.01)
    with background(place) as url:
        other, study = optdriver.client(url).study(), optdriver.client(url).study()
        held = other.ask(4)
        rounds = iter([lambda: None] * 3 + [lambda: [other.release(each.id) for each in held]])

        def later():  # the reason is asked for again and again, and said the first time only
            post = study._messages.post

            def counted(name, **params):
                next(rounds, lambda: None)()
                return post(name, **params)

            monkeypatch.setattr(study._messages, "post", counted)

        with Heard(later) as heard:
            if slots:
                study.run(bowl, slots=slots)
            else:
                assert study.get_suggestion().id in {each.id for each in held}
        assert len(heard.said) == 1
        assert "still waiting for a suggestion" in heard.said[0]
        assert f"held by {other._messages.worker}" in heard.said[0]
        assert "4 of them until they are told or released" in heard.said[0]


def test_a_server_that_does_not_answer_is_waited_for_with_a_word(monkeypatch):
    clock = SimpleNamespace(monotonic=iter(range(100)).__next__, sleep=lambda seconds: None)
    monkeypatch.setattr("optdriver.remote.connection.time", clock)
    asked = []

    def answer(handler):
        asked.append(handler.path)
        return (502, b"no") if len(asked) < 9 else (200, b'{"studies": []}')

    with background_of(answer) as url, Heard(lambda: None) as heard:
        assert optdriver.client(url).studies() == []
    assert len(heard.said) == 1
    assert "does not answer" in heard.said[0]


class background_of:
    """A server that answers what it is told to."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = answer(self)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_a_server_of_another_version_is_said(place, monkeypatch):
    monkeypatch.setattr("optdriver.server.wire.VERSION", 7)
    with (
        background(place) as url,
        pytest.raises(InputError, match=r"speaks version 7.*this optdriver version 1: install"),
    ):
        optdriver.client(url).study()


def test_an_objective_that_is_changed_and_maximised(place, tmp_path):
    path = tmp_path / "hill.db"
    optdriver.create_study(
        {"x": (-2, 2), "y": (-2, 2)},
        jac=True,
        max_num_minimizers=1,
        direction="maximize",
        storage=path,
    ).close()

    def hill(x, y, top=3.0):
        value, gradient = bowl(x, y)
        return top - value, [-each for each in gradient]

    with background(path) as url:
        study = optdriver.client(url).study()
        study.run(hill)
        assert study.best.value == pytest.approx(3.0)
        assert study.info()["direction"] == "maximize"
        ended = study.num_evaluations
        late = study.ask()
        study.reevaluate(lambda x, y: hill(x, y, 1.0))
        assert late is None or study.heartbeat(late.id) == []
        assert study.best is None
        study.run()
        assert study.best.value == pytest.approx(1.0)
        assert study.info()["num_former"] == ended
        assert set(study.history["objective"].tolist()) == {0, 1}


def test_an_objective_that_cannot_be_changed_stays_the_former_one(place, monkeypatch):
    def refused(*_):
        raise ServerError("no answer")

    with background(place) as url:
        study = optdriver.client(url).study()
        study.set_objective(bowl)
        with pytest.raises(InputTypeError, match="callable, not 3"):
            study.reevaluate(3)
        assert study.objective is bowl
        with monkeypatch.context() as broken:
            broken.setattr("optdriver.remote.connection.Messages.post", refused)
            with pytest.raises(ServerError, match="no answer"):
                study.reevaluate(lambda x, y: (1.0, [0.0, 0.0]))
        assert study.objective is bowl
        study.run()
        assert study.info()["num_former"] == 0


def decay(a, b):
    """Residuals of a decay that is 2 exp(-0.5 t), and their Jacobian."""
    t = np.arange(6.0)
    fall = np.exp(-b * t)
    return a * fall - 2.0 * np.exp(-0.5 * t), np.stack([fall, -a * t * fall], axis=1)


@pytest.mark.parametrize("jac", [True, False])
def test_residuals_go_over_the_wire_bit_for_bit(tmp_path, jac):
    box = {"a": (0.5, 5.0), "b": (0.1, 2.0)}
    given = {"driver": "least-squares", "jac": jac, "max_num_minimizers": 2}
    alone = optdriver.create_study(box, **given)
    alone.run(decay if jac else lambda a, b: decay(a, b)[0])
    optdriver.create_study(box, storage=tmp_path / "fit.db", **given).close()
    with background(tmp_path / "fit.db") as url:
        study = optdriver.client(url).study()
        first = study.ask()
        r, j = decay(*first.x)
        for wrong in ({"value": 1.0}, {"residuals": []}, {"residuals": r, "value": 2.0}):
            with pytest.raises(InputError):
                study.tell(first.id, jacobian=j if jac else None, **wrong)
        named = {"a": j[:, 0], "b": j[:, 1]}
        study.tell(first.id, residuals=r, jacobian=named if jac else None)
        second = study.ask()
        observation = study.new_observation()
        observation.add(
            residuals=decay(*second.x)[0], jacobian=decay(*second.x)[1] if jac else None
        )
        study.add_observation(observation, second.id)
        study.run(decay if jac else lambda a, b: decay(a, b)[0])
        assert np.array_equal(study.history.x, alone.history.x)
        assert study.best.value == alone.best.value
    with optdriver.load_study(tmp_path / "fit.db") as study:
        spread = study.uncertainty(absolute_sigma=True)
        assert np.array_equal(
            spread.standard_errors, alone.uncertainty(absolute_sigma=True).standard_errors
        )


def beam(a, b):
    """A mass, a stress, and their derivatives."""
    mass, stress = a * b, 1000 / (a * b**2)
    return mass, [b, a], {"stress": (stress, [-stress / a, -2 * stress / b]), "ratio": b / a}


def beam_alone(a, b):
    mass, _, put = beam(a, b)
    return {"value": mass, "stress": put["stress"][0], "ratio": put["ratio"]}


@pytest.mark.parametrize("jac", [True, False])
def test_outputs_go_over_the_wire_bit_for_bit(tmp_path, jac):
    box = {"a": (0.1, 10.0), "b": (0.1, 10.0)}
    limits = {"stress": "<= 250", "ratio": None}
    given = {"outputs": limits, "jac": jac, "max_num_minimizers": 2}
    objective = beam if jac else beam_alone
    alone = optdriver.create_study(box, **given)
    alone.run(objective)
    optdriver.create_study(box, storage=tmp_path / "beam.db", **given).close()
    with background(tmp_path / "beam.db") as url:
        study = optdriver.client(url).study()
        first = study.ask()
        mass, gradient, put = beam(*first.x)
        for wrong in (None, {"stress": put["stress"]}, {**put, "lift": 1.0}, [1.0]):
            with pytest.raises(InputError):
                study.tell(first.id, mass, gradient if jac else None, outputs=wrong)
        if not jac:
            put = {"stress": put["stress"][0], "ratio": put["ratio"]}
        study.tell(first.id, mass, gradient if jac else None, outputs=put)
        second = study.ask()
        observation = study.new_observation()
        mass, gradient, put = beam(*second.x)
        observation.add(mass)
        for name, slope in zip("ab", gradient, strict=True) if jac else ():
            observation.add(derivative=name, value=slope)
        stress, slopes = put["stress"]
        observation.add(output="stress", value=stress, derivative=slopes if jac else None)
        observation.add(output="ratio", value=put["ratio"])
        study.add_observation(observation, second.id)
        study.run(objective)
        assert np.array_equal(study.history.x, alone.history.x)
        assert study.best.outputs == alone.best.outputs
        assert study.info()["active_constraints"] == ["stress <= 250"]
        assert np.array_equal(study.history["stress"], alone.history["stress"])
        assert np.array_equal(study.history["feasible"], alone.history.counted)
        assert np.array_equal(study.history.counted, alone.history.counted)


def test_residuals_for_a_study_that_fits_nothing_are_refused(place):
    with background(place) as url:
        study = optdriver.client(url).study()
        each = study.ask()
        with pytest.raises(InputError, match="least-squares"):
            study.tell(each.id, residuals=[1.0, 2.0])
        with pytest.raises(InputError):
            study.tell(each.id, [1.0, 2.0], [1.0, 2.0])
        study.tell(each.id, *bowl(*each.x))
