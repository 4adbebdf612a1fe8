"""One step on JAX: a function without side effects, to which all that changes is given, and which gives it back.

Four lists of values are the state: of the weights, of what else the model keeps (the noise's state, beta, the
statistics of batch normalisation), of the optimizer, and of the metrics. In a `StatelessScope` the variables of the
model have the values that are given to the scope, and what is assigned to them stays in it.
"""

from typing import Any

import jax
import keras
from keras import ops

from vae_keras.steps.mean import Mean

__all__ = ["Mean", "Steps", "replica"]


def replica() -> None:
    """Number no device: JAX draws the noise of a batch at once, wherever its parts lie."""


class Steps:
    """What `fit` and `evaluate` do with a batch on JAX."""

    def train_step(self, state: tuple, data: Any) -> tuple[dict, tuple]:
        """Take one step down the gradient of the mean loss of a batch.

        Args:
            state: The values of the weights, of other variables of the model, of the optimizer and of the metrics.
            data: A batch, as `fit` hands it to a step.

        Returns:
            The means of the epoch so far, and the state after the step.
        """
        weights, others, optimizer, metrics = state

        def scaled_loss(weights):
            given = [*self._given(weights, others), *zip(self.optimizer.variables, optimizer)]
            # It also collects the penalties of the layers, which `losses` would leave out otherwise.
            with keras.StatelessScope(given, collect_losses=True) as scope:
                terms = self.loss_terms(self.batch_of(data), training=True)
                loss = self.optimizer.scale_loss(ops.mean(terms["loss"]))
            return loss, (terms, _values(self.non_trainable_variables, scope))

        gradients, (terms, others) = jax.grad(scaled_loss, has_aux=True)(weights)
        weights, optimizer = self.optimizer.stateless_apply(optimizer, gradients, weights)
        means, metrics = self._tracked(metrics, terms)
        return means, (weights, others, optimizer, metrics)

    def test_step(self, state: tuple, data: Any) -> tuple[dict, tuple]:
        """Measure a batch.

        Args:
            state: The values of the weights, of other variables of the model, and of the metrics.
            data: A batch, as `evaluate` hands it to a step.

        Returns:
            The means so far, and the state after the step.
        """
        weights, others, metrics = state
        with keras.StatelessScope(self._given(weights, others), collect_losses=True) as scope:
            terms = self.loss_terms(self.batch_of(data), training=False)
        others = _values(self.non_trainable_variables, scope)
        means, metrics = self._tracked(metrics, terms)
        return means, (weights, others, metrics)

    def synchronise(self) -> None:
        """Bring the variables up to date in the middle of `fit`, where the state alone has their values."""
        self.jax_state_sync()

    def _given(self, weights, others):
        return [*zip(self.trainable_variables, weights), *zip(self.non_trainable_variables, others)]

    def _tracked(self, metrics, terms):
        with keras.StatelessScope(zip(self.metrics_variables, metrics)) as scope:
            means = self.track(**terms)
        return means, _values(self.metrics_variables, scope)


def _values(variables, scope):
    return [scope.get_current_value(variable) for variable in variables]
