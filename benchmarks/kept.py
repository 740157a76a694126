"""What a long benchmark has done, in a file, so that it can be broken off and gone on with."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Kept:
    """Results by name, each of which is made once; a line of the file for each.

    Parameters
    ----------
    path : Path or None
        The file; without one everything is made anew.
    seconds : float
        Nothing more is made when these are over; what is missing then is None.
    of : str
        What the results are of, such as a version: what a file has of another one is made anew, and
        stays in it.
    """

    def __init__(self, path: Path | None = None, seconds: float = float("inf"), of: str = ""):
        self._path, self._end, self._of = path, time.monotonic() + seconds, of
        self._known: dict[str, Any] = {}
        self.missing = 0
        if path is not None and path.exists():
            lines = path.read_text().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]  # the last one may be torn
            self._known = dict(map(json.loads, whole))
            path.write_text("".join(whole))

    def get(self, name: str, make: Callable[[], Any], of: str | None = None) -> Any:
        """Return the result of a name; it is made if it is not known and there is time.

        What it is of is given where that is something else than what most results are of.
        """
        of = self._of if of is None else of
        name = f"{of}|{name}" if of else name
        if name not in self._known:
            if time.monotonic() > self._end:
                self.missing += 1
                return None
            self._known[name] = make()
            if self._path is not None:
                with self._path.open("a") as file:
                    file.write(json.dumps([name, self._known[name]]) + "\n")
        return self._known[name]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add where a benchmark keeps what it has done, and when it ends, to go on another time."""
    parser.add_argument("--keep", type=Path, help="file of what was done, to go on with")
    parser.add_argument("--seconds", type=float, default=float("inf"))
