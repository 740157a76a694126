"""The table of rules and peers: what is in it, and the ordering on a small part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import minima
from benchmarks.kept import Kept
from benchmarks.searches import PRESENT, RULES

CAMEL = next(kind for kind in minima.KINDS if kind.name == "six-hump camel")
CLASS = minima.KINDS[0]


def test_a_row_has_medians_quartiles_and_failures_and_targets_are_ratios_of_medians() -> None:
    every = {
        (CLASS.name, "auto"): [100, 300, 200, None],
        (CLASS.name, "sobol"): [1000, 1000, None, None],
    }
    lowest = {(CLASS.name, "auto"): [40, 40], (CLASS.name, "pycma"): [80, 100]}
    made = minima.table([CLASS], every, lowest)
    assert [row[:3] for row in made.rows] == [
        (CLASS.name, "all", "4, 4000"),
        (CLASS.name, "lowest", "2, 4000"),
    ]
    assert made.rows[0][made.header.index("auto")] == "250 [175, 1225] (1)"
    ratio, missed, best = minima.targets([CLASS], every, lowest)
    assert ratio.value == 250 / 2500
    assert missed.value == 1
    assert not missed.met
    assert best.value == 40 / 90


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


@pytest.mark.slow
def test_the_rule_auto_finds_all_minima_with_fewer_evaluations_than_the_others() -> None:
    every, lowest = minima.counted([CAMEL], 1, Kept())
    spent = {rule: sum(count or CAMEL.cap for count in every[CAMEL.name, rule]) for rule in RULES}
    assert spent["auto"] <= 0.35 * spent["sobol"]
    assert spent["auto"] == min(spent.values())
    assert None not in every[CAMEL.name, "auto"]
    assert (CAMEL.name, "dual_annealing") in lowest
