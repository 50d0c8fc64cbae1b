"""Slow float64 references, written from the papers' equations, entry by entry.

Shape suffixes: N = objects in the batch, E = embedding.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def squared(a_NE: Array, b_NE: Array) -> float:
    """VICReg eq. 5, divided by E too, as the authors' code does."""
    n, e = a_NE.shape
    total = sum((a_NE[i, j] - b_NE[i, j]) ** 2 for i in range(n) for j in range(e))
    return float(total) / (n * e)


def hinge(z_NE: Array, target: float = 1.0) -> float:
    """VICReg eq. 1 and 2 with γ = target and ε = 1e-4; variance over N − 1."""
    total = 0.0
    for column in z_NE.T:
        mean = sum(column) / len(column)
        variance = sum((value - mean) ** 2 for value in column) / (len(column) - 1)
        total += max(0.0, target - math.sqrt(variance + 1e-4))
    return total / z_NE.shape[1]


def covariance(z_NE: Array, rows: int | None = None) -> float:
    """VICReg eq. 3 and 4."""
    n, e = z_NE.shape
    means = [sum(column) / n for column in z_NE.T]
    total = 0.0
    for i in range(e):
        for j in range(e):
            products = [(z_NE[k, i] - means[i]) * (z_NE[k, j] - means[j]) for k in range(n)]
            total += 0.0 if i == j else (sum(products) / ((rows or n) - 1)) ** 2
    return total / e


def contrast(a_NE: Array, b_NE: Array, temperature: float) -> float:
    """SimCLR eq. 1, mean over all 2N rows."""
    z = [row / math.sqrt(sum(row**2)) for row in [*a_NE, *b_NE]]
    n = len(a_NE)
    total = 0.0
    for i in range(2 * n):
        others = [math.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k != i]
        total -= math.log(math.exp(z[i] @ z[(i + n) % (2 * n)] / temperature) / sum(others))
    return total / (2 * n)


def surprise(logits_NK: Array, label_N: NDArray[np.int64]) -> float:
    """Mean cross-entropy in nats."""
    rows = zip(logits_NK, label_N, strict=True)
    return float(sum(math.log(sum(np.exp(row))) - row[k] for row, k in rows)) / len(label_N)
