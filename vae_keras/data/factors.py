"""Factors: the numbers from which pictures are drawn, independent of each other."""

from collections.abc import Collection, Mapping, Sequence
from numbers import Real

import numpy as np
import pandas as pd

from vae_keras.data.images import check_whole


def draw_factors(ranges: Mapping[str, Sequence], count: int, seed: int = 0) -> pd.DataFrame:
    """Draw the factors of pictures, each independently of the others and evenly over its range.

    Args:
        ranges: By the name of a factor the names of its classes, or its lowest and its highest value: `SPRITE_FACTORS`,
            `SCENE_FACTORS`, or one of them with other ranges.
        count: How many pictures.
        seed: The same seed draws the same factors.

    Returns:
        A row for each picture and a column for each factor: whole numbers 0 ... k - 1 for a factor of k classes, and
        floats for one with a lowest and a highest value.

    Raises:
        ValueError: For a range that is none, no factors, and for a count or a seed that is no whole number.

    Example:
        >>> factors = data.draw_factors(data.SPRITE_FACTORS | {"hue": (0, 1)}, 10_000)
        >>> images = data.draw_sprites(factors)
    """
    check_whole("count", count, least=1)
    check_whole("seed", seed)
    if not isinstance(ranges, Mapping) or not ranges:
        raise ValueError(f"ranges are {ranges!r}. Expected one or more by the name of the factor: data.SPRITE_FACTORS.")
    # RandomState never changes its stream.
    generator = np.random.RandomState(seed)
    columns = {}
    for name, values in ranges.items():
        if _is_classes(values):
            columns[name] = generator.randint(len(values), size=count, dtype="int64")
        elif len(values) == 2 and all(isinstance(value, Real) for value in values) and values[0] < values[1]:
            columns[name] = generator.uniform(*values, size=count)
        else:
            raise ValueError(
                f"The range of {name!r} is {values!r}. Expected names of classes, or a lowest and a highest value."
            )
    return pd.DataFrame(columns)


def check_factors(factors: pd.DataFrame, ranges: Mapping[str, Sequence], circular: Collection[str] = ()) -> None:
    """Refuse what are no factors of a picture.

    Args:
        factors: Expected a table with a row for each picture and a column for each of `ranges`, or more columns.
        ranges: By the name of a factor the names of its classes, or its lowest and its highest value.
        circular: Factors of which any number will do, because they come round.

    Raises:
        ValueError: For anything but a table, no rows, a factor that is missing, and values that are no number, no class
            or outside the range.
    """
    if not isinstance(factors, pd.DataFrame) or not len(factors):
        raise ValueError(
            f"factors are of type {type(factors).__name__} and length {np.size(factors)}. Expected a pandas table with "
            "a row for each picture, as data.draw_factors gives."
        )
    missing = [name for name in ranges if name not in factors]
    if missing:
        raise ValueError(f"factors lack {', '.join(missing)}. Expected the columns {', '.join(ranges)}.")
    for name, values in ranges.items():
        column = factors[name].to_numpy()
        if column.dtype.kind not in "iuf" or not np.isfinite(column).all():
            raise ValueError(f"The factor {name!r} is of type {column.dtype}. Expected numbers, all of them finite.")
        low, high = (0, len(values) - 1) if _is_classes(values) else values
        if name not in circular and (column.min() < low or column.max() > high):
            raise ValueError(
                f"The factor {name!r} runs from {column.min():g} to {column.max():g}. Expected {low:g} to {high:g}."
            )
        if _is_classes(values) and np.any(column % 1):
            raise ValueError(f"The factor {name!r} holds fractions. Expected whole numbers: {', '.join(values)}.")


def _is_classes(values: Sequence) -> bool:
    return len(values) > 0 and all(isinstance(value, str) for value in values)
