"""Limits on outputs in rounds: the same study as one by one, in one event a round."""

from __future__ import annotations

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, InputTypeError, ProtocolError
from optdriver.study.events import RoundTold, pack, unpack
from tests.study.test_outputs import END, history, parts, plain, smooth, study_of


def in_rounds(x):
    """Value, outputs, and the gradients of both, of many points."""
    value, put, gradient, slopes = parts(*x.T)
    ones = np.ones(len(x))
    return {
        "value": value,
        "gradient": np.column_stack(gradient),
        "outputs": {
            name: (put[name], np.column_stack([slope * ones for slope in slopes[name]]))
            for name in put
        },
    }


def values_only(x):
    value, put, _, _ = parts(*x.T)
    return {"value": value, **put}


@pytest.mark.parametrize(
    ("many", "one", "jac"), [(in_rounds, smooth, True), (values_only, plain, False)]
)
def test_a_round_is_what_its_points_are(tmp_path, many, one, jac):
    path = tmp_path / "rounds.db"
    study = study_of(jac=jac, num_parallel=4, num_initial=2, storage=path)
    study.run(many, vectorized=True, max_evaluations=9)
    study.close()
    with optdriver.load_study(path) as study:
        study.run(many, vectorized=True)
        assert study.info()["success"]
        assert study.best.x == pytest.approx(END, abs=1e-6)
        lift = np.array([parts(*x)[1]["lift"] for x in study.history.x])
        np.testing.assert_array_equal(study.history["lift"], lift)
        study.verify()
        exported = study.export(tmp_path / "rounds.jsonl")
        found = history(study)
    with optdriver.import_study(exported, tmp_path / "again.db") as again:
        assert history(again) == found
    whole = study_of(jac=jac, num_parallel=4, num_initial=2)
    whole.run(many, vectorized=True)
    by_hand = study_of(jac=jac, num_parallel=4, num_initial=2)
    while asked := by_hand.ask(4):
        for suggestion in asked:
            made = one(**suggestion.params)
            put = made.get("outputs") or {name: made[name] for name in ("q", "r", "lift")}
            by_hand.tell(suggestion.id, made["value"], made.get("gradient"), outputs=put)
    assert history(by_hand) == history(whole)


def test_what_is_not_finite_fails_by_itself():
    study = study_of(num_parallel=3, num_initial=3, max_num_minimizers=3)
    ids, x = study.ask_arrays(3)
    made = in_rounds(x)
    values, slopes = made["outputs"]["q"]
    values[0], slopes[1, 1] = np.nan, np.inf
    study.tell_arrays(ids, made["value"], made["gradient"], outputs=made["outputs"])
    states = study.history["state"]
    assert states.tolist() == ["failed", "failed", "told"]
    reasons = study.history["reason"]
    assert reasons[0] == "the output 'q' is nan"
    assert reasons[1] == "the derivative of the output 'q' by 'y' is inf"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"outputs": None}, InputError, "output 'q'"),
        ({"outputs": [1.0]}, InputTypeError, "given by name"),
        ({"q": np.ones(3)}, InputError, "of the output 'q': the values have shape"),
        ({"q": np.ones(2)}, InputError, "the derivatives of the output 'q' are missing"),
        ({"q": (np.ones(2), np.ones(2))}, InputError, "of the output 'q': the gradients have"),
        ({"q": {"values": np.ones(2)}}, InputError, "the output 'q' of a round"),
        ({"z": np.ones(2)}, InputError, "'z'"),
    ],
)
def test_bad_rounds_are_refused_and_stay_open(change, error, message):
    study = study_of(num_parallel=2, num_initial=2)
    ids, x = study.ask_arrays(2)
    made = in_rounds(x)
    outputs = change["outputs"] if "outputs" in change else {**made["outputs"], **change}
    with pytest.raises(error, match=message):
        study.tell_arrays(ids, made["value"], made["gradient"], outputs=outputs)
    assert len(study.open_suggestions) == 2
    study.tell_arrays(ids, made["value"], made["gradient"], outputs=made["outputs"])
    study.tell_arrays(ids, made["value"], made["gradient"], outputs=made["outputs"])  # again
    made["outputs"]["q"][0][0] += 1.0
    with pytest.raises(ProtocolError, match="other outputs"):
        study.tell_arrays(ids, made["value"], made["gradient"], outputs=made["outputs"])


def test_outputs_of_a_study_without_limits_are_refused():
    study = optdriver.create_study({"x": (0, 1)}, jac=True)
    ids, _ = study.ask_arrays(1)
    with pytest.raises(InputError, match="outputs"):
        study.tell_arrays(ids, [1.0], [[0.0]], outputs={"q": [1.0]})


def test_an_event_is_data():
    event = RoundTold(
        ids=np.array([3, 4]),
        values=np.array([1.0, 2.0]),
        gradients=np.ones((2, 2)),
        reason="",
        time=1.0,
        output_rows=np.ones((2, 3)),
        slope_rows=np.ones((2, 6)),
    )
    again = unpack(pack(event))
    np.testing.assert_array_equal(again.slope_rows, event.slope_rows)
    with pytest.raises(ValueError, match="one row for each"):
        RoundTold(
            ids=np.array([3, 4]), values=np.ones(2), gradients=None, reason="", time=1.0,
            output_rows=np.ones((1, 3)),
        )  # fmt: skip
