"""The page in a real browser: Debian's Chromium, driven by Playwright (the extra `browser`)."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import optdriver
from optdriver.errors import EvaluationError

BROWSER = os.environ.get("OPTDRIVER_CHROMIUM") or shutil.which("chromium")
HOSTILE = "d <img src=x onerror=document.title='owned'>"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium (or OPTDRIVER_CHROMIUM)"),
]
playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed (extra browser)"
)


@pytest.fixture
def browser():
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.db"
    with optdriver.create_study(
        {HOSTILE: (-2, 2), "y": (-1, 3)}, jac=True, storage=path, num_parallel=2,
        name="film </script><script>document.title='owned'</script>",
    ) as study:  # fmt: skip
        first, second = study.ask(), study.ask()
        study.tell(first.id, 3.25, [1.0, 2.0])
        if second is not None:
            study.tell_failure(second.id, HOSTILE)
    return path


def opened(browser, url, **size):
    page = browser.new_page(viewport={"width": 1000, "height": 800} | size)
    page.seen, page.wrong = [], []
    page.on("request", lambda request: page.seen.append(request.url))
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(url)
    playwright.expect(page.locator("#link")).to_have_text("live")
    page.wait_for_selector("#best dd")
    return page


def test_what_is_told_is_seen_and_nothing_is_run_or_loaded_from_elsewhere(browser, served, film):
    with served(film) as server:
        page = opened(browser, server.url)
        assert page.inner_text("#best dd") == "3.25"
        study = optdriver.client(server.url).study()
        study.tell(study.ask().id, -1.5, [1.0, 2.0])
        playwright.expect(page.locator("#best dd").first).to_have_text("-1.5")
        assert HOSTILE in page.inner_text("#best")
        assert page.title().startswith("film </script>")
        assert page.wrong == []
        assert all(url.startswith((server.url, "data:")) for url in page.seen)
        assert page.locator("#chart .curve").count() == 1
        page.click("#stop")
        playwright.expect(page.locator("#said")).to_contain_text("done")
        assert study.stop_reason == "stopped on the page"
        page.fill("#limit", "0")
        page.press("#limit", "Enter")
        playwright.expect(page.locator("#said")).to_contain_text("max_iter")


def test_it_fits_a_phone_and_asks_for_the_token(browser, served, film):
    with served(film, token="a-token-of-some-length") as server:
        page = browser.new_page(viewport={"width": 375, "height": 700})
        page.goto(server.url)
        page.wait_for_selector("#token:focus")
        assert not page.is_visible("#study")
        page.fill("#token", "a-token-of-some-length")
        page.press("#token", "Enter")
        page.wait_for_selector("#best dd")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375


def violations(page):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed (extra browser)"
    )
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 10
    return [
        (each["id"], [node["target"] for node in each["nodes"]]) for each in found["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_complaint(browser, served, film, scheme):
    with optdriver.load_study(film) as study:
        study.set_parameters(max_num_minimizers=2)
        study.run(lambda **p: (sum(v * v for v in p.values()), [2 * v for v in p.values()]))
        study.set_parameters(max_num_minimizers=5)
        study.ask()
    with served(film, token="a-token-of-some-length") as server:
        page = browser.new_page(color_scheme=scheme)
        page.goto(server.url)
        page.wait_for_selector("#token:focus")
        assert violations(page) == []
        page.fill("#token", "a-token-of-some-length")
        page.press("#token", "Enter")
        page.wait_for_selector("#minima td")
        page.wait_for_selector("#open td")
        assert violations(page) == []


def test_many_evaluations_are_thinned_before_they_are_sent(browser, served, tmp_path):
    path = tmp_path / "long.db"
    with optdriver.create_study({"x": (-2, 2)}, storage=path, max_num_minimizers=1) as study:
        for k in range(20):
            values = [math.sin(9 * k + 0.1 * j) for j in range(200)]
            observations = [study.new_observation() for _ in values]
            for observation, value in zip(observations, values, strict=True):
                observation.add(value)
            study.add_many(observations, [[value] for value in values])
    sizes = []
    with served(path) as server:
        page = browser.new_page()
        page.on(
            "response",
            lambda got: sizes.append(len(got.body())) if got.url.endswith("/overview") else None,
        )
        page.goto(server.url)
        page.wait_for_selector("#chart .curve")
        assert "4000 evaluations" in page.inner_text("#told")
        study = optdriver.client(server.url).study()
        study.tell(study.ask().id, -7.25)
        playwright.expect(page.locator("#best dd").first).to_have_text("-7.25")
        assert max(sizes) < 100_000
        dots = page.locator("#chart .dot").get_attribute("d").count("M")
        assert 500 < dots < 1300


def test_a_structure_is_shown_by_its_places(browser, served, tmp_path):
    path = tmp_path / "layer.db"
    bounds = {"layer": {"w": (np.zeros((2, 40)), 1.0)}, "twice": "2*layer_w_0_1"}
    with optdriver.create_study(bounds, storage=path, num_parallel=2) as study:
        first = study.ask()
        study.ask()
        study.tell(first.id, 0.5)
    with served(path) as server:
        page = opened(browser, server.url, width=375)
        assert "layer.w[0, 1]" in page.inner_text("#best")
        assert "and more" in page.inner_text("#best")
        assert "layer.w[1, 0]" in page.inner_text("#open")
        assert "object" not in page.inner_text("#study")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        assert page.wrong == []


def rastrigin(x1, x2):
    if x1 > 1.2:
        raise EvaluationError("no mesh for this corner")
    value = 20 + x1**2 + x2**2 - 10 * (math.cos(2 * math.pi * x1) + math.cos(2 * math.pi * x2))
    return value, [2 * x + 20 * math.pi * math.sin(2 * math.pi * x) for x in (x1, x2)]


@pytest.mark.parametrize(("name", "width", "height"), [("page", 1000, 1060), ("phone", 375, 760)])
def test_pictures_of_the_page(browser, served, tmp_path, name, width, height):
    """Those of the documentation: OPTDRIVER_PICTURES=docs/_static writes them anew."""
    path = tmp_path / "rastrigin.db"
    with optdriver.create_study(
        {"x1": (-1.5, 1.5), "x2": (-1.5, 1.5)}, jac=True, storage=path, num_parallel=3,
        max_iter=250, name="rastrigin",
    ) as study:  # fmt: skip
        study.run(rastrigin, max_evaluations=180)
    with served(path) as server:
        for worker in ("node1", "node2", "node3"):
            server.post("/ask", worker=f"{worker}:{1000 + len(worker)}", lease=600)
        page = opened(browser, server.url, width=width, height=height)
        page.wait_for_selector("#open td")
        directory = os.environ.get("OPTDRIVER_PICTURES", tmp_path)
        picture = Path(directory, f"{name}.png")
        page.screenshot(path=picture)
        assert picture.stat().st_size > 10_000
        assert page.evaluate("document.documentElement.scrollWidth") <= width
