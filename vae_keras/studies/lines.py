"""Lines: train an autoencoder or a VAE on pictures of one line, and measure the paths from one line to another."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vae_keras import codes, networks, shapes
from vae_keras.autoencoder import Autoencoder
from vae_keras.data import Images, draw_lines
from vae_keras.studies.checkpoint import Checkpoint
from vae_keras.studies.recipes import (
    check_settings,
    compiled,
    defaults,
    fit_vae,
    make_optimizer,
    mean_codes,
    settings_of,
)
from vae_keras.vae import VAE

# As many pairs, and places on the way from one to the other, as Berthelot et al. 2018 measure.
PAIRS, STEPS = 256, 16
PATHS = {"straight": codes.straight_path, "spherical": codes.spherical_path}


def train_lines(*, folders: dict[str, str] | None = None, backup: Path | None = None, **run) -> dict:
    """Train an autoencoder or a VAE on pictures of lines, measure its paths between lines, and return all of it.

    Args:
        folders: Not used: the pictures are drawn here.
        backup: A folder in which to keep the state, so that a training that was killed goes on where it was. Delete it
            when the result is safe.
        **run: The settings of `line_images`, `build_for_lines`, `make_optimizer` and `fit_vae`.

    Returns:
        `defaults`, the settings that the run leaves out, and what `Checkpoint.result` says; `held_out` is as
        `measure_paths` gives it.

    Raises:
        ValueError: For unknown settings and those that are missing or exclude each other.
    """
    check_settings(run, LINES_PARTS)
    images = line_images(**settings_of(line_images, run))
    model = compiled(run, build_for_lines, images)
    with contextlib.closing(Checkpoint(model, backup)) as checkpoint:
        fit_vae(model, images, checkpoint, **settings_of(fit_vae, run))
        result = checkpoint.result(lambda: measure_paths(model, images))
    return {"defaults": defaults(run, LINES_PARTS), **result}


def line_images(*, seed: int, pictures: int = 20_000) -> Images:
    """Draw lines of random angles, to train on and to go between.

    Args:
        seed: Fixes the angles.
        pictures: How many to train on.

    Returns:
        Pictures of 32 x 32 pixels. Those of the test set are the first lines of all paths, and then their last lines.
    """
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, pictures + 2 * PAIRS)
    x, y = draw_lines(angles), np.zeros(len(angles), int)
    return Images(x[:pictures], y[:pictures], x[pictures:], y[pictures:], ("line",))


def build_for_lines(
    shape: Sequence[int],
    *,
    variational: bool,
    seed: int,
    latent_dim: int = 64,
    filters: Sequence[int] = (16, 32, 64, 128),
    beta: float = 1.0,
) -> Autoencoder:
    """Build an autoencoder or a VAE from convolutions down to 2 x 2 pixels, as wide as the paper's.

    Args:
        shape: That of one image, (height, width, channels).
        variational: Whether to build a VAE.
        seed: Fixes the initial weights and the noise.
        latent_dim: The number of latents.
        filters: The channels of the encoder's convolutions, which the decoder has in reverse.
        beta: The weight of the KL term; an autoencoder has none.

    Returns:
        A model that is not compiled.

    Raises:
        ValueError: For an autoencoder with a beta.
    """
    if not variational and beta != 1:
        raise ValueError(f"beta is {beta}, but an autoencoder has no KL term. Leave it out.")
    same = {"latent_dim": latent_dim, "hidden": (), "activation": "gelu", "seed": seed}
    encoder = networks.conv_encoder(shape, filters=tuple(filters), variational=variational, **same)
    decoder = networks.conv_decoder(shape, filters=tuple(filters[::-1]), **same)
    return VAE(encoder, decoder, beta) if variational else Autoencoder(encoder, decoder)


def measure_paths(model: Autoencoder, images: Images) -> dict[str, float]:
    """Measure the decoded paths between held-out lines, and how well these lines come back.

    Args:
        model: A trained autoencoder, or a VAE, of which the path leads from `z_mean` to `z_mean`.
        images: Their test set holds the ends of the paths, as `line_images` gives them.

    Returns:
        The losses of the ends in nats per image; for each way, "straight" and "spherical", the means over the paths of
        "distance", the mean cosine distance of its pictures to the nearest line, and of "smoothness" (Berthelot et al.
        2018); and "ends, distance", the first for the ends alone.
    """
    x = images.x_test
    result = model.evaluate(x, batch_size=500, verbose=0, return_dict=True)
    start, end = np.split(mean_codes(model, x), 2)
    for name, path in PATHS.items():
        z = path(start, end, STEPS)
        pictures = model.decoder.predict(z.reshape(-1, z.shape[-1]), batch_size=500, verbose=0)
        measured = path_measures(pictures.reshape(len(z), STEPS, *images.shape))
        result |= {f"{name}, {measure}": value for measure, value in measured.items()}
    result["ends, distance"] = float(np.nanmean(shapes.nearest_lines(model.predict(x, batch_size=500, verbose=0))[0]))
    return result


def path_measures(pictures: np.ndarray) -> dict[str, float]:
    """Measure paths of pictures of lines.

    Args:
        pictures: (paths, steps, side, side, 1), in [0, 1].

    Returns:
        `distance`, the mean cosine distance of all pictures to the nearest line, and, where a path ends at another line
        than that at which it begins, `smoothness`, the mean of `shapes.line_smoothness` over such paths.
    """
    distances, angles = shapes.nearest_lines(pictures.reshape(-1, *pictures.shape[2:]))
    smoothness = shapes.line_smoothness(angles.reshape(pictures.shape[:2]))
    moved = np.isfinite(smoothness)
    measured = {"distance": float(np.nanmean(distances))}
    return measured | ({"smoothness": float(smoothness[moved].mean())} if moved.any() else {})


LINES_PARTS = (line_images, build_for_lines, make_optimizer, fit_vae)
