"""Mean: over many values in float32, nearly as exact as in float64, which not every backend has."""

from typing import Any

import keras
from keras import ops


class Mean(keras.metrics.Metric):
    """Mean of all values, with a compensated sum: what rounding cuts off is added up too (Knuth 1969, section 4.2.2).

    JAX has no float64 unless it is told so, and PyTorch none on GPUs of Apple. A plain sum in float32 would lose so
    much over 60,000 images that the loss would no longer equal its terms to 1e-4.

    Args:
        name: The name of the metric.
    """

    def __init__(self, name: str):
        super().__init__(name=name, dtype="float32")
        self.total, self.lost, self.count = (
            self.add_variable(shape=(), initializer="zeros", dtype="float32", name=part)
            for part in ("total", "lost", "count")
        )

    def update_state(self, values: Any) -> None:
        """Add values, (n,)."""
        values = ops.cast(values, "float32")
        total, added = self.total.value, ops.sum(values)
        after = total + added
        arrived = after - total
        self.lost.assign_add((total - (after - arrived)) + (added - arrived))
        self.total.assign(after)
        self.count.assign_add(ops.shape(values)[0])

    def result(self) -> Any:
        """Compute the mean of all that was added."""
        return ops.divide_no_nan(self.total + self.lost, self.count)

    def reset_state(self) -> None:
        """Begin anew."""
        for variable in self.variables:
            variable.assign(0)
