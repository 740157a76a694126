"""Files of a version that would have asked other points are opened, whole, and go on."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest

import optdriver
from optdriver.errors import StorageError
from optdriver.study import drawing, fold, handing_out, snapshots
from tests.study.tools import BOX, same

SETTINGS = {"jac": True, "num_parallel": 3, "num_initial": 2, "seed": 4}


def value(x1, x2, radius):
    return (x1 - 0.4) ** 2 + 3.0 * (x2 + 0.3) ** 2 + radius, [2 * (x1 - 0.4), 6 * (x2 + 0.3)]


def answer(study, suggestion):
    study.tell(suggestion.id, *value(**suggestion.params))


def recorded(path, monkeypatch, evaluations=14):
    """Keep a study by a version whose points are others; leave three suggestions open."""
    with monkeypatch.context() as other:
        draw = drawing.draw

        def elsewhere(state, *arguments):
            entry = draw(state, *arguments)
            if entry is not None and state.ledger.size >= 5:
                entry.x = np.clip(entry.x + 0.01, -1.5, 1.5)
                entry.x.setflags(write=False)
            return entry

        for page in (drawing, fold, handing_out):
            other.setattr(page, "draw", elsewhere)
        study = optdriver.create_study(BOX, storage=path, **SETTINGS)
        for _ in range(evaluations):
            study.ask(3)
            answer(study, study.open_suggestions[-1])
        study.tell_failure(study.open_suggestions[0].id, "no licence")
        study.ask(3)
        facts = study.history, study.best, study.open_suggestions
        study._desk._record._journal.close()  # as a killed process leaves it: no snapshot
    file = sqlite3.connect(path)
    file.execute("DELETE FROM snapshot")
    (text,) = file.execute("SELECT written_by FROM study").fetchone()
    versions = json.loads(text) | {"optdriver": "0.0.9"}
    file.execute("UPDATE study SET written_by = ?", (json.dumps(versions),))
    file.commit()
    file.close()
    return facts


def check_facts(study, facts):
    history, best, opened = facts
    for column in ("id", "value", "state", "reason", "x1", "x2"):
        now, then = study.history[column], history[column]
        assert len(now) == len(then)
        assert all(a == b or (a != a and b != b) for a, b in zip(now, then, strict=True))
    assert (study.best.id, study.best.value) == (best.id, best.value)
    assert [s.id for s in study.open_suggestions] == [s.id for s in opened]
    assert all(same(a.x, b.x) for a, b in zip(study.open_suggestions, opened, strict=True))


def play(study, steps):
    asked = []
    for _ in range(steps):
        asked += [(s.id, s.x.tobytes()) for s in study.ask(3)]
        if not study.open_suggestions:
            break
        answer(study, study.open_suggestions[0])
    return asked


def test_everything_that_was_evaluated_is_there_and_the_study_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "study.db"
    facts = recorded(path, monkeypatch)
    with pytest.warns(RuntimeWarning, match="would have asked other points.*optdriver was 0.0.9"):
        study = optdriver.load_study(path)
    with study:
        check_facts(study, facts)
        study.set_parameters(max_num_minimizers=2)
        play(study, 200)
        assert study.info()["success"]
        assert study.best.x == pytest.approx([0.4, -0.3], abs=1e-4)


def test_from_there_on_it_is_replayed_to_the_bit(tmp_path, monkeypatch):
    path = tmp_path / "study.db"
    recorded(path, monkeypatch)
    with pytest.warns(RuntimeWarning, match="other points"):
        study = optdriver.load_study(path)
    play(study, 4)
    before = snapshots.to_dict(study._desk.state)
    study._desk._record._journal.close()  # killed
    file = sqlite3.connect(path)
    file.execute("DELETE FROM snapshot")
    file.commit()
    file.close()
    with optdriver.load_study(path) as again:
        after = snapshots.to_dict(again._desk.state)
        assert repr(after["ledger"]) == repr(before["ledger"])
        assert repr(after["driver"]) == repr(before["driver"])
        assert play(again, 3)


def test_an_export_of_it_is_imported(tmp_path, monkeypatch):
    path = tmp_path / "study.db"
    facts = recorded(path, monkeypatch)
    with pytest.warns(RuntimeWarning, match="other points"):
        study = optdriver.load_study(path, read_only=True)
    with study:
        study.export(tmp_path / "study.jsonl")
    with optdriver.import_study(tmp_path / "study.jsonl", tmp_path / "new.db") as study:
        check_facts(study, facts)
        play(study, 5)
    with optdriver.load_study(tmp_path / "new.db") as study:
        assert study.num_evaluations > len(facts[0]["id"])


def test_looking_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "study.db"
    facts = recorded(path, monkeypatch)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="other points"):
            study = optdriver.load_study(path, read_only=True)
        with study:
            check_facts(study, facts)
    assert path.read_bytes() == before


def test_a_file_of_this_version_whose_events_do_not_fit_is_damaged(tmp_path, monkeypatch):
    path = tmp_path / "study.db"
    recorded(path, monkeypatch)
    file = sqlite3.connect(path)
    (text,) = file.execute("SELECT written_by FROM study").fetchone()
    versions = json.loads(text) | {"optdriver": optdriver.__version__}
    file.execute("UPDATE study SET written_by = ?", (json.dumps(versions),))
    file.commit()
    file.close()
    with pytest.raises(StorageError, match="do not fit"):
        optdriver.load_study(path)


def test_verify_says_that_a_replay_leads_elsewhere(tmp_path, monkeypatch):
    path = tmp_path / "study.db"
    recorded(path, monkeypatch)
    with pytest.warns(RuntimeWarning, match="other points"):
        study = optdriver.load_study(path)
    with study, pytest.raises(StorageError, match="does not lead to its own points"):
        study.verify()
