"""Objectives: losses on structured parameters, with JAX or without, and other programs."""

from optdriver.objectives.subprocess import SubprocessObjective
from optdriver.structures.pytree import Interval

__all__ = ["Interval", "SubprocessObjective"]
