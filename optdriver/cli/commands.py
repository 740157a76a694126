"""The commands."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from optdriver.cli import example, summary
from optdriver.cli.arguments import PATH, argument, command
from optdriver.cli.description import TIMES, look, open_or_create, read, seconds
from optdriver.cli.description import check as checked
from optdriver.errors import InputError, OptDriverError, missing_extra, unknown_option
from optdriver.messages import numbers
from optdriver.objectives.subprocess import SubprocessObjective
from optdriver.studies import import_study, load_study
from optdriver.study import Study, parameters

if TYPE_CHECKING:
    from rich.console import Console

NOTHING_NOW: Final = 3
"""Exit status of `ask`: nothing can be asked before open suggestions are told."""
DONE: Final = 4
"""Exit status of `ask`: the study is done."""
STOPPED: Final = 5
"""Exit status of `run`: the study stopped since its evaluations fail, or its gradient is wrong."""
INTERRUPTED: Final = 130
"""Exit status of `run` after Ctrl-C."""


@click.group(
    name="optdriver",
    epilog="Exit status: 0 done as asked, 1 an error, 2 wrong usage, 3 nothing to ask now, 4 the "
    "study is done, 5 stopped for failures, 130 Ctrl-C.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def app() -> None:
    """Minimise what a program computes: studies in files, stopped and resumed at any time."""


_file = argument("path", metavar="STUDY.db", help="The file of a study.", type=PATH)
_description = argument("path", metavar="STUDY.toml", help="A study, stated.", type=PATH)
_as_json = click.option("--json", "as_json", is_flag=True, help="One line of JSON, for programs.")


def run_app() -> int:
    """Run the command line and return its exit status; errors of ours are one message."""
    try:
        status = app(prog_name="optdriver", standalone_mode=False)
    except OptDriverError as error:
        print(f"optdriver: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return status if isinstance(status, int) else 0


@command(app)
@_description
def new(path: Path) -> None:
    """Write a commented description of a study, to be edited."""
    if path.exists():
        raise InputError(f"{path} is there already")
    path.write_text(example.text(path.stem, path.name), encoding="utf-8")
    click.echo(f"wrote {path}; edit it, then: optdriver run {path}")


@command(app)
@_description
@_as_json
def check(path: Path, as_json: bool) -> None:
    """Check a description, and write nothing."""
    description = read(path)
    study = checked(description)
    if description.objective:
        _check_program(SubprocessObjective(**description.objective), study)
    if as_json:
        click.echo(summary.as_json(study.describe() | {"units": description.units}))
        return
    for entry in description.arguments["domain"]:
        unit = description.units.get(entry["name"], "")
        click.echo(f"{entry['name']}: {entry['domain']} {unit}".rstrip())
    what = "run" if description.objective else "created (without [objective] it is not run here)"
    click.echo(f"{path} can be {what}; the study will be kept in {description.storage}")


@command(app)
@_description
def create(path: Path) -> None:
    """Make the file of a study and evaluate nothing: it is asked and told, or served, then.

    A study that is there already stays as it is.
    """
    description = read(path)
    made = not description.storage.exists()
    study, notes = open_or_create(description)
    study.close()
    for note in notes:
        click.echo(note, err=True)
    click.echo(f"{description.storage} {'was made' if made else 'is there already'}")


def _check_program(objective: SubprocessObjective, study: Study) -> None:
    """Check templates, arguments and the program by the first point of a study in memory."""
    for suggestion in study.ask(1):
        objective.check(suggestion.params)


@command(app)
@_description
@click.option("--max-evaluations", type=int, help="Return after so many evaluations of this call.")
@click.option(
    "--timeout", help="End an evaluation that takes longer, as 90s or 40min, in this call."
)
@click.option("--quiet", is_flag=True, help="Print the end only.")
@_as_json
def run(
    path: Path, max_evaluations: int | None, timeout: str | None, quiet: bool, as_json: bool
) -> int:
    """Create the study, or go on with it, and evaluate until it is done.

    The first Ctrl-C waits for the open evaluations, the second leaves at once; either way the same
    command goes on later.
    """
    description = read(path)
    if not description.objective:
        raise InputError(
            f"{path} has no table [objective], so there is nothing to run; "
            f"'optdriver create {path}' makes a study that is asked and told by others"
        )
    limit = {} if timeout is None else {"timeout": _seconds(timeout)}
    objective = SubprocessObjective(**description.objective | limit)
    if not description.storage.exists():  # before there is a file
        _check_program(objective, checked(description))
    study, notes = open_or_create(description)
    with study, _logged(quiet):
        for note in notes:
            logging.getLogger("optdriver").warning("%s", note)
        study.run(objective, max_evaluations=max_evaluations, progress=None if not quiet else False)
        _print(study, as_json, description.units)
        return _status(study)


def _seconds(text: str) -> float:
    """Return the seconds of a time, which may also be a number."""
    try:
        return float(text)
    except ValueError:
        return float(seconds("--timeout", text))


def _status(study: Study) -> int:
    if study.stop_kind == "interrupt":
        return INTERRUPTED
    return STOPPED if study.stop_kind in ("failures", "check_grad") else 0


@contextmanager
def _logged(quiet: bool) -> Iterator[None]:
    """Write a line an evaluation to the standard error where no bar is drawn."""
    log = logging.getLogger("optdriver")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet or sys.stderr.isatty() else logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


@command(app)
@_file
@click.option("--watch", is_flag=True, help="Go on showing what changes.")
@click.option("--every", type=float, default=1.0, help="Seconds between two looks, with --watch.")
@_as_json
def show(path: Path, watch: bool, every: float, as_json: bool) -> None:
    """Show a study, also while another process runs it.

    Given STUDY.toml it shows the study that is stated there, with the units of parameters.
    """
    units: dict[str, str] = {}
    if path.suffix == ".toml":
        description = read(path)
        path, units = description.storage, description.units
    if not watch:
        with look(path) as study:
            _print(study, as_json, units)
        return
    _follow(path, every, _json_lines if as_json else partial(_live, units))


def _follow(path: Path, every: float, carrier: Callable[[], Any]) -> None:
    """Show a study again and again, until it has stopped or Ctrl-C."""
    if every <= 0.0:
        raise InputError(f"--every takes a positive number of seconds, not {every:g}")
    try:
        with carrier() as draw:
            while True:
                with look(path) as study:
                    draw(study)
                    if study.stop_reason is not None:
                        return
                time.sleep(every)
    except KeyboardInterrupt:
        return


@contextmanager
def _json_lines() -> Iterator[Callable[[Study], None]]:
    yield lambda study: click.echo(summary.as_json(summary.of(study)))


@contextmanager
def _live(units: dict[str, str]) -> Iterator[Callable[[Study], None]]:
    from rich.live import Live

    from optdriver.cli import showing

    with Live(console=_console(), auto_refresh=False) as live:
        yield lambda study: live.update(showing.screen(study, units), refresh=True)


def _print(study: Study, as_json: bool, units: dict[str, str]) -> None:
    if as_json:
        click.echo(summary.as_json(summary.of(study)))
    else:
        from optdriver.cli import showing  # tables are drawn by Rich, which takes its time

        _console().print(showing.screen(study, units))


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


@command(app)
@_file
@click.option("-n", type=int, default=1, help="How many suggestions.")
@click.option("--again", is_flag=True, help="Hand out again what was asked and never told.")
def ask(path: Path, n: int, again: bool) -> int:
    """Print suggestions, each a line of JSON with id and params.

    Exit status 3: nothing now, open ones must be told first.  4: the study is done.
    """
    if n < 1:
        raise InputError(f"-n takes a positive number, not {n}")
    with load_study(path) as study:
        if again:
            study.release()
        found = study.ask(n)
        for suggestion in found:
            click.echo(summary.as_json({"id": suggestion.id, "params": suggestion.params}))
        if found:
            return 0
        done = study.is_done()
        waiting = f"{len(study.open_suggestions)} suggestions are open: tell them, or ask --again"
        reason = study.stop_reason or "the study is done" if done else waiting
    print(f"optdriver: {reason}", file=sys.stderr)  # noqa: T201
    return DONE if done else NOTHING_NOW


@command(app, context_settings={"ignore_unknown_options": True})  # as -1.5 is a value
@_file
@argument("id", type=int, help="The id of the suggestion.")
@argument("value", help="The value, in any form that programs print; residuals as [1.5, 2].")
@click.option("--gradient", help='Derivatives: JSON, as [1.5, 2] or {"x1": 1.5}, or 1.5,2.')
@click.option("--output", "outputs", multiple=True, help="An output, as stress=3.5; once for each.")
@click.option(
    "--uncertainty", help="Standard deviation of the value; of residuals also [0.1, 0.2]."
)
def tell(
    path: Path,
    id: int,
    value: str,
    gradient: str | None,
    outputs: tuple[str, ...],
    uncertainty: str | None,
) -> None:
    """Tell the value of a suggestion, with its gradient if the study has jac = true.

    In a fit (driver = "least-squares") the value is the list of residuals, and the gradient their
    Jacobian, as [[1, 2], [3, 4]]: a row for each residual.  An output of a study with jac = true is
    --output 'stress={"value": 3.5, "gradient": [1, 2]}'.
    """
    from optdriver.objectives.answers import read_number

    try:
        number = _json(value, "the value") if value.startswith("[") else read_number(value)
        slopes = None if gradient is None else _gradient(gradient)
        put = dict(map(_output, outputs)) or None
        spread = None if uncertainty is None else _spread(uncertainty)
    except ValueError as error:
        raise InputError(str(error)) from None
    with load_study(path) as study:
        study.tell(id, number, slopes, outputs=put, uncertainty=spread)


def _spread(text: str) -> Any:
    from optdriver.objectives.answers import read_number

    if text.lstrip().startswith("["):
        return _json(text, "--uncertainty")
    return read_number(text)


def _output(text: str) -> tuple[str, Any]:
    from optdriver.objectives.answers import read_number

    name, found, value = text.partition("=")
    if not found:
        raise ValueError(f"an output is told as name=value, not {text[:60]!r}")
    if value.lstrip().startswith("{"):
        return name.strip(), _json(value, "--output")
    return name.strip(), read_number(value)


def _gradient(text: str) -> Any:
    from optdriver.objectives.answers import read_number

    if text.lstrip().startswith(("[", "{")):
        return _json(text, "--gradient")
    return [read_number(part) for part in text.replace(",", " ").split()]


def _json(text: str, what: str) -> Any:
    try:
        return numbers(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is no JSON: {error}") from None


@command(app)
@_file
@argument("id", type=int, help="The id of the suggestion.")
@argument("reason", default="", help="Why it failed.")
def fail(path: Path, id: int, reason: str) -> None:
    """Tell that the evaluation of a suggestion failed."""
    with load_study(path) as study:
        study.tell_failure(id, reason)


@command(app)
@_file
def stdio(path: Path) -> None:
    """Drive a study by lines of JSON on standard input and output (JSON-RPC 2.0)."""
    from optdriver.server import serve_stdio

    with load_study(path) as study:
        serve_stdio(study, sys.stdin.buffer, sys.stdout.buffer)


@command(app)
@argument("path", metavar="STUDY.db|DIR", help="A study, or a directory.", type=PATH)
@click.option(
    "--host",
    default="127.0.0.1",
    help="Where to listen; others than this machine need a token.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8787, help="0 takes a free one.")
@click.option(
    "--token-file",
    type=PATH,
    help="The file of a token; a new one is written if there is no file.",
)
@click.option(
    "--allow-host", multiple=True, help="A further name of this server, as clients call it."
)
@click.option(
    "--lease",
    type=float,
    default=math.inf,
    help="Seconds without a heartbeat after which another worker gets it.",
)
@click.option("--read-only", is_flag=True, help="Show only.")
@click.option("--dialect", help="Answer the client of another package too: jcm.")
@_as_json
def serve(
    path: Path,
    host: str,
    port: int,
    token_file: Path | None,
    allow_host: tuple[str, ...],
    lease: float,
    read_only: bool,
    dialect: str | None,
    as_json: bool,
) -> None:
    """Serve studies over HTTP: to workers on any machine, and as a page that lives.

    The token may also stand in the environment, as OPTDRIVER_TOKEN.
    """
    from optdriver.server import serving

    token = os.environ.get("OPTDRIVER_TOKEN") or None
    serving.check_installed()
    if token_file is not None:
        token = serving.read_token(token_file)
    if not lease > 0.0:
        raise InputError(f"--lease takes a positive number of seconds, not {lease:g}")

    def ready(url: str) -> None:
        if as_json:
            click.echo(summary.as_json({"url": url}))
        else:
            click.echo(f"serving {path} at {url} (Ctrl-C ends it)")
        sys.stdout.flush()

    with _logged(quiet=True):
        serving.serve(
            path, host=host, port=port, token=token, allow_hosts=allow_host, lease=lease,
            read_only=read_only, dialect=dialect, ready=ready,
        )  # fmt: skip


@command(app)
@_file
@argument("limits", nargs=-1, required=True, metavar="NAME=VALUE ...", help="New limits.")
def extend(path: Path, limits: tuple[str, ...]) -> None:
    """Change limits of a study, so that it can go on: max_iter=500 max_time=12h."""
    given = dict(_assignment(text) for text in limits)
    with load_study(path) as study:
        study.set_parameters(**given)
        reason = study.stop_reason
    click.echo(f"still stopped: {reason}" if reason else f"{path} can go on")


@command(app)
@_file
def reevaluate(path: Path) -> None:
    """Begin anew after the objective was changed; what was observed is kept as history.

    The minima that were found are the first starts, and max_iter counts from zero again.
    """
    with load_study(path) as study:
        study.reevaluate()
        former = study.info()["num_former"]
    click.echo(f"{path} begins anew: {former} evaluations are kept as those of a former objective")


def _assignment(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise InputError(f"a limit is written as max_iter=500, not {text!r}")
    if name not in parameters.TABLE and name not in parameters.ALIASES:
        raise unknown_option("driver parameter", name, parameters.TABLE)
    for number in (json.loads, float):
        try:
            return name, number(value)
        except ValueError:
            continue
    return name, seconds(name, value) if name in TIMES else value


PICTURES: Final = (
    "history",
    "runs",
    "minima",
    "parallel",
    "slices",
    "contour",
    "basins",
    "slack",
    "gradient",
)


@command(app)
@_file
@argument("picture", metavar="PICTURE.png", help="The picture's file.", type=PATH)
@click.option("--kind", help=f"One of {', '.join(PICTURES)}.")
def plot(path: Path, picture: Path, kind: str | None) -> None:
    """Draw a study; the kind is that of --kind, or the name of the picture's file."""
    from optdriver import plots

    try:
        import matplotlib as mpl
    except ImportError:
        raise missing_extra("a picture", "matplotlib", "plot") from None
    wanted = picture.stem if kind is None else kind
    if wanted not in PICTURES:
        if kind is not None:
            raise unknown_option("kind of picture", kind, PICTURES)
        wanted = "history"
    mpl.use("Agg")
    drawn = getattr(plots, wanted)(path)
    figure = (drawn.flat[0] if hasattr(drawn, "flat") else drawn).figure
    try:
        figure.savefig(picture)
    except ValueError as error:
        raise InputError(f"{picture}: {error}") from None


@command(app)
@_file
@argument("target", metavar="STUDY.jsonl", help="The file to write.", type=PATH)
def export(path: Path, target: Path) -> None:
    """Write a study as JSON Lines."""
    with look(path) as study:
        study.export(target)


@command(app, name="import")
@argument("source", metavar="STUDY.jsonl", help="What was exported.", type=PATH)
@_file
def import_(source: Path, path: Path) -> None:
    """Make the file of a study from JSON Lines."""
    import_study(source, path).close()


@command(app)
@_file
def verify(path: Path) -> None:
    """Replay a study, and compare every point to the bit."""
    with look(path) as study:
        found = study.verify()
    click.echo(f"{found.points} points, replayed bit for bit")
