"""What all figures share: the style, empty axes, images, the axes of a latent space, and the checks of the input."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.patheffects
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

# Ten colours that a search put as far apart as it could, for people with or without a colour-vision deficiency. Any two
# differ by 51 in CIELAB, and by 30 as red- and green-blind people see them (Machado et al. 2009).
COLOURS = (
    "#1489ff",
    "#d84e14",
    "#0000ff",
    "#62d876",
    "#ebc400",
    "#c47689",
    "#273b62",
    "#00d8ff",
    "#004e27",
    "#4e149d",
)
STYLE = {
    "axes.grid": False,
    "axes.prop_cycle": mpl.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 10,
    "image.cmap": "gray_r",
    "legend.frameon": False,
    "savefig.dpi": 100,
}
styled = mpl.rc_context(STYLE)
GREY = "0.6"
MISSING = "#bd1f01"
# What is smaller than this share of the size of the latents, or of that of the prior, is rounding.
ROUNDING = 1e-5
POINTS = "a point of the plane in each row: of more latents choose two, such as z[:, :2]"


def class_colour(label: int) -> str:
    """Give a class its colour; the eleventh has that of the first again."""
    return COLOURS[label % len(COLOURS)]


def blank_figure(width: float, height: float) -> Figure:
    """Make an empty figure, its sizes in inches."""
    # Closed at once: pyplot forgets the figure, so that notebooks show it once and long sessions do not pile them up.
    figure = plt.figure(figsize=(width, height))
    plt.close(figure)
    return figure


def subplots(
    rows: int, columns: int, width: float, height: float, images: bool = False, sharey: bool = False, **ratios: Any
) -> tuple[Figure, np.ndarray]:
    """Make a figure of axes in rows and columns, its sizes in inches; those for `images` have no ticks and no frame."""
    figure = blank_figure(width, height)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey, gridspec_kw=ratios)
    if images:
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    return figure, axes


def draw_image(axis: Axes, image: np.ndarray, framed: bool = False) -> None:
    """Draw one image (height, width, channels) in [0, 1], and a red frame where `framed`."""
    axis.axis("on")
    axis.imshow(image, vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(framed)
    axis.spines[:].set(color=MISSING, linewidth=2)


def name_classes(axis: Axes, z: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> None:
    """Write the name of each class at the median of its points, legible on any of them.

    The limits of the axes are set before. Names that would be too close move apart, each on a thin line.
    """
    present = np.unique(labels)
    medians = np.stack([np.median(z[labels == label], axis=0) for label in present])
    outline = [matplotlib.patheffects.withStroke(linewidth=3, foreground="white")]
    for label, median, place in zip(present, medians, _moved_apart(medians, 0.07 * np.ptp(axis.get_xlim()))):
        colour = class_colour(label)
        line = {"arrowstyle": "-", "color": colour, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
        style = {"ha": "center", "va": "center", "size": 13, "weight": "bold", "path_effects": outline}
        axis.annotate(str(class_names[label]), median, place, color=colour, arrowprops=line, **style)


def _moved_apart(places: np.ndarray, least: float) -> np.ndarray:
    # Pairs that are too close push each other away, until none is or a hundred rounds are over.
    turns = np.arange(len(places))
    # Names on one spot need a direction each.
    moved = places + 1e-3 * least * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    for _ in range(100):
        between = moved[:, np.newaxis] - moved
        distance = np.linalg.norm(between, axis=-1)
        np.fill_diagonal(distance, np.inf)
        missing = np.maximum(least - distance, 0)
        if not missing.any():
            break
        moved = moved + (between * (missing / 2 / np.maximum(distance, 1e-12))[..., np.newaxis]).sum(axis=1)
    return moved


def latent_axes(axis: Axes, z: np.ndarray) -> None:
    """Make the axes a square, of one scale, that holds all points (n, 2)."""
    left, right, bottom, top = square(z)
    axis.set(xlim=(left, right), ylim=(bottom, top))
    axis.set(xlabel="z1", ylabel="z2", aspect="equal")


def square(z: np.ndarray) -> tuple[float, float, float, float]:
    """Give the ends of a square that holds all points (n, 2): left, right, bottom, top."""
    low, high = z.min(axis=0), z.max(axis=0)
    centre, half = (low + high) / 2, 0.54 * max(high - low)
    # Points that have all collapsed into one still need a square around them.
    if half < ROUNDING * max(np.abs(z).max(), 1):
        half = 1.0
    return centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half


def ends(z_mean: np.ndarray, z_log_var: np.ndarray) -> np.ndarray:
    """Give the corners, (2 n, 2), of what holds two standard deviations of n normal distributions."""
    reach = 2 * np.exp(z_log_var / 2)
    return np.concatenate([z_mean - reach, z_mean + reach])


def check_mapping(name: str, mapping: Mapping, most: float = math.inf) -> None:
    """Raise a ValueError unless `mapping` holds at least one entry, and `most` at most."""
    if not isinstance(mapping, Mapping) or not mapping:
        raise ValueError(f"{name} is {mapping!r:.80}. Expected a dict, or another mapping, with at least one entry.")
    if len(mapping) > most:
        raise ValueError(
            f"{name} has {len(mapping)} names. Expected {most} at most, a colour for each: draw the others in a figure "
            "of their own."
        )


def check_names(name: str, mapping: Mapping, expected: Iterable, some: bool = False) -> None:
    """Raise a ValueError unless `mapping` has the `expected` names, or `some` of them."""
    listed = ", ".join(map(str, expected))
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{name} is {mapping!r:.80}. Expected a dict, or another mapping, with entries for {listed}.")
    if not set(mapping) <= set(expected) or (len(mapping) < len(set(expected)) and not some):
        given = ", ".join(map(str, mapping)) or "nothing"
        raise ValueError(f"{name} has entries for {given}. Expected {'some' if some else 'all'} of these: {listed}.")


def check_length(name: str, values: Sequence, count: int | str, meaning: str) -> None:
    """Raise a ValueError unless `values` is a sequence of `count` entries, or of any number where `count` is a name."""
    shape = np.asarray(values, object).shape
    if len(shape) != 1 or (shape[0] != count and not isinstance(count, str)):
        raise ValueError(f"{name} has shape {shape}. Expected ({count},), {meaning}.")


def check_whole(name: str, value: int, least: int, most: float = math.inf, meaning: str = "") -> None:
    """Raise a ValueError unless `value` is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        limits = f"of {least} or more" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} is {value!r}. Expected a whole number {limits}{meaning}.")


def check_array(
    name: str, values: ArrayLike, shape: tuple[int | str, ...], meaning: str, finite: bool = True
) -> np.ndarray:
    """Turn `values` into an array of numbers, or raise a ValueError; sizes that `shape` gives by name are free."""
    expected = f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)}), {meaning}"
    try:
        values = np.asarray(values)
        values = values if values.dtype.kind in "biuf" else values.astype(float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {values!r:.80}. Expected numbers of shape {expected}.") from None
    fits = all(isinstance(size, str) or size == length for size, length in zip(shape, values.shape))
    if values.ndim != len(shape) or values.size == 0 or not fits:
        raise ValueError(f"{name} has shape {values.shape}. Expected {expected}.")
    if finite and not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinity. Expected finite numbers; has the training diverged?")
    return values


def check_arrays(
    name: str, arrays: Mapping, shape: tuple[int | str, ...], meaning: str, most: float = math.inf, finite: bool = True
) -> dict[str, np.ndarray]:
    """Turn each entry of a mapping into an array of numbers, or raise a ValueError."""
    check_mapping(name, arrays, most)
    return {key: check_array(f"{name}[{key!r}]", values, shape, meaning, finite) for key, values in arrays.items()}


def check_points(name: str, points: ArrayLike) -> np.ndarray:
    """Return points (n, 2) as an array, or raise a ValueError."""
    return check_array(name, points, ("n", 2), POINTS)


def check_spaces(spaces: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the latent spaces (n, 2) as arrays, or raise a ValueError."""
    return check_arrays("spaces", spaces, ("n", 2), POINTS)


def check_images(name: str, images: ArrayLike, count: int | str = "n", meaning: str = "") -> np.ndarray:
    """Return `count` images in [0, 1] as an array, or raise a ValueError."""
    meaning = f"{meaning or 'a stack of images'}; grey images need an axis of channels too, images[..., np.newaxis]"
    images = check_array(name, images, (count, "height", "width", "channels"), meaning)
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"{name} has shape {images.shape}. Expected 1 channel, grey, or 3, red, green and blue, last.")
    if images.min() < 0 or images.max() > 1:
        raise ValueError(
            f"{name} holds values from {images.min():g} to {images.max():g}. Expected 0 to 1: divide bytes by 255, or "
            "cut with images.clip(0, 1)."
        )
    # Matplotlib takes whole numbers in colour images for bytes.
    return images if images.dtype.kind == "f" else images.astype(float)


def check_flags(name: str, flags: ArrayLike, count: int, meaning: str) -> np.ndarray:
    """Return `count` flags as a bool array, or raise a ValueError."""
    flags = check_array(name, flags, (count,), meaning)
    if flags.dtype != bool:
        raise ValueError(f"{name} is of {flags.dtype}. Expected bool, {meaning}.")
    return flags


def check_indices(
    name: str, values: ArrayLike, shape: tuple[int | str, ...], meaning: str, below: float = math.inf
) -> np.ndarray:
    """Return whole numbers from 0 up as an array, or raise a ValueError."""
    values = check_array(name, values, shape, meaning)
    wrong = values[(values < 0) | (values >= below) | (values % 1 != 0)]
    if wrong.size:
        limits = "0 or more" if below == math.inf else f"0 or more and below {below}"
        raise ValueError(f"{name} holds {wrong[0]:g}. Expected whole numbers, {limits}, {meaning}.")
    return values.astype(int)
