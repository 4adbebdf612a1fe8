"""Claims: sentences of the book that are checked while it runs."""

import numpy as np


def claim(
    sentence: str, value: float, *, above: float | None = None, below: float | None = None, strict: bool = True
) -> None:
    """Print a sentence, what was measured and its bound where the value keeps to it, and raise where it does not.

    The value differs from machine to machine, so `pytest --nbval` compares all but the value.

    Args:
        sentence: What is claimed of the value, with its unit.
        value: What was measured. NaN keeps to no bound.
        above: A strict lower bound, in the unit of the value.
        below: A strict upper bound.
        strict: Whether to raise where the claim does not hold. False, for data that it was not made about, prints that
            instead.

    Raises:
        AssertionError: Where the claim does not hold.
        ValueError: Where no bound is given, and for a value or a bound that is not one number.
    """
    try:
        value = float(value)
        above, below = (None if limit is None else float(limit) for limit in (above, below))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The claim {sentence!r} is about {value!r}, above {above!r} and below {below!r}. Expected numbers."
        ) from error
    limits = {"above": above, "below": below}
    bounds = [f"{side} {limit:g}" for side, limit in limits.items() if limit is not None]
    if not bounds:
        raise ValueError(f"The claim {sentence!r} has no bound. Expected above=..., below=... or both.")
    statement = f"{sentence}: {_rounded(value, limits)}, must be {' and '.join(bounds)}."
    if (above is None or value > above) and (below is None or value < below):
        print(statement)
    elif strict:
        raise AssertionError(f"This claim does not hold. {statement}")
    else:
        print(f"Does not hold here. {statement}")


def _rounded(value, limits) -> str:
    # Three digits, or so many more that what is printed lies on the same side of each bound as the value.
    def sides(number):
        return [np.sign(number - limit) for limit in limits.values() if limit is not None]

    written = [f"{value:.{digits}g}" for digits in range(3, 18)]
    return next((text for text in written if sides(float(text)) == sides(value)), written[0])
