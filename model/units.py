"""Changes of unit: a column that is as before, but for a factor or a known affine map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model.surprise import NORMAL

Vector = npt.NDArray[np.float64]


class Unit(NamedTuple):
    """new value = factor * old value + offset."""

    factor: float
    offset: float = 0.0

    def __str__(self) -> str:
        """The map, for a person to read.

        Example:
            >>> print(Unit(1000.0), Unit(1.8, 32.0), Unit(1 / 2.54))
            x 1000 x 1.8 + 32 x 0.393701
        """
        far = f" {'+' if self.offset > 0 else '-'} {abs(self.offset):.6g}" if self.offset else ""
        return f"x {self.factor:.6g}{far}"


FACTORS = (
    *(10.0, 100.0, 1_000.0, 10_000.0, 1e6, 1e9),  # prefixes, percent
    *(60.0, 3_600.0, 24.0, 86_400.0, 1_440.0, 7.0),  # times
    *(2.54, 25.4, 12.0, 0.3048, 1.609344, 1.852),  # lengths
    *(0.45359237, 28.349523125, 3.785411784, 4.184, 3.6),  # masses, volumes, energies, speeds
    *(0.514444, 0.44704, 6.894757, 33.8639),  # knots, miles an hour, pressures
    *(180 / np.pi, -1.0),
)
MAPS = (
    *(Unit(factor) for factor in FACTORS),
    *(Unit(1 / factor) for factor in FACTORS if factor != -1.0),
    *(Unit(1.8, 32.0), Unit(1 / 1.8, -32 / 1.8)),  # Celsius, Fahrenheit
    *(Unit(1.0, 273.15), Unit(1.0, -273.15), Unit(1.8, -459.67), Unit(1 / 1.8, 459.67 / 1.8)),
)
"""The changes of unit that are looked for."""
LEEWAY = 0.1
"""How far a mean may be from those before, in parts of the deviation."""
NEAR = 0.12
"""How far the logarithm of a deviation may be from those before."""
CLEAR = 0.3
"""The same, in parts of the logarithm of the factor: nearer to it than to no change at all."""


def find_unit(means: Vector, deviations: Vector, mean: float, deviation: float) -> Unit | None:
    """The change of unit that brings a column back to where it was; None if none does.

    Args:
        means: of the column in refreshes before.
        deviations: of the same.
        mean: of the refresh.
        deviation: of the refresh.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=30) / 10
        >>> print(find_unit(20 + noise, 5 + noise / 3, 68.2, 9.1))
        x 1.8 + 32
        >>> find_unit(20 + noise, 5 + noise / 3, 35.0, 5.0) is None
        True
    """
    known = np.isfinite(means) & np.isfinite(deviations) & (deviations > 0)
    means, deviations = means[known], deviations[known]
    if not len(means) or not np.isfinite([mean, deviation]).all() or deviation <= 0:
        return None
    width = float(np.median(deviations))
    room = LEEWAY * width
    lowest, highest = float(means.min()) - room, float(means.max()) + room
    centre, reach = (lowest + highest) / 2, (highest - lowest) / 2
    widths = np.log(deviations / width)
    middle = float(np.median(means))
    usual = NORMAL * float(np.median(np.abs(means - middle))) + room

    def distance(unit: Unit) -> float:
        """1 at the most where the figures are then as before."""
        factor = abs(unit.factor)
        back, spread = (mean - unit.offset) / unit.factor, float(np.log(deviation / factor / width))
        far = max(0.0, spread - widths.max(), widths.min() - spread) / NEAR
        if factor != 1:
            far = max(far, abs(spread) / CLEAR / abs(np.log(factor)))
        if unit.factor == -1:  # as likely as a shift that ends there, unless it is just as before
            return float(max(abs(back - middle) / usual, far))
        return float(max(abs(back - centre) / reach, far))

    def likelihood(unit: Unit) -> float:
        return abs(float(np.log(deviation / abs(unit.factor) / width)))

    if distance(Unit(1.0)) <= 1:
        return None
    return min((unit for unit in MAPS if distance(unit) <= 1), key=likelihood, default=None)
