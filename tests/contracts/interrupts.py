"""An interrupt at a chosen moment: between two lines, or two instructions, of the package.

A signal can end a call there, as can an error that nobody foresaw.  What must hold after it: the
next call finds the object as it was before, or as the call has made it.
"""

from __future__ import annotations

import ast
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optdriver

PACKAGE = f"{Path(optdriver.__file__).parent}{os.sep}"


class Interrupt(KeyboardInterrupt):
    """One of ours."""


@functools.cache
def _with_lines(file: str) -> frozenset[int]:
    """Return the lines with a ``with``: an interrupt never comes between its body and its end."""
    if not Path(file).exists():
        return frozenset()
    nodes = ast.walk(ast.parse(Path(file).read_text(encoding="utf-8")))
    return frozenset(node.lineno for node in nodes if isinstance(node, ast.With))


class Interrupter:
    """Raise at the k-th line (or instruction) of the package that `call` reaches.

    Parameters
    ----------
    at : int
        From 1.
    instructions : bool
        Count these instead of lines.
    """

    def __init__(self, at: int, *, instructions: bool = False) -> None:
        self.at, self.event = at, "opcode" if instructions else "line"
        self.seen, self.fired = 0, ""

    def call(self, function: Callable[[], Any]) -> Any:
        """Call it; `Interrupt` comes out if the moment was reached."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            return function()
        finally:
            sys.settrace(before)

    def _enter(self, frame: Any, _event: str, _arg: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = self.event == "opcode"
        inside: set[int] = set()
        blocks = _with_lines(file)

        def follow(frame: Any, event: str, _arg: Any) -> Any:
            line = frame.f_lineno
            if line in blocks:
                leaving = line in inside or event == "opcode"
                inside.add(line)
                if leaving:
                    return follow
            if event == self.event:
                self.seen += 1
                if self.seen == self.at:
                    self.fired = f"{file}:{line}"
                    raise Interrupt
            return follow

        return follow


def insist(moments: Iterator[int], *, instructions: bool = False) -> Callable[..., Any]:
    """Return what makes a call, interrupted at these moments, again and again until it is made."""

    def made(function: Callable[[], Any]) -> Any:
        while (at := next(moments, None)) is not None:
            try:
                return Interrupter(at, instructions=instructions).call(function)
            except Interrupt:
                continue
        return function()

    return made
