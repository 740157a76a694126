"""Many minimizers advanced together: one call of the objective a round for all of them."""

from optdriver.batch.ask_tell import Batch
from optdriver.batch.driving import drive, minimize_batch

__all__ = ["Batch", "drive", "minimize_batch"]
