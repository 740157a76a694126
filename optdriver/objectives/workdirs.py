"""A directory for each evaluation of a program, and which of them stay."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from optdriver.errors import InputError, InputTypeError, unknown_option

KEEP: Final = ("all", "failed", "none")


class Workdirs:
    """Makes work directories by a name with ``{id}``, and removes those that need not stay."""

    def __init__(self, name: Any, keep: Any) -> None:
        if name is not None and not isinstance(name, str | os.PathLike):
            raise InputTypeError(f"workdir is a path such as 'runs/{{id}}', not {name!r}")
        if keep not in KEEP:
            raise unknown_option("value of keep:", str(keep), KEEP)
        self.name = None if name is None else os.fspath(name)
        self.keep: str = keep
        if self.name is not None and "{id}" not in self.name:
            raise InputError(
                f"workdir={self.name!r} would be one directory for all evaluations; "
                "write {id} where the number of the suggestion belongs, as 'runs/{id}'"
            )

    @property
    def named(self) -> bool:
        """Whether directories have a name of the user's."""
        return self.name is not None

    @contextmanager
    def directory(self, id: int | None) -> Iterator[Path]:
        """Yield the directory of an evaluation, a new one."""
        if self.name is None:
            with tempfile.TemporaryDirectory(
                prefix="optdriver-", ignore_cleanup_errors=True
            ) as temporary:
                yield Path(temporary)
            return
        path = _new(self.name, "by-hand" if id is None else str(id))
        try:
            yield path
        except Exception:
            if self.keep == "none":
                shutil.rmtree(path, ignore_errors=True)
            raise
        if self.keep != "all":
            shutil.rmtree(path, ignore_errors=True)


def _new(name: str, id: str) -> Path:
    """Create the directory of an evaluation; that of an earlier try stays as it is."""
    tries = 1
    while True:
        path = Path(name.replace("{id}", id if tries == 1 else f"{id}-{tries}")).absolute()
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            tries += 1
            continue
        except OSError as error:
            raise InputError(f"the work directory {path} cannot be made: {error}") from error
        return path
