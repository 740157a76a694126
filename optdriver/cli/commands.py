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
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.live import Live

from optdriver.cli import example, showing
from optdriver.cli.description import check as checked
from optdriver.cli.description import look, open_or_create, read, seconds
from optdriver.errors import InputError, OptDriverError, unknown_option
from optdriver.messages import numbers
from optdriver.objectives import SubprocessObjective
from optdriver.storage import import_study, load_study
from optdriver.study import Study, parameters

NOTHING_NOW: Final = 3
"""Exit status of `ask`: nothing can be asked before open suggestions are told."""
DONE: Final = 4
"""Exit status of `ask`: the study is done."""
STOPPED: Final = 5
"""Exit status of `run`: the study stopped since its evaluations fail, or its gradient is wrong."""
INTERRUPTED: Final = 130
"""Exit status of `run` after Ctrl-C."""

app = typer.Typer(
    name="optdriver",
    help="Minimise what a program computes: studies in files, stopped and resumed at any time.",
    epilog="Exit status: 0 done as asked, 1 an error, 2 wrong usage, 3 nothing to ask now, 4 the "
    "study is done, 5 stopped for failures, 130 Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_out: Final = Console(highlight=False, soft_wrap=False)

File = Annotated[Path, typer.Argument(metavar="STUDY.db", help="The file of a study.")]
Description = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study, stated.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON, for programs.")]


def run_app() -> int:
    """Run the command line and return its exit status; errors of ours are one message."""
    try:
        status = app(standalone_mode=False)
    except OptDriverError as error:
        print(f"optdriver: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except typer.Exit as end:
        return end.exit_code
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):  # not one of the command line's own
            raise
        error.show()  # type: ignore[attr-defined]  # a usage error, which Typer's parser made
        return int(getattr(error, "exit_code", 2))
    return status if isinstance(status, int) else 0


@app.command()
def new(path: Description) -> None:
    """Write a commented description of a study, to be edited."""
    if path.exists():
        raise InputError(f"{path} is there already")
    path.write_text(example.text(path.stem, path.name), encoding="utf-8")
    _out.print(f"wrote {path}; edit it, then: optdriver run {path}")


@app.command()
def check(path: Description, as_json: AsJson = False) -> None:
    """Check a description, and write nothing."""
    description = read(path)
    study = checked(description)
    if description.objective:
        SubprocessObjective(**description.objective)
    if as_json:
        _out.out(showing.as_json(study.describe() | {"units": description.units}))
        return
    for entry in description.arguments["domain"]:
        unit = description.units.get(entry["name"], "")
        _out.print(f"{entry['name']}: {entry['domain']} {unit}".rstrip())
    _out.print(f"{path} can be run; the study will be kept in {description.storage}")


@app.command()
def run(
    path: Description,
    max_evaluations: Annotated[
        int | None, typer.Option(help="Return after so many evaluations of this call.")
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(help="End an evaluation that takes longer, as 90s or 40min, in this call."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the end only.")] = False,
    as_json: AsJson = False,
) -> int:
    """Create the study, or go on with it, and evaluate until it is done.

    The first Ctrl-C waits for the open evaluations, the second leaves at once; either way the same
    command goes on later.
    """
    description = read(path)
    if not description.objective:
        raise InputError(f"{path} has no table [objective], so there is nothing to run")
    limit = {} if timeout is None else {"timeout": _seconds(timeout)}
    objective = SubprocessObjective(**description.objective | limit)
    study, notes = open_or_create(description)
    with study, _logged(quiet):
        for note in notes:
            logging.getLogger("optdriver").warning("%s", note)
        study.run(objective, max_evaluations=max_evaluations, progress=None if not quiet else False)
        _print(study, as_json)
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


@app.command()
def show(
    path: File,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing what changes.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks, with --watch.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Show a study, also while another process runs it."""
    if not watch:
        with look(path) as study:
            _print(study, as_json)
        return
    _follow(path, every, _json_lines if as_json else _live)


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
    yield lambda study: _out.out(showing.as_json(showing.summary(study)))


@contextmanager
def _live() -> Iterator[Callable[[Study], None]]:
    with Live(console=_out, auto_refresh=False) as live:
        yield lambda study: live.update(showing.screen(study), refresh=True)


def _print(study: Study, as_json: bool) -> None:
    if as_json:
        _out.out(showing.as_json(showing.summary(study)))
    else:
        _out.print(showing.screen(study))


@app.command()
def ask(
    path: File,
    n: Annotated[int, typer.Option("-n", help="How many suggestions.")] = 1,
    again: Annotated[
        bool, typer.Option("--again", help="Hand out again what was asked and never told.")
    ] = False,
) -> int:
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
            _out.out(showing.as_json({"id": suggestion.id, "params": suggestion.params}))
        if found:
            return 0
        done = study.is_done()
        waiting = f"{len(study.open_suggestions)} suggestions are open: tell them, or ask --again"
        reason = study.stop_reason or "the study is done" if done else waiting
    print(f"optdriver: {reason}", file=sys.stderr)  # noqa: T201
    return DONE if done else NOTHING_NOW


@app.command()
def tell(
    path: File,
    id: Annotated[int, typer.Argument(help="The id of the suggestion.")],
    value: Annotated[str, typer.Argument(help="The value, in any form that programs print.")],
    gradient: Annotated[
        str | None,
        typer.Option(help='Derivatives: JSON, as [1.5, 2] or {"x1": 1.5}, or 1.5,2.'),
    ] = None,
) -> None:
    """Tell the value of a suggestion, with its gradient if the study has jac = true."""
    from optdriver.objectives.answers import read_number

    try:
        number = read_number(value)
        slopes = None if gradient is None else _gradient(gradient)
    except ValueError as error:
        raise InputError(str(error)) from None
    with load_study(path) as study:
        study.tell(id, number, slopes)


def _gradient(text: str) -> Any:
    from optdriver.objectives.answers import read_number

    if text.lstrip().startswith(("[", "{")):
        try:
            return numbers(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"--gradient is no JSON: {error}") from None
    return [read_number(part) for part in text.replace(",", " ").split()]


@app.command()
def fail(
    path: File,
    id: Annotated[int, typer.Argument(help="The id of the suggestion.")],
    reason: Annotated[str, typer.Argument(help="Why it failed.")] = "",
) -> None:
    """Tell that the evaluation of a suggestion failed."""
    with load_study(path) as study:
        study.tell_failure(id, reason)


@app.command()
def stdio(path: File) -> None:
    """Drive a study by lines of JSON on standard input and output (JSON-RPC 2.0)."""
    from optdriver.server import serve_stdio

    with load_study(path) as study:
        serve_stdio(study, sys.stdin.buffer, sys.stdout.buffer)


@app.command()
def serve(
    path: Annotated[Path, typer.Argument(metavar="STUDY.db|DIR", help="A study, or a directory.")],
    host: Annotated[
        str, typer.Option(help="Where to listen; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8787,
    token_file: Annotated[
        Path | None,
        typer.Option(help="The file of a token; a new one is written if there is no file."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name of this server, as clients call it.")
    ] = None,
    lease: Annotated[
        float, typer.Option(help="Seconds without a heartbeat after which another worker gets it.")
    ] = math.inf,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show only.")] = False,
    dialect: Annotated[
        str | None, typer.Option(help="Answer the client of another package too: jcm.")
    ] = None,
    as_json: AsJson = False,
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
            _out.out(showing.as_json({"url": url}))
        else:
            _out.print(f"serving {path} at {url} (Ctrl-C ends it)")
        sys.stdout.flush()

    with _logged(quiet=True):
        serving.serve(
            path, host=host, port=port, token=token, allow_hosts=allow_host or (), lease=lease,
            read_only=read_only, dialect=dialect, ready=ready,
        )  # fmt: skip


@app.command()
def extend(
    path: File,
    limits: Annotated[list[str], typer.Argument(metavar="NAME=VALUE ...", help="New limits.")],
) -> None:
    """Change limits of a study, so that it can go on: max_iter=500 max_time=inf."""
    given = dict(_assignment(text) for text in limits)
    with load_study(path) as study:
        study.set_parameters(**given)
        reason = study.stop_reason
    _out.print(f"still stopped: {reason}" if reason else f"{path} can go on")


@app.command()
def reevaluate(path: File) -> None:
    """Begin anew after the objective was changed; what was observed is kept as history.

    The minima that were found are the first starts, and max_iter counts from zero again.
    """
    with load_study(path) as study:
        study.reevaluate()
        former = study.info()["num_former"]
    _out.print(f"{path} begins anew: {former} evaluations are kept as those of a former objective")


def _assignment(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise InputError(f"a limit is written as max_iter=500, not {text!r}")
    if name not in parameters.TABLE and name not in parameters.ALIASES:
        raise unknown_option("driver parameter", name, parameters.TABLE)
    try:
        return name, json.loads(value)
    except ValueError:
        pass
    try:
        return name, float(value)
    except ValueError:
        return name, value


PICTURES: Final = (
    "history",
    "runs",
    "minima",
    "parallel",
    "slices",
    "contour",
    "slack",
    "gradient",
)


@app.command()
def plot(
    path: File,
    picture: Annotated[Path, typer.Argument(metavar="PICTURE.png", help="The picture's file.")],
    kind: Annotated[str | None, typer.Option(help=f"One of {', '.join(PICTURES)}.")] = None,
) -> None:
    """Draw a study; the kind is that of --kind, or the name of the picture's file."""
    import matplotlib as mpl

    from optdriver import plots

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


@app.command()
def export(path: File, target: Annotated[Path, typer.Argument(metavar="STUDY.jsonl")]) -> None:
    """Write a study as JSON Lines."""
    with look(path) as study:
        study.export(target)


@app.command("import")
def import_(source: Annotated[Path, typer.Argument(metavar="STUDY.jsonl")], path: File) -> None:
    """Make the file of a study from JSON Lines."""
    import_study(source, path).close()


@app.command()
def verify(path: File) -> None:
    """Replay a study, and compare every point to the bit."""
    with look(path) as study:
        found = study.verify()
    _out.print(f"{found.points} points, replayed bit for bit")
