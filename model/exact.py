"""Sums of floats without rounding, so that neither order nor grouping changes a digit.

Every float64 is a whole number of units of 2**-1074, and Python's whole numbers have no bound: such
sums are exact, and are rounded once, when they are read (the long accumulator of Kulisch 2011,
"Very fast and exact accumulation of products").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import frexp, isfinite, nan
from operator import lshift
from typing import Any

import numpy as np
import numpy.typing as npt

from model.arrays import Floats

Ints = npt.NDArray[np.int64]

LEAST = 1074
"""The least float64 above 0 is 2 to the power of minus this."""
ONE = 1 << LEAST
FEW = 256
"""Up to so many numbers are added one by one."""
LOW = 27
"""Number of low bits of a 53-bit fraction that are summed by themselves."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Exact:
    """A sum of floats that has not been rounded.

    Attributes:
        units: the sum of those that are finite, in units of 2**-1074.
        rest: the sum of the others; 0 without any.

    Example:
        >>> Exact.of(1e300) + 1.0 + -1e300
        Exact(1.0)
    """

    units: int = 0
    rest: float = 0.0

    @classmethod
    def of(cls, value: float) -> Exact:
        """A number as a sum of its own."""
        if not isfinite(value):
            return cls(0, value)
        fraction, exponent = frexp(value)
        return cls(_shift(int(fraction * 2.0**53), exponent - 53 + LEAST))

    def __add__(self, other: Exact | float) -> Exact:
        theirs = other if isinstance(other, Exact) else Exact.of(other)
        return Exact(self.units + theirs.units, self.rest + theirs.rest)

    __radd__ = __add__

    def __float__(self) -> float:
        if self.rest:  # NaN is true, too
            return self.rest
        try:
            return self.units / ONE  # of whole numbers, so it is rounded once
        except OverflowError:
            return float("inf") if self.units > 0 else float("-inf")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int | float):
            other = Exact.of(other)
        return isinstance(other, Exact) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Exact({float(self)!r})"

    @property
    def key(self) -> tuple[int, str]:
        """What two sums that are equal have in common; NaN equals itself."""
        return self.units, repr(self.rest + 0.0)

    def times(self, number: int) -> Exact:
        """So many times the sum, 1 at least."""
        return Exact(self.units * number, self.rest)

    def field(self) -> list[int] | float:
        """The sum as JSON has it: a fraction and an exponent of 2, or what is not finite."""
        return self.rest if self.rest else write_units(self.units)

    @classmethod
    def of_field(cls, field: Sequence[int] | float) -> Exact:
        """The sum of its field; a number is one that an older version rounded."""
        if isinstance(field, int | float):
            return cls.of(field)
        return cls(read_units(field))


def _shift(whole: int, by: int) -> int:
    return whole << by if by >= 0 else whole >> -by  # of a denormal the bits that go are 0


def add_each(values: Floats) -> list[Exact]:
    """The sum of each row of numbers.

    Args:
        values: shape (sums, numbers).

    Example:
        >>> add_each(np.array([[1e300, 1.0, -1e300], [0.1, 0.2, 0.3]]))
        [Exact(1.0), Exact(0.6)]
    """
    if values.shape[1] > FEW or not np.isfinite(values).all():
        return [add_exactly(row) for row in values]
    if not values.size:
        return [Exact() for _ in values]
    fractions, exponents = np.frexp(values)
    wholes = np.ldexp(fractions, 53).astype(np.int64).tolist()
    least = int(exponents.min())  # one long shift of each sum is quicker than one of each number
    places, by = (exponents - least).tolist(), least - 53 + LEAST
    return [Exact(_shift(sum(map(lshift, *pair)), by)) for pair in zip(wholes, places, strict=True)]


def add_exactly(values: Floats) -> Exact:
    """The sum of numbers, shape (numbers,).

    Example:
        >>> add_exactly(np.array([1e300, 1.0, -1e300]))
        Exact(1.0)
    """
    finite = np.isfinite(values)
    if not finite.all():
        # by their kinds: numpy's sum of an infinity and its opposite warns
        others = {repr(value): value for value in values[~finite].tolist()}
        rest = next(iter(others.values())) if len(others) == 1 else nan
        return Exact(add_exactly(values[finite]).units, rest)
    if len(values) <= FEW:
        return add_each(values[None])[0]
    fractions, exponents = np.frexp(values)
    wholes = np.ldexp(fractions, 53).astype(np.int64)
    least = int(exponents.min())
    return Exact(_shift(_add_places(wholes, exponents - least), least - 53 + LEAST))


def _add_places(wholes: Ints, places: npt.NDArray[Any]) -> int:
    """The sum of whole numbers of up to 54 bits, each times 2 to the power of its place."""
    # Each weight is a whole number below 2**27 (its sign aside): their sums are exact.
    high, low = (
        np.bincount(places, weights=part).tolist()
        for part in (wholes >> LOW, wholes & ((1 << LOW) - 1))
    )
    total = 0
    for place, (upper, lower) in enumerate(zip(high, low, strict=True)):
        if upper or lower:
            total += (int(upper) << LOW) + int(lower) << place
    return total


def sum_exactly(sums: Iterable[Exact]) -> Exact:
    """The sum of sums."""
    units, rest = 0, 0.0
    for one in sums:
        units += one.units
        rest += one.rest
    return Exact(units, rest)


def sum_multiples(values: Floats, counts: Any) -> tuple[int, int]:
    """The sums of count * value and of count * value**2 without rounding.

    Args:
        values: shape (numbers,), all finite.
        counts: whole numbers, shape (numbers,).

    Returns:
        The sum in units of 2**-1074, and that of the squares in units of 2**-2148.

    Example:
        >>> total, squares = sum_multiples(np.array([0.5, 2.0]), np.array([2, 1]))
        >>> total / ONE, squares / ONE**2
        (3.0, 4.5)
    """
    if not len(values):
        return 0, 0
    fractions, exponents = np.frexp(values)
    numbers = np.ldexp(fractions, 53).astype(np.int64)
    if len(values) > FEW and (counts == 1).all():
        first = int(exponents.min())
        places, by = exponents - first, first - 53 + LEAST
        high, low = numbers >> LOW, numbers & ((1 << LOW) - 1)
        square = _add_places(high * high, places * 2) << 2 * LOW
        square += _add_places(high * low, places * 2) << LOW + 1
        square += _add_places(low * low, places * 2)
        return _shift(_add_places(numbers, places), by), _shift(square, 2 * by)
    wholes = numbers.tolist()
    shifts = (exponents + (LEAST - 53)).tolist()
    least = max(0, min(shifts))  # one long shift at the end is quicker than one of each number
    total, squares = 0, 0
    for whole, shift, count in zip(wholes, shifts, counts.tolist(), strict=True):
        units = _shift(whole, shift - least)
        total += units * count
        squares += units * units * count
    return total << least, squares << 2 * least


def write_units(units: int, least: int = LEAST) -> list[int]:
    """A whole number of units of 2**-``least`` as a fraction and an exponent of 2, for JSON."""
    low = (units & -units).bit_length() - 1 if units else 0
    return [units >> low, low - least if units else 0]


def read_units(field: Sequence[int], least: int = LEAST) -> int:
    """The units that ``write_units`` wrote."""
    fraction, exponent = field
    return _shift(fraction, exponent + least)
