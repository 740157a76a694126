"""What arguments of other packages are called here: Optuna's, SciPy's, scikit-optimize's, ..."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from optdriver.errors import hints

_DIRECTION = "direction='maximize' looks for the greatest value"
_EVALUATIONS = "max_iter is the number of evaluations"
_STARTS = "num_initial minimizers begin, and max_num_minimizers are to converge"
_BOX = "ranges are part of the domain, as in {'x': (-1, 1)}"
_OBJECTIVE = "the objective is given to study.run(...) or study.set_objective(...)"
_PLACES = "num_parallel is the number of evaluations at a time; run(executor=...) says where"
_FIXED = "fixed values are parameters of the domain, {'radius': 2.0}, or environment={...}"
_DRIVER = "the method is the driver, as in driver='L-BFGS-B'"
_DIFFERENCES = "step_size is the step of the finite differences"

_MEANT: Final = {
    "initial_samples=[[...], [...]] are the starts": ("x0", "x0s", "start", "starts", "guess",
        "initial_guess", "initial_points", "initial_point", "enqueue_trial"),
    _DIRECTION: ("directions", "maximize", "maximise", "minimize", "sense", "mode"),
    _EVALUATIONS: ("n_trials", "trials", "num_trials", "n_iter", "niter", "num_iter", "n_calls",
        "max_calls", "max_evals", "maxfun", "maxfev", "max_nfev", "max_evaluations",
        "num_evaluations", "budget", "iterations", "max_iterations"),
    _STARTS: ("n_starts", "num_starts", "n_restarts", "num_restarts", "restarts", "popsize",
        "n_initial_points", "n_startup_trials"),
    _BOX: ("bounds", "ranges", "lower", "upper", "lb", "ub", "search_space", "dimensions"),
    _OBJECTIVE: ("objective", "fun", "func", "function", "loss", "fn"),
    _PLACES: ("n_jobs", "jobs", "workers", "num_workers", "n_workers", "max_workers", "processes",
        "executor"),
    "max_time is the run time in seconds": ("timeout", "time_limit", "maxtime", "time_budget"),
    "gtol and ftol are the tolerances": ("tol", "xtol", "xatol", "fatol", "rtol", "atol",
        "tolerance"),
    _DRIVER: ("method", "sampler", "algorithm", "algo", "optimizer", "solver", "minimizer"),
    "seed= is the seed of the starts": ("random_state", "rng", "random_seed", "random"),
    "jac=True says that the objective supplies its gradient": ("gradient", "gradients", "grad",
        "derivatives", "use_gradients"),
    _DIFFERENCES: ("finite_diff_rel_step", "diff_step", "epsilon", "fd_step"),
    "min_val is the value at which to stop": ("target", "f_target", "ftarget", "stop_value",
        "value_to_reach", "minf_max", "f_min"),
    _FIXED: ("args", "kwargs", "fixed", "constants", "fixed_parameters"),
    "storage='study.db' keeps the study in a file": ("path", "file", "filename", "load_if_exists",
        "database", "db"),
    "`optdriver serve study.db` shows the page of a study": ("dashboard", "open_browser"),
    "values are kept with all their digits; round them where they are shown": (
        "output_precision",),
    "Ctrl-C or study.stop() stops it; run(progress=True) shows how far it is": ("callback",
        "callbacks", "verbose", "disp"),
}  # fmt: skip

hint: Final = hints(_MEANT)


def hint_in_run(name: str, parameters: Container[str]) -> str:
    """Return what an argument of `run` is called, or where it belongs; `parameters` are known."""
    if name in parameters:
        return f"{name} is given to create_study(...) or study.set_parameters(...)"
    said = hint(name)
    return "max_evaluations is the number of evaluations of a run" if said == _EVALUATIONS else said
