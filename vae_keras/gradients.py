"""The norm of the gradient while a model trains."""

from typing import Any

import keras
from keras import ops


def norm_keeping(optimizer: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """Make a class like `optimizer` that also keeps the norms of the gradients it gets, for `GradientNorms`.

    The norm is the root of the sum of squares over all weights together, before anything is clipped. Use it as
    `norm_keeping(keras.optimizers.SGD)(learning_rate=0.01, clipvalue=1.0)`.

    Args:
        optimizer: A class of optimizers.

    Returns:
        A class that takes the same arguments and moves the weights in the same way.

    Raises:
        ValueError: For what is no class of optimizers.
    """
    if not (isinstance(optimizer, type) and issubclass(optimizer, keras.optimizers.Optimizer)):
        raise ValueError(
            f"optimizer is {optimizer!r}. Expected a class of optimizers, such as keras.optimizers.SGD, without "
            "arguments: those are given to the class that is made."
        )

    class NormKeeping(optimizer):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            self.sum_of_norms, self.norms, self.largest_norm = (
                self.add_variable(shape=(), dtype="float32", name=name)
                for name in ("sum_of_norms", "norms", "largest_norm")
            )

        def apply(self, grads, trainable_variables=None):
            norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(gradient, "float32"))) for gradient in grads))
            self.sum_of_norms.assign_add(norm)
            self.norms.assign_add(1.0)
            # A NaN is larger than any number here: maximum passes it on.
            self.largest_norm.assign(ops.maximum(self.largest_norm, norm))
            super().apply(grads, trainable_variables)

    return NormKeeping


class GradientNorms(keras.callbacks.Callback):
    """Add `gradient_norm` and `largest_gradient_norm`, the mean and the maximum over its steps, to each epoch's logs.

    In nats per image for a step of length 1 in the space of the weights. Put it before callbacks that read the logs.

    Raises:
        ValueError: When `fit` begins, for an optimizer whose class `norm_keeping` did not make.

    Example:
        >>> vae.compile(norm_keeping(keras.optimizers.SGD)(0.01))
        >>> history = vae.fit(images.x_train, epochs=5, callbacks=[GradientNorms()])
        >>> history.history["gradient_norm"]
    """

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Begin at zero."""
        if not hasattr(self.model.optimizer, "largest_norm"):
            name = type(self.model.optimizer).__name__
            raise ValueError(
                f"The optimizer is a plain {name}. Expected norm_keeping(keras.optimizers.{name})(...), which keeps "
                "the norms of its gradients."
            )
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Write the norms of the epoch into the logs, and begin anew."""
        optimizer = self.model.optimizer
        logs["gradient_norm"] = float(optimizer.sum_of_norms / optimizer.norms)
        logs["largest_gradient_norm"] = float(optimizer.largest_norm)
        self._reset()

    def _reset(self):
        optimizer = self.model.optimizer
        for variable in (optimizer.sum_of_norms, optimizer.norms, optimizer.largest_norm):
            variable.assign(0.0)
