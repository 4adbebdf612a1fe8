"""One step on TensorFlow: a tape watches what is computed, and the optimizer changes the weights where they are."""

import functools
from typing import Any

import keras
import tensorflow as tf
from keras import ops

# In float32 the sums over 60,000 images would lose so much that the loss no longer equals its terms to 1e-4.
Mean = functools.partial(keras.metrics.Mean, dtype="float64")


def replica() -> Any:
    """Number the device that computes, from 0 on, where `tf.distribute` shares a batch out to several; else None."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context and context.num_replicas_in_sync > 1 else None


class Steps:
    """What `fit` and `evaluate` do with a batch on TensorFlow."""

    def train_step(self, data: Any) -> dict:
        """Take one step down the gradient of the mean loss of a batch, and return the means of the epoch so far."""
        batch = self.batch_of(data)
        with tf.GradientTape() as tape:
            terms = self.loss_terms(batch, training=True)
            # The optimizer adds up the gradients of all replicas, of which each sees its share of the batch.
            mean_loss = ops.mean(terms["loss"]) / tf.distribute.get_strategy().num_replicas_in_sync
            scaled_loss = self.optimizer.scale_loss(mean_loss)
        gradients = tape.gradient(scaled_loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        return self.track(**terms)

    def test_step(self, data: Any) -> dict:
        """Measure a batch, and return the means so far."""
        return self.track(**self.loss_terms(self.batch_of(data), training=False))

    def synchronise(self) -> None:
        """Bring the variables up to date in the middle of `fit`: on TensorFlow they always are."""
