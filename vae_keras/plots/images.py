"""Figures that hold nothing but images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from vae_keras.plots.style import (
    check_array,
    check_flags,
    check_images,
    check_length,
    check_mapping,
    check_names,
    check_whole,
    draw_image,
    styled,
    subplots,
)

FLAGS = "True or False for each image"


@styled
def image_rows(rows: Mapping[str, np.ndarray], marked: Mapping[str, np.ndarray] | None = None) -> Figure:
    """Draw a row of images for each name.

    Args:
        rows: Images by the name that stands on the left of their row, shape (n, height, width, channels) with 1 or 3
            channels, in [0, 1]. Every row has the same number n of images.
        marked: Bool arrays (n,) for some of the names: a red frame goes round the images that are True. Default none.

    Returns:
        The figure, of n images a row.

    Raises:
        ValueError: If `rows` is empty, holds anything but images in [0, 1], or rows of unequal length; and if `marked`
            has a name that is not in `rows`, or anything but a bool for each image of that row.
    """
    check_mapping("rows", rows)
    rows = {name: check_images(f"rows[{name!r}]", images) for name, images in rows.items()}
    columns = min(map(len, rows.values()))
    if any(len(images) != columns for images in rows.values()):
        counts = ", ".join(f"{name}: {len(images)}" for name, images in rows.items())
        raise ValueError(f"rows hold images in these numbers: {counts}. Expected as many in each: cut to [:{columns}].")
    marked = {} if marked is None else marked
    check_names("marked", marked, rows, some=True)
    marked = {name: check_flags(f"marked[{name!r}]", flags, columns, FLAGS) for name, flags in marked.items()}
    figure, axes = subplots(len(rows), columns, width=min(10, 0.75 * columns + 1), height=0.82 * len(rows), images=True)
    for row, (name, images) in zip(axes, rows.items()):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, image, flag in zip(row, images, marked.get(name, [False] * columns)):
            draw_image(axis, image, framed=flag)
    return figure


@styled
def image_grid(
    images: np.ndarray, columns: int = 10, titles: Sequence[str] | None = None, marked: np.ndarray | None = None
) -> Figure:
    """Draw images row by row, with a title over each and a red frame round some.

    Args:
        images: The images, shape (n, height, width, channels) with 1 or 3 channels, in [0, 1].
        columns: How many images a row holds. Default 10.
        titles: A title for each image, n in all. Default none.
        marked: Bool array (n,): a red frame goes round the images that are True. Default none.

    Returns:
        The figure, of n / `columns` rows, rounded up.

    Raises:
        ValueError: If `images` holds anything but images in [0, 1], `columns` is not a whole number of 1 or more, or
            `titles` or `marked` does not have an entry for each image.
    """
    images = check_images("images", images)
    check_whole("columns", columns, 1)
    rows, height = -(-len(images) // columns), 0.85 if titles is None else 1.05
    titles = [""] * len(images) if titles is None else titles
    check_length("titles", titles, len(images), "a title for each image")
    marked = [False] * len(images) if marked is None else check_flags("marked", marked, len(images), FLAGS)
    figure, axes = subplots(rows, columns, width=0.85 * columns, height=height * rows, images=True)
    for axis, image, title, flag in zip(axes.flat, images, titles, marked):
        draw_image(axis, image, framed=flag)
        axis.set_title(title, fontsize=8)
    return figure


@styled
def decoded_grid(
    grids: Mapping[str, np.ndarray], first: np.ndarray, second: np.ndarray, axis_names: Sequence[str] = ("z1", "z2")
) -> Figure:
    """Draw images decoded on a grid of latents as one picture, with the latents on the axes, a panel for each decoder.

    Args:
        grids: By the title of the panel the images, row by row, shape (rows * columns, height, width, channels) with 1
            or 3 channels, in [0, 1].
        first: The values of z1 from left to right, shape (columns,).
        second: The values of z2 from top to bottom, shape (rows,).
        axis_names: What the two axes are, from left to right and from top to bottom. Default "z1" and "z2".

    Returns:
        The figure.

    Raises:
        ValueError: If `grids` is empty, `first` or `second` is not a row of finite numbers, a grid does not hold an
            image in [0, 1] for each pair of them, or there are not two names of axes.
    """
    check_mapping("grids", grids)
    first = check_array("first", first, ("columns",), "the values of z1")
    second = check_array("second", second, ("rows",), "the values of z2")
    check_length("axis_names", axis_names, 2, "one for each axis")
    rows, columns = len(second), len(first)
    side = 6.6 if len(grids) == 1 else 4.6
    figure, axes = subplots(1, len(grids), width=side * len(grids), height=side * rows / columns)
    for axis, (title, images) in zip(axes[0], grids.items()):
        images = check_images(
            f"grids[{title!r}]", images, rows * columns, f"{rows} rows, as second, of {columns}, as first"
        )
        _, height, width, channels = images.shape
        picture = images.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
        axis.imshow(picture.reshape(rows * height, columns * width, channels), vmin=0, vmax=1)
        axis.set_xticks((np.arange(columns) + 0.5) * width - 0.5, _ticks(first), fontsize=7)
        axis.set_yticks((np.arange(rows) + 0.5) * height - 0.5, _ticks(second), fontsize=7)
        axis.set(xlabel=axis_names[0], ylabel=axis_names[1], title=title)
    return figure


def _ticks(values: np.ndarray) -> list[str]:
    # Adding 0 turns -0.0 into 0.0.
    return [f"{value:.1f}" for value in np.round(values, 1) + 0.0]
