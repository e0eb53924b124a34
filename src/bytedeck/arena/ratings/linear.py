"""The little linear algebra that a fit needs: symmetric positive definite matrices, by rows, in plain floats."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from operator import mul
from typing import TypeAlias

Matrix: TypeAlias = list[list[float]]


def zeros(size: int) -> Matrix:
    """A square matrix of noughts."""
    return [[0.0] * size for _ in range(size)]


def dot(first: Sequence[float], second: Sequence[float]) -> float:
    """The inner product; what the longer one has more of is left out."""
    return float(sum(map(mul, first, second)))


def mirrored(lower: Matrix) -> Matrix:
    """The symmetric matrix whose lower triangle this is."""
    return [row[: at + 1] + [other[at] for other in lower[at + 1 :]] for at, row in enumerate(lower)]


def cholesky(matrix: Matrix) -> Matrix:
    """The rows of L with L·Lᵀ = the matrix, of which only the lower triangle is read. Raises ValueError: not positive."""
    lower: Matrix = []
    for row in matrix:
        made: list[float] = []
        for known, value in zip(lower, row, strict=False):
            made.append((value - dot(known, made)) / known[-1])
        made.append(sqrt(row[len(lower)] - dot(made, made)))
        if made[-1] <= 0:
            raise ValueError("the matrix is singular")
        lower.append(made)
    return lower


def solve(lower: Matrix, right: Sequence[float]) -> list[float]:
    """What L·Lᵀ·x = right has for x."""
    half: list[float] = []
    for row, value in zip(lower, right, strict=True):
        half.append((value - dot(row, half)) / row[-1])
    for at in range(len(half) - 1, -1, -1):
        half[at] /= lower[at][at]
        here = half[at]
        for column, value in enumerate(lower[at][:at]):
            half[column] -= here * value
    return half


def inverse(lower: Matrix) -> Matrix:
    """The inverse of L·Lᵀ."""
    size = len(lower)
    return [solve(lower, [1.0 if at == row else 0.0 for at in range(size)]) for row in range(size)]


def sandwich(bread: Matrix, meat: Matrix) -> Matrix:
    """bread·meat·bread, all three symmetric."""
    left = [[dot(row, column) for column in meat] for row in bread]
    return mirrored([[dot(row, column) for column in bread[: at + 1]] for at, row in enumerate(left)])


def add_outer(lower: Matrix, sparse: Sequence[tuple[int, float]], weight: float = 1.0) -> None:
    """Add weight·s·sᵀ to a lower triangle, s given by its (place, value) pairs, each place once."""
    for row, one in sparse:
        weighed = weight * one
        target = lower[row]
        for column, other in sparse:
            if column <= row:
                target[column] += weighed * other
