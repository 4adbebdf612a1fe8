"""SemiSupervisedVAE: a VAE that is told the class of a few images, guesses the others, and can draw all classes."""

import math
from typing import Any

import keras
from keras import ops

from vae_keras.conditional import ConditionalVAE
from vae_keras.steps import Mean
from vae_keras.vae import checked_number


@keras.saving.register_keras_serializable(package="vae_keras")
class SemiSupervisedVAE(ConditionalVAE):
    """ConditionalVAE for images of which only some have a label: model M2 of Kingma et al. 2014.

    A third network, the classifier q(y|x), guesses the class of an image. An image with a label counts in its class. An
    image without one counts in every class, as much as the classifier believes in it, and the guess itself costs its
    divergence from the prior of y, which holds all classes for equally common:

        labelled:    L(x, y) = E[-log p(x|y, z)] + KL(q(z|x, y) || p(z)) + log classes        (equation 6)
        unlabelled:  the sum over y of q(y|x) L(x, y), minus the entropy of q(y|x)             (equation 7)

    With beta = 1 these are the negatives of lower bounds on log p(x, y) and on log p(x). A labelled
    image also teaches the classifier, by `classifier_weight` times -log q(y|x) (equation 9).

    Labels are whole numbers from 0 on, (n,), and -1 where there is none; `data.PartlyLabelled` makes such batches. A
    step costs about as much as that of a `ConditionalVAE` on as many images times classes.

    Args:
        encoder: Functional model, [images, labels] -> z_mean, z_log_var, z, each (n, latent_dim), as
            `networks.dense_encoder(..., classes=10)` makes.
        decoder: Functional model, [z, labels] -> images, in [0, 1].
        classifier: Keras model, images -> logits, (n, classes).
        *args: What else `VAE` takes: `beta`, `reconstruction_loss` ...
        classifier_weight: The weight of -log q(y|x) for a labelled image, 0 or more. Kingma et al. give it a tenth of
            the number of all images, over that of the labelled ones, where each image comes once in an epoch. A much
            larger one did better in the study `semi_supervised`.
        **kwargs: As `*args`.

    Raises:
        ValueError: For a classifier that does not fit, a negative weight, for `free_nats`, which this loss does not
            have, and as `ConditionalVAE` does.

    Example:
        >>> same = {"latent_dim": 10, "classes": 10}
        >>> networks_of_both = networks.dense_encoder((28, 28, 1), **same), networks.dense_decoder((28, 28, 1), **same)
        >>> classifier = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10)])
        >>> vae = SemiSupervisedVAE(*networks_of_both, classifier)
        >>> vae.compile(keras.optimizers.Adam(1e-3))
        >>> vae.fit(data.PartlyLabelled(images.x_train, images.y_train, chosen), epochs=30)
        >>> classes = vae.classifier.predict(images.x_test).argmax(axis=1)
    """

    least_label = -1

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        classifier: keras.Model,
        *args,
        classifier_weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, *args, **kwargs)
        _check_classifier(classifier, encoder, self.classes)
        if self.free_nats:
            raise ValueError(f"free_nats is {self.free_nats}, but a {type(self).__name__} has none. Leave it at 0.")
        self.classifier = classifier
        self.classifier_weight = checked_number("classifier_weight", classifier_weight)
        self.class_loss_tracker = Mean(name="class_loss")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The trackers of the loss and its three terms, which Keras resets before every epoch."""
        return [*super().metrics, self.class_loss_tracker]

    def loss_terms(self, inputs: Any, training: bool) -> dict:
        """Compute the loss and its terms.

        Args:
            inputs: A batch, [images, labels], of shapes (n, height, width, channels) and (n,); -1 is no label.
            training: Whether dropout, noise and batch normalisation behave as in training.

        Returns:
            `loss`, `reconstruction_loss`, `kl_loss` and `class_loss`, each of shape (n,), in nats per image. The second
            and the third are means over the classes, weighted by q(y|x), where there is no label. The last is the
            divergence of q(y|x) from the prior there, and the logarithm of the number of classes where there is one.
        """
        images, labels = inputs
        labels = ops.cast(labels, "int32")
        log_q = ops.log_softmax(ops.cast(self.classifier(images, training=training), "float32"))
        one_hot, has_label = ops.one_hot(labels, self.classes), ops.cast(labels >= 0, "float32")
        weights = one_hot + (1 - has_label)[:, None] * ops.exp(log_q)
        in_every_class = [
            ops.repeat(images, self.classes, axis=0),
            ops.tile(ops.arange(self.classes), ops.shape(images)[:1]),
        ]
        by_class = super().loss_terms(in_every_class, training)
        terms = {
            name: ops.sum(weights * ops.reshape(term, (-1, self.classes)), axis=1) for name, term in by_class.items()
        }
        entropy = -(1 - has_label) * ops.sum(weights * log_q, axis=1)
        terms["class_loss"] = math.log(self.classes) - entropy
        terms["loss"] += terms["class_loss"] - self.classifier_weight * ops.sum(one_hot * log_q, axis=1)
        return terms

    def get_config(self) -> dict:
        """Name what the model is made of, so that it can be saved."""
        classifier = keras.saving.serialize_keras_object(self.classifier)
        return {**super().get_config(), "classifier": classifier, "classifier_weight": self.classifier_weight}

    @classmethod
    def from_config(cls, config: dict) -> "SemiSupervisedVAE":
        """Make the model of which `get_config` gave the configuration."""
        classifier = keras.saving.deserialize_keras_object(config["classifier"])
        return super().from_config({**config, "classifier": classifier})


def _check_classifier(classifier, encoder, classes) -> None:
    images = tuple(encoder.inputs[0].shape)
    if not isinstance(classifier, keras.Model) or not getattr(classifier, "built", False):
        raise ValueError(
            f"classifier is {classifier!r}. Expected a Keras model that knows its input, images -> logits, "
            f"(n, {classes}): begin it with keras.Input({images[1:]})."
        )
    if tuple(classifier.input_shape) != images or tuple(classifier.output_shape) != (None, classes):
        raise ValueError(
            f"classifier takes {classifier.input_shape} and gives {classifier.output_shape}. Expected images {images}, "
            f"as the encoder takes, and a logit for each class, (None, {classes})."
        )
