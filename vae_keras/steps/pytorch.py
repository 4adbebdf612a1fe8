"""One step on PyTorch: the weights keep their gradients themselves, until `zero_grad` takes them away."""

from typing import Any

import torch
from keras import ops

from vae_keras.steps.mean import Mean

__all__ = ["Mean", "Steps", "replica"]


def replica() -> None:
    """Number no device: models train on one device here."""


class Steps:
    """What `fit` and `evaluate` do with a batch on PyTorch."""

    def train_step(self, data: Any) -> dict:
        """Take one step down the gradient of the mean loss of a batch, and return the means of the epoch so far."""
        batch = self.batch_of(data)
        # Without it the gradients of this batch would be added to those of all batches before.
        self.zero_grad()
        terms = self.loss_terms(batch, training=True)
        scaled_loss = self.optimizer.scale_loss(ops.mean(terms["loss"]))
        scaled_loss.backward()
        gradients = [weight.value.grad for weight in self.trainable_weights]
        with torch.no_grad():
            self.optimizer.apply(gradients, self.trainable_weights)
            return self.track(**terms)

    def test_step(self, data: Any) -> dict:
        """Measure a batch, and return the means so far. Keras calls it where no gradients are kept."""
        return self.track(**self.loss_terms(self.batch_of(data), training=False))

    def synchronise(self) -> None:
        """Bring the variables up to date in the middle of `fit`: on PyTorch they always are."""
