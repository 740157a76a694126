"""Results that come many at a time: which of them may be told as one event.

Where evaluations take microseconds, or hundreds are out, several have ended before the first of
them is told.  A round of 64 costs a study a fifth of 64 results one by one, and one of four three
quarters; one of three costs more.  What is told with them is the same; all that is not a plain
number with a plain gradient is told by itself.
"""

from __future__ import annotations

import math
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.drivers import driver_factory
from optdriver.execution import log
from optdriver.execution.pools import Pool

if TYPE_CHECKING:
    from optdriver.study import Study

MANY: Final = 4
"""So many results, or free places, and they are told, or asked for, together."""


def goes_together(study: Study, pool: Pool) -> bool:
    """Return whether results of a study may be told, and its points asked for, in rounds.

    Not where a round says less: of residuals, outputs, structures and units; where each result is
    a line of the log; nor where calls end as they are submitted, in an order that is theirs.
    """
    spec = study.spec
    return (
        study.space.structure is None
        and spec.limits is None
        and not driver_factory(spec.driver).fits
        and not pool.calls_here
        and not log.is_wanted()
    )


class Column:
    """Plain results, in the order in which they came.

    Parameters
    ----------
    n : int
        How many derivatives a gradient has; 0 where none is wanted.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.futures: list[Future[Any]] = []
        self._values: list[float] = []
        self._gradients: list[Any] = []

    def takes(self, future: Future[Any]) -> bool:
        """Take a result in, if it is plain; return whether it is."""
        if future.cancelled() or future.exception() is not None:
            return False
        outcome = future.result()
        if outcome.failure is not None or outcome.mistake is not None:
            return False
        result = outcome.result
        value, gradient = result if type(result) is tuple and len(result) == 2 else (result, None)
        if not isinstance(value, float) or not math.isfinite(value):
            return False
        if not self._is_plain(gradient):
            return False
        self.futures.append(future)
        self._values.append(value)
        self._gradients.append(gradient)
        return True

    def _is_plain(self, gradient: Any) -> bool:
        """Return whether this is a gradient of numbers in 64 bits, or none where none is wanted."""
        if gradient is None or not self.n:
            return gradient is None and not self.n
        if type(gradient) is np.ndarray:
            return bool(gradient.shape == (self.n,) and gradient.dtype == np.float64)
        if type(gradient) is not list or len(gradient) != self.n:
            return False
        return all(isinstance(each, float) for each in gradient)

    @property
    def values(self) -> NDArray[np.float64]:
        """The values, shape (k,)."""
        return np.array(self._values)

    @property
    def gradients(self) -> NDArray[np.float64] | None:
        """The gradients, shape (k, n); None where none is wanted."""
        return np.array(self._gradients) if self.n else None
