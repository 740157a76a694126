"""An objective that is a program: parameters in, value and gradient out, in time or not at all."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from optdriver.errors import EvaluationError, InputError, InputTypeError
from optdriver.objectives import templates
from optdriver.objectives.answers import (
    Place,
    Result,
    find_gradient,
    find_number,
    read_answer,
    read_file,
)
from optdriver.objectives.orphans import guard
from optdriver.objectives.output import SHORT, Tail, gather
from optdriver.objectives.shared_files import alone, marks, refuse_old
from optdriver.objectives.workdirs import Workdirs

_SHOWN: Final = 2000
"""Characters of the standard error that go into the reason of a failure."""

_NAME: Final = re.compile(r"\{\{(?P<literal>\w+)\}\}|\{(?P<name>[^\W\d]\w*)\}")
_GRACE: Final = 2.0
"""Seconds that the pipes of a killed program are given to close."""


class SubprocessObjective:
    r"""Evaluates a study's points by running a program.

    The program gets the parameters as a JSON object of names and numbers on its standard input
    and, if wanted, as arguments, in a file, or in input decks that are made from templates.  Its
    answer is the last line of its standard output that is not empty, or a file: JSON (a number, or
    ``{"value": 1.5, "gradient": [..]}`` with the gradient in the order of the domain or by name),
    or a number in any form that simulators print, as ``R = 0.1D+01``.  With `value` and `gradient`
    it is found by file and pattern.

    Parameters
    ----------
    command : list of str
        The program and its arguments.  ``{x1}`` in an argument becomes the value of the parameter
        ``x1``, ``{id}`` the number of the suggestion, ``{input}`` and ``{output}`` the paths of two
        files: the parameters, and where the program leaves its answer; ``{{x1}}`` is the word in
        braces.  No shell is involved.
    timeout : float, optional
        Seconds after which the program is killed, with everything that it has started.
    cwd : str or path-like, optional
        The directory in which it runs, one for all evaluations.
    env : dict, optional
        Environment variables, instead of those of this process.  ``OPTDRIVER_ID``, the number of
        the suggestion, is there in any case.
    template : dict, optional
        ``{'deck.in.j2': 'deck.in'}``: each file of the work directory that is made from a template,
        in which ``{{ x1 }}`` or ``{{ "%.8e" % x1 }}`` is a parameter (Jinja2, the extra `cli`; a
        template cannot run code).
    value, gradient : dict, optional
        Where the answer stands: ``{'file': 'out.txt', 'pattern': 'R *= *(\S+)'}``.  Without a
        file it is the standard output.  The pattern is a regular expression with one group; of
        several matches the last is the value, and all are the gradient, for which there may be
        several groups, as ``'dR: (\S+) (\S+)'``.  Without a pattern the value is on the last
        line, and the gradient a number a line, or ``name = number`` lines.
    outputs : dict, optional
        Where each output stands, by name, as the value; its derivatives come from an answer in JSON
        only.
    uncertainty : dict, optional
        Where the standard deviation of the value stands, as the value.
    workdir : str or path-like, optional
        A directory for each evaluation, as ``'runs/{id}'``, in which the program runs; where one
        is there already (an evaluation that is tried again) the next is ``'runs/12-2'``.  Without
        it, templates and files live in a temporary directory.
    keep : {'all', 'failed', 'none'}
        Which work directories stay.

    Raises
    ------
    InputError
        If something given cannot be used.

    Notes
    -----
    Whatever goes wrong is a failed evaluation of the study, with the end of the program's standard
    error in its reason: an exit status that is not 0, a signal, the time limit, an answer that
    cannot be read.  Of what a program writes to its standard output, the last 32 MiB are kept.

    The program runs in a process group (on Windows: a job of `taskkill`) of its own, so that its
    children end with it, and so that Ctrl-C reaches the study and not the program.  When this
    process is killed (``kill -9``), its programs are killed too, with all they have started (not on
    Windows).

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
        template: Mapping[str, str] | None = None,
        value: Mapping[str, str] | str | None = None,
        gradient: Mapping[str, str] | str | None = None,
        outputs: Mapping[str, Mapping[str, str] | str] | None = None,
        uncertainty: Mapping[str, str] | str | None = None,
        workdir: str | os.PathLike[str] | None = None,
        keep: str = "all",
    ) -> None:
        self.command = _checked_command(command)
        self.timeout = _checked_timeout(timeout)
        self.cwd = None if cwd is None else Path(cwd)
        self.env = None if env is None else dict(env)
        self.template = templates.checked_templates(template)
        self.value = None if value is None else Place.of(value, "value")
        self.gradient = None if gradient is None else Place.of(gradient, "gradient")
        if self.gradient is not None and self.value is None:
            raise InputError("gradient says where the gradient stands; say where the value is, too")
        if outputs is not None and not isinstance(outputs, Mapping):
            raise InputTypeError(
                f"outputs says where each output stands, by name, not as {outputs!r:.80}"
            )
        self.outputs = {
            str(name): Place.of(place, f"output {name!r}")
            for name, place in (outputs or {}).items()
        }
        if self.outputs and self.value is None:
            raise InputError("outputs says where outputs stand; say where the value is, too")
        self.uncertainty = None if uncertainty is None else Place.of(uncertainty, "uncertainty")
        if self.uncertainty is not None and self.value is None:
            raise InputError("uncertainty says where it stands; say where the value is, too")
        self.workdirs = Workdirs(workdir, keep)
        if self.cwd is not None and (workdir is not None or self.template):
            raise InputError(
                "cwd is one directory for all evaluations, and workdir and template need one for "
                "each: leave cwd out"
            )

    def __call__(self, **params: float) -> Result:
        """Run the program at a point.

        Raises
        ------
        EvaluationError
            If it does not give a value.
        InputError
            If an argument names a parameter that there is not, or there is no such program.
        """
        return self.evaluate_suggestion(None, params)

    def check(self, params: Mapping[str, float]) -> None:
        """Do all that is done at a point before the program starts, and leave nothing behind.

        Raises
        ------
        InputError
            If an argument or a template names a parameter that there is not, or there is no such
            program.
        """
        for source in self.template:
            templates.render(Path(source), params)
        program = self._arguments(params, {"input": "", "output": ""}, None)[0]
        known = os.environ if self.env is None else self.env
        if shutil.which(program, path=known.get("PATH", os.defpath)) is None:
            raise InputError(f"there is no program {program!r}, or it may not be executed")

    def _arguments(
        self, params: Mapping[str, float], files: Mapping[str, Any], id: int | None
    ) -> list[str]:
        values = {name: repr(value) for name, value in params.items()}
        values |= {name: str(path) for name, path in files.items()}
        values.setdefault("id", "" if id is None else str(id))
        return [_filled(part, values) for part in self.command]

    def evaluate_suggestion(self, id: int | None, params: Mapping[str, float]) -> Result:
        """Run the program at a point; `id` is the number of the suggestion, as `run` tells it."""
        with self.workdirs.directory(id) as directory:
            templates.fill(self.template, params, directory)
            files = {name: directory / f"{name}.json" for name in ("input", "output")}
            _write(files["input"], json.dumps(dict(params)))
            arguments = self._arguments(params, files, id)
            shared = self._shared_files(directory)
            with alone(shared):
                marked = marks(shared)
                output = self._run(arguments, files["input"], self._where(directory), id)
                refuse_old(marked)
                return self._answer(directory, files["output"], output)

    def _files(self) -> list[str]:
        """Return the names of the files in which answers stand."""
        places = (self.value, self.gradient, self.uncertainty, *self.outputs.values())
        return [place.file for place in places if place is not None and place.file is not None]

    def _where(self, directory: Path) -> Path | None:
        """Return where the program runs: where its files are, if it has any of its own."""
        has_files = bool(self.template) or bool(self._files())
        own = self.workdirs.named or (has_files and self.cwd is None)
        return directory if own else self.cwd

    def _shared_files(self, directory: Path) -> list[Path]:
        """Return the files of answers that are not in the evaluation's own directory."""
        where, own = directory if self.cwd is None else self.cwd, directory.resolve()
        paths = {(where / name).resolve() for name in self._files()}
        return sorted(path for path in paths if not path.is_relative_to(own))

    def _answer(self, directory: Path, left: Path, output: Tail) -> Result:
        if self.value is None:
            return read_answer(read_file(left) if os.path.lexists(left) else output.last_line())
        where = directory if self.cwd is None else self.cwd
        text = output.text()
        value = find_number(self.value, where, text)
        gradient = None if self.gradient is None else find_gradient(self.gradient, where, text)
        if self.outputs or self.uncertainty is not None:
            made: dict[str, Any] = {"value": value, "gradient": gradient}
            if self.outputs:
                places = self.outputs.items()
                made["outputs"] = {name: find_number(each, where, text) for name, each in places}
            if self.uncertainty is not None:
                made["uncertainty"] = find_number(self.uncertainty, where, text)
            return made
        return value if gradient is None else (value, gradient)

    def _run(self, arguments: list[str], input_: Path, where: Path | None, id: int | None) -> Tail:
        """Return the standard output of the program."""
        environment = dict(os.environ) if self.env is None else dict(self.env)
        if id is not None:
            environment["OPTDRIVER_ID"] = str(id)
        if where is not None and os.sep in arguments[0] and Path(arguments[0]).exists():
            arguments[0] = str(Path(arguments[0]).absolute())
        try:
            with input_.open("rb") as text:
                process = subprocess.Popen(  # noqa: S603  # the user's own command, without a shell
                    arguments,
                    stdin=text,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=where,
                    env=environment,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            raise InputError(f"the program {arguments[0]!r} cannot be started: {error}") from error
        output, errors = Tail(), Tail(SHORT)
        try:
            with guard.over(process.pid):
                in_time = gather(process, self.timeout, output, errors)
                if not in_time:
                    kill_group(process)
                    gather(process, _GRACE, output, errors)
        except BaseException:
            kill_group(process)
            process.wait()
            raise
        finally:
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        if not in_time or process.returncode:
            how = _ended(process.returncode) if in_time else f"was killed after {self.timeout:g} s"
            said = f"{how}{_said(errors.text())}{_elsewhere(arguments, where)}"
            raise EvaluationError(f"{Path(arguments[0]).name} {said}")
        return output

    def __repr__(self) -> str:
        limit = "" if self.timeout is None else f", timeout={self.timeout:g}"
        return f"SubprocessObjective({list(self.command)!r}{limit})"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EvaluationError(f"the program's parameters cannot be written: {error}") from error


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


def _filled(part: str, values: Mapping[str, str]) -> str:
    """Return an argument with numbers and paths in place of the names in braces."""

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


def _ended(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _elsewhere(arguments: Sequence[str], where: Path | None) -> str:
    """Return a hint where arguments name files of this directory, and the program ran elsewhere."""
    if where is None:
        return ""
    for part in arguments[1:]:
        here = os.path.isfile(part)  # noqa: PTH113  # which takes any text, however long
        if here and not (where / part).exists():
            whole = Path(part).absolute()
            return f" (it runs in its work directory, where there is no {part}: write {whole})"
    return ""


def _said(errors: str) -> str:
    text = errors.strip()
    if not text:
        return " and wrote nothing to its standard error"
    return f": {text if len(text) <= _SHOWN else '...' + text[-_SHOWN:]}"
