"""Measurements of optdriver beside its peers: one script a claim.

``python -m benchmarks`` runs all of them and writes ``benchmarks/results.md``;
``python -m benchmarks standard overhead`` runs the ones that are named.
"""
