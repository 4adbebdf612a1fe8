"""Recipes: train one model from plain settings, in parts, each of which owns its settings and their defaults.

A run is a flat dict of settings. `train_vae` gives each of its parts those that the part's signature names.
"""

import contextlib
import dataclasses
import functools
import inspect
import json
import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import keras
import numpy as np

from vae_keras import activity, likelihood, losses, networks
from vae_keras.autoencoder import Autoencoder
from vae_keras.data import DynamicBinarisation, Images, binarise, hold_out, load
from vae_keras.gradients import GradientNorms, norm_keeping
from vae_keras.studies.checkpoint import Checkpoint
from vae_keras.vae import VAE, WarmUp

ACTIVATIONS = {
    "LeakyReLU(0.3)": lambda: keras.layers.LeakyReLU(negative_slope=0.3),
    "LeakyReLU(0.2)": lambda: keras.layers.LeakyReLU(negative_slope=0.2),
    "LeakyReLU(0.01)": lambda: keras.layers.LeakyReLU(negative_slope=0.01),
    "ReLU": "relu",
    "ELU": "elu",
    "SiLU": "silu",
    "GELU": "gelu",
    "GELU (tanh)": lambda x: keras.activations.gelu(x, approximate=True),
    "tanh": "tanh",
    "sigmoid": "sigmoid",
}
NETWORKS = {
    "dense": (networks.dense_encoder, networks.dense_decoder),
    "convolutional": (networks.conv_encoder, networks.conv_decoder),
}
RECONSTRUCTION_LOSSES = {
    "bernoulli": lambda: losses.bernoulli,
    "gaussian": lambda: losses.gaussian,
    "learned gaussian": losses.LearnedGaussian,
}
# A test set of 1,000 images is evaluated ten times: the noise of the sampling would be seen otherwise.
EVALUATED_IMAGES = 10_000
# Of so many images the closest normal distribution is sought, on a grid for a hundred at a time.
CLOSEST_IMAGES = 200


def train_vae(*, folders: dict[str, str] | None = None, backup: Path | None = None, **run) -> dict:
    """Train one VAE, and return what is known of it, as JSON can hold it.

    Args:
        folders: Where the data set of a name lies, if not where Keras puts it.
        backup: A folder in which to keep the state, so that a training that was killed goes on where it was. Delete it
            when the result is safe.
        **run: The settings of `load_images`, `build_vae`, `make_optimizer`, `fit_vae` and `measure_vae`.

    Returns:
        `defaults`, the settings that the run leaves out, and what `Checkpoint.result` says; `held_out` is as
        `measure_vae` gives it.

    Raises:
        ValueError: For unknown settings and those that are missing or exclude each other.
    """
    check_settings(run, VAE_PARTS)
    images, vae = load_and_compile(run, build_vae, folders)
    beta = vae.beta
    with contextlib.closing(Checkpoint(vae, backup)) as checkpoint:
        # A state holds the beta of its epoch, of a warm-up perhaps.
        vae.beta = beta
        fit_vae(vae, images, checkpoint, **settings_of(fit_vae, run))
        result = checkpoint.result(lambda: measure_vae(vae, images.x_test, **settings_of(measure_vae, run)))
    return {"defaults": defaults(run, VAE_PARTS), **result}


def load_and_compile(
    run: dict, build: Callable[..., Autoencoder], folders: dict[str, str] | None = None
) -> tuple[Images, Autoencoder]:
    """Load the images of a run, and build and compile its model.

    Args:
        run: The settings of `load_images`, `build` and `make_optimizer`, `epochs` and `batch_size`.
        build: `build_vae` or `build_autoencoder`.
        folders: Where the data set of a name lies, if not where Keras puts it.

    Returns:
        The images and the model, before its first step.
    """
    images = load_images(folders, **settings_of(load_images, run))
    return images, compiled(run, build, images)


def compiled(run: dict, build: Callable[..., Autoencoder], images: Images) -> Autoencoder:
    """Build and compile the model of a run.

    Args:
        run: The settings of `build` and `make_optimizer`, `epochs` and `batch_size`.
        build: A function from the shape of an image and settings to a model.
        images: What the model is to be trained on.

    Returns:
        The model, before its first step.
    """
    keras.utils.set_random_seed(run["seed"])
    model = build(images.shape, **settings_of(build, run))
    steps = run["epochs"] * math.ceil(len(images.x_train) / run["batch_size"])
    # Twenty batches a call: a fifth less time for these small networks, and the same weights.
    model.compile(make_optimizer(steps, **settings_of(make_optimizer, run)), jit_compile=False, steps_per_execution=20)
    return model


def load_images(
    folders: dict[str, str] | None = None, *, data: str, validation: int = 0, binarisation: str | None = None
) -> Images:
    """Load the images of a run.

    Args:
        folders: Where the data set of a name lies, if not where Keras puts it.
        data: A name as for `data.load`.
        validation: So many of the training images take the place of the test set.
        binarisation: "fixed" or "dynamic" makes the held-out images black and white, drawn once, and "fixed" the
            training images too; None leaves them grey.

    Returns:
        The images to train and to measure on.

    Raises:
        ValueError: For an unknown name or binarisation, pictures that are streamed, and a validation split that leaves
            nothing.
    """
    if binarisation not in (None, "fixed", "dynamic"):
        raise ValueError(f"binarisation is {binarisation!r}. Expected 'fixed', 'dynamic' or None.")
    images = _loaded((folders or {}).get(data, data))
    if not isinstance(images, Images):
        raise ValueError(f"{data} is streamed, but a study takes arrays. Expected a smaller set.")
    if validation:
        images = hold_out(images, validation)
    if binarisation:
        images = dataclasses.replace(images, x_test=binarise(images.x_test, seed=1))
    if binarisation == "fixed":
        images = dataclasses.replace(images, x_train=binarise(images.x_train, seed=0))
    return images


def build_vae(
    shape: Sequence[int],
    *,
    network: str,
    activation: str,
    seed: int,
    latent_dim: int = 2,
    hidden: Sequence[int] | None = None,
    tied: bool = False,
    reconstruction_loss: str = "bernoulli",
    beta: float = 1.0,
    reconstruction_weight: float = 1.0,
    samples: int = 1,
    free_nats: float = 0.0,
) -> VAE:
    """Build the VAE of a run.

    Args:
        shape: That of one image, (height, width, channels).
        network: "dense" or "convolutional".
        activation: A name in `ACTIVATIONS`.
        seed: Fixes the initial weights and the noise.
        latent_dim: The number of latents.
        hidden: The widths of the encoder's dense layers, which the decoder has in reverse; None for those of the
            network.
        tied: Whether the dense decoder uses the encoder's kernels.
        reconstruction_loss: "bernoulli", "gaussian" or "learned gaussian".
        beta: The weight of the KL term.
        reconstruction_weight: The weight of the reconstruction loss.
        samples: Draws of z for an image.
        free_nats: The nats that each latent is charged at least.

    Returns:
        A VAE that is not compiled.

    Raises:
        ValueError: For unknown names, and for tied weights without a dense network.
    """
    make_encoder, make_decoder = _named("network", network, NETWORKS)
    activation = _named("activation", activation, ACTIVATIONS)
    loss = _named("reconstruction_loss", reconstruction_loss, RECONSTRUCTION_LOSSES)()
    same = {"latent_dim": latent_dim, "activation": activation, "seed": seed}
    encoder = make_encoder(shape, **same, **({"hidden": tuple(hidden)} if hidden else {}))
    if tied:
        decoder = networks.tied_decoder(encoder, activation)
    else:
        decoder = make_decoder(shape, **same, **({"hidden": tuple(hidden[::-1])} if hidden else {}))
    return VAE(encoder, decoder, beta, loss, samples, reconstruction_weight, free_nats)


def build_autoencoder(
    shape: Sequence[int],
    *,
    network: str,
    activation: str,
    seed: int,
    latent_dim: int = 2,
    hidden: Sequence[int] | None = None,
    reconstruction_loss: str = "bernoulli",
) -> Autoencoder:
    """Build the autoencoder of a run, of the networks that `build_vae` gives a VAE.

    Args:
        shape: That of one image, (height, width, channels).
        network: "dense" or "convolutional".
        activation: A name in `ACTIVATIONS`.
        seed: Fixes the initial weights.
        latent_dim: The number of latents.
        hidden: The widths of the encoder's dense layers, which the decoder has in reverse; None for those of the
            network.
        reconstruction_loss: "bernoulli", "gaussian" or "learned gaussian".

    Returns:
        An autoencoder that is not compiled.

    Raises:
        ValueError: For unknown names.
    """
    make_encoder, make_decoder = _named("network", network, NETWORKS)
    same = {"latent_dim": latent_dim, "activation": _named("activation", activation, ACTIVATIONS), "seed": seed}
    loss = _named("reconstruction_loss", reconstruction_loss, RECONSTRUCTION_LOSSES)()
    encoder = make_encoder(shape, **same, variational=False, **({"hidden": tuple(hidden)} if hidden else {}))
    decoder = make_decoder(shape, **same, **({"hidden": tuple(hidden[::-1])} if hidden else {}))
    return Autoencoder(encoder, decoder, loss)


def make_optimizer(
    steps: int,
    *,
    learning_rate: float,
    optimizer: str = "Adam",
    momentum: float = 0.0,
    clip_value: float | None = None,
    clip_norm: float | None = 100.0,
    weight_decay: float | None = None,
    cosine_decay: bool = False,
    ema_momentum: float | None = 0.99,
) -> keras.optimizers.Optimizer:
    """Make the optimizer of a run, which keeps the norms of its gradients.

    Args:
        steps: The steps of the whole training.
        learning_rate: That of every step, or of the first one.
        optimizer: "Adam" or "SGD".
        momentum: That of SGD.
        clip_value: Every component of the gradient is cut at this value; None cuts nothing.
        clip_norm: The gradient of all weights together is shortened to this norm; None leaves it.
        weight_decay: As in AdamW, or None.
        cosine_decay: Whether the rate falls along a cosine, to a hundredth at the last step.
        ema_momentum: That of the moving average of the weights, which takes their place in the end; None keeps the last
            weights.

    Returns:
        An optimizer of a class that `gradients.norm_keeping` made.

    Raises:
        ValueError: For an unknown optimizer, for settings that exclude each other, and for numbers out of range.
    """
    if optimizer not in ("Adam", "SGD"):
        raise ValueError(f"optimizer is {optimizer!r}. Expected 'Adam' or 'SGD'.")
    if optimizer == "Adam" and momentum:
        raise ValueError(f"momentum is {momentum}, but Adam has its own. Leave it out, or take optimizer='SGD'.")
    if clip_value is not None and clip_norm is not None:
        raise ValueError(
            f"clip_value is {clip_value} and clip_norm {clip_norm}. Expected one of them: set the other to None."
        )
    for name, value in (("learning_rate", learning_rate), ("clip_value", clip_value), ("clip_norm", clip_norm)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value}. Expected a positive number, or, for no clipping, None.")
    for name, value in (("momentum", momentum), ("ema_momentum", ema_momentum), ("weight_decay", weight_decay)):
        if value is not None and not 0 <= value < (math.inf if name == "weight_decay" else 1):
            raise ValueError(f"{name} is {value}. Expected 0 or more, and less than 1 for a momentum.")
    learning_rate = float(learning_rate)
    if cosine_decay:
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.01)
    average = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum is not None else {}
    return norm_keeping(getattr(keras.optimizers, optimizer))(
        learning_rate,
        clipvalue=clip_value,
        global_clipnorm=clip_norm,
        weight_decay=weight_decay,
        **average,
        **({"momentum": momentum} if optimizer == "SGD" else {}),
    )


def fit_vae(
    vae: Autoencoder,
    images: Images,
    checkpoint: Checkpoint,
    watching: Sequence[keras.callbacks.Callback] = (),
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    warm_up: int | None = None,
    binarisation: str | None = None,
    validate_each_epoch: bool = False,
) -> None:
    """Train the VAE of a run, or its autoencoder.

    Args:
        vae: A compiled VAE or autoencoder.
        images: What to train on.
        checkpoint: Knows where to begin, and notes what comes.
        watching: More callbacks.
        seed: That of the draws of a dynamic binarisation.
        epochs: The last epoch.
        batch_size: Images in a batch.
        warm_up: Epochs of KL warm-up, or None.
        binarisation: "dynamic" draws the training images anew in every epoch (Burda et al. 2016).
        validate_each_epoch: Whether to measure the held-out images after each epoch too.
    """
    callbacks = [keras.callbacks.TerminateOnNaN(), GradientNorms(), checkpoint, *watching]
    callbacks += [WarmUp(warm_up)] if warm_up else []
    fit = functools.partial(
        vae.fit,
        epochs=epochs,
        initial_epoch=checkpoint.epoch,
        callbacks=callbacks,
        validation_data=images.x_test if validate_each_epoch else None,
        validation_batch_size=500,
        verbose=0,
    )
    if binarisation == "dynamic":
        batches = DynamicBinarisation(images.x_train, batch_size, seed)
        batches.begin_epoch(checkpoint.epoch)
        fit(batches)
    else:
        fit(images.x_train, batch_size=batch_size)


def mean_codes(model: Autoencoder, x: np.ndarray) -> np.ndarray:
    """Encode images without noise: z of an autoencoder, z_mean of a VAE.

    Args:
        model: An autoencoder or a VAE.
        x: Images.

    Returns:
        Latents, (n, latent_dim).
    """
    outputs = model.encoder.predict(x, batch_size=500, verbose=0)
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def measure_vae(vae: VAE, x: np.ndarray, *, seed: int, bound_samples: int = 0, exact: bool = False) -> dict[str, float]:
    """Measure a trained VAE on held-out images.

    Args:
        vae: A trained VAE.
        x: Held-out images.
        seed: That of the draws of the bound.
        bound_samples: Estimate log p(x) by so many samples; 0 for no estimate.
        exact: Whether to compute log p(x) itself too, for two latents at most; needs a bound.

    Returns:
        `loss`, `reconstruction_loss` and `kl_loss` in nats per image, `active_latents`, the share of `dead_units`, and
        where asked `log_likelihood`, the bound, and what `measure_exactly` gives.

    Raises:
        ValueError: For exact values without a bound, and for more than two latents.
    """
    if exact and not bound_samples:
        raise ValueError("exact is True, but bound_samples is 0. Expected a bound to compare log p(x) with.")
    repeated = np.repeat(x, max(1, EVALUATED_IMAGES // len(x)), axis=0)
    result = vae.evaluate(repeated, batch_size=500, verbose=0, return_dict=True)
    z_mean, _, _ = vae.encoder.predict(x, batch_size=500, verbose=0)
    result["active_latents"] = int(activity.active_latents(z_mean).sum())
    dead = [activity.dead_units(vae.encoder, x), activity.dead_units(vae.decoder, z_mean)]
    result["dead_units"] = float(np.concatenate(dead).mean())
    if bound_samples:
        bound = likelihood.importance_weighted_bound(vae, x, samples=bound_samples, seed=seed, progress=False)
        result["log_likelihood"] = float(bound.mean())
        if exact:
            result |= measure_exactly(vae, x, bound)
    return result


def measure_exactly(vae: VAE, x: np.ndarray, bound: np.ndarray) -> dict[str, float]:
    """Compute log p(x) of held-out images, and how far below it ELBO and bound lie, on a grid over the latents.

    Args:
        vae: A trained VAE of one or two latents.
        x: Held-out images.
        bound: The importance-weighted bound of each, (n,).

    Returns:
        In nats, over the images: `exact_log_likelihood`, its mean; `exact_error`, the largest estimate of its error;
        `gap`, the mean of KL(q || p(z|x)), by which the ELBO lies below it, and `gap_median`, `gap_ninth_decile` and
        `gap_largest`; `bound_largest_gap`, by how much the bound of one image lies below it at most. And over the first
        `CLOSEST_IMAGES`: `gap_of_first`, the mean gap, and `approximation_gap`, what the closest normal distribution
        leaves of it.

    Raises:
        ValueError: For more than two latents.
    """
    log_p, error = likelihood.exact_log_likelihood(vae, x, progress=False)
    gap = log_p - likelihood.exact_elbo(vae, x, nodes=10)
    approximation = []
    for first in range(0, min(len(x), CLOSEST_IMAGES), 100):
        some = x[first : min(first + 100, CLOSEST_IMAGES)]
        closest = likelihood.posterior(vae, some, progress=False).closest_normal()
        # And not by a sum over the grid: after a long training a closest normal can be narrower than its steps.
        approximation.append(log_p[first : first + len(some)] - likelihood.exact_elbo(vae, some, closest))
    return {
        "exact_log_likelihood": float(log_p.mean()),
        "exact_error": float(error.max()),
        "gap": float(gap.mean()),
        "gap_median": float(np.median(gap)),
        "gap_ninth_decile": float(np.quantile(gap, 0.9)),
        "gap_largest": float(gap.max()),
        "bound_largest_gap": float((log_p - bound).max()),
        "gap_of_first": float(gap[:CLOSEST_IMAGES].mean()),
        "approximation_gap": float(np.concatenate(approximation).mean()),
    }


def train_deep_autoencoder(*, folders: dict[str, str] | None = None, backup: Path | None = None, **run) -> dict:
    """Train the deep autoencoder of the GELU paper, and return what is known of it, as JSON can hold it.

    Hendrycks and Gimpel 2016, section 3.2, with their code for what the text leaves open.

    Args:
        folders: Where the data set of a name lies, if not where Keras puts it.
        backup: A folder in which to keep the state, so that a training that was killed goes on where it was. Delete it
            when the result is safe.
        **run: The settings of `load_images`, `build_deep_autoencoder` and `fit_deep_autoencoder`, and `seed`.

    Returns:
        `defaults`, the settings that the run leaves out, and what `Checkpoint.result` says. `held_out` and `history`
        have the loss on the test images, the latter by epoch, as `val_loss`.

    Raises:
        ValueError: For unknown settings and those that are missing.
    """
    check_settings(run, DEEP_PARTS)
    images = load_images(folders, **settings_of(load_images, run))
    keras.utils.set_random_seed(run["seed"])
    model = build_deep_autoencoder(math.prod(images.shape), **settings_of(build_deep_autoencoder, run))
    with contextlib.closing(Checkpoint(model, backup)) as checkpoint:
        fit_deep_autoencoder(model, images, checkpoint, **settings_of(fit_deep_autoencoder, run))
        result = checkpoint.result(lambda: {"loss": checkpoint.history["val_loss"][-1]})
    return {"defaults": defaults(run, DEEP_PARTS), **result}


def build_deep_autoencoder(
    pixels: int, *, activation: str, learning_rate: float, hidden: Sequence[int] = (1000, 500, 250, 30)
) -> keras.Model:
    """Build and compile the deep autoencoder of the GELU paper.

    The output is linear, the weights into a unit begin as a random vector of length 1, the loss is the squared error
    averaged over pixels, the optimiser is Adam.

    Args:
        pixels: The pixels of an image.
        activation: A name in `ACTIVATIONS`.
        learning_rate: That of Adam.
        hidden: The widths down to the code, which has the activation too; the decoder has them in reverse.

    Returns:
        A compiled model that takes and gives (n, pixels).

    Raises:
        ValueError: For an unknown activation.
    """
    activation = _named("activation", activation, ACTIVATIONS)
    model = keras.Sequential([keras.Input((pixels,))])
    for units in (*hidden, *hidden[-2::-1]):
        model.add(keras.layers.Dense(units, kernel_initializer=unit_vectors))
        model.add(networks.activation_layer(activation))
    model.add(keras.layers.Dense(pixels, kernel_initializer=unit_vectors))
    # Here the optimiser has millions of weights to move, and XLA moves them in one pass.
    model.compile(keras.optimizers.Adam(learning_rate), loss="mse", jit_compile=True)
    return model


def fit_deep_autoencoder(
    model: keras.Model, images: Images, checkpoint: Checkpoint, *, seed: int, epochs: int, batch_size: int
) -> None:
    """Train the deep autoencoder of a run, and measure it on the test images after each epoch.

    Args:
        model: A compiled model.
        images: What to train and to measure on.
        checkpoint: Knows where to begin, and notes what comes.
        seed: Fixes the weights and the order of the images, through the global state that is set before.
        epochs: The last epoch.
        batch_size: Images in a batch.
    """
    x, x_test = (part.reshape(len(part), -1) for part in (images.x_train, images.x_test))
    model.fit(
        x,
        x,
        batch_size=batch_size,
        epochs=epochs,
        initial_epoch=checkpoint.epoch,
        validation_data=(x_test, x_test),
        callbacks=[keras.callbacks.TerminateOnNaN(), checkpoint],
        verbose=0,
    )


def unit_vectors(shape: tuple[int, int], dtype: str | None = None) -> keras.KerasTensor:
    """Draw a Dense kernel whose columns have a random direction and length 1.

    Args:
        shape: (inputs, units).
        dtype: The type of the numbers.

    Returns:
        The kernel.
    """
    kernel = keras.random.normal(shape, dtype=dtype)
    return kernel / keras.ops.norm(kernel, axis=0)


VAE_PARTS = (load_images, build_vae, make_optimizer, fit_vae, measure_vae)
DEEP_PARTS = (load_images, build_deep_autoencoder, fit_deep_autoencoder)


def settings_of(part: Callable, run: dict) -> dict:
    """Take out of a run what a part of the recipe is set by.

    Args:
        part: A function whose keyword-only arguments are settings.
        run: The settings of all parts.

    Returns:
        Those that the part has and the run names.
    """
    return {name: run[name] for name in _settings(part) if name in run}


def defaults(run: dict, parts: Sequence[Callable]) -> dict:
    """Name the settings that a run leaves to the parts of its recipe, and what they are, as JSON holds them.

    Args:
        run: The settings that are given.
        parts: The functions of the recipe.

    Returns:
        The other settings, with their defaults.
    """
    left = {name: default for part in parts for name, default in _settings(part).items() if name not in run}
    return json.loads(json.dumps(left))


def check_settings(run: dict, parts: Sequence[Callable]) -> None:
    """Refuse a run that the parts of its recipe cannot do.

    Args:
        run: The settings that are given.
        parts: The functions of the recipe.

    Raises:
        ValueError: For settings that no part has, that a part needs and the run lacks, or that are of another type than
            the part says, and for epochs or a batch size that are no whole numbers above 0.
    """
    known = {name: default for part in parts for name, default in _settings(part).items()}
    unknown = sorted(run.keys() - known.keys())
    missing = sorted(name for name, default in known.items() if default is inspect.Parameter.empty and name not in run)
    if unknown or missing:
        raise ValueError(
            f"The run has the unknown settings {unknown} and lacks {missing}. Expected some of these: "
            f"{', '.join(sorted(known))}."
        )
    for kinds in map(get_type_hints, parts):
        for name in run.keys() & kinds.keys():
            if not _fits(run[name], kinds[name]):
                raise ValueError(f"{name} is {run[name]!r}. Expected {inspect.formatannotation(kinds[name])}.")
    for name in ("epochs", "batch_size"):
        if run.get(name, 1) < 1:
            raise ValueError(f"{name} is {run[name]!r}. Expected a whole number, 1 or more.")


def _settings(part: Callable) -> dict:
    parameters = inspect.signature(part).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def _fits(value: Any, kind: Any) -> bool:
    # Whether a setting is of the kind that the signature of its part says.
    if isinstance(kind, UnionType):
        return any(_fits(value, each) for each in get_args(kind))
    if get_origin(kind) is Sequence:
        return isinstance(value, (list, tuple)) and all(isinstance(each, Integral) for each in value)
    if kind is float:
        return isinstance(value, Real) and math.isfinite(value)
    return isinstance(value, Integral if kind is int else kind)


def _named(setting: str, name: str, choices: dict):
    if name not in choices:
        raise ValueError(f"{setting} is {name!r}. Expected one of {', '.join(choices)}.")
    return choices[name]


# A worker trains many times on the same images.
_loaded = functools.lru_cache(maxsize=1)(load)
