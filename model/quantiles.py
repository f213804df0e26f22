"""Quantiles of errors, from counts in fixed bins, which merge.

There are 64 bins an octave, which lie evenly in it. A bin is the first bits of a float64: its
exponent and the six highest digits of its fraction. So a shift finds the bins of a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model.arrays import Matrix

SHIFT = 46
"""How many of the 52 digits of a fraction a bin leaves out: six are left, 64 bins an octave."""
Counts = npt.NDArray[np.int64]


def greatest_in_bin(bin: int) -> float:
    """The greatest number of a bin; 0 for the first one, in which 0 lies.

    Example:
        >>> greatest_in_bin(int(np.float64(1.0).view(np.int64)) >> SHIFT)
        1.0156249999999998
    """
    return float(np.int64((bin + 1 << SHIFT) - 1).view(np.float64)) if bin else 0.0


@dataclass(frozen=True, eq=False)
class Bins:
    """Counts of numbers of 0 or more in bins.

    Attributes:
        first: the bin of the first count.
        counts: of this bin and those that follow; an empty array without a number.
    """

    first: int = 0
    counts: Counts = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, numbers: Matrix) -> Bins:
        """The counts of some numbers of 0 or more, shape (numbers,).

        Example:
            >>> Bins.of(np.array([1.0, 1.01, 2.0])).pairs()
            [[65472, 2], [65536, 1]]
        """
        if not len(numbers):
            return cls()
        bins = numbers.view(np.int64) >> SHIFT
        first = int(bins.min())
        bins -= first
        return cls(first, np.bincount(bins))

    @classmethod
    def of_pairs(cls, pairs: Sequence[Sequence[int]]) -> Bins:
        """The counts of what ``pairs`` gave."""
        if not pairs:
            return cls()
        bins, counts = np.array(pairs, np.int64).T
        dense = np.zeros(bins[-1] - bins[0] + 1, np.int64)
        dense[bins - bins[0]] = counts
        return cls(int(bins[0]), dense)

    def pairs(self) -> list[list[int]]:
        """Bins that hold a number, and how many, in their order."""
        places = np.flatnonzero(self.counts)
        found: list[list[int]] = np.stack(
            [places + self.first, self.counts[places]], axis=1
        ).tolist()
        return found

    def merge(self, other: Bins) -> Bins:
        """The counts of both."""
        if not len(self.counts) or not len(other.counts):
            return self if len(self.counts) else other
        first = min(self.first, other.first)
        end = max(self.first + len(self.counts), other.first + len(other.counts))
        merged = np.zeros(end - first, np.int64)
        for part in (self, other):
            merged[part.first - first : part.first - first + len(part.counts)] += part.counts
        return Bins(first, merged)

    def quantile(self, share: float) -> float | None:
        """A number within which a share of all numbers lie: the greatest of its bin.

        It is never less than the quantile, and at most 1/64 (1.6 %) more. None without a number.

        Example:
            >>> Bins.of(np.array([0.0, 0.0, 1.0])).quantile(0.5)
            0.0
        """
        if not len(self.counts):
            return None
        within = np.cumsum(self.counts)
        place = int(np.searchsorted(within, share * within[-1]))
        return greatest_in_bin(self.first + min(place, len(within) - 1))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bins) and self.pairs() == other.pairs()

    def __hash__(self) -> int:
        return hash((self.first, len(self.counts)))
