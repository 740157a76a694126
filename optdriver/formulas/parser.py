"""Recursive descent over the tokens; only what the grammar lists comes out.

::

    constraint := sum (("<=" | ">=" | "<" | ">" | "==") sum)*
    sum        := product (("+" | "-") product)*
    product    := unary (("*" | "/") unary)*
    unary      := ("+" | "-") unary | power
    power      := atom (("^" | "**") unary)?
    atom       := number | name | name "(" sum ("," sum)* ")" | "(" sum ")"

So a power is right-associative and binds tighter than a minus on its left: ``-x^2`` is
``-(x^2)``, and ``2^-x`` is ``2^(-x)``.
"""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from optdriver.errors import ConstraintError, InputTypeError, nearest
from optdriver.formulas.printing import formula
from optdriver.formulas.syntax import (
    CONSTANTS,
    FUNCTIONS,
    Call,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    is_constant,
    names_in,
    sum_of,
)
from optdriver.formulas.tape import constant_value
from optdriver.formulas.tokens import Token, pointed, tokenize

MAX_DEPTH = 50
"""Deepest nesting of parentheses, signs and powers."""
MAX_POWER = 1000.0
"""Largest size of a constant exponent."""

_RELATIONS = {"<=": "<=", "<": "<=", ">=": ">=", ">": ">=", "==": "=="}
_OTHER_NAMES = {
    "ln": "log",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "fabs": "abs",
    "Abs": "abs",
    "Min": "min",
    "Max": "max",
    "pow": "^",
    "and": "two constraints",
    "or": "two studies",
}


@dataclass(frozen=True, slots=True)
class ParsedConstraint:
    """A constraint as a tree: ``operands[0] relations[0] operands[1] ...``.

    Attributes
    ----------
    text : str
        What was parsed.
    operands : tuple of Node
        One more than there are relations.
    relations : tuple of str
        ``"<="``, ``">="`` or ``"=="``; none for a bare expression g, which means g <= 0.
    names : tuple of str
        The parameters that occur, in order of appearance.

    Notes
    -----
    ``str()`` prints it canonically; parsing that again gives an equal tree.
    """

    text: str
    operands: tuple[Node, ...]
    relations: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that occur, in order of appearance."""
        return tuple(dict.fromkeys(n for node in self.operands for n in names_in(node)))

    def __str__(self) -> str:
        """Print the constraint canonically."""
        parts = [formula(self.operands[0])]
        for relation, operand in zip(self.relations, self.operands[1:], strict=True):
            parts += [relation, formula(operand)]
        return " ".join(parts)

    def rows(self) -> list[tuple[str, Node]]:
        """Return ``(kind, node)`` for each relation: ``"<="`` for node <= 0, ``"=="`` for = 0."""
        if not self.relations:
            return [("<=", self.operands[0])]
        pairs = zip(self.relations, self.operands, self.operands[1:], strict=False)
        return [_row(relation, left, right) for relation, left, right in pairs]


def _row(relation: str, left: Node, right: Node) -> tuple[str, Node]:
    if relation == ">=":
        left, right = right, left
    kind = "==" if relation == "==" else "<="
    if isinstance(right, Number) and right.value == 0.0:
        return kind, left
    if isinstance(left, Number) and left.value == 0.0:
        return kind, Negative(right, right.start)
    return kind, sum_of([("+", left), ("-", right)], left.start)


def parse(text: str, names: Iterable[str] | None = None) -> ParsedConstraint:
    """Parse the text of a constraint; nothing of it is executed.

    Parameters
    ----------
    text : str
        Such as ``"0 <= a - b <= 3"``, ``"sqrt(x1^2 + x2^2) - radius"`` (which means <= 0), or
        ``"w1 + w2 == 1"``.
    names : iterable of str, optional
        The parameters, fixed ones too; without it any name that is not a function's is one.

    Returns
    -------
    ParsedConstraint
        The tree.

    Raises
    ------
    ConstraintError
        With a caret under the place, for anything that is not in the grammar, an unknown name
        (the nearest known one is proposed), and a text that is too long, too deep, or holds a
        power that is too large.

    Examples
    --------
    >>> constraint = parse("0 <= a-b < 3", ["a", "b"])
    >>> print(constraint)
    0 <= a - b <= 3
    >>> constraint.names
    ('a', 'b')
    >>> parse("a + bb <= 1", ["a", "b"])
    Traceback (most recent call last):
    ...
    optdriver.errors.ConstraintError: unknown name 'bb' (did you mean 'b'?); parameters: a, b
        a + bb <= 1
            ^^
    """
    known = None if names is None else _checked_names(names)
    try:
        return _Parser(text, known).constraint()
    except RecursionError:
        raise ConstraintError(
            "the constraint is nested too deeply for what is left of Python's stack here"
        ) from None


def _checked_names(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise InputTypeError(f"names is a sequence of parameter names, not the text {names!r}")
    return frozenset(names)


def _proposal(name: str, known: list[str]) -> str:
    """Propose a parameter; among equally near ones the one of the same length, x2 for x3."""
    found = difflib.get_close_matches(name, known[:2000], n=5, cutoff=0.5)

    def distance(other: str) -> tuple[int, int, int]:
        pairs = list(zip(name, other, strict=False))
        different = sum(a.lower() != b.lower() for a, b in pairs)
        apart = sum(abs(ord(a) - ord(b)) for a, b in pairs)
        return abs(len(other) - len(name)), different, apart

    return f" (did you mean {min(found, key=distance)!r}?)" if found else ""


class _Parser:
    """One pass over the tokens; `depth` counts the levels that are open."""

    def __init__(self, text: str, names: frozenset[str] | None) -> None:
        self.text = text
        self.names = names
        self.tokens = tokenize(text)
        self.at = 0
        self.depth = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.at]

    def taken(self, *operators: str) -> Token | None:
        token = self.here
        if token.kind == "operator" and token.text in operators:
            self.at += 1
            return token
        return None

    def error(self, message: str, token: Token) -> ConstraintError:
        return pointed(self.text, token.start, message, len(token.text))

    def deeper(self, token: Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} levels of parentheses, signs or powers", token)

    def constraint(self) -> ParsedConstraint:
        if self.here.kind == "end":
            raise self.error("the constraint is empty; write for example x1 + x2 <= 1", self.here)
        operands, relations = [self.sum()], []
        while relation := self.taken(*_RELATIONS):
            relations.append(_RELATIONS[relation.text])
            operands.append(self.sum())
        if self.here.kind != "end":
            raise self.unexpected(self.here)
        return ParsedConstraint(self.text, tuple(operands), tuple(relations))

    def unexpected(self, token: Token) -> ConstraintError:
        if token.kind == "end":
            return self.error("the constraint ends where a value is expected", token)
        if token.text in _OTHER_NAMES and token.kind == "name":
            return self.error(f"{token.text!r} is unknown; use {_OTHER_NAMES[token.text]}", token)
        shown = token.text if len(token.text) <= 40 else token.text[:40] + "..."
        return self.error(f"{shown!r} is not expected here", token)

    def sum(self) -> Node:
        start = self.here.start
        terms = [("+", self.product())]
        while operator := self.taken("+", "-"):
            terms.append((operator.text, self.product()))
        return sum_of(terms, start)

    def product(self) -> Node:
        start = self.here.start
        first = self.unary()
        factors: list[tuple[str, Node]] = (
            list(first.factors) if isinstance(first, Product) else [("*", first)]
        )
        while operator := self.taken("*", "/"):
            factors.append((operator.text, self.unary()))
        return Product(tuple(factors), start) if len(factors) > 1 else first

    def unary(self) -> Node:
        sign = self.taken("+", "-")
        if sign is None:
            return self.power()
        self.deeper(sign)
        operand = self.unary()
        self.depth -= 1
        return Negative(operand, sign.start) if sign.text == "-" else operand

    def power(self) -> Node:
        base = self.atom()
        operator = self.taken("^", "**")
        if operator is None:
            return base
        self.deeper(operator)
        exponent_token = self.here
        exponent = self.unary()
        self.depth -= 1
        self.check_power(exponent, exponent_token)
        return Power(base, exponent, base.start)

    def check_power(self, exponent: Node, token: Token) -> None:
        if not is_constant(exponent):
            return
        size = abs(constant_value(exponent))
        if size > MAX_POWER or not math.isfinite(size):
            raise self.error(f"the size of an exponent is at most {MAX_POWER:g}", token)

    def atom(self) -> Node:
        token = self.here
        self.at += 1
        if token.kind == "number":
            return Number(float(token.text), start=token.start)
        if token.kind == "name":
            return self.named(token)
        if token.text == "(" and token.kind == "operator":
            return self.parenthesised(token)
        self.at -= 1
        raise self.unexpected(token)

    def parenthesised(self, token: Token) -> Node:
        self.deeper(token)
        inner = self.sum()
        self.close(token)
        return inner

    def close(self, opened: Token) -> None:
        if self.taken(")") is None:
            raise self.unclosed(opened)
        self.depth -= 1

    def unclosed(self, opened: Token) -> ConstraintError:
        token = self.here
        if token.kind == "end":
            return self.error("this parenthesis is not closed", opened)
        if token.text in _RELATIONS:
            return self.error("a comparison cannot stand inside parentheses", token)
        return self.unexpected(token)

    def named(self, token: Token) -> Node:
        name = token.text
        if self.here.text == "(" and self.here.kind == "operator":
            return self.call(token)
        if self.names is not None and name in self.names:
            if name in FUNCTIONS:
                raise self.error(
                    f"the parameter {name!r} has the name of a function; rename it", token
                )
            return Name(name, token.start)
        if name in CONSTANTS:
            return Number(CONSTANTS[name], name, token.start)
        if name in FUNCTIONS:
            raise self.error(f"{name} is a function: write {name}(...)", token)
        if self.names is not None or not name.isascii() or name in _OTHER_NAMES:
            raise self.unknown(token)
        return Name(name, token.start)

    def unknown(self, token: Token) -> ConstraintError:
        name = token.text
        if name in _OTHER_NAMES:
            return self.unexpected(token)
        if (plain := unicodedata.normalize("NFKC", name)) in (self.names or ()):
            return self.error(f"unknown name {name!r}: it looks like {plain!r}", token)
        for character in name:
            if not character.isascii():
                called = unicodedata.name(character, "?")
                note = f" ({character!r} is U+{ord(character):04X}, {called})"
                return self.error(f"unknown name {name[:40]!r}{note}", token)
        known = sorted(self.names or ())
        listed = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
        proposal = _proposal(name[:100], known) or nearest(name[:100], [*CONSTANTS, *FUNCTIONS])
        return self.error(
            f"unknown name {name[:40]!r}{proposal}; parameters: {listed or 'none'}", token
        )

    def call(self, token: Token) -> Node:
        name, opened = token.text, self.here
        if name not in FUNCTIONS:
            raise self.not_a_function(token)
        if self.names is not None and name in self.names:
            raise self.error(f"the parameter {name!r} has the name of a function; rename it", token)
        self.at += 1
        self.deeper(opened)
        arguments = [] if self.here.text == ")" else [self.sum()]
        while self.taken(","):
            arguments.append(self.sum())
        self.close(opened)
        wanted = FUNCTIONS[name]
        if wanted is None and len(arguments) < 2:
            raise self.error(f"{name} takes two arguments or more, not {len(arguments)}", token)
        if wanted is not None and len(arguments) != wanted:
            raise self.error(f"{name} takes {wanted}, not {len(arguments)} arguments", token)
        return Call(name, tuple(arguments), token.start)

    def not_a_function(self, token: Token) -> ConstraintError:
        name = token.text
        if name in CONSTANTS or (self.names is not None and name in self.names):
            return self.error(f"{name!r} is not a function: write {name} * (...)", token)
        if name in _OTHER_NAMES:
            return self.error(f"unknown function {name!r}; use {_OTHER_NAMES[name]}", token)
        known = ", ".join(FUNCTIONS)
        return self.error(
            f"unknown function {name[:40]!r}{nearest(name[:100], FUNCTIONS)}; functions: {known}",
            token,
        )
