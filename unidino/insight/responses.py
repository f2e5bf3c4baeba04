"""Effects of the wells of one compound, beside those of the negative controls.

Shapes: N wells with the controls, K doses.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Wells:
    """Effects of the wells of one compound and of the negative controls.

    um: (N,), dose in micromolar; 0 for controls. effect: (N,). rises: true if only curves that rise
    away from the controls make sense. is_distance: true if effects vary most near 0.
    """

    um: Array
    effect: Array
    rises: bool
    is_distance: bool = False

    @property
    def is_control(self) -> NDArray[np.bool_]:
        """Whether each well (N,) is a negative control."""
        return np.asarray(self.um == 0)

    @cached_property
    def log_dose(self) -> Array:
        """Decimal logarithm of the dose (N,); minus infinity for controls."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log10(self.um))

    @cached_property
    def doses_um(self) -> Array:
        """The different doses (K,), ascending, micromolar."""
        return np.unique(self.um[~self.is_control])

    @cached_property
    def doses(self) -> Array:
        """The different doses (K,), ascending, as decimal logarithms."""
        return np.asarray(np.log10(self.doses_um))
