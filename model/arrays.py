"""Types of numpy arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
"""Of any shape."""
Matrix = npt.NDArray[np.float64]
"""Of shape (rows, columns), or (rows,) for a single column."""
