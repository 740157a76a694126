"""Claim: a part of the box in which evaluations crash stops no study, and hides no minimum.

``python -m benchmarks crashes [seeds]`` minimises a function of six parameters of which 1, 10 and
50 per cent of the box crash, in slabs, in stripes and along the rim; the minimum is not among them.
Beside ours are SciPy's L-BFGS-B from many starts (a crash is an exception and ends its run, the
next start follows) and Optuna's default sampler, both with as many evaluations as a study may use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np

from benchmarks.peers import Vector, scipy_minimize
from benchmarks.report import Section, Table, Target

SHARES = (0.01, 0.1, 0.5)
SHAPES = ("slab", "stripes", "rim")
NAMES = "abcdef"
AT = np.array([0.3, -0.4, 0.5, -0.6, 0.7, -0.2])
WEIGHTS = np.arange(1.0, 7.0)
RIGHT = 1e-4
MOST = 3000
OPTUNA_SEEDS = 3
Crashes = Callable[[Vector], bool]
TEXT = """A function of six parameters on a box of which a part crashes. *Right*: within 1e-4 of the
minimal value. *Stopped*: a study that stopped for failures. Evaluations are means; with differences
they count each point. SciPy's run ends where it meets a crash, and begins at the next start.
Optuna has 300 trials and three seeds, its sampler being slow; without it its rows are missing."""


def evaluate(x: Vector) -> tuple[float, Vector]:
    """Return value and gradient; the minimum is 0 at `AT`."""
    d = x - AT
    value = float(np.sum(WEIGHTS * d**2 + 0.1 * (1 - np.cos(3 * d))))
    return value, 2 * WEIGHTS * d + 0.3 * np.sin(3 * d)


def core(share: float) -> float:
    """Return half the side of the cube round the minimum whose part in the box is the rest."""
    middle, low, high = (AT + 2) / 4, 0.0, 1.0
    for _ in range(60):
        half = (low + high) / 2
        sides = np.minimum(middle + half, 1.0) - np.maximum(middle - half, 0.0)
        low, high = (low, half) if np.prod(sides) > 1 - share else (half, high)
    return high


def region(shape: str, share: float, seed: int) -> Crashes:
    """Return what tells whether a point crashes: so much of the box, in one of the shapes."""
    i = seed % 6
    place = (AT[i] + 2) / 4
    half = core(share)

    def crashes(x: Vector) -> bool:
        u = (x + 2) / 4
        if shape == "slab":
            return bool(u[i] > 1 - share if place < 0.5 else u[i] < share)
        if shape == "stripes":
            return bool((7 * (u[i] - place) + share / 2) % 1 > 1 - share)
        return bool(np.any(np.abs(u - (AT + 2) / 4) > half))

    return crashes


def ours(crashes: Crashes, seed: int, jac: bool) -> tuple[float, int, bool]:
    """Run a study; return its best value, its evaluations, and whether failures stopped it."""
    import optdriver

    study = optdriver.create_study(
        dict.fromkeys(NAMES, (-2.0, 2.0)),
        jac=jac,
        seed=seed,
        num_parallel=7,
        max_iter=MOST,
        max_num_minimizers=1,
    )
    while not study.is_done():
        for suggestion in study.ask(7):
            if crashes(suggestion.x):
                study.tell_failure(suggestion.id, "crashed")
            else:
                value, gradient = evaluate(suggestion.x)
                study.tell(suggestion.id, value, gradient if jac else None)
    best = math.inf if study.best is None else study.best.value
    return best, study.num_evaluations, study.stop_kind == "failures"


class _CrashedError(Exception):
    """An evaluation that failed."""


def with_scipy(crashes: Crashes, seed: int) -> tuple[float, int, bool]:
    """Run SciPy's L-BFGS-B with gradients from one start after another, until one converges."""
    chance, best, calls = np.random.default_rng(seed), math.inf, 0

    def objective(x: Vector) -> tuple[float, Vector]:
        nonlocal best, calls
        calls += 1
        if crashes(x):
            raise _CrashedError
        value, gradient = evaluate(x)
        best = min(best, value)
        return value, gradient

    while calls < MOST:
        try:
            if scipy_minimize(objective, chance.uniform(-2, 2, 6), [(-2.0, 2.0)] * 6).success:
                break
        except _CrashedError:
            continue
    return best, calls, False


def with_optuna(crashes: Crashes, seed: int) -> tuple[float, int, bool]:
    """Run Optuna's default sampler for 300 trials; a crash is a failed trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        x = np.array([trial.suggest_float(name, -2.0, 2.0) for name in NAMES])
        if crashes(x):
            raise _CrashedError
        return evaluate(x)[0]

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=300, catch=(_CrashedError,))
    values = [trial.value for trial in study.trials if trial.value is not None]
    return min(values, default=math.inf), len(study.trials), False


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all, `seeds` times each (200 unless given), and return the section of the results."""
    seeds = int(arguments[0]) if arguments else 200
    peers: dict[str, tuple[Callable[[Crashes, int], tuple[float, int, bool]], int]] = {
        "ours, gradients": (lambda crashes, seed: ours(crashes, seed, True), seeds),
        "ours, differences": (lambda crashes, seed: ours(crashes, seed, False), seeds),
        "SciPy, gradients": (with_scipy, seeds),
    }
    if find_spec("optuna") is not None:  # an extra
        peers["Optuna (TPE)"] = (with_optuna, min(seeds, OPTUNA_SEEDS))
    rows, stopped, missed = [], 0, 0
    for share in SHARES:
        for shape in SHAPES:
            for name, (peer, number) in peers.items():
                ends = [peer(region(shape, share, seed), seed) for seed in range(number)]
                right = sum(best <= RIGHT for best, _, _ in ends)
                died = sum(dead for _, _, dead in ends)
                if name.startswith("ours"):
                    stopped, missed = stopped + died, missed + number - right
                mean = f"{np.mean([calls for _, calls, _ in ends]):.0f}"
                rows.append((f"{share:.0%}", shape, name, f"{right} of {number}", f"{died}", mean))
    return Section(
        name="crashes",
        title="A part of the box that crashes",
        text=TEXT,
        targets=[
            Target(claim="our studies that failures stopped", value=stopped, limit=0),
            Target(claim="our studies that missed the minimum", value=missed, limit=0),
        ],
        tables=[
            Table(
                header=("share", "shape", "by", "right", "stopped", "mean evaluations"), rows=rows
            )
        ],
    )
