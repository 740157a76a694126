"""Objectives that are not written as Python functions."""

from optdriver.objectives.subprocess import SubprocessObjective

__all__ = ["SubprocessObjective"]
