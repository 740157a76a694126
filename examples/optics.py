"""Light through a stack of thin films: transmittance, and its exact gradient.

Characteristic matrices (Abelès 1950; Macleod, Thin-Film Optical Filters, ch. 2), normal incidence,
no absorption.  Only the amplitude ``[n0, 1] M_1 ... M_N [1, ns]`` is needed, so that each factor
has the product of those before it as a row, and of those behind it as a column.
"""

from __future__ import annotations

import numpy as np

AIR, GLASS = 1.0, 1.52


def layers(
    wavelengths: np.ndarray, thickness: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the matrices of the layers, and their derivatives by thickness and by index.

    Wavelengths (w,) and thicknesses (n,) in the same unit, indices (n,); results (n, w, 2, 2).
    """
    n = index[:, None]
    wave = 2 * np.pi * n / wavelengths
    phase = wave * thickness[:, None]
    cos, sin, zero = np.cos(phase), np.sin(phase), np.zeros_like(phase)
    matrix = _two_by_two(cos, 1j * sin / n, 1j * sin * n, cos)
    by_phase = _two_by_two(-sin, 1j * cos / n, 1j * cos * n, -sin)
    at_phase = _two_by_two(zero, -1j * sin / n**2, 1j * sin, zero)
    by_thickness = by_phase * wave[..., None, None]
    return matrix, by_thickness, by_phase * (phase / n)[..., None, None] + at_phase


def transmittance(
    wavelengths: np.ndarray, thickness: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the transmittance (w,) and its derivatives (n, w) by thicknesses and by indices.

    The first layer is the one next to the air.
    """
    matrix, by_thickness, by_index = layers(wavelengths, thickness, index)
    rows = [np.broadcast_to([[AIR, 1 + 0j]], (wavelengths.size, 1, 2))]
    columns = [np.broadcast_to([[1 + 0j], [GLASS]], (wavelengths.size, 2, 1))]
    for before, behind in zip(matrix, matrix[::-1], strict=True):
        rows.append(rows[-1] @ before)
        columns.append(behind @ columns[-1])
    left, right = np.array(rows[:-1]), np.array(columns[-2::-1])
    amplitude = (rows[-1] @ columns[0])[:, 0, 0]
    value = 4 * AIR * GLASS / np.abs(amplitude) ** 2
    slopes = [(left @ d @ right)[..., 0, 0] for d in (by_thickness, by_index)]
    by = [-2 * value * (slope / amplitude).real for slope in slopes]
    return value, by[0], by[1]


def _two_by_two(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.stack([np.stack([a, b], -1), np.stack([c, d], -1)], -2)
