"""The page in a real browser: Debian's Chromium, driven by Playwright (the extra `browser`)."""

from __future__ import annotations

import os
import shutil

import pytest

import optdriver

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
