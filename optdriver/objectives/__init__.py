"""Objectives: losses on structured parameters, with JAX or without, and other programs."""

from optdriver.objectives.pytree import Interval
from optdriver.objectives.subprocess import SubprocessObjective

__all__ = ["Interval", "SubprocessObjective"]
