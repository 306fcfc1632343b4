"""Arrays of numbers, as the statistics of results take and give them."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def medians(ordered: Array) -> Array:
    """The middle values of rows in ascending order, or halfway between the two that are."""
    half, odd = divmod(ordered.shape[1], 2)
    middle: Array = ordered[:, half] if odd else (ordered[:, half - 1] + ordered[:, half]) / 2.0
    return middle
