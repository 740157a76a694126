"""Scrambled Sobol sequences, to the bit those of ``scipy.stats.qmc.Sobol``, without importing it.

A scrambled Sobol sequence is a digital net: point k is, bit by bit, the first point and a sum
(exclusive or) of columns, one for each bit that is set in the Gray code of k.  First point and
columns are all that depends on the seed, so that no engine has to be kept and moved along.

SciPy's generator is the reference, and direction numbers beyond those of the first dimensions are
read from the file that it ships; only ``scipy.stats``, which takes several times as long to import
as NumPy, is not needed.

References
----------
.. [1] P. Bratley and B. L. Fox, "Algorithm 659: Implementing Sobol's quasirandom sequence
   generator", ACM Transactions on Mathematical Software 14(1), 88-100, 1988.
.. [2] S. Joe and F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional
   projections", SIAM Journal on Scientific Computing 30(5), 2635-2654, 2008.
.. [3] J. Matousek, "On the L2-discrepancy for anchored boxes", Journal of Complexity 14(4),
   527-556, 1998.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
Numbers = NDArray[np.int64]

BITS: Final = 30
"""Bits of a coordinate, and so of the number of points."""

MAX_DIMENSION: Final = 21201
"""Direction numbers [2]_ are known for so many dimensions."""

_FIRST: Final = (
    "1: 3:1 7:1,3 11:1,3,1 13:1,1,1 19:1,1,3,3 25:1,3,5,13 37:1,1,5,5,17 41:1,1,5,5,5 "
    "47:1,1,7,11,19 55:1,1,5,1,1 59:1,1,1,3,11 61:1,3,5,5,31 67:1,3,3,9,7,49 "
    "91:1,1,1,15,21,21 97:1,3,1,13,27,49 103:1,1,1,15,7,5 109:1,3,1,15,13,25 "
    "115:1,1,5,5,19,61 131:1,3,7,11,23,15,103 137:1,3,7,13,13,15,69 143:1,1,3,13,7,35,63 "
    "145:1,3,5,9,1,25,53 157:1,3,1,13,9,35,107 167:1,3,1,5,27,61,31 171:1,1,5,11,19,41,61 "
    "185:1,3,5,3,3,13,69 191:1,1,7,13,1,19,1 193:1,3,7,5,13,19,59 203:1,1,3,9,25,29,41 "
    "211:1,3,5,13,23,1,55 213:1,3,7,3,13,59,17 "
)
"""Primitive polynomials and initial numbers of the first dimensions: most problems have no more."""

_SMALL: Final = 32
_BLOCK: Final = 1024  # dimensions that are scrambled at a time: each takes 900 random words


def net(seed: int, n: int, levels: int = BITS) -> Words:
    """Return the first point of a sequence and its columns.

    Parameters
    ----------
    seed : int
        Seed of the scrambling, not negative.
    n : int
        Dimensions, at most `MAX_DIMENSION`.
    levels : int
        Columns wanted, as many as the indices of the points wanted have bits.

    Returns
    -------
    ndarray of uint32, shape (1 + levels, n)
        Row 0 is point 0, row 1 + j what bit j of a Gray code adds; in units of ``2**-BITS``.
    """
    rows = _scrambled(seed, n)
    return _from_scipy(seed, n, levels) if rows is None else rows[: 1 + levels]


def points(seed: int, n: int, first: int, number: int) -> NDArray[np.float64]:
    """Return the points ``first ... first + number - 1`` of a sequence, (number, n), in [0, 1)."""
    if not number:
        return np.empty((0, n))
    rows = net(seed, n, levels(first + number))
    words = np.empty((number, n), dtype=np.uint32)
    gray = first ^ (first >> 1)
    words[0] = np.bitwise_xor.reduce(rows[[0, *(j + 1 for j in range(BITS) if gray >> j & 1)]])
    # the Gray codes of k - 1 and k differ in the lowest bit that is set in k
    after = np.arange(first + 1, first + number)
    words[1:] = rows[np.frexp((after & -after).astype(np.float64))[1]]
    return np.bitwise_xor.accumulate(words, axis=0) * 2.0**-BITS


def levels(number: int) -> int:
    """Return the bits that the indices of the first `number` points have, at least one."""
    return max(number - 1, 1).bit_length()


@lru_cache(maxsize=16)
def _columns(n: int) -> Words | None:
    """Return the columns of each dimension, (n, BITS), not scrambled [1]_; None if not known."""
    numbers = _direction_numbers(n)
    if numbers is None:
        return None
    polynomials, initial = numbers
    columns = np.ones((n, BITS), dtype=np.int64)
    degrees = np.frexp(polynomials.astype(np.float64))[1] - 1
    for m in sorted(set(degrees[1:].tolist())):
        rows = 1 + np.flatnonzero(degrees[1:] == m)  # all numbers of dimension 0 are one
        found = columns[rows]
        found[:, :m] = initial[rows, :m]
        # the coefficients of the polynomial, each a mask of no bits or of all
        masks = [-(polynomials[rows] >> (m - k) & 1) for k in range(1, m + 1)]
        for j in range(m, BITS):
            new = found[:, j - m].copy()
            for k, mask in enumerate(masks, 1):
                new ^= (found[:, j - k] << k) & mask
            found[:, j] = new
        columns[rows] = found
    return (columns << np.arange(BITS - 1, -1, -1)).astype(np.uint32)


def _direction_numbers(n: int) -> tuple[Numbers, Numbers] | None:
    """Return polynomials and initial numbers; of SciPy's file, where it is what it was."""
    if n <= _SMALL:
        return _first_numbers()
    spec = importlib.util.find_spec("scipy")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "stats" / "_sobol_direction_numbers.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            polynomials, initial = file["poly"][:n], file["vinit"][:n]
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
    known = initial.dtype == polynomials.dtype == np.int64 and initial.shape == (n, 18)
    return (polynomials, initial) if known else None


def _first_numbers() -> tuple[Numbers, Numbers]:
    polynomials, initial = np.zeros(_SMALL, np.int64), np.zeros((_SMALL, 18), np.int64)
    for i, word in enumerate(_FIRST.split()):
        polynomial, _, numbers = word.partition(":")
        polynomials[i] = int(polynomial)
        known = [int(number) for number in numbers.split(",") if number]
        initial[i, : len(known)] = known
    return polynomials, initial


@lru_cache(maxsize=8)
def _scrambled(seed: int, n: int) -> Words | None:
    """Scramble by a random linear matrix and a digital shift [3]_, with SciPy's random words."""
    size = max(_SMALL, 1 << (n - 1).bit_length()) if n else _SMALL  # few sizes are kept
    columns = _columns(min(size, MAX_DIMENSION))
    if columns is None:
        return None
    columns = columns[:n]
    rng = np.random.default_rng(seed).spawn(1)[0]  # a child, as SciPy's engine spawns it
    powers = np.uint32(1) << np.arange(BITS, dtype=np.uint32)
    rows = np.empty((1 + BITS, n), dtype=np.uint32)
    rows[0] = rng.integers(2, size=(n, BITS), dtype=np.uint32) @ powers
    for start in range(0, n, _BLOCK):
        block = columns[start : start + _BLOCK]
        matrices = np.tril(rng.integers(2, size=(len(block), BITS, BITS), dtype=np.uint32), -1)
        matrices |= np.eye(BITS, dtype=np.uint32)
        # column i of a matrix in one word, its first row as the highest bit
        words = np.einsum("dpi,p->di", matrices, powers[::-1])
        scrambled = np.zeros_like(block)
        for i in range(BITS):
            scrambled ^= (block >> (BITS - 1 - i) & 1) * words[:, i, None]
        rows[1:, start : start + _BLOCK] = scrambled.T
    rows.setflags(write=False)
    return rows


@lru_cache(maxsize=8)
def _from_scipy(seed: int, n: int, levels: int) -> Words:
    """Read first point and columns off SciPy's points at the powers of two."""
    from scipy.stats import qmc  # where its file is not known

    engine = qmc.Sobol(n, scramble=True, rng=seed)
    found, at = [engine.random(1)], 1
    for level in range(levels):
        engine.fast_forward(2**level - at)
        found.append(engine.random(1))
        at = 2**level + 1
    rows = (np.concatenate(found) * 2.0**BITS).astype(np.uint32)
    # point 2^j is the first one and the columns j and j - 1
    rows[1:] ^= rows[0]
    rows[1:] = np.bitwise_xor.accumulate(rows[1:], axis=0)
    rows.setflags(write=False)
    return rows
