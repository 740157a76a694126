"""Input decks made from templates: Jinja2, in its sandbox, with nothing but the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optdriver.errors import InputError, InputTypeError, missing_extra, nearest


def checked_templates(given: Any) -> dict[str, str]:
    """Return templates as paths of the template and names of the file made from each."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputTypeError(f"template is a dictionary {{'deck.in.j2': 'deck.in'}}, not {given!r}")
    for source in given:
        if not Path(source).is_file():
            raise InputError(f"there is no template {source}")
    _environment()
    return {str(Path(source).resolve()): str(target) for source, target in given.items()}


def fill(templates: Mapping[str, str], params: Mapping[str, Any], workdir: Path) -> None:
    """Write each file from its template.

    Raises
    ------
    InputError
        If a template names something that is no parameter, or cannot be read as a template.
    """
    for source, target in templates.items():
        text = render(Path(source), params)
        path = workdir / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def render(source: Path, params: Mapping[str, Any]) -> str:
    """Return a template with the parameters filled in."""
    import jinja2

    environment = _environment()
    try:
        return str(environment.from_string(source.read_text(encoding="utf-8")).render(**params))
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"{source}, line {error.lineno}: {error.message}") from None
    except jinja2.TemplateError as error:
        raise InputError(f"{source}: {error}{_meant(str(error), params)}") from None


def _meant(message: str, params: Mapping[str, Any]) -> str:
    quoted = message.split("'")
    return nearest(quoted[1], params) if len(quoted) > 2 else ""


def _environment() -> Any:
    try:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise missing_extra("a template", "jinja2", "cli") from error
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
