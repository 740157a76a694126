"""The shape of the house: every import points inwards, and nothing imports in a circle.

The imports are read from the source, those inside functions, those for type checkers and those by
name too, so that an arrow cannot hide.  `optdriver/__init__.py` alone is exempt: it hands out the
public names of all rings, and nothing inside may import from it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from optdriver import outer

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "optdriver"

# Inner rings first; in a ring, a room may import from the rooms listed before it.
RINGS: list[list[str]] = [
    [
        "version",
        "outer",
        "errors",
        "outstanding",
        "numerics",
        "stored",
        "undo",
        "reading",
        "plugins",
        "messages",
        "moved",
        "stepping",
    ],
    ["lbfgsb", "config"],
    ["geometry", "leastsquares", "formulas"],
    ["space", "structures", "constraints", "feasible", "sqp", "coroutine"],
    ["multistart", "population", "drivers"],
    ["study", "storage"],
    ["execution", "objectives", "batch"],
    ["studies", "minimization", "integrations", "plots", "remote"],
    ["server", "cli", "__main__"],
]
PLACE = {room: (ring, seat) for ring, rooms in enumerate(RINGS) for seat, room in enumerate(rooms)}

# The pages of the paper, in the order in which they may lean on each other.
PAGES = ["soundness", "state", "linalg", "memory", "cauchy", "subspace"]
PAGES += ["line_search", "stopping", "machine", "lanes", "options", "minimizer"]

# What outer rings do for inner ones, without being imported by them: the function and who calls it.
CALLED_OUTWARDS = {
    "add_gradients": "study",
    "export_study": "study",
    "run": "study",
    "verify": "study",
}

FORBIDDEN_CALLS = {"eval", "exec", "sympify", "parse_expr"}
FORBIDDEN_ATTRIBUTES = {("pickle", "load"), ("pickle", "loads")} | {
    ("sympy", "sympify"),
    ("sympy", "parse_expr"),
}


def modules(package: Path) -> dict[str, Path]:
    """Return dotted name -> file of every module below `package`."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return all that is in a file: walking there takes longer than what is looked for."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def callee(node: ast.expr) -> str:
    """Return the dotted name of what is called; only its end, if more than names lead there."""
    if isinstance(node, ast.Attribute):
        return f"{callee(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield the modules among `known` that the module `name` imports, at any level."""
    top = name.partition(".")[0]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            targets = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").removeprefix("cython.cimports.")
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            targets = [(base, alias.name) for alias in node.names]
        elif isinstance(node, ast.Call) and callee(node.func).endswith("import_module"):
            targets = [(str(arg.value), "") for arg in node.args if isinstance(arg, ast.Constant)]
        else:
            continue
        for base, leaf in targets:
            if base.partition(".")[0] == top:
                yield f"{base}.{leaf}" if f"{base}.{leaf}" in known else base


@functools.cache
def arrows(package: Path) -> dict[str, set[str]]:
    """Return module -> the modules that it imports, `__init__` of the whole left out."""
    known = modules(package)
    return {
        name: set(imports(name, path, known)) - {name}
        for name, path in known.items()
        if name != package.name
    }


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def outward(graph: dict[str, set[str]]) -> list[str]:
    """Return a sentence for every arrow that the rings do not allow."""
    wrong = []
    for module, targets in graph.items():
        for target in sorted(targets):
            here, there = room(module), room(target)
            if here == there:
                continue
            if there not in PLACE:
                wrong.append(f"{module} imports {target}, which is in no ring")
            elif here in PLACE and not PLACE[there] < PLACE[here]:
                wrong.append(f"{module} imports {target}: an outward arrow")
    return wrong


def test_every_room_has_its_ring() -> None:
    rooms = {room(name) for name in arrows(PACKAGE)}
    assert rooms <= PLACE.keys(), f"in no ring: {sorted(rooms - PLACE.keys())}"


def test_imports_point_inwards() -> None:
    assert outward(arrows(PACKAGE)) == []


def called_outwards(name: str, path: Path) -> Iterator[tuple[str, str]]:
    """Yield the functions that a module calls by `optdriver.outer`, with its room."""
    for node in nodes(path):
        if isinstance(node, ast.Call) and callee(node.func) == "outer.call":
            yield ast.literal_eval(node.args[0]), room(name)


def test_what_is_called_outwards_is_bound_and_stands_here() -> None:
    modules_ = modules(PACKAGE).items()
    assert (
        dict(pair for name, path in modules_ for pair in called_outwards(name, path))
        == CALLED_OUTWARDS
    )
    for name in CALLED_OUTWARDS:
        assert callable(outer.function(name))


def test_no_circle() -> None:
    TopologicalSorter(arrows(PACKAGE)).prepare()


def test_the_pages_of_the_kernel_are_in_order() -> None:
    kernel = "optdriver.lbfgsb."
    seat = {kernel + page: k for k, page in enumerate(PAGES)}
    wrong = [
        f"{module} imports {target}"
        for module, targets in arrows(PACKAGE).items()
        for target in targets
        if module in seat and target in seat and seat[target] > seat[module]
    ]
    assert wrong == []


def forbidden(text: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Yield line and name of what the package must not contain."""
    for node in text:
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert"
        elif isinstance(node, ast.Name) and node.id in FORBIDDEN_CALLS:
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in FORBIDDEN_ATTRIBUTES:
                yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (node.module, alias.name) in FORBIDDEN_ATTRIBUTES:
                    yield node.lineno, f"{node.module}.{alias.name}"


def test_no_assert_and_nothing_that_runs_text_as_code() -> None:
    paths = modules(PACKAGE).values()
    assert len(paths) > 100
    assert [(path, *found) for path in paths for found in forbidden(nodes(path))] == []


def house(tmp_path: Path, **files: str) -> dict[str, set[str]]:
    """Build a small package named optdriver and return its arrows."""
    root = tmp_path / "optdriver"
    for name, text in {"__init__": "", **files}.items():
        path = root.joinpath(*name.split("__in__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return arrows(root)


@pytest.mark.parametrize(
    "text",
    [
        "import optdriver.study",
        "from optdriver import study",
        "from . import study",
        "from .study import Study",
        "def later():\n    from optdriver.study import Study",
        "def later():\n    importlib.import_module('optdriver.study').run()",
        "if TYPE_CHECKING:\n    from optdriver.study import Study",
    ],
)
def test_the_reader_sees_an_outward_arrow(tmp_path: Path, text: str) -> None:
    graph = house(tmp_path, study="", space=text)
    assert outward(graph) == ["optdriver.space imports optdriver.study: an outward arrow"]


def test_the_reader_sees_an_arrow_to_a_later_room_of_the_ring(tmp_path: Path) -> None:
    graph = house(tmp_path, space="from optdriver import sqp", sqp="")
    assert outward(graph) == ["optdriver.space imports optdriver.sqp: an outward arrow"]


def test_the_reader_sees_a_circle(tmp_path: Path) -> None:
    graph = house(
        tmp_path,
        lbfgsb__in__state="from cython.cimports.optdriver.lbfgsb.linalg import dot",
        lbfgsb__in__linalg="from .state import State",
    )
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    "text",
    [
        "assert x",
        "eval('1')",
        "import pickle\npickle.loads(b)",
        "from pickle import load",
        "import sympy\nsympy.sympify('x')",
        "from sympy import sympify",
    ],
)
def test_the_reader_sees_what_must_not_be_there(text: str) -> None:
    assert list(forbidden(ast.walk(ast.parse(text))))
