"""Sprites: coloured shapes on black, and the factors from which they are drawn."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.colors import hsv_to_rgb

from vae_keras.data.factors import check_factors
from vae_keras.data.images import check_whole

SPRITE_FACTORS = {
    "shape": ("square", "ellipse", "heart"),
    "scale": (0.5, 1.0),
    "x": (0.0, 1.0),
    "y": (0.0, 1.0),
    "hue": (0.0, 0.75),
}
# The side of the largest square, and how near to the border a centre comes, as shares of the picture.
LARGEST, MARGIN = 0.35, 0.28
# Pictures that are drawn at once: few, so that they fit into the cache of a processor.
BATCH = 64


def draw_sprites(factors: pd.DataFrame, side: int = 32) -> np.ndarray:
    """Draw a coloured shape on black for each row of a table, antialiased.

    After dSprites (Matthey et al. 2017), in colour. All shapes of one scale have the same area. They do not turn: a
    square that is turned by a quarter is the same square, so that its picture does not tell the angle, and no code of
    pictures can score 1 there.

    Hue is a circle: 0 and 1 are the same red. A network is continuous, and no continuous function of the circle to a
    single latent keeps all hues apart, so that no code of pictures can score 1 on the whole circle. Its sine and cosine
    would not help: each tells much about the other, and the gap between two such latents is small. Therefore the hues
    of `SPRITE_FACTORS` are an arc with two unlike ends, from red to violet, which a single latent can follow.

    Args:
        factors: A row for each picture, as `draw_factors(SPRITE_FACTORS, count)` draws them, with the columns

            - `shape`: 0 a square, 1 an ellipse, 2 a heart.
            - `scale`: 0.5 to 1, in proportion to height and width. The largest square has a side of 0.35 `side`.
            - `x`, `y`: where the centre of mass lies, from 0, left and at the bottom, to 1. It keeps 0.28 `side` away
              from the borders.
            - `hue`: any number; 0 is red, 1/3 green, 2/3 blue, 1 red again.
        side: Height and width of a picture in pixels, 8 or more.

    Returns:
        Images in float32 and [0, 1], (n, side, side, 3).

    Raises:
        ValueError: For what is no table of factors, values outside these ranges, and a side that is no whole number, 8
            or more.

    Example:
        >>> row = data.draw_factors(data.SPRITE_FACTORS, 1)
        >>> hues = pd.concat([row] * 8).assign(hue=np.linspace(0, 0.75, 8))
        >>> plots.image_rows({"hue": data.draw_sprites(hues)})
    """
    check_whole("side", side, least=8)
    check_factors(factors, SPRITE_FACTORS, circular=("hue",))
    shape = factors["shape"].to_numpy()
    # Lengths in pixels, from the lower left corner. The side of a square, and of other shapes of its area.
    scale, x, y = (factors[name].to_numpy("float32") for name in ("scale", "x", "y"))
    unit = scale * (LARGEST * side)
    centre_x, centre_y = (side * (MARGIN + (1 - 2 * MARGIN) * place) for place in (x, y))
    hue = factors["hue"].to_numpy("float64") % 1
    colours = hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.8), np.ones_like(hue)], axis=1)).astype("float32")
    place = (np.arange(side) + 0.5).astype("float32")
    covered = np.empty((len(factors), side, side), "float32")
    for kind, distance in enumerate(DISTANCES):
        rows = np.flatnonzero(shape == kind)
        for batch in np.split(rows, range(BATCH, len(rows), BATCH)):
            length, left, bottom = (values[batch, np.newaxis, np.newaxis] for values in (unit, centre_x, centre_y))
            across, up = (place - left) / length, (place[::-1, np.newaxis] - bottom) / length
            # A pixel is a square of side 1: it is half covered where its centre lies on the edge.
            covered[batch] = np.clip(0.5 - length * distance(across, up), 0, 1)
    return covered[..., np.newaxis] * colours[:, np.newaxis, np.newaxis]


# How far a place lies outside a shape of area 1 around the origin: below 0 inside.


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.5


def _ellipse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # 1.5 times as wide as high. The level over its gradient is the distance, to first order at the edge.
    a, b = math.sqrt(1.5 / math.pi), math.sqrt(1 / (1.5 * math.pi))
    level = np.hypot(x / a, y / b)
    return level * (level - 1) / np.maximum(np.hypot(x / a**2, y / b**2), 1e-6)


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # A square on its corner, the lower tip at the origin, with half a disc on each of its two upper sides.
    radius, area = math.sqrt(1 / 8), 1 / 2 + math.pi / 8
    size = math.sqrt(area)
    middle = (1 / 4 + math.pi / 8 * 3 / 4 + 1 / 24) / area
    x, y = np.abs(x) * size, y * size + middle
    disc = np.hypot(x - 1 / 4, y - 3 / 4) - radius
    side = np.where(x + y > 0, np.abs(x - y) * math.sqrt(1 / 2), np.hypot(x, y))
    lower = np.where(x > y, side, -np.minimum(side, np.hypot(x, y - 1)))
    return np.where(x + y > 1, disc, lower) / size


DISTANCES: tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], ...] = (_square, _ellipse, _heart)
