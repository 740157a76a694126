"""Writes the pages of the reference that say what the code says: commands, messages, study.toml.

    python docs/generate.py

The tests compare the pages with what this would write.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numpydoc.docscrape import ClassDoc

import optdriver
from optdriver.cli import commands, description
from optdriver.server.description import described
from optdriver.server.wire import READING, REQUESTS

HERE = Path(__file__).resolve().parent / "reference"


def cell(text: str) -> str:
    """Return a text in a cell of a table: one line, code in single backticks."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def table(*head: str) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]


# -- commands -----------------------------------------------------------------------------


def command_pages() -> Iterator[str]:
    yield "# Commands\n\nWritten from the code by `docs/generate.py`. How they are used:"
    yield "[a night and a morning](../how-to/command-line.md)."
    yield "\n" + cell(commands.app.epilog or "")
    for name, command in sorted(commands.app.commands.items()):
        yield f"\n## optdriver {name}\n"
        yield inspect.cleandoc(command.help or "")
        rows = [row for parameter in command.params if (row := option(parameter))]
        if rows:
            yield "\n" + "\n".join([*table("given", "means", "without it"), *rows])


def option(parameter: Any) -> str | None:
    """Return the row of an argument or an option, None for what every command has."""
    if parameter.name == "help":
        return None
    if parameter.param_type_name == "argument":
        name, without = parameter.metavar or parameter.name.upper(), ""
        if not parameter.required:
            without = repr(parameter.default)
    else:
        name, without = ", ".join(parameter.opts), ""
        default = parameter.to_info_dict()["default"]
        if default not in (None, False, "", ()):
            without = str(default)
    return f"| `{name}` | {cell(parameter.help or '')} | {without} |"


# -- messages -----------------------------------------------------------------------------


def message_pages() -> Iterator[str]:
    yield "# Messages\n\nWritten from the code by `docs/generate.py`. The same over"
    yield "[HTTP](../how-to/server.md) (`POST /studies/NAME/REQUEST`; those that change nothing"
    yield "by `GET` too) and on"
    yield "[standard input and output](../how-to/command-line.md#from-another-language)."
    yield "Parameters are given by name; those without a default must be. `wait` is known over HTTP"
    yield "only."
    for request in REQUESTS:
        text, schema = described(request)
        needed = schema.get("required", [])
        yield f"\n## {request}\n"
        yield text
        if request not in READING:
            yield "\nChanges the study: `POST` over HTTP."
        rows = [
            f"| `{name}` | {kind(entry)} | {'required' if name in needed else ''} |"
            for name, entry in schema["properties"].items()
        ]
        if rows:
            yield "\n" + "\n".join([*table("parameter", "type", ""), *rows])


def kind(entry: dict[str, Any]) -> str:
    found = entry.get("type", "any")
    return " or ".join([found] if isinstance(found, str) else found)


# -- study.toml ---------------------------------------------------------------------------

PARAMETER = {
    "domain": "`[low, high]`, the range in which it is varied",
    "formula": "a formula of other parameters on which it depends, as `'2*d1'`; no `domain` then",
    "unit": "a text that is shown; nothing is computed with it",
    "scale": "`'log'`: minimizers see its logarithm",
}
TOP = {
    "name": "a label; the file's name without it",
    "storage": "the file that keeps the study, `NAME.db` without it; relative to this one",
    "parameters": "a line for each parameter: a table as below, or a fixed number or text",
    "constraints": "a text for each name, as `total = 'd1 + d2 <= 500'`",
    "outputs": "a limit for each output, or formula of outputs, as `stress = '<= 250'`, `''` for "
    "one that is only recorded: see [outputs](../how-to/outputs.md)",
    "study": "driver, limits and options, as below",
    "objective": "the program, as below; only `run` needs it",
}


def description_pages() -> Iterator[str]:
    yield "# study.toml\n\nWritten from the code by `docs/generate.py`. How it is used:"
    yield "[a night and a morning](../how-to/command-line.md). A key that means nothing is refused"
    yield "with its line and the nearest one that does."
    yield "\n" + "\n".join([*table("key", "means"), *rows(TOP, description._SECTIONS)])
    yield "\n## [parameters]\n\nA parameter that is varied or depends on others is a table with:\n"
    yield "\n".join([*table("key", "means"), *rows(PARAMETER, description._PARAMETER)])
    yield "\n## [study]\n\n`driver` is a [name](../how-to/other-methods.md) (L-BFGS-B without it),"
    yield "`durability` is `'process'` or `'power'` (what was told survives a loss of power, and"
    yield "every call waits for the disk). Times may be texts, as `'90s'`, `'40min'`, `'12h'`,"
    yield "`'2d'`; `inf` is no limit. All others are the"
    yield "[driver parameters](parameters.md); limits can be changed later by `optdriver extend`."
    yield "\n## [objective]\n\nThe arguments of `optdriver.SubprocessObjective`; `timeout` may be"
    yield "a text.\n"
    found = {}
    for parameter in ClassDoc(optdriver.SubprocessObjective)["Parameters"]:
        for name in parameter.name.split(", "):
            found[name] = cell(" ".join(parameter.desc))
    yield "\n".join([*table("key", "means"), *rows(found, description.OBJECTIVE)])


def rows(meanings: dict[str, str], keys: tuple[str, ...]) -> list[str]:
    return [f"| `{key}` | {meanings[key]} |" for key in keys]


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "commands.md": command_pages,
    "messages.md": message_pages,
    "study-toml.md": description_pages,
}


def page(name: str) -> str:
    """Return a page as it should be."""
    return inspect.cleandoc("\n".join(PAGES[name]())) + "\n"


def main() -> None:
    for name in PAGES:
        HERE.joinpath(name).write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
