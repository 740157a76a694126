"""Fuzzing the parser of constraints: nothing is executed, and nothing but our error is raised.

``python -m benchmarks fuzz`` makes a million texts of its own: pieces of the grammar, pieces of
attacks, mutations of both, and noise. `benchmarks.fuzz_atheris` lets coverage guide the search.
``python -m benchmarks fuzz-asked`` makes a study of each such text and asks it for a point.

Of every text that is accepted, the canonical print must parse back into an equal tree, and its
value must be the same. During all this an audit hook watches for what executed code would do:
compiling, executing, importing, opening files, starting processes.
"""

from __future__ import annotations

import argparse
import math
import random
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.parallel import last_reports
from benchmarks.report import Section, Table, Target
from optdriver import create_study
from optdriver.constraints import ConstraintError, ConstraintSet, parse
from optdriver.errors import ConstraintWarning, InputError
from optdriver.formulas.parser import ParsedConstraint
from optdriver.formulas.tape import Tape

NAMES = ("x1", "x2", "radius", "größe", "e")
POINT = [0.3, -1.7, 2.0, 0.5, 1.25]
BOX = {"x1": (-1.5, 2.0), "x2": (-2.0, 1.0), "größe": (0.5, 2.0), "radius": 2.0, "e": 1.25}

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
ROUNDING = 1e-9
"""By how much of its unit, in the driver's coordinates, a row of a set without an inside may be
violated."""
SLOWEST = 1.0
"""Seconds that one text may take."""
CHUNK = 10_000
"""Texts that one process checks; each chunk has a seed of its own."""
TEXT = """Texts made by the rules of the grammar and then broken, soups of its words and of attacks
(calls, attributes, huge powers, thousands of parentheses, look-alikes, null bytes). None raised
anything but `ConstraintError`, and an audit hook saw nothing compiled, executed, imported, opened
or started; each that was accepted was printed, parsed again to an equal tree, and had the same
value."""


class FuzzError(Exception):
    """A property does not hold; the message shows the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run has seen: numbers of texts, seconds of the slowest, growth of memory in MB."""

    inputs: int
    accepted: int
    refused: int
    slowest: float
    memory: float


@dataclass(slots=True)
class Asked:
    """What became of studies of one text each; the slowest with its text."""

    seen: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slow: list[tuple[float, str]] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")


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
        text = formula(source, 4) if source.random() < 0.7 else _soup(source)
        if source.random() < 0.3:
            text += source.choice(["<=", ">=", "==", " < ", " > "]) + formula(source, 2)
        for _ in range(source.choice([0, 0, 0, 1, 2, 5])):
            text = _mutated(source, text)
        yield text


def formula(source: random.Random, depth: int) -> str:
    kind = source.randrange(8) if depth else 0
    inner = formula(source, depth - 1) if kind else ""
    match kind:
        case 0:
            return source.choice(GRAMMAR[:10])
        case 1 | 2:
            return f"{inner} {source.choice('+-*/')} {formula(source, depth - 1)}"
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


def ask(text: str) -> str:
    """Create a study with one text as its constraint, and ask for a point; return what came."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConstraintWarning)
            study = create_study(BOX, constraints=[text], seed=1)
        suggestion = study.ask()
    except InputError as error:
        return f"refused: {type(error).__name__}"
    except Exception as error:
        raise FuzzError(f"{type(error).__name__}: {error!s:.100} for {text!r}") from error
    if suggestion is None:
        return "nothing to ask"
    compiled = study.spec.compiled
    if compiled is None or compiled.is_feasible(suggestion.x):
        return "asked"
    inner = study.spec.inner_constraints().rescaled(study.space.scale)
    if met_to_rounding(inner, study.space.to_driver(suggestion.x)):
        return "asked, of a set without an inside, met to rounding"
    raise FuzzError(f"{suggestion.x} was asked for {text!r}")


def met_to_rounding(constraints: ConstraintSet, x: Any) -> bool:
    """Tell whether a point of the driver is as near to a set without an inside as is allowed."""
    return constraints.is_feasible(x, slack=ROUNDING) and not _has_inside(constraints, x)


def _has_inside(constraints: ConstraintSet, x: Any) -> bool:
    """Tell whether all rows are below zero at any of some thousand points, all over or near `x`."""
    if constraints.n_equalities:
        return False
    low, high = constraints.lower, constraints.upper
    random = np.random.default_rng(1)
    for width in (1.0, 1e-2, 1e-4, 1e-6):
        step = width * (high - low) * random.uniform(-1.0, 1.0, (1000, x.size))
        points = np.clip(x + step, low, high)
        if any(np.all(constraints.values(point) < 0.0) for point in points):
            return True
    return False


def ask_all(count: int, seed: int = 0, seconds: float = math.inf) -> Asked:
    """Ask studies of `count` texts, until `seconds` of processor time are spent."""
    asked, begun = Asked(), time.process_time()
    for text in texts(count, seed):
        before = time.process_time()
        if before - begun > seconds:
            break
        try:
            asked.seen[ask(text)] += 1
        except FuzzError as error:
            asked.seen["fault"] += 1
            asked.faults.append(str(error))
        taken = time.process_time() - before
        asked.slow += [(taken, text)] if taken > SLOWEST else []
        asked.slowest = max(asked.slowest, (taken, text))
    return asked


def fuzz(count: int, seed: int = 0) -> Report:
    """Check `count` texts.

    Raises
    ------
    FuzzError
        With the text, if a property does not hold.
    """
    accepted, slowest, memory = 0, 0.0, _memory()
    for text in texts(count, seed):
        before = time.process_time()
        accepted += check(text)
        slowest = max(slowest, time.process_time() - before)
    return Report(
        inputs=count,
        accepted=accepted,
        refused=count - accepted,
        slowest=slowest,
        memory=_memory() - memory,
    )


def one_input(data: bytes) -> None:
    """Check one input of a coverage-guided fuzzer: UTF-8, or a word for each byte."""
    words = GRAMMAR + ATTACKS
    if data[:1] == b"w":
        check("".join(words[byte % len(words)] for byte in data[1:]))
    else:
        check(data.decode("utf-8", errors="replace"))


def run(options: Sequence[str]) -> Section:
    """Fuzz and return the section of the results; a property that does not hold is an error."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=math.inf, help="with --asked, at most")
    parser.add_argument("--asked", action="store_true", help="make a study of each text")
    given = parser.parse_args(list(options))
    if given.asked:
        return _asked_section(ask_all(given.inputs, given.seed, given.seconds))
    began = time.perf_counter()
    chunks = max(1, given.inputs // CHUNK)
    jobs = [partial(_job, given.inputs // chunks, given.seed + chunk) for chunk in range(chunks)]
    reports = [report for _, report in last_reports(jobs, seconds=CHUNK)]
    failed = [report for report in reports if not isinstance(report, Report)]
    if failed:
        raise FuzzError(f"{failed[0] or 'a process died'}")
    inputs, accepted, refused = (
        sum(getattr(report, name) for report in reports)
        for name in ("inputs", "accepted", "refused")
    )
    slowest = max(report.slowest for report in reports)
    row = (f"{inputs}", f"{accepted}", f"{refused}", f"{time.perf_counter() - began:.0f}")
    return Section(
        name="fuzz",
        title="Constraints: fuzzing the parser",
        text=TEXT,
        targets=[
            Target(claim="slowest text, seconds of processor", value=slowest, limit=SLOWEST),
            Target(
                claim="largest growth of memory of a process, MB",
                value=max(report.memory for report in reports),
                limit=100.0,
            ),
        ],
        tables=[Table(header=("texts", "accepted", "refused", "seconds"), rows=[row])],
        packages=("sympy",),
    )


def _asked_section(asked: Asked) -> Section:
    for fault in [*asked.faults, *(f"{taken:.2f} s for {text!r}" for taken, text in asked.slow)]:
        print(fault, file=sys.stderr)
    return Section(
        name="fuzz-asked",
        title="Constraints: a study of each text",
        text="The texts of the section before, each the constraint of a study that is asked once.",
        targets=[
            Target(claim="texts", value=asked.seen.total(), limit=1, at_least=True, form="d"),
            Target(claim="faults", value=len(asked.faults), limit=0, form="d"),
            Target(claim="slowest, seconds of processor", value=asked.slowest[0], limit=SLOWEST),
        ],
        tables=[
            Table(
                header=("outcome", "texts"),
                rows=[(what, str(number)) for what, number in sorted(asked.seen.items())],
            )
        ],
        packages=("sympy",),
    )


def _job(count: int, seed: int, report: Callable[[object], None]) -> None:
    try:
        report(fuzz(count, seed))
    except FuzzError as error:
        report(str(error))


def _memory() -> float:
    """Return the largest size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
