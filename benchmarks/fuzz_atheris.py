"""The same fuzzing guided by coverage: atheris, libFuzzer for Python.

``python -m benchmarks.fuzz_atheris -max_total_time=60 [CORPUS]``; the options are libFuzzer's. It
needs ``pip install -e '.[fuzz]'``, for which there are wheels on Linux.
"""

from __future__ import annotations

import sys

import atheris

PARSER = ["tokens", "parser", "syntax", "printing", "tape"]

with atheris.instrument_imports(include=[f"optdriver.constraints.{name}" for name in PARSER]):
    from benchmarks.fuzz_constraints import ATTACKS, GRAMMAR, check


def one_input(data: bytes) -> None:
    """Check one input: UTF-8, or a word for each byte."""
    words = GRAMMAR + ATTACKS
    if data[:1] == b"w":
        check("".join(words[byte % len(words)] for byte in data[1:]))
    else:
        check(data.decode("utf-8", errors="replace"))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
