"""All rows of a small set of formulas as three lists of operations: values, slopes, bends.

The gradients are those of each row, the second derivatives those of the multipliers times the rows,
by sweeping over the gradient of that sum; see `derivatives`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from optdriver.errors import ConstraintError
from optdriver.formulas.derivatives import Graph, TooLongError, sweep
from optdriver.formulas.syntax import Node
from optdriver.formulas.tape import Tape
from optdriver.geometry.formulas import System

MOST_VARIABLES = 150
"""Sets over fewer variables are small."""
MOST_WITH_FEW_ROWS = 300
FEW_ROWS = 4
"""With so many variables for each row, sets over fewer than that are small, too."""
MOST_NODES = 20_000
"""Longer lists than this take longer to make than they save."""


def system(formulas: Sequence[Node], names: Sequence[str]) -> System | None:
    """Return the programs of the rows; None for a set that is better taken apart.

    From `MOST_VARIABLES` on that is one whose derivatives take more than `MOST_NODES` steps to
    find, too.

    Parameters
    ----------
    formulas : sequence of Node
        The rows.
    names : sequence of str
        The parameters in the order of x.
    """
    n, m = len(names), len(formulas)
    small = n < MOST_VARIABLES
    if not small and (n >= MOST_WITH_FEW_ROWS or FEW_ROWS * m > n):
        return None
    tape = Tape(formulas, names)
    if not tape.plain or len(tape.steps) > MOST_NODES:
        return None
    graph = Graph(n + m, n, MOST_NODES, math.inf if small else MOST_NODES)
    try:
        rows = graph.take(tape, [*range(n)])
        slopes = [sweep(graph, row) for row in rows]
        bends = _bends(graph, rows, n)
    except (TooLongError, ConstraintError):
        return None
    first = [(i, j, node) for i, found in enumerate(slopes) for j, node in sorted(found.items())]
    return System(
        tape.program(),
        graph.tape([node for *_, node in first], inputs=n).program(),
        graph.tape([node for *_, node in bends]).program(),
        _places(first),
        _places(bends),
    )


def _bends(graph: Graph, rows: Sequence[int], n: int) -> list[tuple[int, int, int]]:
    """Return the lower triangle of the Hessian of multipliers times rows: places and nodes."""
    total = graph.constant(0.0)
    for i, row in enumerate(rows):
        if graph.varies[row]:
            total = graph.step("+", total, graph.step("*", n + i, row))
    return [
        (i, j, node)
        for i, slope in sorted(sweep(graph, total).items())
        for j, node in sorted(sweep(graph, slope).items())
        if j <= i
    ]


def _places(entries: Sequence[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    rows = np.array([i for i, _, _ in entries], dtype=np.intp)
    return rows, np.array([j for _, j, _ in entries], dtype=np.intp)
