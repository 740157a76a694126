"""Which start comes next.

``'sobol'`` takes the starts as they come.

``'mlsl'`` is multi-level single linkage (Rinnooy Kan and Timmer, Math. Prog. 39 (1987) 57) on a
low-discrepancy sequence (Kucherenko and Sytsko, Comput. Optim. Appl. 30 (2005) 297): every start
is evaluated once, as a sample, and a minimizer goes on from it only if no sample (evaluated start,
added point, minimum found) within the critical distance is lower; such a sample would probably
lead to the same minimum.  The critical distance shrinks with the number of samples, and a sample
put aside gets its turn when it has become a leader.  Two departures: a minimizer begins as soon
as there is a leader, since evaluations come one at a time; and after `PATIENCE` samples put aside
in a row, the one that is farthest from a lower sample begins all the same, so that a study that
asks for more minimizers than the rule would begin is not spent on samples.

Evaluations until nine minima in ten are found, median of eight seeds, ``'sobol'`` / ``'mlsl'``:
Rastrigin with 9 and 27 minima 171 / 122 and 599 / 388, six-hump camel 2654 / 833, Shekel
1013 / 822, Himmelblau 77 / 65, Branin 32 / 35.  On one large funnel it gains nothing.

``'auto'`` is `optdriver.multistart.linkage`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver import stored

Vector = NDArray[np.float64]

START_RULES = ("sobol", "mlsl", "auto")
PATIENCE = 10
SIGMA = 2.0
"""From 2 on, the probability that a sample begins a minimizer tends to zero (1987)."""


def critical_distance(samples: int, n: int) -> float:
    """Return the distance of single linkage in the box of `n` unit sides (1987).

    It is pi^(-1/2) (Gamma(1 + n/2) sigma log(k) / k)^(1/n) for k samples; 0 where nothing can vary,
    as constraints such as ``x1 == 0.3`` may have it.
    """
    if n == 0:
        return 0.0
    number = max(samples, 2)
    log_volume = math.lgamma(1.0 + n / 2.0) + math.log(SIGMA * math.log(number) / number)
    return math.exp(log_volume / n) / math.sqrt(math.pi)


@dataclass(slots=True)
class Samples:
    """Evaluated points in the unit box, each with its distance to the nearest lower one.

    Attributes
    ----------
    count : int
        The number of samples; the arrays have room for more.
    unit : ndarray, shape (room, n)
        The points.
    f, gap : ndarray, shape (room,)
        Their values, and their distances to the nearest lower sample (infinite for the lowest).
    row_of : dict of int to int
        For each waiting run, the row of its sample.
    put_aside : int
        How many samples in a row have been put aside.
    """

    count: int
    unit: Vector
    f: Vector
    gap: Vector
    row_of: dict[int, int]
    put_aside: int


def empty(n: int) -> Samples:
    """Return a table without samples."""
    return Samples(0, np.empty((8, n)), np.empty(8), np.empty(8), {}, 0)


def add(samples: Samples, unit: Vector, f: float) -> int:
    """Enter a sample; return its row."""
    row = samples.count
    if row == len(samples.f):
        samples.unit = np.concatenate([samples.unit, np.empty_like(samples.unit)])
        samples.f = np.concatenate([samples.f, np.empty_like(samples.f)])
        samples.gap = np.concatenate([samples.gap, np.empty_like(samples.gap)])
    known_f, gap = samples.f[:row], samples.gap[:row]
    distance = np.sqrt(np.sum((samples.unit[:row] - unit) ** 2, axis=1))
    higher = known_f > f
    gap[higher] = np.minimum(gap[higher], distance[higher])
    samples.unit[row], samples.f[row] = unit, f
    samples.gap[row] = np.min(distance[~higher], initial=np.inf)
    samples.count += 1
    return row


def leads(samples: Samples, row: int) -> bool:
    """Return whether no lower sample is within the critical distance."""
    return bool(samples.gap[row] > critical_distance(samples.count, samples.unit.shape[1]))


def put_aside(samples: Samples, run: int, row: int) -> None:
    """Let the run of a sample wait."""
    samples.row_of[run] = row
    samples.put_aside += 1


def next_waiting(samples: Samples, *, last_resort: bool) -> int | None:
    """Take a run from those that wait: the lowest leader, or else none.

    With `last_resort` (there are no other starts), or after `PATIENCE` samples put aside in a row,
    it is the one with the largest gap if there is no leader.
    """
    if not samples.row_of:
        return None
    distance = critical_distance(samples.count, samples.unit.shape[1])
    leaders = [run for run, row in samples.row_of.items() if samples.gap[row] > distance]
    if leaders:
        run = min(leaders, key=lambda run: (samples.f[samples.row_of[run]], run))
    elif last_resort or samples.put_aside >= PATIENCE:
        run = min(samples.row_of, key=lambda run: (-samples.gap[samples.row_of[run]], run))
    else:
        return None
    del samples.row_of[run]
    samples.put_aside = 0
    return run


def to_dict(samples: Samples) -> dict[str, Any]:
    """Return the table as numbers and arrays."""
    return {
        "unit": samples.unit[: samples.count].copy(),
        "f": samples.f[: samples.count].copy(),
        "gap": samples.gap[: samples.count].copy(),
        "waiting": [[run, row] for run, row in samples.row_of.items()],
        "put_aside": samples.put_aside,
    }


def from_dict(data: dict[str, Any], n: int) -> Samples:
    """Return the table of which `to_dict` made `data`."""
    f = stored.array("f", data["f"], (len(data["f"]),), finite=True)
    samples = empty(n)
    if f.size:
        samples.unit = stored.array("unit", data["unit"], (f.size, n), finite=True)
        samples.f, samples.gap = f, stored.array("gap", data["gap"], (f.size,))
    samples.count = f.size
    samples.row_of = {
        stored.whole("run", run): stored.whole("row", row, most=f.size - 1)
        for run, row in data["waiting"]
    }
    samples.put_aside = stored.whole("put_aside", data["put_aside"])
    return samples
