"""The page in a browser, of a study with very many evaluations: how long until it shows a new one.

    python -m benchmarks.page --evaluations 100000

It needs Playwright (the extra ``browser``) and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import expect, sync_playwright

import optdriver
from optdriver.server import background

DIMENSIONS = 5
WATCH = """
window.gaps = [];
let last = performance.now();
function frame() {
    const now = performance.now();
    gaps.push(now - last);
    last = now;
    requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
"""
"""Notes how long the page drew nothing."""


def new(path: Path, evaluations: int) -> None:
    box = {f"x{k}": (-2.0, 2.0) for k in range(DIMENSIONS)}
    points = np.random.default_rng(0).uniform(-2.0, 2.0, (evaluations, DIMENSIONS))
    with optdriver.create_study(box, storage=path, jac=True, max_iter=10**9) as study:
        observations = []
        for point in points:
            observation = study.new_observation()
            observation.add(float(np.sum(point**2)))
            for k, x in enumerate(point):
                observation.add(derivative=f"x{k}", value=2.0 * float(x))
            observations.append(observation)
        study.add_many(observations, points.tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=100_000)
    given = parser.parse_args()
    chromium = os.environ.get("OPTDRIVER_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as running:
        path = Path(name) / "long.db"
        new(path, given.evaluations)
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with background(path) as url:
            study = optdriver.client(url).study()
            for width in (1000, 375):
                page = browser.new_page(viewport={"width": width, "height": 800})
                page.add_init_script(WATCH)
                sizes: list[int] = []
                page.on(
                    "response",
                    lambda got, sizes=sizes: (
                        sizes.append(len(got.body())) if got.url.endswith("/overview") else None
                    ),
                )
                page.goto(url)
                page.wait_for_selector("#best dd")
                page.evaluate("gaps.length = 0")
                waited = []
                for _ in range(10):
                    suggestion, best = study.ask(), study.best
                    assert suggestion is not None
                    assert best is not None
                    begin = time.perf_counter()
                    study.tell(suggestion.id, best.value - 1.0, [0.5] * DIMENSIONS)
                    shown = json.dumps(float(f"{best.value - 1.0:.8g}"))
                    expect(page.locator("#best dd").first).to_have_text(shown)
                    waited.append(time.perf_counter() - begin)
                gap = max(page.evaluate("gaps"))
                print(
                    f"{width} px: shown after {min(waited):.2f} to {max(waited):.2f} s, longest "
                    f"time without a frame {gap:.0f} ms, at most {max(sizes) // 1024} KiB a look"
                )
        browser.close()


if __name__ == "__main__":
    main()
