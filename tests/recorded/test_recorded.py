"""What an earlier version recorded is read by this one, and goes on."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import optdriver
from optdriver.batch import Batch
from tests.recorded.cases import EVALUATIONS, LEAST, STUDIES, answer, parts, told_disc, valley

HERE = Path(__file__).parent
RECORDED = sorted(
    (folder for folder in HERE.iterdir() if (folder / "gradients.jsonl").exists()),
    key=lambda folder: [int(part) for part in folder.name.split(".")],
)
MINIMIZERS = {
    "LBFGSB": optdriver.LBFGSB,
    "MultiStart": optdriver.MultiStart,
    "FeasibleMinimizer": optdriver.FeasibleMinimizer,
    "CallbackMinimizer": optdriver.CallbackMinimizer,
    "Batch": Batch,
    "LeastSquares": optdriver.LeastSquares,
    "SQP": optdriver.SQP,
    "FeasibleFit": optdriver.FeasibleMinimizer,
}


STORED = [
    pytest.param(path.parent, path.stem, id=f"{path.parent.name}-{path.stem}")
    for folder in RECORDED
    for path in sorted(folder.glob("*.db"))
    if not path.stem.startswith("wide-")
]


STATES = [
    pytest.param(path.parent, path.stem, id=f"{path.parent.name}-{path.stem}")
    for folder in RECORDED
    for path in sorted(folder.glob("*.pickle"))
]


def first_and_last(stored):
    """Return these, with those between the first and the last version left to the long tests."""
    ends = RECORDED[0], RECORDED[-1]
    return [
        pytest.param(
            folder,
            name,
            id=f"{folder.name}-{name}",
            marks=() if folder in ends else pytest.mark.slow,
        )
        for folder, name in (param.values for param in stored)
    ]


def told(lines):
    """Return what an exported study was told, by id."""
    events = [json.loads(line) for line in lines]
    rounds = [e for e in events if e.get("event") == "RoundTold"]
    return {e["id"]: e["value"] for e in events if e.get("event") == "Told"} | {
        id: value for e in rounds for id, value in zip(e["ids"], e["values"], strict=True)
    }


def tolerant():
    """Let the library say that a replay gives other last digits: it goes on from what is there."""
    warnings.filterwarnings("ignore", "(?s).*were asked with .*numbers", RuntimeWarning)
    warnings.filterwarnings("ignore", "(?s).*would have asked other points", RuntimeWarning)
    warnings.filterwarnings("ignore", category=optdriver.coroutine.ReplayWarning)


def check(study, name, folder):
    """Compare with what was recorded, go on to the minimum."""
    size = abs if name == "greatest" else float
    values = told((folder / f"{name}.jsonl").read_text().splitlines())
    there = dict(zip(study.history["id"], study.history["value"], strict=True))
    assert len(values) >= min(9, EVALUATIONS.get(name, 9))
    assert {id: there[id] for id in values} == values
    assert study.open_suggestions
    study.set_parameters(max_iter=600)
    while study.num_evaluations < 500 and (study.ask(4) or study.open_suggestions):
        for suggestion in study.open_suggestions:
            answer(study, suggestion, fail=False)
        if size(study.best.value) < LEAST.get(name, 0.0) + 1e-6:
            break
    assert size(study.best.value) == pytest.approx(LEAST.get(name, 0.0), abs=1e-4)


def test_every_release_recorded_what_there_was_to_record():
    names = {name for _, name in (param.values for param in STORED)}
    assert names == {*STUDIES, "killed"}
    assert {name for _, name in (param.values for param in STATES)} == {*MINIMIZERS}
    versions = [folder.name for folder in RECORDED]
    assert versions == [f"0.{minor}.0" for minor in range(1, 13)]


@pytest.mark.parametrize(("folder", "name"), first_and_last(STORED))
def test_a_file_goes_on(name, folder, tmp_path):
    for there in folder.glob(f"{name}.db*"):
        shutil.copy(there, tmp_path / there.name)
    with warnings.catch_warnings():
        tolerant()
        with optdriver.load_study(tmp_path / f"{name}.db") as study:
            check(study, "gradients" if name == "killed" else name, folder)
        with optdriver.load_study(tmp_path / f"{name}.db") as again:
            assert again.num_evaluations == study.num_evaluations


@pytest.mark.parametrize(
    ("folder", "name"), first_and_last(p for p in STORED if p.values[1] != "killed")
)
def test_an_exported_study_goes_on(name, folder, tmp_path):
    with warnings.catch_warnings():
        tolerant()
        with optdriver.import_study(folder / f"{name}.jsonl", tmp_path / "study.db") as study:
            check(study, name, folder)


@pytest.mark.parametrize("data", ["json", "pickle"])
@pytest.mark.parametrize(("folder", "name"), STATES)
def test_a_state_goes_on(name, data, folder):
    path = folder / f"{name}.{data}"
    if data == "pickle":
        minimizer = pickle.loads(path.read_bytes())
    else:
        minimizer = MINIMIZERS[name].from_dict(json.loads(path.read_text()))
    before = minimizer.nfev
    assert before >= 4
    while not minimizer.done:
        if name == "MultiStart":
            for point in minimizer.pending or minimizer.ask(2):
                minimizer.tell(point.id, *valley(*point.x))
        elif name == "Batch":
            answers = [valley(*x) for x in minimizer.ask()]
            minimizer.tell([value for value, _ in answers], [slope for _, slope in answers])
        elif name == "CallbackMinimizer":
            minimizer.tell(valley(*minimizer.ask())[0])
        elif name in {"LeastSquares", "FeasibleFit"}:
            minimizer.tell(*parts(*minimizer.ask()))
        elif name == "SQP":
            minimizer.tell(*told_disc(*minimizer.ask()))
        else:
            minimizer.tell(*valley(*minimizer.ask()))
    best = min(minimizer.result.fun) if name == "Batch" else None
    best = minimizer.best.f if name == "MultiStart" else best
    best = minimizer.result.fun if best is None else best
    least = LEAST["disc"] if name in {"FeasibleMinimizer", "FeasibleFit", "SQP"} else 0.0
    assert best == pytest.approx(least, abs=1e-5)
    assert minimizer.nfev > before


@pytest.mark.parametrize("name", ["wide-free", "wide-curved"])
def test_runs_that_ended_too_early_go_on_beside_what_was_recorded(name, tmp_path):
    """0.1.0 took starts in wide boxes for minima; its points after them were other ones."""
    for there in (HERE / "0.1.0").glob(f"{name}.db*"):
        shutil.copy(there, tmp_path / there.name)
    with pytest.warns(RuntimeWarning, match="would have asked other points"):
        study = optdriver.load_study(tmp_path / f"{name}.db")
    with study:
        assert study.num_evaluations == 12
        opened = [s.id for s in study.open_suggestions]
        assert opened == [0, 13]
        while study.num_evaluations < 60 and (study.ask(2) or study.open_suggestions):
            s = study.open_suggestions[0]
            x = s.x - np.array([3.0, 2.0, 1.0])
            study.tell(s.id, float(x @ x), 2.0 * x)
        assert study.best.x == pytest.approx([3.0, 2.0, 1.0], abs=1e-6)
        assert study.info()["success"]
    with optdriver.load_study(tmp_path / f"{name}.db") as again:
        assert again.num_evaluations == 60
