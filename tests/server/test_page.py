"""The page: whole in itself, and nothing of a study is ever markup in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

import optdriver
from optdriver.server import page


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def tags():
    reader = Reader()
    reader.feed(page.text())
    return reader.tags


def test_it_loads_nothing_from_anywhere(tags):
    for tag, attributes in tags:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            assert attributes.get(name, "data:,") == "data:,", (tag, attributes)
    assert not re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z]", page.text())
    assert "@import" not in page.text()
    assert "url(" not in page.text()


def test_texts_of_a_study_never_become_markup(tags):
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc"
    assert not re.findall(banned, page.text())
    assert not [name for _, found in tags for name in found if name.startswith("on")]
    assert not [1 for _, found in tags if "style" in found]


def test_the_policy_allows_its_own_script_and_style_only(served, tmp_path):
    path = tmp_path / "film.db"
    optdriver.create_study({"x": (-2, 2)}, storage=path).close()
    with served(path, token="a-token-of-some-length") as server:
        status, headers, body = server.request("GET", "/")
    assert status == 200
    assert body.decode() == page.text()
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert len(re.findall(r"'sha256-[A-Za-z0-9+/]{43}='", policy)) == 2


def test_it_can_be_read_aloud_and_used_without_a_mouse(tags):
    assert ("html", {"lang": "en"}) in tags
    names = {found["id"] for _, found in tags if "id" in found}
    for tag, found in tags:
        if tag == "section":
            assert found["aria-labelledby"] in names
        if found.get("role") == "img":
            assert set(found["aria-labelledby"].split()) <= names
        if found.get("class") == "scroll":
            assert found["tabindex"] == "0"
    labels = len(re.findall(r"<label[^>]*>[^<]*<?(?:input|select)", page.text()))
    assert labels == len([1 for tag, _ in tags if tag in ("input", "select")])
