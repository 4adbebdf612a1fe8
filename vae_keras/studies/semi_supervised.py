"""Semi-supervised: train model M2 of Kingma et al. 2014 with a few labels, and its classifier without the rest."""

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers

from vae_keras import networks
from vae_keras.data import Images, PartlyLabelled, draw_labelled
from vae_keras.judge import Judge
from vae_keras.semi_supervised import SemiSupervisedVAE
from vae_keras.studies.checkpoint import Checkpoint
from vae_keras.studies.recipes import (
    ACTIVATIONS,
    check_settings,
    defaults,
    load_and_compile,
    load_images,
    make_optimizer,
    settings_of,
)
from vae_keras.studies.spaces import trained_judge

GENERATED = 1000


def train_semi_supervised(*, folders: dict[str, str] | None = None, backup: Path | None = None, **run) -> dict:
    """Train a SemiSupervisedVAE with a few labels, and its classifier on these alone; return how often they are right.

    Args:
        folders: Where the data set of a name lies, if not where Keras puts it.
        backup: A folder in which to keep the state, so that a training that was killed goes on where it was. Delete it
            when the result is safe.
        **run: The settings of `load_images`, `build_semi_supervised`, `make_optimizer`, `fit_semi_supervised` and
            `measure_semi_supervised`.

    Returns:
        `defaults`, the settings that the run leaves out, and what `Checkpoint.result` says; `held_out` is as
        `measure_semi_supervised` gives it.

    Raises:
        ValueError: For unknown settings and those that are missing or exclude each other.
    """
    check_settings(run, SEMI_SUPERVISED_PARTS)
    images, model = load_and_compile(run, build_semi_supervised, folders)
    alone = keras.models.clone_model(model.classifier)
    alone.set_weights(model.classifier.get_weights())
    with contextlib.closing(Checkpoint(model, backup)) as checkpoint:
        batches = fit_semi_supervised(model, images, checkpoint, **settings_of(fit_semi_supervised, run))

        def measure():
            steps = run["epochs"] * len(batches)
            fit_alone(alone, batches, steps, make_optimizer(steps, **settings_of(make_optimizer, run)))
            judge = trained_judge(run["data"], folders)
            return measure_semi_supervised(model, alone, images, judge, **settings_of(measure_semi_supervised, run))

        return {"defaults": defaults(run, SEMI_SUPERVISED_PARTS), **checkpoint.result(measure)}


def build_semi_supervised(
    shape: Sequence[int],
    *,
    activation: str,
    seed: int,
    latent_dim: int = 10,
    hidden: Sequence[int] = (256, 128),
    classifier_weight: float = 30.0,
    classes: int = 10,
) -> SemiSupervisedVAE:
    """Build the model of a run, from dense layers.

    Args:
        shape: That of one image, (height, width, channels).
        activation: A name in `ACTIVATIONS`.
        seed: Fixes the initial weights and the noise.
        latent_dim: The number of latents.
        hidden: The widths of the encoder's layers, which the decoder has in reverse. The classifier has the first.
        classifier_weight: The weight of -log q(y|x) for a labelled image.
        classes: The number of classes.

    Returns:
        A model that is not compiled.

    Raises:
        ValueError: For an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}. Expected one of {', '.join(ACTIVATIONS)}.")
    same = {"latent_dim": latent_dim, "activation": ACTIVATIONS[activation], "seed": seed, "classes": classes}
    encoder = networks.dense_encoder(shape, hidden=tuple(hidden), **same)
    decoder = networks.dense_decoder(shape, hidden=tuple(hidden[::-1]), **same)
    units = [layers.Dense(hidden[0]), networks.activation_layer(ACTIVATIONS[activation]), layers.Dense(classes)]
    classifier = keras.Sequential([keras.Input(shape), layers.Flatten(), *units])
    return SemiSupervisedVAE(encoder, decoder, classifier, classifier_weight=classifier_weight)


def fit_semi_supervised(
    model: SemiSupervisedVAE,
    images: Images,
    checkpoint: Checkpoint,
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    labels: int,
    labelled: int = 16,
) -> PartlyLabelled:
    """Train the model of a run.

    Args:
        model: A compiled model.
        images: What to train on.
        checkpoint: Knows where to begin, and notes what comes.
        seed: That of the order of the images, and of the draw of those that have a label.
        epochs: The last epoch.
        batch_size: Images in a batch.
        labels: How many training images have a label, the same number of each class.
        labelled: How many images of a batch have one.

    Returns:
        The batches, before their first epoch.
    """
    chosen = draw_labelled(images.y_train, labels, seed=seed)
    batches = PartlyLabelled(images.x_train, images.y_train, chosen, batch_size, labelled, seed)
    batches.begin_epoch(checkpoint.epoch)
    callbacks = [keras.callbacks.TerminateOnNaN(), checkpoint]
    model.fit(batches, epochs=epochs, initial_epoch=checkpoint.epoch, callbacks=callbacks, verbose=0)
    batches.begin_epoch(0)
    return batches


def fit_alone(
    classifier: keras.Model, batches: PartlyLabelled, steps: int, optimizer: keras.optimizers.Optimizer
) -> None:
    """Train a classifier on the images with labels alone, in so many steps.

    Args:
        classifier: Images -> logits.
        batches: Know which images have a label, and how many of them a step sees.
        steps: The steps.
        optimizer: What takes them.
    """
    x, y = batches.images[batches.chosen], batches.labels[batches.chosen]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(optimizer, loss, jit_compile=False, steps_per_execution=20)
    epochs = math.ceil(steps * batches.labelled / len(x))
    classifier.fit(x, y, epochs=epochs, batch_size=batches.labelled, verbose=0)


def measure_semi_supervised(
    model: SemiSupervisedVAE, alone: keras.Model, images: Images, judge: Judge, *, seed: int
) -> dict[str, float]:
    """Measure a trained model: what its classifier says of held-out images, and what it draws.

    Args:
        model: A trained SemiSupervisedVAE.
        alone: The same classifier, trained on the images with labels alone.
        images: Held-out images, with the classes that they have.
        judge: Says what shows none of the classes, and which class is shown.
        seed: That of the draws.

    Returns:
        The losses in nats per held-out image, taken as images without labels; the share of which the class is `right`,
        and `right, labels alone`; and of images drawn in each class the share that is `none` and the share `as asked`.
    """
    x, y = images.x_test, images.y_test
    result = model.evaluate(x, np.full(len(x), -1), batch_size=500, verbose=0, return_dict=True)
    for name, classifier in (("right", model.classifier), ("right, labels alone", alone)):
        predicted = classifier.predict(x, batch_size=500, verbose=0).argmax(axis=1)
        result[name] = float((predicted == y).mean())
    z = np.random.default_rng(seed).standard_normal((GENERATED, model.decoder.input_shape[0][1])).astype("float32")
    asked = np.resize(np.arange(len(images.class_names)), GENERATED)
    drawn = model.decoder.predict([z, asked], batch_size=500, verbose=0)
    none = judge(drawn)
    result["none"] = float(none.mean())
    result["as asked"] = float((~none & (judge.classes(drawn) == asked)).mean())
    return result


SEMI_SUPERVISED_PARTS = (
    load_images,
    build_semi_supervised,
    make_optimizer,
    fit_semi_supervised,
    measure_semi_supervised,
)
