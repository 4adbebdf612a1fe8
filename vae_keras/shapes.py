"""Shapes: what an image shows, in numbers: slant, thickness, length and area of strokes, and the angle of a line."""

from collections.abc import Iterator
from numbers import Integral

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt, zoom

from vae_keras.data import check_images, draw_lines

# Each side of a pixel is cut into so many, so that edges and ridges are found within a pixel.
ENLARGED = 4
# An image without a pixel of this brightness shows nothing.
BLANK = 0.5
# Images, or pictures of lines, that are held in memory at once.
BATCH = 500
# A path whose turns add up to less than this, in radians, ends at the line at which it begins.
SAME_LINE = 1e-4


def measures(images: np.ndarray) -> pd.DataFrame:
    """Measure the strokes that images show, each image for itself.

    After Morpho-MNIST (Castro et al. 2019). An image is enlarged four times by cubic splines. Ink is what is at
    least half as bright as the brightest pixel, so that neither a faint picture nor a grey haze changes the measures.
    Edges exactly along the pixels are found to a pixel of the enlarged image, others more finely. The ridge is a line
    in the middle of the ink, a pixel of the enlarged image wide: layers of ink are peeled off by their distance from
    paper, but for pixels without which the ink would fall apart or lose an end.

    Args:
        images: Grey images, ink white on black, (n, height, width, 1), in [0, 1].

    Returns:
        A row for each image, NaN where no pixel is at least half white. Columns:

        - `slant`, radians, by how much upright strokes lean to the right: atan(-u11 / u02), of the central moments of
          the ink. An upright image that is sheared by an angle has it for its slant.
        - `thickness`, pixels: twice the mean distance from paper on the ridge.
        - `length`, pixels: that of the ridge, from its steps to neighbours by the weights of Vossepoel and Smeulders
          1982, so that it hardly changes as a stroke turns. The ridge ends about half the thickness and 0.2 pixels
          before the ink.
        - `area`, pixels: of the ink. The sum of grey would change with the brightness.

    Raises:
        ValueError: For what are no images, and for images in colour.
    """
    check_images(images)
    images = np.asarray(images, "float32")
    if images.shape[-1] != 1:
        raise ValueError(
            f"images have {images.shape[-1]} channels. Expected grey ones, (n, height, width, 1); make them with "
            "images.mean(axis=-1, keepdims=True)."
        )
    rows = [_measured(images[batch, ..., 0]) for batch in _batches(len(images))]
    return pd.DataFrame(np.concatenate(rows), columns=["slant", "thickness", "length", "area"])


def nearest_lines(images: np.ndarray, count: int = 10_000) -> tuple[np.ndarray, np.ndarray]:
    """Find the line that each image is nearest to, among lines of evenly spread angles (Berthelot et al. 2018).

    The distance is the cosine distance, 1 minus the cosine, of pictures whose pixels run from -1 to 1, as in the
    benchmark. With pixels from 0 to 1 it would be about ten times as large.

    Args:
        images: (n, side, side, 1), in [0, 1].
        count: How many lines `data.draw_lines` draws to compare with.

    Returns:
        The distance to the nearest line and its angle in radians, 0 or more and below 2 pi, each (n,). NaN for an even
        half grey, which is no vector of any direction.

    Raises:
        ValueError: For what are no square grey images of four pixels a side or more, and for a count that is no whole
            number, 2 or more.
    """
    check_images(images)
    if np.shape(images)[1] != np.shape(images)[2] or np.shape(images)[3] != 1:
        raise ValueError(f"images have shape {np.shape(images)}. Expected square grey ones, (n, side, side, 1).")
    if not isinstance(count, Integral) or count < 2:
        raise ValueError(f"count is {count!r}. Expected a whole number of lines, 2 or more.")
    angles = np.arange(count) * (2 * np.pi / count)
    lines = np.concatenate([_unit(draw_lines(angles[batch], np.shape(images)[1])) for batch in _batches(int(count))])
    distances, nearest = np.empty(len(images)), np.empty(len(images))
    for batch in _batches(len(images)):
        vectors = _unit(np.asarray(images[batch]))
        cosines = vectors @ lines.T
        found = cosines.argmax(axis=1)
        nowhere = ~vectors.any(axis=1)
        # Rounding may put a cosine a little above 1.
        distance = np.maximum(1 - cosines[np.arange(len(found)), found], 0)
        distances[batch] = np.where(nowhere, np.nan, distance)
        nearest[batch] = np.where(nowhere, np.nan, angles[found])
    return distances, nearest


def line_smoothness(angles: np.ndarray) -> np.ndarray:
    """Measure how evenly the lines of a path turn (Berthelot et al. 2018).

    It is the largest turn between two neighbours as a share of the turn from the first to the last line, minus the
    share that it has on an even path.

    Args:
        angles: The angle of each line on each path in radians, (n, steps), two steps or more. Jumps by more than half a
            turn are taken for turns the other way.

    Returns:
        (n,): 0 on an even path, 1 - 1 / (steps - 1) where all turning happens at once, and possibly more where a path
        turns back. NaN where the turns add up to nothing, and where an angle is NaN.

    Raises:
        ValueError: For angles that are not (n, steps), fewer than two steps, and infinite ones.
    """
    try:
        angles = np.asarray(angles, "float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"angles hold no numbers ({error}). Expected radians, (n, steps).") from error
    if angles.ndim != 2 or len(angles) == 0 or angles.shape[1] < 2:
        raise ValueError(f"angles have shape {angles.shape}. Expected (n, steps), 2 steps or more.")
    if np.isinf(angles).any():
        raise ValueError("angles hold infinity. Expected radians, or NaN where there is no line.")
    smoothness = np.full(len(angles), np.nan)
    turns = np.diff(np.unwrap(angles), axis=1)
    whole = np.abs(turns.sum(axis=1))
    moved = whole >= SAME_LINE
    smoothness[moved] = np.abs(turns[moved]).max(axis=1) / whole[moved] - 1 / turns.shape[1]
    return smoothness


def _batches(count: int) -> Iterator[slice]:
    return (slice(start, start + BATCH) for start in range(0, count, BATCH))


def _unit(images: np.ndarray) -> np.ndarray:
    # Vectors of length 1, (n, pixels), of pixels from -1 to 1; an even half grey stays at the origin.
    vectors = 2 * images.reshape(len(images), -1).astype("float64") - 1
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


def _measured(images: np.ndarray) -> np.ndarray:
    # One row of measures for each image, (n, 4).
    rows = np.full((len(images), 4), np.nan)
    brightest = images.max(axis=(1, 2))
    shown = brightest >= BLANK
    if shown.any():
        down, across = (_enlargement(side) for side in images.shape[1:])
        ink = down @ images[shown] @ across.T >= brightest[shown, np.newaxis, np.newaxis] / 2
        # A rim of paper all around: what lies on the border has an edge there.
        ink = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
        depth = _depth(ink)
        ridge = _ridge(ink, depth)
        thickness = 2 * (depth * ridge).sum(axis=(1, 2)) / ridge.sum(axis=(1, 2))
        area = ink.sum(axis=(1, 2))
        rows[shown] = np.stack(
            [_slant(ink), thickness / ENLARGED, _length(ridge) / ENLARGED, area / ENLARGED**2], axis=1
        )
    return rows


def _enlargement(side: int) -> np.ndarray:
    # The matrix that enlarges a column of pixels, (ENLARGED * side, side): enlarging is linear.
    columns = [zoom(pixel, ENLARGED, order=3, mode="grid-constant", grid_mode=True) for pixel in np.eye(side)]
    return np.stack(columns, axis=1).astype("float32")


def _depth(ink: np.ndarray) -> np.ndarray:
    # How far each pixel of ink is from paper. Each image in its own box, as SciPy takes its time for paper too.
    depth = np.zeros(ink.shape, "float32")
    for image, its_depth in zip(ink, depth):
        rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
        box = np.s_[rows[0] - 1 : rows[-1] + 2, columns[0] - 1 : columns[-1] + 2]
        its_depth[box] = distance_transform_edt(image[box])
    return depth


def _slant(ink: np.ndarray) -> np.ndarray:
    rows, columns = ink.sum(axis=2), ink.sum(axis=1)
    area = rows.sum(axis=1, keepdims=True)
    y, x = (np.arange(count.shape[1]) - count @ np.arange(count.shape[1])[:, None] / area for count in (rows, columns))
    u02 = (rows * y**2).sum(axis=1)
    u11 = ((ink @ x[..., np.newaxis])[..., 0] * y).sum(axis=1)
    return np.arctan2(-u11, u02)


# The eight neighbours of a pixel, (row, column), counter-clockwise from the right. A code has a bit for each.
NEIGHBOURS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def _peelable() -> list[np.ndarray]:
    # For each code, whether a pixel may go when the upper, lower, right or left side is peeled: it has paper on that
    # side, ink on more than one, and its neighbours hang together without it, in one part.
    ink = np.arange(256)[:, np.newaxis] >> np.arange(8) & 1
    parts = sum((1 - ink[:, k]) & (ink[:, k + 1] | ink[:, (k + 2) % 8]) for k in (0, 2, 4, 6))
    free = (parts == 1) & (ink.sum(axis=1) > 1)
    return [free & (ink[:, side] == 0) for side in (2, 6, 0, 4)]


PEELABLE = _peelable()


def _ridge(ink: np.ndarray, depth: np.ndarray) -> np.ndarray:
    # Peel all images at once, as one row of pixels with steps to the neighbours; the rim keeps the images apart.
    width = ink.shape[2]
    steps = [row * width + column for row, column in NEIGHBOURS]
    left = ink.astype("uint8").ravel()
    pixels = np.flatnonzero(left)
    layers = np.ceil(depth.ravel()[pixels]).astype(int)
    for layer in range(1, layers.max() + 1):
        peeled, before = pixels[layers == layer], None
        while len(peeled) != before:
            before = len(peeled)
            for peelable in PEELABLE:
                codes = np.zeros(len(peeled), "uint8")
                for bit, step in enumerate(steps):
                    codes |= left[peeled + step] << bit
                goes = peelable[codes]
                left[peeled[goes]] = 0
                peeled = peeled[~goes]
    return left.reshape(ink.shape).astype(bool)


def _length(ridge: np.ndarray) -> np.ndarray:
    # A step along a row or a column counts 0.980, a diagonal one 1.406, and each change between the two -0.091.
    straight, diagonal = (np.zeros(ridge.shape, int) for _ in range(2))
    for bit, (row, column) in enumerate(NEIGHBOURS):
        steps = ridge & np.roll(ridge, (-row, -column), axis=(1, 2))
        if bit % 2:
            diagonal += steps
        else:
            straight += steps
    corners = (straight == 1) & (diagonal == 1)
    # Each step was counted from both its ends.
    return (0.980 * straight / 2 + 1.406 * diagonal / 2 - 0.091 * corners).sum(axis=(1, 2))
