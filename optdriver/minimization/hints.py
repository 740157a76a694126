"""What arguments of other packages are called in `minimize`."""

from __future__ import annotations

from typing import Final

from optdriver.errors import hints

_MEANT: Final = {
    "direction='maximize' looks for the greatest value": ("directions", "maximize", "maximise",
        "sense", "mode"),
    "n_iter is the number of starts": ("n_starts", "num_starts", "starts", "n_restarts",
        "restarts", "num_initial", "max_num_minimizers", "niter", "popsize"),
    "max_iter is the number of evaluations": ("n_trials", "trials", "num_trials", "n_calls",
        "max_calls", "max_evals", "max_evaluations", "budget"),
    "it is one of options={...}": ("maxiter", "maxfun", "maxfev", "max_nfev", "gtol", "ftol",
        "xtol", "maxcor", "noise", "disp", "verbose"),
    "x0 is a start, or a list of starts": ("x0s", "start", "guess", "initial_guess",
        "initial_samples", "init"),
    "max_time is the run time in seconds": ("timeout", "time_limit", "maxtime"),
    "num_parallel is the number of evaluations at a time": ("n_jobs", "workers", "n_workers",
        "max_workers"),
    "method= is the method": ("driver", "algorithm", "optimizer", "solver", "minimizer",
        "sampler"),
    "it is read off the loss: bind what it needs beside the parameters by functools.partial": (
        "args", "kwargs"),
    "a pytree of pairs, bounds=, says what the parameters are": ("ranges", "domain", "lower",
        "upper", "search_space", "dimensions"),
    "seed= is the seed of the starts": ("random_state", "rng", "random_seed"),
}  # fmt: skip

hint: Final = hints(_MEANT)
