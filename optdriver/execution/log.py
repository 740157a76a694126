"""A line an evaluation, through Python's `logging`: the logger `optdriver`, at the level INFO."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from optdriver.space.units import number_of
from optdriver.study.observation import Observation

if TYPE_CHECKING:
    from optdriver.study import Study

LOG: Final = logging.getLogger("optdriver")


def is_wanted() -> bool:
    """Return whether somebody wants these lines."""
    return LOG.isEnabledFor(logging.INFO)


def value(study: Study, id: int, observed: Any) -> None:
    """Note a value, and the best one so far."""
    if is_wanted():
        best = study.best
        so_far = "none yet" if best is None else f"{best.value:.10g} (evaluation {best.id})"
        shown = "no value"
        if isinstance(observed, Observation):
            shown = repr(observed)
        elif observed is not None:
            many = np.ndim(number_of(observed)) > 0
            shown = f"{np.size(observed)} residuals" if many else f"{number_of(observed):.10g}"
        LOG.info("evaluation %d: %s; best: %s", id, shown, so_far)


def failure(id: int, reason: str) -> None:
    """Note a failure."""
    LOG.info("evaluation %d failed: %s", id, reason)


def end(study: Study) -> None:
    """Note why a run has ended."""
    LOG.info("%s after %d evaluations", study.stop_reason or "returned", study.num_evaluations)
