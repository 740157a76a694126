"""A study stated in a file: reading `study.toml`, and checking it before anything is written."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from optdriver.errors import InputError, OptDriverError, StorageError, unknown_option
from optdriver.studies import create_study, load_study
from optdriver.study import Study, parameters

_SECTIONS: Final = (
    "name", "storage", "parameters", "constraints", "outputs", "study", "objective",
)  # fmt: skip
_STUDY: Final = ("driver", "durability", *parameters.TABLE, *parameters.ALIASES)
OBJECTIVE: Final = (
    "command", "template", "value", "gradient", "outputs", "uncertainty", "workdir",
    "keep", "timeout", "env",
)  # fmt: skip
_PARAMETER: Final = ("domain", "formula", "unit", "scale")
_SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
TIMES: Final = ("max_time", "lease_seconds")
"""Driver parameters that may be texts, as ``'12h'``."""
_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?)\s*(s|min|h|d)")

LIMITS: Final = tuple(
    name
    for name, row in parameters.TABLE.items()
    if (row.owner == "study" or name in parameters.LATER) and name not in parameters.FIXED
)
"""Driver parameters that a study in a file may have other values of by now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What a `study.toml` says.

    Attributes
    ----------
    path : Path
    storage : Path
        The file of the study; relative ones are beside `path`.
    arguments : dict
        Arguments of `optdriver.create_study`.
    given : dict
        Driver parameters, those that are written.
    objective : dict
        Arguments of `optdriver.SubprocessObjective`, empty if there is no program.
    units : dict
        Units of parameters, by name: shown, never computed with.
    """

    path: Path
    storage: Path
    arguments: dict[str, Any]
    given: dict[str, Any]
    objective: dict[str, Any]
    units: dict[str, str]


def read(path: Path) -> Description:
    """Read and check a description.

    Raises
    ------
    InputError
        If it cannot be used; the message begins with the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text in UTF-8") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {error}") from None
    return _Reader(path, text).description(data)


class _Reader:
    """Turns the tables of one file into a description; its errors know the line."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()

    def description(self, data: dict[str, Any]) -> Description:
        self.known("", data, _SECTIONS)
        for section in _SECTIONS[2:]:
            if not isinstance(data.get(section, {}), dict):
                raise self.error(f"{section!r} is a table: [{section}]", section)
        if not data.get("parameters"):
            raise InputError(f"{self.path}: there is no table [parameters], with a line for each")
        study = dict(data.get("study", {}))
        self.known("study", study, _STUDY)
        objective = self.objective(dict(data.get("objective", {})))
        name = self.text("name", data.get("name", self.path.stem))
        storage = self.text("storage", data.get("storage", f"{name}.db"))
        domain = [self.parameter(name, value) for name, value in data["parameters"].items()]
        constraints = [
            {"name": name, "constraint": self.text(name, text, "constraints")}
            for name, text in data.get("constraints", {}).items()
        ]
        arguments: dict[str, Any] = {"domain": domain, "constraints": constraints, "name": name}
        if data.get("outputs"):
            arguments["outputs"] = self.outputs(data["outputs"])
        arguments |= {key: study.pop(key) for key in ("driver", "durability") if key in study}
        real = parameters.ALIASES
        given: dict[str, Any] = {
            str(real.get(key, key)): self.value(key, item) for key, item in study.items()
        }
        return Description(
            path=self.path,
            storage=self.path.resolve().parent / storage,
            arguments=arguments,
            given=given,
            objective=objective,
            units=self.units(data["parameters"]),
        )

    def parameter(self, name: str, value: Any) -> dict[str, Any]:
        """Return an entry of a domain."""
        if not isinstance(value, dict):
            return {"name": name, "type": "fixed", "domain": value}
        self.known("parameters", value, _PARAMETER, name)
        if "formula" in value:
            if not value.keys() <= {"formula", "unit"}:
                message = f"parameter {name!r} has a formula, and needs no more than a unit"
                raise self.error(message, name, "parameters")
            if not isinstance(value["formula"], str):
                message = f"the formula of {name!r} is a text, not {value['formula']!r}"
                raise self.error(message, name, "parameters")
            return {"name": name, "type": "dependent", "domain": value["formula"]}
        if "domain" not in value:
            message = f"parameter {name!r} needs domain = [low, high], or formula = '2*other'"
            raise self.error(message, name, "parameters")
        entry = {"name": name, "type": "continuous", "domain": value["domain"]}
        return entry | ({"scale": value["scale"]} if "scale" in value else {})

    def outputs(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return limits on outputs, None for an output without one: an empty text."""
        for key, value in given.items():
            pair = isinstance(value, list) and len(value) == 2
            if not isinstance(value, str) and not pair:
                message = (
                    f"the limit of {key!r} is a text, as '<= 250', a pair [low, high], or '' for "
                    f"an output that is only recorded; not {value!r}"
                )
                raise self.error(message, key, "outputs")
        return {key: None if value == "" else value for key, value in given.items()}

    def units(self, given: dict[str, Any]) -> dict[str, str]:
        tables = {name: value for name, value in given.items() if isinstance(value, dict)}
        return {
            name: self.text(name, value["unit"], "parameters")
            for name, value in tables.items()
            if "unit" in value
        }

    def objective(self, given: dict[str, Any]) -> dict[str, Any]:
        self.known("objective", given, OBJECTIVE)
        if given and "command" not in given:
            raise self.error("[objective] needs command = [program, arguments ...]", "objective")
        if "timeout" in given:
            given["timeout"] = self.seconds("timeout", given["timeout"], "objective")
        if "template" in given and isinstance(given["template"], Mapping):
            beside = self.path.resolve().parent
            given["template"] = {str(beside / a): b for a, b in given["template"].items()}
        return given

    def value(self, key: str, value: Any) -> Any:
        return self.seconds(key, value, "study") if key in TIMES else value

    def seconds(self, key: str, value: Any, table: str) -> Any:
        """Return seconds, as `seconds` does; the error knows the line."""
        try:
            return seconds(key, value)
        except InputError as error:
            raise self.error(str(error), key, table) from None

    def text(self, key: str, value: Any, table: str = "") -> str:
        if not isinstance(value, str) or not value:
            raise self.error(f"{key} is a text, not {value!r}", key, table)
        return value

    def known(
        self, table: str, given: Mapping[str, Any], known: tuple[str, ...], inside: str = ""
    ) -> None:
        """Refuse a key that means nothing, and name the nearest one that does."""
        for key in given:
            if key not in known:
                where = f"[{table}]" + (f" {inside}" if inside else "") if table else "the file"
                error = unknown_option(f"key of {where}:", str(key), known)
                raise self.error(str(error), inside or key, table)

    def error(self, message: str, key: str, table: str = "") -> InputError:
        return InputError(f"{self.path}, line {self.line(key, table)}: {message}")

    def line(self, key: str, table: str) -> int:
        """Return the line where a key of a table stands, 1 if it cannot be told."""
        inside = ""
        names = (re.escape(key), re.escape(f'"{key}"'), re.escape(f"'{key}'"))
        pattern = re.compile(rf"\s*(?:{'|'.join(names)})\s*[=.]")
        header = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+")
        for number, line in enumerate(self.lines, 1):
            found = header.match(line)
            if found and "=" not in line.split("]")[0]:
                inside = found[1]
                if key == inside and not table:
                    return number
                if f"{table}.{key}" == inside:
                    return number
            elif pattern.match(line) and inside in (table, f"{table}.{key}"):
                return number
        return 1


def seconds(key: str, value: Any) -> Any:
    """Return seconds: a number, or a text such as ``"40min"`` and ``"1.5 h"``.

    Raises
    ------
    InputError
        For a text that is no time.
    """
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        message = f"{key} is a number of seconds, or a text such as '90s', '40min', '12h', '2d'"
        raise InputError(f"{message}; not {value!r}")
    return float(found[1]) * _SECONDS[found[2]]


def open_or_create(description: Description) -> tuple[Study, list[str]]:
    """Return the study of a description, and what its file says otherwise by now.

    Raises
    ------
    InputError
        If the file keeps another study; the message shows the difference, and nothing is changed.
    """
    try:
        arguments = description.arguments | {"storage": description.storage}
        if not description.storage.exists():
            return create_study(**arguments, **description.given), []
        study = create_study(**arguments)
        try:
            return study, differences(study, description)
        except BaseException:
            study.close()
            raise
    except StorageError:
        raise
    except OptDriverError as error:
        raise InputError(f"{description.path}: {error}") from error


def differences(study: Study, description: Description) -> list[str]:
    """Return the limits that a study has otherwise than its description says.

    Raises
    ------
    InputError
        If it differs in what cannot be changed.
    """
    checked = study.spec.with_parameters(description.given).parameters
    present = study.parameters
    notes = []
    for name in description.given:
        if checked[name] == present[name]:
            continue
        if name not in LIMITS:
            raise InputError(
                f"{name} is {present[name]!r} in {description.storage.name}, and {checked[name]!r} "
                "here; a study that has begun keeps it: write the same, or take another file"
            )
        notes.append(
            f"{name} is {present[name]!r} in {description.storage.name} (here {checked[name]!r}); "
            f"'optdriver extend {description.storage.name} {name}=...' changes it"
        )
    return notes


def check(description: Description) -> Study:
    """Make the study in memory, as it would be; what cannot be used is an `InputError`."""
    try:
        return create_study(
            **{k: v for k, v in description.arguments.items() if k != "durability"},
            **description.given,
        )
    except OptDriverError as error:
        raise InputError(f"{description.path}: {error}") from error


def look(path: Path) -> Study:
    """Open a study to look at it."""
    return load_study(path, read_only=True)
