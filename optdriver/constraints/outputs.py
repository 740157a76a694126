"""Limits on what an objective puts out beside its value: formulas over outputs and parameters.

They are read by the parser of the constraints, and never executed.  What an evaluation has put out
goes in, rows ``c <= 0`` and ``e = 0`` come out, with their derivatives by the parameters: the chain
rule over the outputs, whose derivatives are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints.rows import label_of, naming, parse_named, parts_of
from optdriver.constraints.specification import as_text
from optdriver.errors import ConstraintError, InputError, InputTypeError, nearest
from optdriver.formulas.derivatives import Graph, sweep
from optdriver.formulas.syntax import CONSTANTS, FUNCTIONS
from optdriver.formulas.tape import Tape
from optdriver.formulas.tokens import pointed, tokenize
from optdriver.numerics import quiet
from optdriver.reading import short

Array = NDArray[np.float64]

_RELATIONS = ("<", ">", "=")


class OutputLimits:
    """What is put out, and the limits that it has to keep in the end.

    Parameters
    ----------
    texts : sequence of (str, str)
        Name (or ``""``) and text of each limit.
    recorded : sequence of str
        Outputs that are only recorded.
    parameters : sequence of str
        The free parameters in their order.
    fixed : mapping of str to float
        Parameters with a fixed value, which the texts may use too.
    others : iterable of str
        Further names that no output may have.

    Attributes
    ----------
    names : tuple of str
        The outputs, as they occur, then those that are only recorded.
    used : int
        How many of them, the first ones, have a limit.
    inequalities, equalities, rows : tuple of str
        What the rows ``c <= 0`` and ``e = 0`` are called, and all of them.

    Raises
    ------
    ConstraintError
        For a text that does not parse, or that no output occurs in.
    """

    def __init__(
        self,
        texts: Sequence[tuple[str, str]],
        recorded: Sequence[str],
        parameters: Sequence[str],
        fixed: Mapping[str, float],
        others: Iterable[str] = (),
    ) -> None:
        self.texts, self.recorded = tuple(texts), tuple(recorded)
        taken = {*parameters, *fixed, *others}
        found = [name for _, text in texts for name in _unknown(text, taken)]
        for name in recorded:
            _check_name(name, taken)
        self.names = tuple(dict.fromkeys([*found, *recorded]))
        self.used = len(dict.fromkeys(found))
        self._size = len(parameters)
        known = frozenset([*self.names, *parameters, *fixed])
        rows: dict[str, list[tuple[str, Any]]] = {"<=": [], "==": []}
        labels: set[str] = set()
        for place, (name, text) in enumerate(texts):
            parsed = parse_named(name, text, known)
            with naming(name):
                if not set(parsed.names) & set(self.names):
                    raise pointed(text, 0, _without_output(text), len(text))
                parts = parts_of(parsed, fixed)
            label = label_of(name, parsed, place, labels)
            for i, (kind, node) in enumerate(parts):
                rows[kind].append((label if len(parts) == 1 else f"{label}[{i + 1}]", node))
        self.inequalities, self.equalities = (
            tuple(name for name, _ in rows[kind]) for kind in ("<=", "==")
        )
        self.rows = self.inequalities + self.equalities
        self._tape = Tape(
            [node for kind in ("<=", "==") for _, node in rows[kind]],
            [*parameters, *self.names],
        )
        self._slopes, self._places = _differentiated(self._tape)

    def __len__(self) -> int:
        return len(self.rows)

    @quiet
    def values(self, x: Array, outputs: Array) -> Array:
        """Return the rows at the parameters x, (n,), that have put out `outputs`, (k,).

        NaN where a formula has no real value.
        """
        return np.array(self._tape([*x.tolist(), *outputs.tolist()]), dtype=np.float64)

    @quiet
    def jacobian(self, x: Array, outputs: Array, slopes: Array) -> Array:
        """Return the derivatives of the rows by the parameters, (rows, n).

        `slopes`, (k, n), are those of the outputs.
        """
        made = np.zeros((len(self), self._size + len(self.names)))
        made[self._places] = self._slopes([*x.tolist(), *outputs.tolist()])
        by_outputs = made[:, self._size :]
        used = by_outputs != 0.0
        rows = made[:, : self._size].copy()
        for j in np.flatnonzero(used.any(axis=0)):  # what a row has nothing of spoils it by no NaN
            rows[used[:, j]] += by_outputs[used[:, j], j, None] * slopes[j]
        return rows

    @quiet
    def violations(self, rows: Array) -> Array:
        """Return by how much rows are violated, each in its own unit; NaN where it has no value."""
        made = rows.copy()
        p = len(self.inequalities)
        made[:p], made[p:] = np.maximum(rows[:p], 0.0), np.abs(rows[p:])
        return made

    def check_names(self, given: Iterable[Any]) -> None:
        """Refuse outputs of which one is not known, or one is missing.

        Raises
        ------
        InputError
        """
        told = list(given)
        for name in told:
            if name not in self.names:
                raise InputError(
                    f"an output {name!r} was told, and the study knows "
                    f"{', '.join(map(repr, self.names))}{nearest(str(name), self.names)}; one that "
                    "has no limit is declared by outputs={..., 'name': None}"
                )
        for name in self.names:
            if name not in told:
                said = f"told were {', '.join(map(repr, told))}" if told else "none was told"
                raise InputError(f"the output {name!r} is missing; {said}")


def _differentiated(tape: Tape) -> tuple[Tape, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the derivatives of all rows that are not zero, and their rows and columns."""
    graph = Graph(tape.size, tape.size)
    entries = [
        (i, j, node)
        for i, row in enumerate(graph.take(tape, [*range(tape.size)]))
        for j, node in sorted(sweep(graph, row).items())
    ]
    places = [np.array([entry[k] for entry in entries], dtype=np.intp) for k in (0, 1)]
    made = graph.tape([node for *_, node in entries], inputs=tape.size)
    return made, (places[0], places[1])


def _without_output(text: str) -> str:
    for token in tokenize(text):
        if token.text in CONSTANTS:
            return f"no output occurs in this limit: {token.text!r} is the constant, rename it"
    return (
        "no output occurs in this limit: a constraint on parameters alone is one of constraints=, "
        "which is kept at every point that is asked"
    )


def _unknown(text: str, taken: Iterable[str]) -> list[str]:
    """Return the names in a text that are neither a parameter's, nor a constant's or function's."""
    names = [token.text for token in tokenize(text) if token.kind == "name"]
    return [name for name in names if name not in taken and name not in {*CONSTANTS, *FUNCTIONS}]


def _check_name(name: Any, taken: Iterable[str]) -> None:
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError(f"an output has a name, such as 'stress', not {name!r:.80}")
    if name in taken or name in {*CONSTANTS, *FUNCTIONS}:
        kind = "parameter" if name in taken else "function or constant"
        raise InputError(f"the output {name!r} has the name of a {kind}; rename it")


def read_outputs(given: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Return names and texts of limits, and the outputs that are only recorded.

    Parameters
    ----------
    given : mapping, str, or sequence of str or mappings
        ``{"stress": "<= 250", "mass - 2*margin": "<= 10", "temperature": (20, 80), "lift": None}``,
        or texts as for constraints: ``["stress <= 250", {"name": "..", "constraint": ".."}]``.

    Raises
    ------
    InputError
        For anything else.
    """
    if given is None:
        return [], []
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping):
        limits = [("", text) for key, value in given.items() for text in _texts(key, value)]
        return limits, [key for key, value in given.items() if value is None]
    if not isinstance(given, Sequence):
        raise InputTypeError(
            "outputs are {'stress': '<= 250'}, or texts such as 'stress <= 250', not "
            f"{short(given)}"
        )
    found = []
    for item in given:
        text = as_text(item)
        if text is None:
            raise InputTypeError(f"a limit is a text such as 'stress <= 250', not {item!r:.80}")
        if text[1].strip().isidentifier():
            raise InputError(
                f"{text[1]!r} is no limit: write 'name <= 1', or {{'name': None}} for an output "
                "that is only recorded"
            )
        found.append(text)
    return found, []


def _texts(key: Any, value: Any) -> list[str]:
    """Return the limit on an expression as a text; none for None."""
    if not isinstance(key, str):
        raise InputTypeError(f"outputs are named or written as formulas, not {key!r:.80}")
    if value is None:
        return []
    if isinstance(value, str):
        if not value.lstrip().startswith(_RELATIONS):
            raise ConstraintError(
                f"the limit of {key!r} begins with a relation, as in '<= 250', not {value!r:.80}"
            )
        return [f"{key} {value.strip()}"]
    if isinstance(value, Sequence) and len(value) == 2:
        return [_between(key, *value)]
    raise InputTypeError(
        f"the limit of {key!r} is a text such as '<= 250', a pair (low, high), or None for an "
        f"output that is only recorded; not {value!r:.80}"
    )


def _between(key: str, low: Any, high: Any) -> str:
    sides = [None if side is None else _number(key, side) for side in (low, high)]
    ends = [None if side in (-np.inf, np.inf) else side for side in sides]
    if ends == [None, None]:
        raise InputError(f"the pair of {key!r} has no limit: give None for an output without one")
    below = "" if ends[0] is None else f"{ends[0]!r} <= "
    above = "" if ends[1] is None else f" <= {ends[1]!r}"
    if ends[0] is not None and ends[0] == ends[1]:
        return f"{key} == {ends[0]!r}"
    return f"{below}{key}{above}"


def _number(key: str, side: Any) -> float:
    if isinstance(side, bool) or not isinstance(side, int | float | np.number):
        raise InputTypeError(f"the pair of {key!r} has numbers, or None, not {side!r:.80}")
    if np.isnan(side):
        raise InputError(f"the pair of {key!r} has NaN as a side")
    return float(side)
