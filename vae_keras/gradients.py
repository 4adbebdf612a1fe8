"""The norm of the gradient while a model trains."""

import keras
from keras import ops


def measured(optimizer: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """Make a class like `optimizer` that also keeps the norms of the gradients it gets, for `GradientNorms`.

    The norm is the root of the sum of squares over all weights together, before anything is clipped. Use it as
    `measured(keras.optimizers.SGD)(learning_rate=0.01, clipvalue=1.0)`.
    """

    class Measured(optimizer):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            self.mean_norm = keras.metrics.Mean(name="mean_norm")
            self.largest_norm = keras.Variable(0.0, trainable=False, name="largest_norm")

        def apply(self, grads, trainable_variables=None):
            norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(gradient, "float32"))) for gradient in grads))
            self.mean_norm.update_state(norm)
            # A NaN is larger than any number here: maximum passes it on.
            self.largest_norm.assign(ops.maximum(self.largest_norm, norm))
            super().apply(grads, trainable_variables)

    return Measured


class GradientNorms(keras.callbacks.Callback):
    """Add `gradient_norm` and `largest_gradient_norm`, the mean and the maximum over its steps, to each epoch's logs.

    In nats per image for a step of length 1 in the space of the weights. Put it before callbacks that read the logs.
    Raises `ValueError` for an optimizer whose class `measured` did not make.
    """

    def on_train_begin(self, logs=None):
        if not hasattr(self.model.optimizer, "mean_norm"):
            name = type(self.model.optimizer).__name__
            raise ValueError(
                f"The optimizer is a plain {name}. Expected measured(keras.optimizers.{name})(...), which keeps the "
                "norms of its gradients."
            )
        self._reset()

    def on_epoch_end(self, epoch, logs=None):
        logs["gradient_norm"] = float(self.model.optimizer.mean_norm.result())
        logs["largest_gradient_norm"] = float(self.model.optimizer.largest_norm)
        self._reset()

    def _reset(self):
        self.model.optimizer.mean_norm.reset_state()
        self.model.optimizer.largest_norm.assign(0.0)
