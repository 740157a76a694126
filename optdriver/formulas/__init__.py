"""Formulas: a text becomes a checked tree, and the tree a tape: values, derivatives, ranges."""
