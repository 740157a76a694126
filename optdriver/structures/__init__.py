"""Structured parameters: containers, arrays and units on the user's side, a vector on the other."""

from optdriver.structures.pytree import Interval, Leaf, Structure

__all__ = ["Interval", "Leaf", "Structure"]
