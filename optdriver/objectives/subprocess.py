"""An objective that is a program: parameters in, value and gradient out, in time or not at all."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from optdriver.errors import EvaluationError, InputError, InputTypeError

Result = float | tuple[float, Any]

_SHOWN: Final = 2000
"""Characters of the standard error that go into the reason of a failure."""

_NAME: Final = re.compile(r"\{\{(?P<literal>\w+)\}\}|\{(?P<name>[^\W\d]\w*)\}")
_GRACE: Final = 5.0
"""Seconds that the pipes of a killed program are given to close."""


class SubprocessObjective:
    """Evaluates a study's points by running a program.

    The program gets the parameters as a JSON object of names and numbers, on its standard input
    and, if wanted, in a file or as arguments.  It answers with JSON: a number, or
    ``{"value": 1.5, "gradient": [..]}`` with the gradient in the order of the domain or by name.
    The answer is the last line of its standard output that is not empty, or a file.

    Parameters
    ----------
    command : list of str
        The program and its arguments.  ``{x1}`` in an argument becomes the value of the parameter
        ``x1``, ``{input}`` and ``{output}`` the paths of two files: the parameters, and where the
        program leaves its answer; ``{{x1}}`` is the word in braces.  No shell is involved.
    timeout : float, optional
        Seconds after which the program is killed, with everything that it has started.
    cwd : str or path-like, optional
        The directory in which it runs.
    env : dict, optional
        Environment variables, instead of those of this process.

    Raises
    ------
    InputError
        If the command cannot be used.

    Notes
    -----
    Whatever goes wrong is a failed evaluation of the study, with the end of the program's standard
    error in its reason: an exit status that is not 0, a signal, the time limit, an answer that
    cannot be read.  The program runs in a process group (on Windows: a job of `taskkill`) of its
    own, so that its children end with it, and so that Ctrl-C reaches the study and not the program.

    Objects of this class can be sent to other processes.

    Examples
    --------
    >>> import sys
    >>> program = "import json, sys; p = json.load(sys.stdin); print(p['x']**2)"
    >>> SubprocessObjective([sys.executable, '-c', program])(x=3.0)
    9.0
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        timeout: float | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.command = _checked_command(command)
        self.timeout = _checked_timeout(timeout)
        self.cwd = None if cwd is None else Path(cwd)
        self.env = None if env is None else dict(env)

    def __call__(self, **params: float) -> Result:
        """Run the program at a point.

        Raises
        ------
        EvaluationError
            If it does not give a value.
        InputError
            If an argument names a parameter that there is not, or there is no such program.
        """
        with tempfile.TemporaryDirectory(prefix="optdriver-") as directory:
            files = {name: Path(directory) / f"{name}.json" for name in ("input", "output")}
            text = json.dumps(params)
            files["input"].write_text(text, encoding="utf-8")
            arguments = [_filled(part, params, files) for part in self.command]
            output = self._run(arguments, text)
            if files["output"].exists():
                output = files["output"].read_text(encoding="utf-8", errors="replace")
                return read_answer(output)
        return read_answer(_last_line(output))

    def _run(self, arguments: list[str], text: str) -> str:
        """Return the standard output of the program."""
        try:
            process = subprocess.Popen(  # noqa: S603  # the user's own command, without a shell
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.cwd,
                env=self.env,
                start_new_session=True,
            )
        except OSError as error:
            raise InputError(f"the program {arguments[0]!r} cannot be started: {error}") from error
        late = False
        try:
            output, errors = process.communicate(text.encode(), timeout=self.timeout)
        except subprocess.TimeoutExpired:
            late = True
            kill_group(process)
            output, errors = _rest(process)
        except BaseException:
            kill_group(process)
            process.communicate()
            raise
        if late or process.returncode:
            how = f"was killed after {self.timeout:g} s" if late else _ended(process.returncode)
            raise EvaluationError(f"{Path(arguments[0]).name} {how}{_said(errors)}")
        return output.decode("utf-8", errors="replace")

    def __repr__(self) -> str:
        limit = "" if self.timeout is None else f", timeout={self.timeout:g}"
        return f"SubprocessObjective({list(self.command)!r}{limit})"


def _checked_command(command: Any) -> tuple[str, ...]:
    if isinstance(command, str | bytes) or not isinstance(command, Sequence):
        raise InputTypeError(
            "command is a list, the program and its arguments, as "
            f"['./simulate', '--x', '{{x1}}']; not {command!r}"
        )
    for part in command:
        if not isinstance(part, str | os.PathLike):
            raise InputTypeError(f"command is a list of strings, but {part!r} is none")
    if not command:
        raise InputError("command is empty: it begins with the program")
    return tuple(os.fspath(part) for part in command)


def _checked_timeout(timeout: Any) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise InputTypeError(f"timeout is a number of seconds, not {timeout!r}")
    if not 0.0 < timeout < math.inf:
        raise InputError(f"timeout is a positive number of seconds, not {timeout!r}")
    return float(timeout)


def _filled(part: str, params: Mapping[str, float], files: Mapping[str, Path]) -> str:
    """Return an argument with numbers and paths in place of the names in braces."""
    values = {name: repr(value) for name, value in params.items()}
    values |= {name: str(path) for name, path in files.items()}

    def fill(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return "{" + found["literal"] + "}"
        if name not in values:
            raise InputError(
                f"the argument {part!r} names {{{name}}}, which is none of {', '.join(values)} "
                f"(write {{{{{name}}}}} for the word in braces)"
            )
        return values[name]

    return _NAME.sub(fill, part)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and all that it has started."""
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # there is nobody left in the group
    else:
        tree = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(tree, capture_output=True, check=False)  # noqa: S603  # constant


def _rest(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Return what a killed program had written; a grandchild elsewhere may hold its pipes open."""
    try:
        return process.communicate(timeout=_GRACE)
    except subprocess.TimeoutExpired as error:
        return error.output or b"", error.stderr or b""


def _ended(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _said(errors: bytes) -> str:
    text = errors.decode("utf-8", errors="replace").strip()
    if not text:
        return " and wrote nothing to its standard error"
    return f": {text if len(text) <= _SHOWN else '...' + text[-_SHOWN:]}"


def _last_line(output: str) -> str:
    return next((line for line in reversed(output.splitlines()) if line.strip()), "")


def read_answer(text: str) -> Result:
    """Return value, or value and gradient, from the JSON that a program gave."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if isinstance(answer, Mapping) and "value" in answer:
        value, gradient = answer["value"], answer.get("gradient")
    else:
        value, gradient = answer, None
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = text.strip() if len(text) < 200 else text[:200] + "..."
        raise EvaluationError(
            f'the program should answer with a number or {{"value": .., "gradient": ..}} in JSON, '
            f"but gave {shown!r}"
        )
    return float(value) if gradient is None else (float(value), gradient)
