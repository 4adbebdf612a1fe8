"""Train one VAE from plain settings, measure it on held-out images, and give back what a record of it needs."""

import dataclasses
import fcntl
import functools
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from vae_keras import data, latent, likelihood, losses, networks
from vae_keras.data import DynamicBinarisation, Images
from vae_keras.gradients import GradientNorms, measured
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
RECONSTRUCTION_LOSSES = {
    "bernoulli": lambda: losses.bernoulli,
    "gaussian": lambda: losses.gaussian,
    "learned gaussian": losses.LearnedGaussian,
}
# A test set of 1,000 images is evaluated ten times: the noise of the sampling would be seen otherwise.
EVALUATED_IMAGES = 10_000


def train_vae(
    *,
    data: str,
    network: str,
    activation: str,
    seed: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    latent_dim: int = 2,
    hidden: Sequence[int] | None = None,
    warm_up: int | None = None,
    decay: bool = False,
    weight_decay: float | None = None,
    ema_momentum: float | None = 0.99,
    optimizer: str = "Adam",
    momentum: float = 0.0,
    clip_value: float | None = None,
    clip_norm: float | None = 100.0,
    reconstruction_loss: str = "bernoulli",
    samples: int = 1,
    tied: bool = False,
    follow: bool = False,
    binarisation: str | None = None,
    validation: int = 0,
    bound_samples: int = 0,
    folders: dict[str, str] | None = None,
    backup: Path | None = None,
) -> dict:
    """Train one VAE with beta = 1, and return what is known of it, as JSON can hold it.

    - `data`: a name as for `data.load`; `folders` says where the set of that name lies, if not where Keras puts it.
    - `network`: "dense" or "convolutional"; `hidden`: the widths of the encoder's dense layers, which the decoder has
      in reverse. `activation`: a name in `ACTIVATIONS`. `seed` fixes weights, order and noise.
    - `optimizer`: "Adam", or "SGD" with `momentum`, at `learning_rate`, with `decay` down to a hundredth of it along a
      cosine; `weight_decay` as in AdamW. Every component of the gradient is clipped at `clip_value`, or the gradient of
      all weights together at the norm `clip_norm`. Evaluated is the moving average of the weights, of `ema_momentum`;
      None: the last weights.
    - `warm_up`: epochs of KL warm-up. `reconstruction_loss`: "bernoulli", "gaussian" or "learned gaussian".
      `samples`: draws of z for an image. `tied`: the dense decoder uses the encoder's kernels. `follow`: measure the
      held-out images after each epoch too.
    - `binarisation`: "fixed" or "dynamic", as in Burda et al. 2016; the test images are drawn once in both.
    - `validation`: hold out so many of the training images and measure on them, not on the test set.
    - `bound_samples`: estimate log p(x) of the held-out images by so many samples.
    - `backup`: a folder in which to keep the state, so that a training that was killed goes on where it was. Delete it
      when the result is safe.

    The result has `status`, "done" or "diverged" (a loss, a weight or a measure is not finite), `history`, a list by
    epoch for each loss, for the mean and the largest norm of the gradient before it is clipped, and for the seconds,
    `held_out` in nats per image, with the number of active latents and the share of dead units, None where the
    training diverged, `seconds` of training, `threads`, and `resumed`, the epochs at which a training that was killed
    went on: another order of the images and other noise follow than without the kill. Raises `ValueError` for unknown
    settings and those that exclude each other.
    """
    images = load_images(data, validation=validation, binarisation=binarisation, folders=folders)
    keras.utils.set_random_seed(seed)
    vae = build(network, images.shape, latent_dim, hidden, activation, seed, reconstruction_loss, samples, tied)
    steps = epochs * math.ceil(len(images.x_train) / batch_size)
    if decay:
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.01)
    average = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum is not None else {}
    # Twenty batches a call: a fifth less time for these small networks, and the same weights.
    vae.compile(
        make_optimizer(optimizer, learning_rate, momentum, clip_value, clip_norm, weight_decay=weight_decay, **average),
        jit_compile=False,
        steps_per_execution=20,
    )
    state = State(vae, backup)
    # A state holds the beta of its epoch, of a warm-up perhaps.
    vae.beta = 1.0
    callbacks = [keras.callbacks.TerminateOnNaN(), GradientNorms(), state, *([WarmUp(warm_up)] if warm_up else [])]
    fit = functools.partial(
        vae.fit,
        epochs=epochs,
        initial_epoch=state.epoch,
        callbacks=callbacks,
        validation_data=images.x_test if follow else None,
        validation_batch_size=500,
        verbose=0,
    )
    if binarisation == "dynamic":
        batches = DynamicBinarisation(images.x_train, batch_size, seed)
        batches.begin_epoch(state.epoch)
        fit(batches)
    else:
        fit(images.x_train, batch_size=batch_size)
    return state.result(lambda: measure(vae, images.x_test, bound_samples, seed))


def train_deep_autoencoder(
    *,
    data: str,
    activation: str,
    seed: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    hidden: Sequence[int] = (1000, 500, 250, 30),
    folders: dict[str, str] | None = None,
    backup: Path | None = None,
) -> dict:
    """Train the deep autoencoder of the GELU paper, and return what is known of it, as `train_vae` does.

    Hendrycks and Gimpel 2016, section 3.2, with their code for what the text leaves open: `hidden` are the widths down
    to the code, which has the activation too, and the decoder has them in reverse; the output is linear, the weights
    into a unit begin as a random vector of length 1, the loss is the squared error averaged over pixels, the optimiser
    is Adam. `history` has the loss on the test images by epoch too, `val_loss`. Other arguments as in `train_vae`.
    """
    check_activation(activation)
    images = load_images(data, folders=folders)
    keras.utils.set_random_seed(seed)
    pixels = math.prod(images.shape)
    model = keras.Sequential([keras.Input((pixels,))])
    for units in (*hidden, *hidden[-2::-1]):
        model.add(keras.layers.Dense(units, kernel_initializer=unit_vectors))
        model.add(networks.activation_layer(ACTIVATIONS[activation]))
    model.add(keras.layers.Dense(pixels, kernel_initializer=unit_vectors))
    # Here the optimiser has millions of weights to move, and XLA moves them in one pass.
    model.compile(keras.optimizers.Adam(learning_rate), loss="mse", jit_compile=True)
    state = State(model, backup)
    x, x_test = (part.reshape(-1, pixels) for part in (images.x_train, images.x_test))
    model.fit(
        x,
        x,
        batch_size=batch_size,
        epochs=epochs,
        initial_epoch=state.epoch,
        validation_data=(x_test, x_test),
        callbacks=[keras.callbacks.TerminateOnNaN(), state],
        verbose=0,
    )
    return state.result(lambda: {"loss": state.history["val_loss"][-1]})


def unit_vectors(shape, dtype=None):
    """Draw a Dense kernel whose columns have a random direction and length 1."""
    kernel = keras.random.normal(shape, dtype=dtype)
    return kernel / keras.ops.norm(kernel, axis=0)


class State(keras.callbacks.Callback):
    """Gather the losses and the seconds by epoch, and keep them with the weights in a folder, to go on after a kill.

    A state is two files; the second one, written last and moved into place whole, makes it valid. The folder is locked
    until the result is there: a second training of the same run waits, and takes over what the first one did.
    """

    def __init__(self, model: keras.Model, folder: Path | None, seconds_between: float = 60.0):
        super().__init__()
        self.set_model(model)
        self.folder = folder
        self.seconds_between = seconds_between
        self.epoch, self.history, self.resumed = 0, {}, []
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = (folder / "lock").open("w")
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        states = sorted(folder.glob("*.json")) if folder else []
        if states:
            kept = json.loads(states[-1].read_text())
            self.epoch, self.history = kept["epoch"], kept["history"]
            self.resumed = [*kept["resumed"], self.epoch]
            model.optimizer.build(model.trainable_variables)
            model.load_weights(states[-1].with_suffix(".weights.h5"))
        self.saved = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch + 1
        for name, value in {**logs, "seconds": time.perf_counter() - self.began}.items():
            self.history.setdefault(name, []).append(float(value))
        if self.folder and time.perf_counter() - self.saved > self.seconds_between:
            self.save()

    def on_train_end(self, logs=None):
        # To measure can take as long as to train, and can be killed too.
        if self.folder and any(self.folder.glob("*.json")):
            self.save()

    def save(self) -> None:
        path = self.folder / f"{self.epoch:06d}.json"
        if path.exists():
            return
        self.model.save_weights(path.with_suffix(".weights.h5"))
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"epoch": self.epoch, "history": self.history, "resumed": self.resumed}))
        new.replace(path)
        for old in self.folder.glob("[0-9]*"):
            if old.name[:6] != path.name[:6]:
                old.unlink()
        self.saved = time.perf_counter()

    def result(self, measure: Callable[[], dict]) -> dict:
        """Say how the training went; where it ended well, `measure` says how good the model is."""
        finite = all(map(math.isfinite, self.history["loss"])) and all(
            np.isfinite(weights).all() for weights in self.model.get_weights()
        )
        held_out = measure() if finite else {}
        finite = finite and all(map(math.isfinite, held_out.values()))
        result = {
            "status": "done" if finite else "diverged",
            "history": {
                name: [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
                for name, values in self.history.items()
            },
            "held_out": {name: float(f"{value:.6g}") for name, value in held_out.items()} if finite else None,
            "seconds": round(sum(self.history["seconds"]), 1),
            "threads": tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count(),
            "resumed": self.resumed,
        }
        if self.folder:
            self.lock.close()
        return result


def load_images(name: str, validation: int = 0, binarisation: str | None = None, folders: dict | None = None) -> Images:
    """Load a data set for a run, with part of the training set in the test set's place, black and white where asked."""
    images = _loaded((folders or {}).get(name, name))
    if validation:
        images = data.hold_out(images, validation)
    if binarisation not in (None, "fixed", "dynamic"):
        raise ValueError(f"binarisation is {binarisation!r}. Expected 'fixed', 'dynamic' or None.")
    if binarisation:
        images = dataclasses.replace(images, x_test=data.binarise(images.x_test, seed=1))
    if binarisation == "fixed":
        images = dataclasses.replace(images, x_train=data.binarise(images.x_train, seed=0))
    return images


# A worker trains many times on the same images.
_loaded = functools.lru_cache(maxsize=1)(data.load)


def build(
    network, shape, latent_dim, hidden, activation, seed, reconstruction_loss="bernoulli", samples=1, tied=False
) -> VAE:
    """Build the VAE of a run from the names in its settings."""
    check_activation(activation)
    if network not in ("dense", "convolutional"):
        raise ValueError(f"network is {network!r}. Expected 'dense' or 'convolutional'.")
    if reconstruction_loss not in RECONSTRUCTION_LOSSES:
        raise ValueError(
            f"reconstruction_loss is {reconstruction_loss!r}. Expected one of {', '.join(RECONSTRUCTION_LOSSES)}."
        )
    make_encoder, make_decoder = {
        "dense": (networks.dense_encoder, networks.dense_decoder),
        "convolutional": (networks.conv_encoder, networks.conv_decoder),
    }[network]
    same = {"latent_dim": latent_dim, "activation": ACTIVATIONS[activation], "seed": seed}
    widths = (hidden, hidden[::-1]) if hidden else (None, None)
    encoder, decoder = (
        make(shape, **same, **({"hidden": width} if width else {}))
        for make, width in zip((make_encoder, make_decoder), widths)
    )
    if tied:
        decoder = networks.tied_decoder(encoder, ACTIVATIONS[activation])
    return VAE(encoder, decoder, reconstruction_loss=RECONSTRUCTION_LOSSES[reconstruction_loss](), samples=samples)


def make_optimizer(
    name: str, learning_rate, momentum: float, clip_value: float | None, clip_norm: float | None, **settings
) -> keras.optimizers.Optimizer:
    """Make an optimizer that measures its gradients, "Adam" or "SGD", from the names in the settings of a run."""
    if name not in ("Adam", "SGD"):
        raise ValueError(f"optimizer is {name!r}. Expected 'Adam' or 'SGD'.")
    if name == "Adam" and momentum:
        raise ValueError(f"momentum is {momentum}, but Adam has its own. Leave it out, or take optimizer='SGD'.")
    if clip_value is not None and clip_norm is not None:
        raise ValueError(
            f"clip_value is {clip_value} and clip_norm {clip_norm}. Expected one of them: set the other to None."
        )
    for kind, limit in (("clip_value", clip_value), ("clip_norm", clip_norm)):
        if limit is not None and not limit > 0:
            raise ValueError(f"{kind} is {limit}. Expected a positive number, or None for no clipping.")
    settings |= {"momentum": momentum} if name == "SGD" else {}
    optimizer = measured(getattr(keras.optimizers, name))
    return optimizer(learning_rate, clipvalue=clip_value, global_clipnorm=clip_norm, **settings)


def check_activation(name: str) -> None:
    """Raise `ValueError` for an activation that has no name here."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation is {name!r}. Expected one of {', '.join(ACTIVATIONS)}.")


def measure(vae: VAE, x: np.ndarray, bound_samples: int = 0, seed: int = 0) -> dict[str, float]:
    """Measure a trained VAE on held-out images: its losses, active latents, dead units, and log p(x) where asked."""
    repeated = np.repeat(x, max(1, EVALUATED_IMAGES // len(x)), axis=0)
    result = vae.evaluate(repeated, batch_size=500, verbose=0, return_dict=True)
    z_mean, _, _ = vae.encoder.predict(x, batch_size=500, verbose=0)
    result["active_latents"] = int(latent.active_units(z_mean).sum())
    dead = [networks.dead_units(vae.encoder, x), networks.dead_units(vae.decoder, z_mean)]
    result["dead_units"] = float(np.concatenate(dead).mean())
    if bound_samples:
        result["log_likelihood"] = float(
            likelihood.importance_weighted_bound(vae, x, samples=bound_samples, seed=seed, progress=False).mean()
        )
    return result
