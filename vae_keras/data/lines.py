"""Lines: pictures of one stroke, all of whose variation is an angle."""

from numbers import Integral

import numpy as np


def draw_lines(angles: np.ndarray, side: int = 32) -> np.ndarray:
    """Draw a white stroke from the centre of a black picture towards its border, antialiased.

    In a set of such pictures the angle is all that varies, so that a path from one to another can be measured
    (Berthelot et al. 2018). The stroke is two pixels wide and side / 2 - 1 pixels long. In the pictures of that paper
    two pixels is the width along a row or a column, so that diagonal strokes are thinner; here all are equally wide.

    Args:
        angles: In radians, (n,), counter-clockwise: 0 points to the right, pi / 2 up.
        side: Height and width of a picture in pixels, 4 or more.

    Returns:
        Images in float32 and [0, 1], (n, side, side, 1).

    Raises:
        ValueError: For angles that are not (n,) and finite, and for a side that is no whole number, 4 or more.
    """
    if not isinstance(side, Integral) or side < 4:
        raise ValueError(f"side is {side!r}. Expected a whole number of pixels, 4 or more.")
    try:
        angles = np.asarray(angles, "float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"angles hold no numbers ({error}). Expected radians, (n,).") from error
    if angles.ndim != 1 or angles.size == 0 or not np.isfinite(angles).all():
        raise ValueError(f"angles have shape {angles.shape}. Expected finite radians, (n,), n above 0.")
    # The centres of the pixels, seen from the centre of the picture. Rows count downwards.
    places = (np.arange(side) + 0.5 - side / 2).astype("float32")
    x, y = places, -places[:, np.newaxis]
    cosine, sine = (f(angles).astype("float32")[:, np.newaxis, np.newaxis] for f in (np.cos, np.sin))
    along, across = cosine * x + sine * y, np.abs(sine * x - cosine * y)
    # A pixel is a square of side 1: it is half covered where its centre lies on an edge.
    covered = np.clip(1.5 - across, 0, 1)
    covered *= np.clip(along + 0.5, 0, 1)
    covered *= np.clip(side / 2 - 0.5 - along, 0, 1)
    return covered[..., np.newaxis]
