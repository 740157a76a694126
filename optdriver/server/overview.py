"""What is seen of a study at a glance, small however long its history is."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import islice, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.server.leases import Leases
from optdriver.space.units import number_of, unit_of
from optdriver.study import Study
from optdriver.study.reports import best_so_far, own_columns
from optdriver.study.tables import leaves

POINTS: Final = 1200
"""Most evaluations that are shown of a history: of each stretch the lowest and the highest."""

ROWS: Final = 20
"""Most rows of a table."""

LETTERS: Final = 300
"""Most letters of a reason; the end of what a program wrote stands there."""

NAMES: Final = 60
"""Most parameters of a point."""

_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")

_HEAD: Final = (
    "name", "study_id", "driver", "direction", "status", "stop_kind", "stop_reason", "success",
    "is_done", "num_evaluations", "num_failed", "num_former", "num_open", "num_parallel",
    "num_minimizers", "num_minima", "elapsed",
)  # fmt: skip


def overview(study: Study, leases: Leases) -> dict[str, Any]:
    """Return what the page shows."""
    info, parameters, best = study.info(), study.parameters, study.best
    state, values, reasons, counted = ended(study)
    minima, runs = study.minima, study.runs
    return {
        "info": {name: info[name] for name in _HEAD},
        "limits": {name: parameters[name] for name in ("max_iter", "max_time")},
        "best": best and {"value": best.value, "params": named(best.params), "id": best.id,
                          "outputs": best.outputs or {}},
        "history": thinned(values, state == "failed", sign=study.spec.sign, counted=counted),
        "minima": [
            {"value": row.value, "kind": row.kind, "times_found": row.times_found,
             "params": named(row.params)}
            for row in minima[:ROWS]
        ],
        "runs": [
            {"index": row.index, "state": row.state, "evaluations": row.evaluations,
             "failures": row.failures, "value": row.value, "reason": row.reason}
            for row in runs[-ROWS:]
        ],
        "open": [row | {"params": named(row["params"])} for row in opened(study, leases)[:ROWS]],
        "failures": failures(reasons[state == "failed"]),
    }  # fmt: skip


def ended(
    study: Study,
) -> tuple[NDArray[np.str_], NDArray[np.float64], NDArray[np.str_], NDArray[np.bool_]]:
    """Return states, values and reasons of the evaluations, whatever their columns are called.

    Last is whether a value can be the best one.  Those of former objectives are left out.
    """
    table = study.history
    own = own_columns(table, study.space)
    rows = own["objective"] == study.objective_number
    return own["state"][rows], own["value"][rows], own["reason"][rows], table.counted[rows]


def opened(study: Study, leases: Leases) -> list[dict[str, Any]]:
    """Return the suggestions that are out, the oldest first."""
    now = leases.clock()
    rows = []
    for each in study.open_suggestions:
        row: dict[str, Any] = {"id": each.id, "params": each.params, "vector": each.x}
        row |= {"kind": each.kind, "run": each.run}
        lease = leases.out.get(each.id)
        if lease is not None:
            row |= {"worker": lease.worker, "age": now - lease.since, "ends_in": lease.due - now}
        rows.append(row)
    return rows


def named(params: Any) -> dict[str, Any]:
    """Return the first parameters, those of a structure by their places in it, as ``w[0, 1]``."""
    found = {
        name: f"{number_of(value):.8g} {unit_of(value)}" if unit_of(value) else value
        for name, value in islice(leaves(params), NAMES + 1)
    }
    if len(found) > NAMES:
        found.popitem()
        found["..."] = "and more"
    return found


def thinned(
    values: NDArray[np.float64],
    failed: NDArray[np.bool_],
    *,
    sign: float = 1.0,
    counted: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Return at most about `POINTS` evaluations: their numbers, values, and the best so far.

    Of each stretch that is longer than a point the lowest and the highest value are kept, so that
    what is drawn looks the same; of failures how many there are of which number.  The best is the
    highest where `sign` is -1, of those that are `counted`; None before there is one.
    """
    good = np.flatnonzero(np.isfinite(values) & ~failed)
    bad = np.flatnonzero(failed)
    kept = good if len(good) <= POINTS else _extremes(good, values)
    best = best_so_far(values[good], sign, None if counted is None else counted[good])
    shown: Any = best[np.searchsorted(good, kept)]
    if np.isnan(shown).any():
        shown = [None if math.isnan(each) else each for each in shown.tolist()]
    return {
        "number": kept,
        "value": values[kept],
        "best": shown,
        "failed": bad if len(bad) <= POINTS else bad[:: -(-len(bad) // POINTS)],
        "rows": len(values),
    }


def _extremes(rows: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.intp]:
    edges = np.linspace(0, len(rows), POINTS // 2 + 1, dtype=int)
    kept = {0, len(rows) - 1}
    for low, high in pairwise(edges.tolist()):
        part = values[rows[low:high]]
        kept |= {low + int(part.argmin()), low + int(part.argmax())}
    return rows[sorted(kept)]


def failures(reasons: NDArray[np.str_]) -> dict[str, int]:
    """Return how often evaluations failed for each reason, the most frequent first.

    Reasons that differ in numbers only are one, for which its first one stands.
    """
    times, first = Counter[str](), dict[str, str]()
    for text, count in Counter(reasons.tolist()).items():
        line = (text.strip().splitlines() or ["no reason given"])[0]
        line = line if len(line) <= LETTERS else line[: LETTERS - 3] + "..."
        kind = _NUMBER.sub("0", line)
        times[kind] += count
        first.setdefault(kind, line)
    return {first[kind]: count for kind, count in times.most_common(ROWS)}
