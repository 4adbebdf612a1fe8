"""A moving picture of a training: the latent space and what it decodes to, epoch by epoch."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.patches import Ellipse
from PIL import Image

from vae_keras.plots.style import (
    COLOURS,
    blank_figure,
    check_array,
    check_images,
    check_indices,
    check_length,
    class_colour,
    ends,
    latent_axes,
    name_classes,
    styled,
)

# Few colours make a small file: greys, and those of the classes in three strengths.
GREYS = 16
STRENGTHS = (1, 0.6, 0.3)


@styled
def training_animation(
    z_mean: np.ndarray,
    z_log_var: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    decoded: np.ndarray,
    ellipses: int = 40,
    milliseconds: int = 500,
) -> bytes:
    """Draw a training as a GIF: on the left the latent space after each epoch, on the right a decoded grid.

    Args:
        z_mean: The means of the same n images after each epoch, shape (epochs, n, 2).
        z_log_var: The logarithms of their variances, of the same shape.
        labels: The class of each image, from 0 on, shape (n,).
        class_names: A name for each class.
        decoded: Images decoded on a square grid after each epoch, shape (epochs, k * k, height, width, channels), in
            [0, 1], row by row from the top.
        ellipses: So many of the images, the first ones, show the two standard deviations of their distribution.
        milliseconds: How long each picture stays; the last one stays four times as long.

    Returns:
        The GIF, which plays without end.

    Raises:
        ValueError: If the shapes do not fit one another, something is not finite, a label has no class name, or the
            grid is not square.
    """
    z_mean = check_array("z_mean", z_mean, ("epochs", "n", 2), "the means after each epoch")
    z_log_var = check_array("z_log_var", z_log_var, z_mean.shape, "as z_mean")
    check_length("class_names", class_names, "classes", "a name for each class")
    labels = check_indices("labels", labels, z_mean.shape[1:2], "the class of each image", below=len(class_names))
    decoded = np.asarray(decoded)
    side = round(decoded.shape[1] ** 0.5) if decoded.ndim == 5 else 0
    if decoded.ndim != 5 or len(decoded) != len(z_mean) or side**2 != decoded.shape[1]:
        raise ValueError(
            f"decoded has shape {decoded.shape}. Expected ({len(z_mean)}, k * k, height, width, channels): the images "
            "of a square grid after each epoch."
        )
    palette, frames = _palette(), []
    for epoch, (mean, log_var, grid) in enumerate(zip(z_mean, z_log_var, decoded), start=1):
        figure = blank_figure(width=7.4, height=3.8)
        space, picture = figure.subplots(1, 2)
        for label in np.unique(labels):
            space.scatter(*mean[labels == label].T, s=5, color=class_colour(label), lw=0)
        for centre, spread, label in zip(mean[:ellipses], np.exp(log_var[:ellipses] / 2), labels):
            space.add_patch(Ellipse(centre, *(4 * spread), fill=False, color=class_colour(label), lw=0.7))
        latent_axes(space, np.concatenate([z_mean[-1], ends(z_mean[-1, :ellipses], z_log_var[-1, :ellipses])]))
        name_classes(space, mean, labels, class_names)
        space.set_title(f"epoch {epoch}")
        grid = check_images("decoded", grid)
        _, height, width, channels = grid.shape
        tiles = grid.reshape(side, side, height, width, channels).transpose(0, 2, 1, 3, 4)
        picture.imshow(tiles.reshape(side * height, side * width, channels), vmin=0, vmax=1)
        picture.set(xticks=[], yticks=[], title="decoded from a grid over N(0, I)")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        frame = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        frames.append(frame.quantize(palette=palette, dither=Image.Dither.NONE))
    durations = [milliseconds] * (len(frames) - 1) + [4 * milliseconds]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    return file.getvalue()


def _palette() -> Image.Image:
    greys = np.repeat(np.linspace(0, 1, GREYS)[:, None], 3, axis=1)
    classes = np.array([to_rgb(colour) for colour in COLOURS])
    colours = np.concatenate([greys, *(1 - strength * (1 - classes) for strength in STRENGTHS)])
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.round(255 * colours).astype(int).ravel().tolist())
    return palette
