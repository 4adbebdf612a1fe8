"""Classifier: a small convolutional network that learns the classes of images, and so features to compare them by."""

from collections.abc import Sequence

import keras
import numpy as np

from vae_keras import networks
from vae_keras.data import check_images, check_labels, check_whole

BATCH_SIZE = 128


def train_classifier(
    images: np.ndarray, labels: np.ndarray, filters: Sequence[int] = (16, 32, 64), epochs: int = 10, seed: int = 0
) -> keras.Model:
    """Train a small convolutional classifier, of which `losses.Perceptual` takes the features.

    Its layers `hidden_1`, `hidden_2` ... give the outputs of its convolutions, of stride 2, after their ReLU. Measure a
    VAE that is trained on such features by another network than this one, such as that of a `judge.Judge`.

    Args:
        images: Images to train on, (n, height, width, channels), in [0, 1].
        labels: Their classes, whole numbers 0 ... k - 1, (n,), of two classes or more.
        filters: The channels of the 3 x 3 convolutions, in order.
        epochs: Passes over the images.
        seed: Fixes the weights and the order of the images.

    Returns:
        A functional model, images -> logits, (n, k). It is compiled: `evaluate(images, labels)` gives cross-entropy and
        accuracy.

    Raises:
        ValueError: For images and labels that are none, a single class, and sizes, epochs and seeds that are no whole
            numbers.

    Example:
        >>> network = train_classifier(images.x_train, images.y_train)
        >>> cross_entropy, accuracy = network.evaluate(images.x_test, images.y_test)
        >>> loss = losses.Perceptual(network, ("hidden_1", "hidden_2", "hidden_3"))
    """
    check_images(images, labels)
    check_whole("epochs", epochs, least=1)
    check_whole("seed", seed)
    labels = np.asarray(labels)
    classes = int(np.max(labels)) + 1
    check_labels(labels, classes)
    if classes < 2:
        raise ValueError(f"labels hold the class {np.max(labels)} alone. Expected two classes or more.")
    shape = np.shape(images)[1:]
    network = networks.conv_encoder(shape, classes, filters, hidden=(), activation="relu", variational=False, seed=seed)
    classifier = keras.Model(network.input, network.output, name="classifier")
    steps = epochs * -(-len(images) // BATCH_SIZE)
    classifier.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    # Mixed here, and not by `fit`, whose order the global seed would decide.
    order = np.random.default_rng(seed).permutation(len(images))
    x, y = np.asarray(images, "float32")[order], labels[order]
    classifier.fit(x, y, batch_size=BATCH_SIZE, epochs=epochs, shuffle=False, verbose=0)
    return classifier
