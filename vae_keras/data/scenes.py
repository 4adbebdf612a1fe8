"""Scenes: an object in a room, drawn by casting rays, with the factors and the masks that are known by it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.colors import hsv_to_rgb

from vae_keras.data.factors import check_factors
from vae_keras.data.images import check_whole

SCENE_FACTORS = {
    "floor_hue": (0.0, 0.75),
    "wall_hue": (0.0, 0.75),
    "object_hue": (0.0, 0.75),
    "size": (0.6, 1.0),
    "shape": ("cube", "cylinder", "ball", "capsule"),
    "orientation": (-30.0, 30.0),
}
SURFACES = ("floor", "wall", "object")
# Rays through each pixel, a square number.
RAYS = 9
# Pictures that are drawn at once: few, so that they fit into the cache of a processor.
BATCH = 16
# The room is square. The object stands on the middle of the floor, the origin; x points right, y up, z away.
WALL = 4.6
CAMERA = np.array([0, 2.7, -6], "float32")
LOOKS_AT = np.array([0, 0.95, 0], "float32")
# Half the width of the picture at distance 1.
ZOOM = 0.31
LIGHT = np.array([-0.55, 1, -0.55])
# How far the light reaches, as seen from the floor, in the units of LIGHT: it makes the border of shadows soft.
LIGHT_SIZE = 0.1
AMBIENT = 0.5
# The highlight of an object: how white it is, and how narrow (Blinn 1977).
GLOSS, SHARPNESS = 0.6, 40


def draw_scenes(factors: pd.DataFrame, side: int = 32) -> np.ndarray:
    """Draw an object in a room for each row of a table, with light and shadow, antialiased.

    It has the six factors of 3D Shapes (Burgess and Kim 2018), all continuous but the shape. A camera looks down into a
    corner of a square room. Nine rays go through each pixel; each is met by light from a slightly other direction, so
    that the shadow has a soft border.

    Hue and orientation are circles. No continuous function of a circle to a single latent keeps all its points apart,
    so that no code of pictures can score 1 on a whole circle (see `draw_sprites`). Therefore the ranges of
    `SCENE_FACTORS` are arcs with two unlike ends: hues from red to violet, and 60 degrees of the room, which looks the
    same after 90.

    Args:
        factors: A row for each picture, as `draw_factors(SCENE_FACTORS, count)` draws them, with the columns

            - `floor_hue`, `wall_hue`, `object_hue`: any number; 0 is red, 1/3 green, 2/3 blue, 1 red again.
            - `size`: 0.6 to 1, in proportion to height and width of the object.
            - `shape`: 0 a cube, 1 a cylinder, 2 a ball, 3 a capsule.
            - `orientation`: any number of degrees by which the room turns, the object with it, seen from above
              counter-clockwise; at 0 the corner is in the middle.
        side: Height and width of a picture in pixels, 8 or more.

    Returns:
        Images in float32 and [0, 1], (n, side, side, 3).

    Raises:
        ValueError: For what is no table of factors, values outside these ranges, and a side that is no whole number, 8
            or more.

    Example:
        >>> factors = data.draw_factors(data.SCENE_FACTORS, 10)
        >>> plots.image_grid(data.draw_scenes(factors))
    """
    check_whole("side", side, least=8)
    check_factors(factors, SCENE_FACTORS, circular=("floor_hue", "wall_hue", "object_hue", "orientation"))
    hues = factors[[f"{surface}_hue" for surface in SURFACES]].to_numpy("float64") % 1
    paint = np.broadcast_to([[0.55, 0.95], [0.5, 0.95], [0.8, 1.0]], (len(hues), 3, 2))
    colours = hsv_to_rgb(np.concatenate([hues[..., np.newaxis], paint], axis=2)).astype("float32")
    images = np.empty((len(factors), side, side, 3), "float32")
    for rows, surfaces, light, highlight in _cast(factors, side):
        lit = np.stack([_per_pixel(light * (surfaces == k), side) for k in range(3)], axis=-1)
        images[rows] = lit @ colours[rows, np.newaxis] + _per_pixel(highlight, side)[..., np.newaxis]
    # A ray gives at most a white pixel; the sum of many may be above it by a rounding.
    return np.clip(images, 0, 1, out=images)


def scene_masks(factors: pd.DataFrame, side: int = 32) -> np.ndarray:
    """Say which pixels of scenes are floor, wall and object.

    Args:
        factors: As for `draw_scenes`; hues play no part.
        side: Height and width of a picture in pixels, 8 or more.

    Returns:
        The share of each pixel that is floor, wall and object, in this order and adding up to 1, in float32, (n, side,
        side, 3). `argmax(axis=-1)` gives the surface that has the largest share.

    Raises:
        ValueError: As for `draw_scenes`.
    """
    check_whole("side", side, least=8)
    check_factors(factors, SCENE_FACTORS, circular=("floor_hue", "wall_hue", "object_hue", "orientation"))
    masks = np.empty((len(factors), side, side, 3), "float32")
    for rows, surfaces, _, _ in _cast(factors, side):
        masks[rows] = np.stack([_per_pixel(surfaces == k, side) for k in range(3)], axis=-1)
    return masks


def _per_pixel(values: np.ndarray, side: int) -> np.ndarray:
    # (n, rays) -> (n, side, side): the mean of the rays of each pixel.
    return values.reshape(len(values), side, side, RAYS).mean(axis=-1, dtype="float32")


def _cast(factors: pd.DataFrame, side: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    # For some rows of the table at once: the surface that each ray meets, its light, and the highlight, (n, rays).
    rays, light = _rays(side), _lights(side)
    shape, size, degrees = (factors[name].to_numpy() for name in ("shape", "size", "orientation"))
    size, turn = size.astype("float32"), np.radians(degrees % 360).astype("float32")
    # Where each ray would meet the floor; rays that look up meet it nowhere. Only rays that come near an object, within
    # a ball around the largest, are tried for it, and only places on the floor whose light does lie in its shadow.
    with np.errstate(divide="ignore"):
        floor = np.where(rays[1] < 0, -CAMERA[1] / rays[1], np.inf).astype("float32")
    near = np.flatnonzero(_near(CAMERA[:, np.newaxis], rays))
    ground = np.where(floor < np.inf, floor, 0) * rays + CAMERA[:, np.newaxis]
    shaded = np.flatnonzero(_near(ground, light) & (floor < np.inf))
    middle = light[:, near] - rays[:, near]
    middle /= np.sqrt((middle**2).sum(axis=0))
    for kind, hits in enumerate(HITS):
        of_kind = np.flatnonzero(shape == kind)
        for rows in np.split(of_kind, range(BATCH, len(of_kind), BATCH)):
            sizes, turns = size[rows, np.newaxis], turn[rows, np.newaxis]
            distance, brightness = _walls(rays, light, turns)
            surfaces = (distance < floor).astype("int8")
            brightness = np.where(surfaces == 0, light[1], brightness)
            # The shadow on the floor; it does not reach the walls.
            start = [ground[axis, shaded] / sizes for axis in range(3)]
            hidden = np.isfinite(hits(start, light[:, shaded], turns)[0])
            brightness[:, shaded] *= ~hidden
            # The object.
            found, normal = hits([place / sizes for place in CAMERA], rays[:, near], turns)
            met = np.isfinite(found)
            facing, towards = (
                np.where(met, np.maximum(sum(normal[axis] * vector[axis] for axis in range(3)), 0), 0)
                for vector in (light[:, near], middle)
            )
            surfaces[:, near] = np.where(met, 2, surfaces[:, near])
            brightness[:, near] = np.where(met, facing, brightness[:, near])
            highlight = np.zeros(brightness.shape, "float32")
            highlight[:, near] = GLOSS * towards**SHARPNESS
            yield rows, surfaces, (AMBIENT + (1 - AMBIENT) * brightness) * (1 - highlight), highlight


def _rays(side: int) -> np.ndarray:
    # The directions of the rays, of length 1, (3, rays): row by row, pixel by pixel.
    fine = round(RAYS**0.5)
    place = ((np.arange(side * fine) + 0.5) / (side * fine) * 2 - 1) * ZOOM
    forward = LOOKS_AT - CAMERA
    forward /= np.linalg.norm(forward)
    right = np.array([1, 0, 0])
    up = np.cross(forward, right)
    rays = forward + place[:, np.newaxis] * right - place[:, np.newaxis, np.newaxis] * up
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    pixels = rays.reshape(side, fine, side, fine, 3).transpose(4, 0, 2, 1, 3)
    return np.ascontiguousarray(pixels.reshape(3, -1), "float32")


def _lights(side: int) -> np.ndarray:
    # The direction of the light that meets each ray, of length 1, (3, rays): the rays of a pixel see all parts of it.
    # Neighbouring rays do not see neighbouring parts.
    fine = round(RAYS**0.5)
    part = np.arange(RAYS) * 2 % RAYS
    across, along = (LIGHT_SIZE * (2 * step / (fine - 1) - 1) for step in (part % fine, part // fine))
    lights = LIGHT + np.stack([across, np.zeros(RAYS), along], axis=1)
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    return np.tile(lights.T.astype("float32"), side * side)


def _near(start: np.ndarray, direction: np.ndarray) -> np.ndarray:
    # Whether rays meet a ball around the largest object.
    to_centre = np.array([[0], [1], [0]], "float32") - start
    along = (to_centre * direction).sum(axis=0)
    return (to_centre**2).sum(axis=0) - along**2 < 1.5**2


def _walls(rays: np.ndarray, light: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # How far each ray goes to a wall, and how the light falls on it, (n, rays).
    turn = turn + np.pi / 4
    start, direction, towards = (
        _turned(vector[:, np.newaxis], turn) for vector in (CAMERA[:, np.newaxis], rays, light)
    )
    with np.errstate(divide="ignore"):
        across, away = ((WALL - start[k] * np.sign(direction[k])) / np.abs(direction[k]) for k in (0, 2))
    falls = np.where(across < away, -np.sign(direction[0]) * towards[0], -np.sign(direction[2]) * towards[2])
    return np.minimum(across, away), np.maximum(falls, 0)


def _turned(values, turn):
    # The coordinates of a vector, (x, y, z), as seen from something that is turned around the y axis.
    cosine, sine = np.cos(turn), np.sin(turn)
    x, y, z = values
    return cosine * x + sine * z, y, cosine * z - sine * x


# Objects of size 1 that stand on the floor. Each takes where rays start and their directions, (x, y, z) of shapes that
# fit to (n, rays), and gives how far each ray goes to the object, infinity where it misses, and the normal there. No
# ray starts behind an object and leads away from it.


def _ball(start, direction, turn, radius=0.95, centre=0.95):
    x, y, z = start[0], start[1] - centre, start[2]
    half = x * direction[0] + y * direction[1] + z * direction[2]
    inside = half**2 - (x**2 + y**2 + z**2 - radius**2)
    found = np.where(inside >= 0, -half - np.sqrt(np.maximum(inside, 0)), np.inf)
    far = np.where(found < np.inf, found, 0)
    return found, [(place + far * step) / radius for place, step in zip((x, y, z), direction)]


def _cylinder(start, direction, turn, radius=0.8, bottom=0.0, top=1.7):
    x, y, z = start
    square = np.maximum(direction[0] ** 2 + direction[2] ** 2, 1e-9)
    half = (x * direction[0] + z * direction[2]) / square
    inside = half**2 - (x**2 + z**2 - radius**2) / square
    root = np.sqrt(np.maximum(inside, 0))
    ends, sign = _between(y, direction[1], bottom, top)
    enters, leaves = np.maximum(-half - root, ends[0]), np.minimum(root - half, ends[1])
    found = np.where((inside >= 0) & (enters < leaves), enters, np.inf)
    far = np.where(found < np.inf, found, 0)
    flat = ends[0] > -half - root
    sideways = [np.where(flat, 0, (start[k] + far * direction[k]) / radius) for k in (0, 2)]
    return found, [sideways[0], np.where(flat, -sign, 0), sideways[1]]


def _cube(start, direction, turn, half=0.75):
    # Its faces are parallel to the walls.
    turn = turn + np.pi / 4
    start, direction = _turned(start, turn), _turned(direction, turn)
    bounds = ((-half, half), (0, 2 * half), (-half, half))
    ends, signs = zip(*(_between(place, step, *bound) for place, step, bound in zip(start, direction, bounds)))
    enters, leaves = (np.stack(np.broadcast_arrays(*both)) for both in zip(*ends))
    first, last = enters.max(axis=0), leaves.min(axis=0)
    found = np.where(first < last, first, np.inf)
    # One face alone, on an edge too.
    face = enters.argmax(axis=0)
    normal = [np.where(face == axis, -signs[axis], 0) for axis in range(3)]
    return found, _turned(normal, -turn)


def _capsule(start, direction, turn, radius=0.62, height=2):
    parts = [
        _ball(start, direction, turn, radius, radius),
        _ball(start, direction, turn, radius, height - radius),
        _cylinder(start, direction, turn, radius, radius, height - radius),
    ]
    found, normal = parts[0]
    for distance, other in parts[1:]:
        nearer = distance < found
        found = np.where(nearer, distance, found)
        normal = [np.where(nearer, new, old) for new, old in zip(other, normal)]
    return found, normal


def _between(place, step, low, high):
    # Where a ray comes between two parallel planes and where it leaves, and the sign of its step.
    step = np.where(np.abs(step) < 1e-9, 1e-9, step)
    one, other = (low - place) / step, (high - place) / step
    return (np.minimum(one, other), np.maximum(one, other)), np.sign(step)


HITS = (_cube, _cylinder, _ball, _capsule)
