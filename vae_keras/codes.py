"""Codes: paths from the latents of one image to those of another, and directions along which an attribute grows.

All take latents z of shape (n, latent_dim) as arrays, any number of latents, and know nothing of the network that made
them.
"""

from collections.abc import Hashable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

# Directions whose sum or difference is shorter than this count as opposite or equal.
NEAREST = 1e-6


def straight_path(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Go from latents to latents on straight lines, in even steps.

    Args:
        start: Where each path begins, (n, latent_dim).
        end: Where it ends, (n, latent_dim).
        steps: The number of places on a path, the two ends among them, 2 or more.

    Returns:
        The paths, (n, steps, latent_dim), in float32.

    Raises:
        ValueError: For latents that are not (n, latent_dim) and finite or of two shapes, and for fewer than two steps.
    """
    start, end, shares = _checked_ends(start, end, steps)
    return _between(start, end, shares).astype("float32")


def spherical_path(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Go from latents to latents around the origin: the direction turns evenly, and the length changes evenly.

    Draws from N(0, I) of many latents all have about the same length, sqrt(latent_dim). A straight line between two of
    them cuts through places that are nearer the origin than nearly any draw, and this path keeps its distance (White
    2016, "slerp"). White weighs the latents themselves, and here their directions and their lengths are weighed apart.
    Both ways agree for latents of one length; otherwise White's path turns faster near its shorter end. Latents of the
    same direction are joined by the straight line, the limit of the path.

    Args:
        start: Where each path begins, (n, latent_dim).
        end: Where it ends, (n, latent_dim).
        steps: The number of places on a path, the two ends among them, 2 or more.

    Returns:
        The paths, (n, steps, latent_dim), in float32.

    Raises:
        ValueError: For latents that are not (n, latent_dim) and finite or of two shapes, and for fewer than two steps.
            For latents at the origin, which have no direction, and for ends in opposite directions, between which no
            way around is the shortest.
    """
    start, end, shares = _checked_ends(start, end, steps)
    first, last = (np.linalg.norm(z, axis=-1, keepdims=True) for z in (start, end))
    _refuse(np.minimum(first, last) == 0, "one end at the origin, which has no direction")
    start, end = start / first, end / last
    apart, together = (np.linalg.norm(z, axis=-1, keepdims=True) for z in (end - start, end + start))
    _refuse(together < NEAREST, "ends in opposite directions, between which no way around is the shortest")
    angle = 2 * np.arctan2(apart, together)
    # Where the directions are the same, the sines are 0 / 0; their limits are the shares.
    same = apart < NEAREST
    sine = np.where(same, 1, np.sin(angle))
    before, after = (np.where(same, share, np.sin(share * angle) / sine) for share in (1 - shares, shares))
    return (_between(first, last, shares) * (before * start + after * end)).astype("float32")


def attribute_vectors(
    z: np.ndarray, attributes: Mapping[Any, np.ndarray] | pd.DataFrame, regress: str = "codes"
) -> dict[Hashable, np.ndarray]:
    """Find the step in latent space for each attribute of the images that stands for one standard deviation of it.

    Two linear regressions give two answers.

    - `"codes"`, the default, regresses the codes on all attributes at once. The vector of an attribute says how far the
      mean code moves where this attribute is one standard deviation higher and the others are the same. It stays in the
      directions in which codes vary.
    - `"attributes"` regresses each attribute on the codes, the others left aside. The vector is the shortest step after
      which the prediction is one standard deviation higher. It moves other attributes too. In a latent that hardly
      varies it goes far, measured by how little this latent varies: the decoder has seen no such code.

    They are the pattern and the filter of Haufe et al. 2014. Where codes tell little about an attribute, the step of
    `"codes"` is short: of one attribute alone, it raises the prediction of the other regression by R^2 standard
    deviations.

    Args:
        z: Latents, (n, latent_dim), of an encoder of a VAE `z_mean`.
        attributes: Values of the images, (n,), by the name of what they measure: a table of `shapes.measures`, or a
            dict. Leave out rows with NaN, here and in z.
        regress: What is predicted, `"codes"` or `"attributes"`.

    Returns:
        A vector, (latent_dim,), in float32, by the name of each attribute.

    Raises:
        ValueError: For latents that are not (n, latent_dim) and finite, no attributes, values that are not (n,) and
            finite, codes or an attribute that are the same for all images, fewer images than two more than there are
            attributes (`"codes"`) or latents (`"attributes"`), attributes of which one follows from the others
            (`"codes"`), an attribute that the codes do not predict (`"attributes"`), and an unknown `regress`.
    """
    if regress not in ("codes", "attributes"):
        raise ValueError(f"regress is {regress!r}. Expected 'codes' or 'attributes': what is to be predicted.")
    z = _checked_codes("z", z)
    names, values = _checked_attributes(attributes, len(z))
    predictors = len(names) if regress == "codes" else z.shape[1]
    if len(z) < predictors + 2:
        raise ValueError(
            f"z holds {len(z)} images, and regress={regress!r} fits {predictors + 1} coefficients. Expected "
            f"{predictors + 2} images or more, and many more for an answer that does not change with the images."
        )
    if not np.ptp(z, axis=0).any():
        raise ValueError("z is the same for all images. Expected codes that vary; have they collapsed?")
    z = z - z.mean(axis=0)
    standardised = (values - values.mean(axis=0)) / values.std(axis=0)
    if regress == "codes":
        if np.linalg.eigvalsh(standardised.T @ standardised / len(z))[0] < 1e-10:
            raise ValueError(
                f"Of the attributes {', '.join(map(repr, names))} one follows from the others. Expected none that "
                "does; leave one out, or take regress='attributes'."
            )
        vectors = np.linalg.lstsq(standardised, z)[0]
    else:
        slopes = np.linalg.lstsq(z, standardised)[0].T
        explained = np.square(z @ slopes.T).mean(axis=0)
        if explained.min() < 1e-12:
            raise ValueError(
                f"The codes say nothing about the attribute {names[int(explained.argmin())]!r}. Expected one that they "
                "predict at least a little; leave it out, or take regress='codes'."
            )
        vectors = slopes / np.square(slopes).sum(axis=1, keepdims=True)
    return dict(zip(names, vectors.astype("float32")))


def _between(start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return (1 - shares) * start + shares * end


def _checked_ends(start: Any, end: Any, steps: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # The ends, (n, 1, latent_dim), and how much of the way is gone, (steps, 1).
    start, end = _checked_codes("start", start), _checked_codes("end", end)
    if start.shape != end.shape:
        raise ValueError(
            f"start has shape {start.shape} and end {end.shape}. Expected the same: a path leads from each row of "
            "start to that row of end."
        )
    if not isinstance(steps, Integral) or steps < 2:
        raise ValueError(f"steps is {steps!r}. Expected a whole number, 2 or more: both ends are among the steps.")
    return start[:, np.newaxis], end[:, np.newaxis], np.linspace(0, 1, int(steps))[:, np.newaxis]


def _checked_codes(name: str, z: Any) -> np.ndarray:
    try:
        z = np.asarray(z, "float64")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is of type {type(z).__name__} and holds no numbers ({error}). Expected (n, latent_dim)."
        ) from error
    if z.ndim != 2 or z.size == 0:
        raise ValueError(
            f"{name} has shape {z.shape}. Expected (n, latent_dim), n above 0; make a row of a single code with "
            "z[None]."
        )
    if not np.isfinite(z).all():
        raise ValueError(f"{name} holds NaN or infinity. Expected finite latents; has the training diverged?")
    return z


def _checked_attributes(attributes: Any, images: int) -> tuple[list[Hashable], np.ndarray]:
    if not isinstance(attributes, (Mapping, pd.DataFrame)) or not len(attributes.keys()):
        raise ValueError(
            f"attributes are {attributes!r}. Expected a dict or a table with one or more: values, (n,), by name."
        )
    columns = []
    for name, values in attributes.items():
        try:
            values = np.asarray(values, "float64")
        except (TypeError, ValueError) as error:
            raise ValueError(f"The attribute {name!r} holds no numbers ({error}). Expected (n,).") from error
        if values.shape != (images,):
            raise ValueError(
                f"The attribute {name!r} has shape {values.shape}, but z holds {images} images. Expected a value for "
                f"each, ({images},)."
            )
        if not np.isfinite(values).all():
            missing = int((~np.isfinite(values)).sum())
            raise ValueError(
                f"The attribute {name!r} holds NaN or infinity for {missing} of {images} images. Expected numbers; "
                "leave these images out, in z too."
            )
        if np.ptp(values) == 0:
            raise ValueError(
                f"The attribute {name!r} is {values[0]:g} for all images. Expected one that varies; leave it out."
            )
        columns.append(values)
    return list(attributes.keys()), np.stack(columns, axis=1)


def _refuse(wrong: np.ndarray, what: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        shown = ", ".join(map(str, rows[:5])) + (" ..." if len(rows) > 5 else "")
        raise ValueError(
            f"{len(rows)} of the {len(wrong)} paths have {what}: rows {shown}. Leave these out, or take straight_path."
        )
