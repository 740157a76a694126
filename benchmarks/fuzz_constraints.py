"""Fuzzing the parser of constraints: nothing is executed, and nothing but our error is raised.

``python -m benchmarks.fuzz_constraints --inputs 1000000`` makes texts of its own: pieces of the
grammar, pieces of attacks, mutations of both, and noise. ``--atheris`` hands the inputs over to
atheris (libFuzzer's coverage-guided search) instead, where it is installed.

Of every text that is accepted, the canonical print must parse back into an equal tree, and its
value must be the same. During all this an audit hook watches for what executed code would do:
compiling, executing, importing, opening files, starting processes.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from optdriver.constraints import ConstraintError, parse
from optdriver.constraints.parser import ParsedConstraint
from optdriver.constraints.tape import Tape

NAMES = ("x1", "x2", "radius", "größe", "e")
POINT = [0.3, -1.7, 2.0, 0.5, 1.25]

GRAMMAR = ["x1", "x2", "radius", "größe", "e", "E", "pi", "1", "2.5", "1e-3", "+", "-", "*", "/"]
GRAMMAR += ["^", "**", "(", ")", ",", "<=", ">=", "==", "<", ">", " ", "sqrt(", "sin(", "max("]
GRAMMAR += ["min(", "abs(", "atan2(", "hypot(", "log(", "exp(", "floor(", "0", "-1", "^2"]
ATTACKS = ["__import__", "('os')", ".system", "().__class__", "lambda:", "[0]", "{}", "f'{x1}'"]
ATTACKS += [":=", "for x in", "if", "else", "eval(", "exec(", "open(", "\0", "\\", "\n", "#", ";"]
ATTACKS += ["9**9**9", "^99999", "(" * 60, ")" * 60, "1e999", "\u200b", "х1", "ｘ1", "x²", "−"]
ATTACKS += ["'", '"', "`", "@", "=", "!", "~", "&", "|", "%", "$", "?", "_", "1j", "0x1F", "1_0"]

WATCHED = (
    "exec",
    "compile",
    "import",
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "shutil.",
)
SLOWEST = 1.0
"""Seconds that one text may take."""


class FuzzError(Exception):
    """A property does not hold; the message shows the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run has seen."""

    inputs: int
    accepted: int
    refused: int
    slowest: float
    seconds: float


class _Watch:
    """An audit hook, which cannot be taken away again, that can be switched."""

    def __init__(self) -> None:
        self.on = False
        self.installed = False
        self.seen: list[str] = []

    def __call__(self, event: str, _: object) -> None:
        if self.on and event.startswith(WATCHED):
            self.seen.append(event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        if not self.installed:
            sys.addaudithook(self)
            self.installed = True
        self.on = True
        try:
            yield
        finally:
            self.on = False


_WATCH = _Watch()


def check(text: str) -> bool:
    """Parse one text and check all that must hold; return whether it was accepted."""
    _WATCH.seen.clear()
    began = time.process_time()
    with _WATCH.watching():
        try:
            parsed = parse(text, NAMES)
        except ConstraintError:
            parsed = None
        except Exception as error:
            raise FuzzError(f"{type(error).__name__} for {text!r}") from error
    if (took := time.process_time() - began) > SLOWEST:
        raise FuzzError(f"{took:.1f} s for {text!r}")
    if _WATCH.seen:
        raise FuzzError(f"{_WATCH.seen} happened for {text!r}")
    if parsed is not None:
        _check_round_trip(text, parsed)
    return parsed is not None


def _check_round_trip(text: str, parsed: ParsedConstraint) -> None:
    printed = str(parsed)
    again = parse(printed, NAMES)
    if again.operands != parsed.operands or again.relations != parsed.relations:
        raise FuzzError(f"{text!r} was printed as {printed!r}, which is another tree")
    first = Tape([node for _, node in parsed.rows()], NAMES)(POINT)
    second = Tape([node for _, node in again.rows()], NAMES)(POINT)
    if [v.hex() for v in first] != [v.hex() for v in second]:
        raise FuzzError(f"{text!r} and {printed!r} have different values")


def texts(count: int, seed: int) -> Iterator[str]:
    """Yield texts: half of them made by the grammar's rules, then broken more and more."""
    source = random.Random(seed)
    for _ in range(count):
        text = _formula(source, 4) if source.random() < 0.7 else _soup(source)
        if source.random() < 0.3:
            text += source.choice(["<=", ">=", "==", " < ", " > "]) + _formula(source, 2)
        for _ in range(source.choice([0, 0, 0, 1, 2, 5])):
            text = _mutated(source, text)
        yield text


def _formula(source: random.Random, depth: int) -> str:
    kind = source.randrange(8) if depth else 0
    inner = _formula(source, depth - 1) if kind else ""
    match kind:
        case 0:
            return source.choice(GRAMMAR[:10])
        case 1 | 2:
            return f"{inner} {source.choice('+-*/')} {_formula(source, depth - 1)}"
        case 3:
            return f"({inner})"
        case 4:
            return f"-{inner}"
        case 5:
            return f"({inner})^{source.choice(['2', '-1', '0.5', 'x1', '(1/3)', '3'])}"
        case 6:
            return f"{source.choice(['sqrt', 'exp', 'sin', 'abs', 'floor', 'log2'])}({inner})"
        case _:
            return f"{source.choice(['max', 'atan2', 'hypot'])}({inner}, x2)"


def _soup(source: random.Random) -> str:
    words = GRAMMAR if source.random() < 0.5 else GRAMMAR + ATTACKS
    return "".join(source.choices(words, k=source.randrange(1, 30)))


def _mutated(source: random.Random, text: str) -> str:
    first, last = sorted(source.choices(range(len(text) + 1), k=2))
    kind = source.randrange(5)
    if kind == 0:
        return text[:first] + text[last:]
    if kind == 1:
        return text[:first] + source.choice(ATTACKS) + text[first:]
    if kind == 2:
        return text[:first] + source.choice(GRAMMAR) + text[first:]
    if kind == 3:
        return text[:first] + chr(source.randrange(0x2FFF)) + text[first:]
    return text[:last] + text[first:last] * source.randrange(1, 20) + text[last:]


def fuzz(count: int, seed: int = 0) -> Report:
    """Check `count` texts.

    Raises
    ------
    FuzzError
        With the text, if a property does not hold.
    """
    accepted, slowest, began = 0, 0.0, time.perf_counter()
    for text in texts(count, seed):
        before = time.perf_counter()
        accepted += check(text)
        slowest = max(slowest, time.perf_counter() - before)
    return Report(
        inputs=count,
        accepted=accepted,
        refused=count - accepted,
        slowest=slowest,
        seconds=time.perf_counter() - began,
    )


def one_input(data: bytes) -> None:
    """Check one input of a coverage-guided fuzzer: UTF-8, or a word for each byte."""
    words = GRAMMAR + ATTACKS
    if data[:1] == b"w":
        check("".join(words[byte % len(words)] for byte in data[1:]))
    else:
        check(data.decode("utf-8", errors="replace"))


def _with_atheris(arguments: list[str]) -> None:
    import atheris  # it needs a libFuzzer of its own, so only on demand

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *arguments], one_input)
    atheris.Fuzz()


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true", help="the rest goes to libFuzzer")
    chosen, rest = parser.parse_known_args(arguments)
    if chosen.atheris:
        _with_atheris(rest)
        return
    report = fuzz(chosen.inputs, chosen.seed)
    print(
        f"{report.inputs} texts, {report.accepted} accepted, {report.refused} refused,"
        f" nothing executed, slowest {report.slowest * 1e3:.1f} ms, {report.seconds:.0f} s in all"
    )


if __name__ == "__main__":
    main()
