"""Spaces: train an autoencoder or a VAE from plain settings, and measure its latent space and what it generates."""

import functools
from pathlib import Path

import keras
import numpy as np

from vae_keras import latent, sharpness
from vae_keras.autoencoder import Autoencoder
from vae_keras.data import Images
from vae_keras.judge import Judge, class_imbalance, compare, train_judge
from vae_keras.losses import LearnedGaussian
from vae_keras.studies.checkpoint import Checkpoint
from vae_keras.studies.recipes import (
    build_autoencoder,
    build_vae,
    check_settings,
    defaults,
    fit_vae,
    load_and_compile,
    load_images,
    make_optimizer,
    settings_of,
)

# The judge has seen enough after so many.
JUDGED_BY = 10_000
GENERATED = 1000
# Decoder inputs are counted over so many epochs, the last ones.
COUNTED_EPOCHS = (1, 5, 20)


def train_space(*, folders: dict[str, str] | None = None, backup: Path | None = None, variational: bool, **run) -> dict:
    """Train an autoencoder or a VAE, measure what it makes of held-out images and of draws, and return all of it.

    Args:
        folders: Where the data set of a name lies, if not where Keras puts it.
        backup: Not used: a training that was killed begins anew.
        variational: Whether to train a VAE.
        **run: The settings of `load_images`, `build_vae` or `build_autoencoder`, `make_optimizer`, `fit_vae` and
            `measure_space`.

    Returns:
        `defaults`, the settings that the run leaves out, and what `Checkpoint.result` says; `held_out` is as
        `measure_space` gives it.

    Raises:
        ValueError: For unknown settings and those that are missing or exclude each other.
    """
    parts = SPACE_PARTS[variational]
    check_settings(run, parts)
    images, model = load_and_compile(run, build_vae if variational else build_autoencoder, folders)
    inputs = DecoderInputs(images.x_train, epochs=max(COUNTED_EPOCHS))
    checkpoint = Checkpoint(model, None)
    fit_vae(model, images, checkpoint, [inputs], **settings_of(fit_vae, run))
    judges = [trained_judge(run["data"], folders, left_out=kind) for kind in (None, "two overlaid")]
    measure = functools.partial(measure_space, model, images, np.stack(inputs.by_epoch), *judges)
    result = checkpoint.result(lambda: measure(**settings_of(measure_space, run)))
    return {"defaults": defaults(run, parts), **result}


class DecoderInputs(keras.callbacks.Callback):
    """Keep what the encoder gives the decoder for each training image, at the end of each of the last epochs.

    Args:
        x: Training images.
        epochs: How many epochs to keep.
    """

    def __init__(self, x: np.ndarray, epochs: int):
        super().__init__()
        self.x, self.epochs, self.by_epoch = x, epochs, []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Encode the images, with one draw for each in a VAE."""
        self.by_epoch = [*self.by_epoch, encoded(self.model, self.x)][-self.epochs :]


def encoded(model: Autoencoder, x: np.ndarray) -> np.ndarray:
    """Encode images as the decoder gets them: one draw for each in a VAE.

    Args:
        model: An autoencoder or a VAE.
        x: Images.

    Returns:
        z, (n, latent_dim).
    """
    outputs = model.encoder.predict(x, batch_size=500, verbose=0)
    return outputs[-1] if isinstance(outputs, (list, tuple)) else outputs


def measure_space(
    model: Autoencoder, images: Images, inputs: np.ndarray, judge: Judge, partial_judge: Judge, *, seed: int
) -> dict[str, float]:
    """Measure a trained autoencoder or VAE: held-out images, draws from its space, and, of two latents, its gaps.

    Args:
        model: A trained autoencoder or VAE.
        images: What it was trained on, and held-out images.
        inputs: What the decoder was given in the last epochs, (epochs, n, latent_dim).
        judge: Says what shows none of the classes.
        partial_judge: Another, to which no two classes overlaid were shown.
        seed: That of all draws.

    Returns:
        The losses in nats per image. For the held-out images as they come back, "reconstruction", and for each way to
        draw latents, "prior", "box", "normal" and "mixture": the share of `none`, the `imbalance` of the classes, the
        share of the "rarest class", the measures of `judge.compare` against held-out images, and `laplacian_variance`
        and `high_frequency_share`, the medians over the images as shares of those of held-out images; for the
        reconstructions also the share of which the class is `right`. For a loss that learns it, `sigma`. For two
        latents "gaps E" is the share of the region in which the decoder was trained for no place near, counted over the
        last E epochs, and "gaps E, prior", "gaps E, normal" and "gaps E, box" the share of such draws that fall there.
        "none, gap", "none, elsewhere" and "none, fifth 1" to "none, fifth 5" are the shares of `none` among images
        decoded from gaps, from the rest of the region, and from fifths of the region, the least crowded first. What
        `partial_judge` says of the same images is "partial none".
    """
    x, y = images.x_test, images.y_test
    result = model.evaluate(x, batch_size=500, verbose=0, return_dict=True)
    reconstruction = model.predict(x, batch_size=500, verbose=0)
    z = inputs[-1]
    draws = latent.ways_to_draw(z, GENERATED, seed)
    made = {source: model.decoder.predict(drawn, batch_size=500, verbose=0) for source, drawn in draws.items()}
    measure = functools.partial(
        measure_pictures, images=images, judge=judge, partial_judge=partial_judge, of_real=judge.features(x[:GENERATED])
    )
    for source, pictures in {"reconstruction": reconstruction[:GENERATED], **made}.items():
        result |= {f"{source}, {name}": value for name, value in measure(pictures).items()}
    result["reconstruction, right"] = float((judge.classes(reconstruction) == y).mean())
    if isinstance(model.reconstruction_loss, LearnedGaussian):
        result["sigma"] = model.reconstruction_loss.sigma
    if inputs.shape[-1] == 2:
        result |= _gaps(model, inputs, draws, {"none": judge, "partial none": partial_judge}, seed)
    return result


def measure_pictures(
    pictures: np.ndarray, *, images: Images, judge: Judge, partial_judge: Judge, of_real: np.ndarray
) -> dict[str, float]:
    """Measure pictures of one source beside held-out images.

    Args:
        pictures: What came back or was drawn, (n, height, width, channels).
        images: The held-out images, and the names of the classes.
        judge: Says what shows none of the classes, and which class is shown.
        partial_judge: Another, to which no two classes overlaid were shown.
        of_real: The judge's features of the first `GENERATED` held-out images.

    Returns:
        The measures of `judge.compare`, and `none`, `partial none`, `imbalance`, `rarest class`, `laplacian_variance`
        and `high_frequency_share`, as `measure_space` says.
    """
    measured = compare(of_real, judge.features(pictures))
    classes, count = judge.classes(pictures), len(images.class_names)
    measured |= {"none": judge(pictures).mean(), "partial none": partial_judge(pictures).mean()}
    measured |= {"imbalance": class_imbalance(classes, count)}
    measured |= {"rarest class": np.bincount(classes, minlength=count).min() / len(classes)}
    sharp = median_sharpness(images.x_test[:GENERATED])
    measured |= {name: value / sharp[name] for name, value in median_sharpness(pictures).items()}
    return {name: float(value) for name, value in measured.items()}


def median_sharpness(images: np.ndarray) -> dict[str, float]:
    """Take the medians over images of both measures of sharpness.

    Args:
        images: (n, height, width, channels), in [0, 1].

    Returns:
        `laplacian_variance` and `high_frequency_share`.
    """
    measures = (sharpness.laplacian_variance, sharpness.high_frequency_share)
    return {measure.__name__: float(np.median(measure(images))) for measure in measures}


def _gaps(model, inputs, draws, judges, seed) -> dict[str, float]:
    result = {}
    for epochs in COUNTED_EPOCHS:
        if epochs <= len(inputs):
            counted = inputs[-epochs:]
            result[f"gaps {epochs}"] = latent.gap_share(counted, seed)
            for source in ("prior", "normal", "box"):
                result[f"gaps {epochs}, {source}"] = float(latent.in_gap(draws[source], counted).mean())
    z = inputs[-1]
    points = latent.draw_points(z, 4000, seed)
    empty = latent.in_gap(points, z)
    decoded = model.decoder.predict(points, batch_size=500, verbose=0)
    fifths = np.array_split(np.argsort(latent.relative_density(points, z)), 5)
    for name, judge in judges.items():
        none = judge(decoded)
        result |= {f"{name}, gap": none[empty].mean(), f"{name}, elsewhere": none[~empty].mean()}
        result |= {f"{name}, fifth {number}": none[part].mean() for number, part in enumerate(fifths, 1)}
    return {name: float(value) for name, value in result.items()}


# By whether the model is variational.
SPACE_PARTS = {
    variational: (load_images, build, make_optimizer, fit_vae, measure_space)
    for variational, build in ((False, build_autoencoder), (True, build_vae))
}


@functools.lru_cache(maxsize=2)
def _judge(name: str, left_out: str | None) -> Judge:
    images = load_images(data=name)
    x, y = images.x_train[:JUDGED_BY], images.y_train[:JUDGED_BY]
    return train_judge(x, y, images.x_test, images.y_test, left_out=left_out)


def trained_judge(name: str, folders: dict[str, str] | None = None, left_out: str | None = None) -> Judge:
    """Train a judge of a data set, once in a process.

    Args:
        name: That of the data set.
        folders: Where it lies, if not where Keras puts it.
        left_out: A kind of `damaged` images that is not shown.

    Returns:
        The judge.
    """
    return _judge((folders or {}).get(name, name), left_out)
