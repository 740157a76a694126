"""Claim: a study asks and tells twenty thousand times a second.

``python -m benchmarks study`` asks and tells a study of ten parameters in memory, gradients
supplied, and does the same with Optuna (its samplers draw or model, so the points differ; what is
compared is the price of the bookkeeping). The objective's own time is subtracted.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.peers import Vector
from benchmarks.report import Section, Table, Target
from benchmarks.timing import interleaved, spread, timed

PARAMETERS = 10
LIMIT = 20_000
ROUNDS = 15
NAMES = tuple(f"x{i}" for i in range(1, PARAMETERS + 1))
EXTRA = "Optuna is not installed: `pip install 'optdriver[bench]'` brings it, for the comparison."
TEXT = """Pairs of ask and tell a second, ten parameters in memory, medians (quartiles) over
interleaved rounds of 500 pairs (100 for Optuna's TPE, whose price grows with the history), each
with a new study, its creation not counted."""


class Sphere:
    """A convex quadratic with a minimum inside, timing itself."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, values: Vector) -> tuple[float, Vector]:
        """Return the value and the gradient."""
        before = perf_counter()
        weights = np.arange(1.0, PARAMETERS + 1)
        away = values - 0.3
        f, g = float(weights @ away**2), 2.0 * weights * away
        self.seconds += perf_counter() - before
        return f, g


def native(pairs: int, objective: Sphere) -> Callable[[], None]:
    """Return the work of a study in the native dialect."""
    from optdriver import create_study

    study = create_study(dict.fromkeys(NAMES, (-1.0, 1.0)), jac=True, num_initial=1)

    def work() -> None:
        for _ in range(pairs):
            suggestion = study.ask()
            f, g = objective(np.array([suggestion.params[name] for name in NAMES]))
            study.tell(suggestion.id, f, g)

    return work


def commercial(pairs: int, objective: Sphere) -> Callable[[], None]:
    """Return the work of a study in the dialect of suggestions and observations."""
    import optdriver

    domain = [{"name": name, "type": "continuous", "domain": (-1.0, 1.0)} for name in NAMES]
    study = optdriver.client().create_study(domain=domain, driver="L_BFGS_B_Optimization")
    study.set_parameters(jac=True)

    def work() -> None:
        for _ in range(pairs):
            suggestion = study.get_suggestion()
            f, g = objective(np.array([suggestion.kwargs[name] for name in NAMES]))
            observation = study.new_observation()
            observation.add(f)
            for name, slope in zip(NAMES, g, strict=True):
                observation.add(derivative=name, value=slope)
            study.add_observation(observation, suggestion.id)

    return work


def optuna(sampler: str) -> Callable[[int, Sphere], Callable[[], None]]:
    """Return the work of an Optuna study with the sampler of that name."""

    def prepare(pairs: int, objective: Sphere) -> Callable[[], None]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=0))
        space: dict[str, Any] = {
            name: optuna.distributions.FloatDistribution(-1.0, 1.0) for name in NAMES
        }

        def work() -> None:
            for _ in range(pairs):
                trial = study.ask(space)
                f, _ = objective(np.array([trial.params[name] for name in NAMES]))
                study.tell(trial, f)

        return work

    return prepare


def rate(prepare: Callable[[int, Sphere], Callable[[], None]], pairs: int) -> Callable[[], float]:
    """Return a measurement of pairs a second."""

    def measure() -> float:
        objective = Sphere()
        work = prepare(pairs, objective)
        seconds = timed(work, warm=False) - objective.seconds
        return pairs / seconds

    return measure


def peers() -> dict[str, Any]:
    """Return the measurements, those of Optuna only where it is installed."""
    works = {
        "optdriver, ask and tell": rate(native, 500),
        "optdriver, get_suggestion and add_observation": rate(commercial, 500),
    }
    if importlib.util.find_spec("optuna") is not None:
        works["Optuna, random sampler"] = rate(optuna("RandomSampler"), 500)
        works["Optuna, TPE sampler"] = rate(optuna("TPESampler"), 100)
    return works


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks study", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rates = interleaved(peers(), parser.parse_args(arguments).rounds)
    ours, *_ = rates
    rows = [(name, spread(values, form=".0f")) for name, values in rates.items()]
    claim = "pairs of ask and tell a second"
    value = statistics.median(rates[ours])
    return Section(
        name="study",
        title="A study's bookkeeping",
        text=TEXT if len(rates) > 2 else f"{TEXT}\n\n{EXTRA}",
        targets=[Target(claim=claim, value=value, limit=LIMIT, at_least=True, form=",.0f")],
        tables=[Table(header=("ten parameters, in memory", "pairs a second"), rows=rows)],
    )
