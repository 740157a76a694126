"""A long benchmark goes on where it was broken off."""

from __future__ import annotations

from pathlib import Path

from benchmarks.kept import Kept


def test_what_was_done_is_not_done_again_and_a_torn_line_is_none(tmp_path: Path) -> None:
    path, made = tmp_path / "kept.jsonl", []

    def make(name: str) -> list[str | None]:
        made.append(name)
        return [name, None]

    first = Kept(path)
    assert first.get("a", lambda: make("a")) == ["a", None] == first.get("a", lambda: make("a"))
    first.get("b", lambda: make("b"))
    whole = path.read_text()
    path.write_text(whole[:-5])
    second = Kept(path)
    for name in ("a", "b", "c"):
        second.get(name, lambda name=name: make(name))
    assert made == ["a", "b", "b", "c"]
    third = Kept(path)
    assert [third.get(name, lambda: make("d")) for name in "abc"] == [[k, None] for k in "abc"]


def test_nothing_is_begun_when_the_time_is_over(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept.jsonl", seconds=-1.0)
    assert kept.get("a", lambda: 1) is None and kept.missing == 1


def test_what_is_of_another_version_is_made_again_and_kept(tmp_path):
    path = tmp_path / "kept.jsonl"
    assert Kept(path).get("a", lambda: 0) == 0
    assert Kept(path, of="1").get("a", lambda: 1) == 1
    assert Kept(path, of="2").get("a", lambda: 2) == 2
    assert [Kept(path, of=of).get("a", lambda: 3) for of in ("", "1", "2")] == [0, 1, 2]
