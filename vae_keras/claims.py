"""Claims: sentences of the book that are checked while it runs."""


def claim(
    sentence: str, value: float, *, above: float | None = None, below: float | None = None, strict: bool = True
) -> None:
    """Print a sentence and its bound where `value` keeps to it, and raise where it does not.

    What is printed is the same on every machine; the value itself is not shown. Bounds are strict, and stand in the
    unit of the value. NaN keeps to none. Raises `AssertionError`, with the number, where the claim does not hold; with
    `strict=False` it prints that instead, for data that the claim was not made about. Raises `ValueError` where no
    bound is given.
    """
    limits = {"above": above, "below": below}
    bounds = [f"{side} {limit:g}" for side, limit in limits.items() if limit is not None]
    if not bounds:
        raise ValueError(f"The claim {sentence!r} has no bound. Expected above=..., below=... or both.")
    statement = f"{sentence}: {' and '.join(bounds)}"
    if (above is None or value > above) and (below is None or value < below):
        print(f"{statement}.")
    elif strict:
        raise AssertionError(f"This claim does not hold. {statement}. Measured: {value:.6g}.")
    else:
        print(f"Does not hold here: {statement}. Measured: {value:.6g}.")
