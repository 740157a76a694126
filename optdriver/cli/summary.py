"""A study as JSON, for programs."""

from __future__ import annotations

import json
from typing import Any

from optdriver.messages import plain
from optdriver.server import overview
from optdriver.study import Study


def as_json(value: Any) -> str:
    """Return one line of JSON; floats keep their bits."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def of(study: Study) -> dict[str, Any]:
    """Return what `show --json` prints."""
    info = study.info()
    return info | {
        "minima": [
            {"value": row.value, "kind": row.kind, "params": row.params,
             "times_found": row.times_found}
            for row in study.minima
        ],
        "runs": [
            {"index": row.index, "state": row.state, "reason": row.reason,
             "evaluations": row.evaluations, "failures": row.failures, "value": row.value}
            for row in study.runs
        ],
        "open": [{"id": s.id, "params": s.params, "kind": s.kind} for s in study.open_suggestions],
        "failures": failures(study),
    }  # fmt: skip


def failures(study: Study) -> dict[str, int]:
    """Return how often an evaluation failed for each reason, the most frequent first."""
    state, _, reason, _ = overview.ended(study)
    return overview.failures(reason[state == "failed"])
