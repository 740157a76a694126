"""The table of rules and peers: what is in it, and the ordering on a small part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import scipy

from benchmarks import minima
from benchmarks.global_peers import Found
from benchmarks.kept import Kept
from benchmarks.searches import PRESENT, RULES

CAMEL = next(kind for kind in minima.KINDS if kind.name == "six-hump camel")
ELLIPSE = next(kind for kind in minima.KINDS if kind.name == "camel in an ellipse")
CLASS = minima.KINDS[0]


def found(every: list[int | None], lowest: list[int], **options: int) -> list[Found]:
    return [Found(a, b, **options) for a, b in zip(every, lowest, strict=True)]


def test_a_row_has_medians_quartiles_and_failures_and_auto_is_compared_by_medians() -> None:
    counts = {
        (CLASS.name, "auto"): found([100, 300, 200, None], [40, 40, 40, 40]),
        (CLASS.name, "sobol"): found([1000, 1000, None, None], [90, 90, 90, 90]),
        (CLASS.name, "dual_annealing"): found([None, None], [70, 90]),
    }
    made = minima.table([CLASS], counts)
    assert [row[:3] for row in made.rows] == [
        (CLASS.name, "all", "2 to 4, 4000"),
        (CLASS.name, "lowest", "2 to 4, 4000"),
    ]
    assert made.rows[0][made.header.index("auto")] == "250 [175, 1225] (1)"
    assert not made.rows[0][made.header.index("dual_annealing")]
    assert made.rows[1][made.header.index("dual_annealing")] == "80 [75, 85]"
    (verdict,) = minima.verdicts([CLASS], counts)
    assert verdict.row() == (CLASS.name, "0.10", "0.10", "sobol", "1", "0.50", "dual_annealing")
    assert [each.met for each in minima.targets([verdict])] == [True, False, True, True, True]


def test_where_nobody_finds_all_it_is_said_how_many_are_listed_and_what_was_infeasible() -> None:
    counts = {
        (ELLIPSE.name, "auto"): found([None, None, None], [5, 5, 5], some=4),
        (ELLIPSE.name, "basinhopping"): found([None, None, 900], [5, 5, 5], infeasible=7, some=3),
    }
    made = minima.table([ELLIPSE], counts)
    cells = {row[1]: dict(zip(made.header, row, strict=True)) for row in made.rows}
    assert list(cells) == ["all", "listed at the end", "lowest", "infeasible"]
    assert cells["listed at the end"]["auto"] == "4"
    assert cells["infeasible"]["basinhopping"] == "7"
    (verdict,) = minima.verdicts([ELLIPSE], counts)
    assert verdict.row()[1:] == ("", "", "", "3", "1.00", "basinhopping")
    assert verdict.infeasible == 0
    counts[ELLIPSE.name, "basinhopping"] = found([800, 700, 900], [5, 5, 5], infeasible=7)
    assert "listed at the end" not in [row[1] for row in minima.table([ELLIPSE], counts).rows]


def test_a_run_that_was_broken_off_is_gone_on_with(tmp_path: Path) -> None:
    keep = ["--keep", str(tmp_path / "kept"), "--only", "six-hump", "--seeds", "1"]
    none = minima.run([*keep, "--seconds", "0"])
    assert not none.tables
    assert "searches are not done yet" in none.text


def test_what_another_version_or_rule_has_kept_is_not_shown(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    name = f"{CAMEL.name}|auto|0"
    of = [f"{PRESENT}|", "", f"optdriver 0.9.0, {PRESENT.split(', ')[1]}|"]
    for before, shown in zip(of, (True, False, False), strict=True):
        kept.write_text(json.dumps([before + name, [1, 1]]) + "\n")
        arguments = ["--keep", str(kept), "--seeds", "1", "--rules", "auto", "--seconds", "0"]
        made = minima.run([*arguments, "--only", CAMEL.name, "--part", "distinct"])
        assert bool(made.tables) is shown


def test_a_peer_counts_for_the_version_of_its_package(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for of, shown in ((f"scipy {scipy.__version__}", True), ("scipy 1.0", False)):
        kept.write_text(json.dumps([f"{of}|{CAMEL.name}|shgo|0", [1, 1, 0, 6]]) + "\n")
        found = minima.counted([CAMEL], 1, Kept(kept, seconds=0.0), ["shgo"])
        assert bool(found) is shown


@pytest.mark.slow
def test_the_rule_auto_finds_all_minima_with_fewer_evaluations_than_the_others() -> None:
    names = [*RULES, "shgo", "basinhopping", "dual_annealing"]
    counts = minima.counted([CAMEL], 1, Kept(), names)
    of = {name: each[0] for (_, name), each in counts.items()}
    spent = {name: each.all or CAMEL.cap for name, each in of.items() if minima.lists(name)}
    assert {*RULES, "shgo", "basinhopping"} == set(spent)
    assert spent["auto"] <= 0.35 * spent["sobol"]
    assert spent["auto"] == min(spent.values())
    assert of["auto"].all is not None
    assert of["dual_annealing"].all is None
    assert of["dual_annealing"].lowest is not None


@pytest.mark.slow
def test_under_constraints_only_the_rules_are_always_feasible() -> None:
    counts = minima.counted([ELLIPSE], 1, Kept(), ["auto", "mlsl", "basinhopping"])
    of = {name: each[0] for (_, name), each in counts.items()}
    assert of["auto"].infeasible == of["mlsl"].infeasible == 0 < of["basinhopping"].infeasible
    assert of["auto"].all < of["mlsl"].all
    assert of["auto"].all < (of["basinhopping"].all or ELLIPSE.cap)
