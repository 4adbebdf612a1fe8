"""Features: train VAEs that compare pixels, what a classifier sees, or what a discriminator sees, and measure them."""

import functools
from pathlib import Path

import keras
import numpy as np
from keras import ops

from vae_keras import latent, losses, networks, sharpness
from vae_keras.classifier import train_classifier
from vae_keras.data import Images
from vae_keras.judge import Judge, compare
from vae_keras.studies.checkpoint import Checkpoint
from vae_keras.studies.recipes import (
    ACTIVATIONS,
    check_settings,
    defaults,
    load_images,
    make_optimizer,
    settings_of,
)
from vae_keras.studies.spaces import GENERATED, JUDGED_BY, encoded, measure_pictures, measure_space, trained_judge
from vae_keras.vae import VAE
from vae_keras.vaegan import VAEGAN

COMPARED = ("pixels", "classifier", "discriminator")
SEEN = ("hidden_1", "hidden_2", "hidden_3")
# Of the network that no model learns from.
SECOND_SEED = 1000


def train_features(*, folders: dict[str, str] | None = None, backup: Path | None = None, **run) -> dict:
    """Train a VAE that compares images in one of three ways, measure what it returns and draws, and return all of it.

    Args:
        folders: Where the data set of a name lies, if not where Keras puts it.
        backup: Not used: a training that was killed begins anew.
        **run: The settings of `load_images`, `build_comparing`, `fit_comparing` and `measure_comparing`.

    Returns:
        `defaults`, the settings that the run leaves out, and what `Checkpoint.result` says; `held_out` is as
        `measure_comparing` gives it.

    Raises:
        ValueError: For unknown settings and those that are missing or exclude each other.
    """
    check_settings(run, FEATURES_PARTS)
    images = load_images(folders, **settings_of(load_images, run))
    keras.utils.set_random_seed(run["seed"])
    model = build_comparing(images, **settings_of(build_comparing, run))
    checkpoint = Checkpoint(model, None)
    fit_comparing(model, images, checkpoint, **settings_of(fit_comparing, run))
    judge, partial_judge = (trained_judge(run["data"], folders, left_out=kind) for kind in (None, "two overlaid"))
    second = second_network(run["data"], folders)
    result = checkpoint.result(lambda: measure_comparing(model, images, judge, partial_judge, second, seed=run["seed"]))
    return {"defaults": defaults(run, FEATURES_PARTS), **result}


def build_comparing(
    images: Images,
    *,
    compared: str,
    beta: float,
    seed: int,
    latent_dim: int = 16,
    activation: str = "GELU",
    feature_weight: float = 10.0,
) -> VAE:
    """Build a VAE from convolutions, of the same encoder and decoder whatever it compares.

    Args:
        images: Give the shape, and teach the classifier.
        compared: "pixels", by the binary cross-entropy; "classifier", by the convolutions of a classifier that is
            trained first; or "discriminator", in a `VAEGAN`.
        beta: The weight of the KL term.
        seed: Fixes the initial weights and the noise.
        latent_dim: The number of latents.
        activation: A name in `ACTIVATIONS`, for encoder and decoder.
        feature_weight: The weight of the features in the decoder's loss of a `VAEGAN`.

    Returns:
        A model that is not compiled.

    Raises:
        ValueError: For unknown names, and for a weight of features without a discriminator.
    """
    for name, value, known in (("compared", compared, COMPARED), ("activation", activation, ACTIVATIONS)):
        if value not in known:
            raise ValueError(f"{name} is {value!r}. Expected one of {', '.join(known)}.")
    if feature_weight != 10 and compared != "discriminator":
        raise ValueError(f"feature_weight is {feature_weight}, but there is no discriminator. Leave it out.")
    same = {"latent_dim": latent_dim, "activation": ACTIVATIONS[activation], "seed": seed}
    encoder, decoder = (make(images.shape, **same) for make in (networks.conv_encoder, networks.conv_decoder))
    if compared == "discriminator":
        discriminator = networks.conv_discriminator(images.shape, seed=seed)
        return VAEGAN(encoder, decoder, discriminator, beta, feature_weight, seed=seed)
    if compared == "pixels":
        return VAE(encoder, decoder, beta)
    network = train_classifier(images.x_train, images.y_train, seed=seed)
    return VAE(encoder, decoder, beta, losses.Perceptual(network, SEEN))


def fit_comparing(
    model: VAE, images: Images, checkpoint: Checkpoint, *, learning_rate: float, epochs: int, batch_size: int
) -> None:
    """Compile and train the model of a run.

    Args:
        model: As `build_comparing` makes it.
        images: What to train on.
        checkpoint: Notes what comes.
        learning_rate: That of Adam; a `VAEGAN` has three, with `beta_1` at a half.
        epochs: Passes over the images.
        batch_size: Images in a batch.
    """
    if isinstance(model, VAEGAN):
        optimizers = [keras.optimizers.Adam(learning_rate, beta_1=0.5) for _ in range(3)]
    else:
        steps = epochs * -(-len(images.x_train) // batch_size)
        optimizers = [make_optimizer(steps, learning_rate=learning_rate)]
    model.compile(*optimizers, jit_compile=False, steps_per_execution=20)
    model.fit(images.x_train, epochs=epochs, batch_size=batch_size, callbacks=[checkpoint], verbose=0)


def measure_comparing(
    model: VAE, images: Images, judge: Judge, partial_judge: Judge, second: keras.Model, *, seed: int
) -> dict[str, float]:
    """Measure a trained model in the same way, whatever it compares.

    Args:
        model: A trained VAE.
        images: What it was trained on, and held-out images.
        judge: Says what shows none of the classes, and in whose features sets of images are compared. It is another
            network than those that the models learnt with.
        partial_judge: Another, to which no two classes overlaid were shown.
        second: Another network, as `second_network` trains it.
        seed: That of all draws.

    Returns:
        What `measure_space` gives; the same for draws of the prior and of the mixture after an unsharp mask, as "prior
        masked" and "mixture masked"; `pixels`, the binary cross-entropy of the held-out images as they come back from
        the posterior mean, in nats per image; and for training images against held-out ones, as "real", the measures of
        `judge.compare`: what a perfect generator would get. "second frechet_distance" and the like are these measures
        in the features of the second network, for these sources.
    """
    z = encoded(model, images.x_train)
    result = measure_space(model, images, z[np.newaxis], judge, partial_judge, seed=seed)
    held_out, others = images.x_test[:GENERATED], images.x_train[:GENERATED]
    draws = latent.ways_to_draw(z, GENERATED, seed)
    made = {name: model.decoder.predict(draws[name], batch_size=500, verbose=0) for name in ("prior", "mixture")}
    masked = {f"{name} masked": sharpness.unsharp_mask(pictures) for name, pictures in made.items()}
    for source, pictures in masked.items():
        measured = measure_pictures(
            pictures, images=images, judge=judge, partial_judge=partial_judge, of_real=judge.features(held_out)
        )
        result |= {f"{source}, {name}": value for name, value in measured.items()}
    of_others = compare(judge.features(held_out), judge.features(others))
    result |= {f"real, {name}": value for name, value in of_others.items()}
    features_of = functools.partial(second.predict, batch_size=500, verbose=0)
    for source, pictures in {**made, **masked, "real": others}.items():
        measured = compare(features_of(held_out), features_of(pictures))
        result |= {f"{source}, second {name}": value for name, value in measured.items()}
    reconstruction = model.predict(images.x_test, batch_size=500, verbose=0)
    result["pixels"] = float(ops.mean(losses.bernoulli(images.x_test, reconstruction)))
    return result


@functools.lru_cache(maxsize=2)
def _second(name: str) -> keras.Model:
    images = load_images(data=name)
    network = train_classifier(images.x_train[:JUDGED_BY], images.y_train[:JUDGED_BY], seed=SECOND_SEED)
    features = keras.layers.GlobalAveragePooling2D()(network.get_layer(SEEN[-1]).output)
    return keras.Model(network.input, features)


def second_network(name: str, folders: dict[str, str] | None = None) -> keras.Model:
    """Train a classifier of a data set that sees the images as they are, once in a process.

    A judge is also shown images that are a little blurred, as real ones. Its features may be lenient to blur; those of
    this network cannot be.

    Args:
        name: That of the data set.
        folders: Where it lies, if not where Keras puts it.

    Returns:
        A model, images -> the means of the 64 channels of its last convolution, (n, 64).
    """
    return _second((folders or {}).get(name, name))


FEATURES_PARTS = (load_images, build_comparing, fit_comparing, measure_comparing)
