"""What is recorded by each released version, and read by all later ones.

``python -m tests.recorded.cases FOLDER`` writes the files: once a release, run by that release.
"""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

import optdriver
from optdriver.batch import Batch

BOX = {"x": (-1.5, 2.0), "y": (-1.0, 2.5)}
BOUNDS = [BOX["x"], BOX["y"]]


def valley(x: float, y: float) -> tuple[float, np.ndarray]:
    """Rosenbrock's function, gentler: its minimum is 0 at (1, 1)."""
    a, b = y - x * x, 1.0 - x
    return 10.0 * a * a + b * b, np.array([-40.0 * a * x - 2.0 * b, 20.0 * a])


def parts(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """The same function as residuals, half the sum of whose squares it is, and their Jacobian."""
    steep, flat = np.sqrt(20.0), np.sqrt(2.0)
    residuals = np.array([steep * (y - x * x), flat * (1.0 - x)])
    return residuals, np.array([[-2.0 * steep * x, steep], [-flat, 0.0]])


def remainders(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Residuals of which much is left at the minimum, which the Jacobian alone does not know."""
    residuals, jacobian = parts(x, y)
    left = np.array([3.0 + x * y, 2.0 * np.exp(0.5 * (x - y))])
    slopes = np.array([[y, x], [0.5 * left[1], -0.5 * left[1]]])
    return np.concatenate([residuals, left]), np.vstack([jacobian, slopes])


def twin(x: float, y: float) -> tuple[float, np.ndarray]:
    """Two minima of value 0 at (0, -1) and (0, 1), and a saddle between them at the origin."""
    slope = y * y - 1.0
    return x * x + 0.25 * slope * slope, np.array([2.0 * x, y * slope])


def twin_parts(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """The same function as residuals, half the sum of whose squares it is, and their Jacobian."""
    root = np.sqrt(2.0)
    return np.array([root * x, (y * y - 1.0) / root]), np.array([[root, 0.0], [0.0, root * y]])


def coupled(x: float, y: float) -> tuple[float, np.ndarray]:
    """Two minima of value 0 at (-.5, -.5) and (.5, .5), and a saddle between that couples both."""
    apart, sum_ = x - y, x + y
    slope = sum_ * sum_ - 1.0
    across, along = 3.0 * apart, sum_ * slope
    return 1.5 * apart * apart + 0.25 * slope * slope, np.array([along + across, along - across])


def told_disc(x: float, y: float) -> tuple[list[float], list[np.ndarray]]:
    """The same function, and a disc that only its evaluation can tell: x^2 + y^2 <= 1.5."""
    value, gradient = valley(x, y)
    return [value, x * x + y * y - 1.5], [gradient, np.array([2.0 * x, 2.0 * y])]


STUDIES: dict[str, dict[str, Any]] = {
    "gradients": {"jac": True, "num_parallel": 3, "num_initial": 2},
    "differences": {"num_parallel": 2},
    "two-sided": {"num_parallel": 2, "step_size": 1e-5, "seed": 3},
    "linkage": {"jac": True, "start_rule": "mlsl", "num_parallel": 2},
    "failures": {"jac": True, "retries": 1, "num_parallel": 2},
    "linear": {"jac": True, "constraints": ["x + y <= 1"]},
    "disc": {"jac": True, "constraints": ["x^2 + y^2 <= 1.5"], "num_parallel": 2},
    "curve": {"jac": True, "constraints": ["x*y == 0.5"]},
    "disc-differences": {"constraints": ["sqrt(x^2 + y^2) <= 1.2"]},
    "simplex": {"driver": "Nelder-Mead"},
    "sequential": {"driver": "SLSQP", "jac": True},
    "evolution": {"driver": "CMA-ES"},
    "structure": {"jac": True, "constraints": ["twice + at.y <= 3"]},
    "rounds": {"jac": True, "num_parallel": 4, "num_initial": 4},
    "logarithm": {"jac": True, "num_parallel": 2},
    "fit": {"driver": "least-squares", "jac": True, "num_parallel": 2},
    "gaps": {"jac": True, "start_rule": "auto", "num_parallel": 2},
    "greatest": {"jac": True, "direction": "maximize", "num_parallel": 2},
    "overstepped": {"driver": "SLSQP", "jac": True, "constraints": ["x^2 + y^2 <= 1.5"],
                    "must_stay_feasible": False},
    "reevaluated": {"jac": True, "num_parallel": 2},
    "limited": {"jac": True, "outputs": {"far": "<= 1.5", "steep": None}, "num_parallel": 2},
    "horn": {"jac": True, "constraints": ["y^2 <= (1 - x)^3"]},
    "distance": {"jac": True, "constraints": ["hypot(x, y) <= 1.2"], "num_parallel": 2},
    "fit-disc": {"driver": "least-squares", "jac": True, "constraints": ["x^2 + y^2 <= 1.5"]},
    "noisy": {"jac": True, "num_parallel": 2},
    "profile": {"driver": "least-squares", "jac": True, "max_num_minimizers": 1},
    "saddle": {"jac": True, "initial_samples": [[1.0, 0.0]]},
    "surveyed": {"max_num_minimizers": 9},
    "profile-disc": {"driver": "least-squares", "jac": True, "max_num_minimizers": 1,
                     "constraints": ["x^2 + y^2 <= 1.5"]},
    "limited-rounds": {"jac": True, "outputs": {"far": "<= 1.5"}, "num_parallel": 2},
    "fit-rest": {"driver": "least-squares", "jac": True, "num_parallel": 2},
    "contrary": {"jac": True, "outputs": {"far": "<= 1.5", "high": ">= 0.9"}},
    "saddle-differences": {"initial_samples": [[1.0, 0.0]], "max_num_minimizers": 3},
    "saddle-fit": {"driver": "least-squares", "jac": True, "initial_samples": [[1.0, 0.0]]},
    "saddle-sequential": {"driver": "SLSQP", "jac": True, "initial_samples": [[1.0, 0.0]]},
    "saddle-limited": {"jac": True, "outputs": {"far": "<= 1.5"}, "initial_samples": [[1.0, 0.0]]},
    "coarse": {"jac": True, "value_spacing": 1.2e-7, "constraints": ["x^2 + y^2 <= 1.5"]},
    "saddle-coupled": {"jac": True, "initial_samples": [[0.0, 0.0]], "max_num_minimizers": 2},
    "surveyed-disc": {"constraints": ["x^2 + y^2 <= 1.5"], "max_num_minimizers": 9},
    "directions": {"driver": "Powell"},
    "sides": {"jac": True, "start_rule": "auto"},
    "peak": {"jac": True, "constraints": ["y <= 0.5 - sqrt(abs(x - 1))"],
             "initial_samples": [[1.0, -0.5]]},
}  # fmt: skip
"""Studies, by the name of their file: arguments of `create_study`."""

LOGARITHM = [
    {"name": "x", "type": "continuous", "domain": (0.01, 2.0), "scale": "log"},
    {"name": "y", "type": "continuous", "domain": BOX["y"]},
]
NESTED = {"at": BOX, "twice": "2*at.x", "label": {"type": "fixed", "domain": "left"}}
PARAMETERS: dict[str, Any] = {"logarithm": LOGARITHM, "structure": NESTED}
"""The parameters of studies that have others: `structure` since 0.2.0, `logarithm` since 0.3.0."""

FORMER = 0.5
"""What was added to the objective of `reevaluated` before it was changed."""

UNCERTAIN = {"noisy": 1e-7, "surveyed": 1e-4, "surveyed-disc": 1e-4}
"""The standard deviations that are told with values, by the name of the study."""

EVALUATIONS = {"saddle": 3, "surveyed": 85, "fit-rest": 7, "saddle-differences": 11,
               "saddle-fit": 3, "saddle-sequential": 4, "saddle-limited": 4,
               "saddle-coupled": 2, "surveyed-disc": 108, "directions": 121,
               "sides": 229}  # fmt: skip
"""Evaluations where it is not 17: a point beside a saddle, of a survey, on a side is open."""

LEAST = {
    "linear": 0.143056, "disc": 0.008526, "curve": 0.041822, "disc-differences": 0.011016,
    "structure": 0.0, "overstepped": 0.008526, "limited": 0.008526, "horn": 0.198316,
    "distance": 0.011016, "fit-disc": 0.008526, "profile-disc": 0.008526,
    "limited-rounds": 0.008526, "fit-rest": 5.677138, "contrary": 0.469675,
    "coarse": 0.008526, "surveyed-disc": 0.008526,
    "peak": 2.248070,
}  # fmt: skip
"""The least value where it is not 0: on a grid of four million points along the boundary."""


def answer(study: Any, suggestion: Any, fail: bool, former: float = 0.0) -> None:
    """Evaluate one suggestion, of an objective to which `former` is added."""
    if fail and suggestion.id in {3, 8}:
        study.tell_failure(suggestion.id, "no licence")
        return
    at = suggestion.params.get("at", suggestion.params)
    saddle = coupled if study.spec.name == "saddle-coupled" else twin
    value, gradient = (saddle if study.spec.name.startswith("saddle") else valley)(at["x"], at["y"])
    value += former
    if study.parameters["direction"] == "maximize":
        value, gradient = -value, -gradient
    if study.spec.driver == "least-squares":
        fitted = {"fit-rest": remainders, "saddle-fit": twin_parts}.get(study.spec.name, parts)
        residuals, jacobian = fitted(at["x"], at["y"])
        study.tell(suggestion.id, residuals=residuals, jacobian=jacobian)
    elif study.spec.outputs:
        far = at["x"] ** 2 + at["y"] ** 2, np.array([2.0 * at["x"], 2.0 * at["y"]])
        told = {"far": far, "steep": at["y"], "high": (at["y"], np.array([0.0, 1.0]))}
        outputs = {name: told[name] for name in STUDIES[study.spec.name]["outputs"]}
        study.tell(suggestion.id, value, gradient, outputs=outputs)
    elif study.spec.name == "coarse":
        study.tell(suggestion.id, float(np.float32(value)), np.float32(gradient).astype(float))
    elif study.spec.name in UNCERTAIN:
        slope = gradient if study.parameters["jac"] else None
        study.tell(suggestion.id, value, slope, uncertainty=UNCERTAIN[study.spec.name])
    elif study.parameters.get("jac"):
        study.tell(suggestion.id, value, gradient)
    else:
        study.tell(suggestion.id, value)


def play(study: Any, evaluations: int, *, fail: bool = False, former: float = 0.0) -> None:
    """Evaluate, in another order than asked, and leave a suggestion open if one can be."""
    for _ in range(evaluations):
        study.ask(4)
        if not study.open_suggestions:
            return
        answer(study, study.open_suggestions[-1], fail, former)
    study.ask(4)


def play_rounds(study: Any, rounds: int) -> None:
    """Evaluate rounds of points at once, and leave the last one open."""
    for _ in range(rounds):
        ids, points = study.ask_arrays()
        values, slopes = zip(*(valley(*x) for x in points), strict=True)
        far = [x @ x for x in points], [2.0 * x for x in points]
        outputs = {"far": far} if study.spec.outputs else None
        study.tell_arrays(ids, values, slopes, outputs=outputs)
    study.ask_arrays()


def minimizers() -> dict[str, Any]:
    """Return objects whose state is data, in the middle of their runs."""
    single = optdriver.LBFGSB([-1.2, 1.0], bounds=BOUNDS)
    starts = optdriver.MultiStart(BOUNDS, num_initial=2, max_num_minimizers=3, seed=5)
    fenced = optdriver.FeasibleMinimizer([-1.0, 0.5], ["x1^2 + x2^2 <= 1.5"], BOUNDS)
    simplex = optdriver.CallbackMinimizer("Nelder-Mead", [-1.2, 1.0], BOUNDS)
    bounded = optdriver.FeasibleMinimizer(
        [-1.0, 0.5], ["x1^2 + x2^2 <= 1.5"], BOUNDS, residuals=True
    )
    fitted = optdriver.LeastSquares([-1.2, 1.0], bounds=BOUNDS)
    limited = optdriver.SQP([-1.0, 0.5], bounds=BOUNDS, inequalities=1)
    many = Batch([[-1.2, 1.0], [0.3, 2.0], [1.5, -0.5]], bounds=BOUNDS)
    for _ in range(9):
        single.tell(*valley(*single.ask()))
        for point in starts.ask(2):
            starts.tell(point.id, *valley(*point.x))
        simplex.tell(valley(*simplex.ask())[0])
        told = [valley(*x) for x in many.ask()]
        many.tell([value for value, _ in told], [gradient for _, gradient in told])
    for _ in range(4):
        fenced.tell(*valley(*fenced.ask()))
        bounded.tell(*parts(*bounded.ask()))
        fitted.tell(*parts(*fitted.ask()))
        limited.tell(*told_disc(*limited.ask()))
    return {
        "LBFGSB": single, "MultiStart": starts, "FeasibleMinimizer": fenced,
        "CallbackMinimizer": simplex, "Batch": many, "LeastSquares": fitted, "SQP": limited,
        "FeasibleFit": bounded,
    }  # fmt: skip


def write(folder: Path) -> None:
    """Record everything."""
    folder.mkdir(parents=True)
    for name, arguments in STUDIES.items():
        path = folder / f"{name}.db"
        bounds = PARAMETERS.get(name, BOX)
        with optdriver.create_study(bounds, storage=path, name=name, **arguments) as study:
            if name in {"rounds", "limited-rounds"}:
                play_rounds(study, 6)
            elif name == "reevaluated":
                play(study, 9, former=FORMER)
                study.reevaluate()
                play(study, 9)
            elif name in {"profile", "profile-disc"}:
                play(study, 40)
                study.begin_profile(["x"], absolute_sigma=True)
                play(study, 7)
            else:
                play(study, EVALUATIONS.get(name, 17), fail=name == "failures")
            study.export(folder / f"{name}.jsonl")
            if name == "gradients":  # as a killed process leaves it
                for there in folder.glob("gradients.db*"):
                    shutil.copy(there, folder / there.name.replace("gradients", "killed"))
    for path in folder.glob("*.db-lock*"):
        path.unlink()
    (folder / "killed.db-shm").unlink()
    for name, minimizer in minimizers().items():
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(minimizer, 5))
        data = minimizer.to_dict()
        (folder / f"{name}.json").write_text(json.dumps(data, default=lambda a: a.tolist()))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
