"""Measures of a two-dimensional latent space: gaps, symmetry, crowding, classes.

All take latents z of shape (n, 2) as arrays and know nothing of the network that made them. A gap is a place for which
the decoder was not trained. So where gaps are measured, z are the decoder's inputs: one point for each image of an
autoencoder, (n, 2), or several draws for each image of a VAE, (draws, n, 2).

A space may have collapsed, onto a line or into one point. It can be measured, so that it stands in one table with
others: where the occupied region is as narrow as a line, its length takes the place of its area, and areas of classes
are NaN.
"""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, Delaunay, cKDTree
from scipy.spatial.distance import pdist
from scipy.stats import gaussian_kde
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

# What is smaller than this share of the size of the latents is the rounding of an encoder, which computes in float32.
ROUNDING = 1e-6


def occupied_region(z: np.ndarray, coverage: float = 0.95) -> ConvexHull:
    """Outline the region that the images occupy: the convex hull of the most central points.

    Args:
        z: Latents, (n, 2) or (draws, n, 2).
        coverage: The share of the points that counts, those with the smallest Mahalanobis distance from the mean, so
            that a few stray points do not make the region.

    Returns:
        The hull; its `.volume` is the area. Around latents on a line, or at one point, it is as narrow as rounding.

    Raises:
        ValueError: For latents that are not (n, 2) and finite or fewer than three, and for a coverage outside (0, 1].
    """
    z = _cloud(_inputs(z)[0])
    _check_number("coverage", coverage, above=0, up_to=1)
    offsets = z - z.mean(axis=0)
    inverse = np.linalg.pinv(np.cov(z.T), rcond=ROUNDING**2, hermitian=True)
    distances = np.einsum("ni,ij,nj->n", offsets, inverse, offsets)
    return ConvexHull(_widened(z[distances <= np.quantile(distances, coverage)], _rounding(z)))


def draw_points(z: np.ndarray, count: int, seed: int = 0, coverage: float = 0.95) -> np.ndarray:
    """Draw points evenly from the occupied region.

    Args:
        z: Latents, (n, 2) or (draws, n, 2).
        count: How many points to draw.
        seed: The same seed draws the same points.
        coverage: The share of the latents that makes the region, as for `occupied_region`.

    Returns:
        Points, (count, 2), in float32.

    Raises:
        ValueError: For latents that are not (n, 2) and finite or fewer than three, for no points, and for a coverage
            outside (0, 1].
    """
    _check_count("count", count)
    _check_count("seed", seed, least=0)
    region = occupied_region(z, coverage)
    corners = region.points[region.vertices]
    triangles = corners[Delaunay(corners).simplices]
    first, second, third = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    areas = np.abs(_cross(second - first, third - first))
    generator = np.random.default_rng(seed)
    chosen = generator.choice(len(areas), size=count, p=areas / areas.sum())
    u, v = generator.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    points = first[chosen] + u * (second - first)[chosen] + v * (third - first)[chosen]
    return points.astype("float32")


def in_gap(points: np.ndarray, z: np.ndarray, coverage: float = 0.95, neighbours: float = 4.0) -> np.ndarray:
    """Say for each point whether it lies in a gap: the decoder was trained for no place near it.

    Near means within the radius that would hold `neighbours` images on average, were the images spread evenly over the
    occupied region. So the measure depends neither on the scale of the space nor, in expectation, on the number of
    images. One point for each image, evenly spread, leaves a share of exp(-neighbours) empty, 1.8 % for the default of
    4. The draws of an image make the places more, and leave the radius alone. Where the region is as narrow as a line,
    its length takes the place of the area. Where all latents are one point, every other place is in a gap.

    Args:
        points: Places in the latent space, (m, 2).
        z: What the decoder was given, (n, 2) or (draws, n, 2).
        coverage: The share of the latents that makes the region, as for `occupied_region`.
        neighbours: The number of images that sets the radius, above 0.

    Returns:
        True where no image is near, (m,).

    Raises:
        ValueError: For points or latents that are not (n, 2) and finite, fewer than three latents, a coverage outside
            (0, 1], and neighbours that are not above 0.
    """
    _check_number("neighbours", neighbours, above=0)
    points = _plane(points, name="points")
    region = occupied_region(z, coverage)
    z, images = _inputs(z)
    radius, _ = _disc(region, neighbours / (coverage * images))
    distances, _ = cKDTree(z).query(points)
    return distances > max(radius, 2 * _rounding(z))


def gap_share(
    z: np.ndarray, seed: int = 0, count: int = 20_000, coverage: float = 0.95, neighbours: float = 4.0
) -> float:
    """Measure the share of the occupied region that lies in gaps, from points drawn evenly from it.

    Args:
        z: What the decoder was given, (n, 2) or (draws, n, 2).
        seed: The same seed draws the same points.
        count: How many points to draw.
        coverage: The share of the latents that makes the region, as for `occupied_region`.
        neighbours: The number of images that sets how near is near, as for `in_gap`.

    Returns:
        A share from 0 to 1; 0 where all latents are one point.

    Raises:
        ValueError: For latents that are not (n, 2) and finite or fewer than three, for no points, a coverage outside
            (0, 1], and neighbours that are not above 0.
    """
    return float(in_gap(draw_points(z, count, seed, coverage), z, coverage, neighbours).mean())


def largest_gaps(z: np.ndarray, count: int, seed: int = 0, coverage: float = 0.95) -> np.ndarray:
    """Find the centres of the largest empty discs in the occupied region.

    Each is the point farthest from any place of z, among 20,000 drawn evenly, that lies in none of the discs before it.

    Args:
        z: What the decoder was given, (n, 2) or (draws, n, 2).
        count: How many centres to find.
        seed: The same seed finds the same centres.
        coverage: The share of the latents that makes the region, as for `occupied_region`.

    Returns:
        Centres, (count, 2), that of the largest disc first.

    Raises:
        ValueError: For latents that are not (n, 2) and finite or fewer than three, for no centres, and for a coverage
            outside (0, 1].
    """
    _check_count("count", count)
    points = draw_points(z, 20_000, seed, coverage)
    radii, _ = cKDTree(_inputs(z)[0]).query(points)
    centres = []
    for _ in range(count):
        widest = radii.argmax()
        centres.append(points[widest])
        radii = np.where(np.linalg.norm(points - points[widest], axis=1) <= radii[widest], 0, radii)
    return np.array(centres)


def symmetry(z: np.ndarray) -> dict[str, Any]:
    """Measure how evenly the latents lie around the origin.

    Args:
        z: Latents, (n, 2).

    Returns:
        `share_positive` (the share of points above 0, for each axis), `mean` and `spread` (standard deviation) for each
        axis, and `offset`, the distance of the mean from the origin. N(0, 1) has 0.5, 0, 1 and 0.

    Raises:
        ValueError: For latents that are not (n, 2) and finite.
    """
    z = _plane(z)
    mean = z.mean(axis=0)
    return {
        "share_positive": (z > 0).mean(axis=0),
        "mean": mean,
        "spread": z.std(axis=0),
        "offset": float(np.linalg.norm(mean)),
    }


def crowding(z: np.ndarray, coverage: float = 0.95, area_share: float = 0.01) -> float:
    """Measure how many times denser the latents are at the origin than on average over the occupied region.

    Args:
        z: Latents, (n, 2).
        coverage: The share of the latents that makes the region, as for `occupied_region`.
        area_share: The origin is a disc around (0, 0) of this share of the region's area.

    Returns:
        1 for evenly spread latents; 3.1 for N(0, 1) with the defaults; the most is 1 / (area_share * coverage), where
        all latents are at the origin.

    Raises:
        ValueError: For latents that are not (n, 2) and finite or fewer than three, and for shares outside (0, 1].
    """
    _check_number("area_share", area_share, above=0, up_to=1)
    region = occupied_region(z, coverage)
    radius, _ = _disc(region, area_share)
    share = (np.linalg.norm(z, axis=1) <= radius).mean()
    return float(share / (area_share * coverage))


def relative_density(points: np.ndarray, z: np.ndarray, neighbours: int = 20, coverage: float = 0.95) -> np.ndarray:
    """Measure how crowded a place is: the density of the latents there over their mean density in the occupied region.

    The density at a point is that of the disc which reaches to the k-th nearest latent.

    Args:
        points: Places in the latent space, (m, 2).
        z: Latents, (n, 2).
        neighbours: k. More blur the picture, fewer make it noisy.
        coverage: The share of the latents that makes the region, as for `occupied_region`.

    Returns:
        1 where the density is the mean, (m,).

    Raises:
        ValueError: For points or latents that are not (n, 2) and finite, fewer than three latents, a coverage outside
            (0, 1], and neighbours that are no whole number from 2 to the number of latents.
    """
    _check_count("neighbours", neighbours, least=2)
    points, cloud = _plane(points, name="points"), _cloud(z)
    if neighbours > len(cloud):
        raise ValueError(f"neighbours is {neighbours}, but z holds {len(cloud)} points. Ask fewer.")
    radii = cKDTree(cloud).query(points, k=neighbours)[0][:, -1]
    # The latent on the rim is not inside.
    radius, dimensions = _disc(occupied_region(cloud, coverage), (neighbours - 1) / (coverage * len(cloud)))
    return (radius / np.maximum(radii, 1e-12)) ** dimensions


def ways_to_draw(z: np.ndarray, count: int, seed: int = 0, components: int = 10) -> dict[str, np.ndarray]:
    """Draw latents to generate from, in four ways: the prior, which looks at no image, and three that look at latents.

    Args:
        z: Latents of training images, (n, latent_dim), any number of latents; of a VAE one draw for each image.
        count: How many to draw in each way.
        seed: The same seed draws the same latents.
        components: Of the mixture; as many as there are different latents, where these are fewer.

    Returns:
        Latents, (count, latent_dim), in float32, by their source. `prior` is N(0, I), `box` the even distribution over
        the box around z, `normal` the normal distribution with the mean and covariance of z, `mixture` a mixture of
        normal distributions fitted to z (Ghosh et al. 2020, section 4).

    Raises:
        ValueError: For latents that are not (n, latent_dim) and finite, and for a count, seed and components that are
            no whole numbers or more components than latents.
    """
    z = _finite(z, "z")
    _check_count("count", count)
    _check_count("seed", seed, least=0)
    _check_count("components", components)
    if len(z) < max(components, 2):
        raise ValueError(f"z holds {len(z)} latents. Expected as many as components, {components}, and two or more.")
    generator = np.random.default_rng(seed)
    different = len(np.unique(z.astype("float32"), axis=0))
    mixture = GaussianMixture(min(components, different), random_state=seed).fit(z)
    # The mixture gives its draws one component after the other.
    from_mixture = generator.permutation(mixture.sample(count)[0])
    draws = {
        "prior": generator.standard_normal((count, z.shape[1])),
        "box": generator.uniform(z.min(axis=0), z.max(axis=0), (count, z.shape[1])),
        "normal": generator.multivariate_normal(z.mean(axis=0), np.atleast_2d(np.cov(z.T)), count),
        "mixture": from_mixture,
    }
    return {source: drawn.astype("float32") for source, drawn in draws.items()}


def class_densities(z: np.ndarray, labels: np.ndarray, size: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate the density of each class on one grid, by Gaussian kernels (Scott's rule).

    A class that is much narrower than a cell of the grid, such as one on a line, is widened by a cell to each side, so
    that it does not lie between the points of the grid.

    Args:
        z: Latents, (n, 2).
        labels: The class of each image, (n,), at least three images of each. The classes are `np.unique(labels)`.
        size: The grid has size x size points.

    Returns:
        The grid's two axes, each (size,), and the densities, (k, size, size), rows along the second latent; each class
        sums to 1 times the area of a cell of the grid.

    Raises:
        ValueError: For latents that are not (n, 2) and finite, labels of another length, a class of fewer than three
            images, and a size below 2.
    """
    z = _cloud(z)
    _check_count("size", size, least=2)
    extents = np.ptp(z, axis=0)
    seen = extents > 4 * _rounding(z)
    # A line that is level or upright, or one point, needs a margin too.
    margin = 0.1 * np.where(seen, extents, extents.max() if seen.any() else 1.0)
    axes = [np.linspace(low, high, size) for low, high in zip(z.min(axis=0) - margin, z.max(axis=0) + margin)]
    grid = np.stack(np.meshgrid(*axes)).reshape(2, -1)
    cell = np.array([axis[1] - axis[0] for axis in axes])
    densities = np.stack([gaussian_kde(_widened(members, cell).T)(grid) for members in _by_class(z, labels)])
    densities /= densities.sum(axis=1, keepdims=True) * cell.prod()
    return axes[0], axes[1], densities.reshape(-1, size, size)


def class_areas(z: np.ndarray, labels: np.ndarray, mass: float = 0.9, size: int = 200) -> np.ndarray:
    """Measure the area that each class takes: the smallest that holds a share of its density.

    For a Gaussian class of covariance S it is -2 pi ln(1 - mass) sqrt(det S), to which the kernel adds a share of about
    n^(-1/3), 22 % for 100 points. No area is told that is smaller than some cells of the grid.

    Args:
        z: Latents, (n, 2).
        labels: The class of each image, (n,), at least three images of each.
        mass: The share of the density, between 0 and 1.
        size: The density is estimated on a grid of size x size points.

    Returns:
        Areas in the unit of z squared, (k,), in the order of `np.unique(labels)`. All are NaN where the latents are so
        near to a line, or to one point, that the grid shows no area.

    Raises:
        ValueError: For latents that are not (n, 2) and finite, labels of another length, a class of fewer than three
            images, a size below 2, and a mass outside (0, 1).
    """
    if not isinstance(mass, Real) or not 0 < mass < 1:
        raise ValueError(f"mass is {mass!r}. Expected a share between 0 and 1.")
    x, y, densities = class_densities(z, labels, size)
    cell_area = (x[1] - x[0]) * (y[1] - y[0])
    ordered = np.sort(densities.reshape(len(densities), -1), axis=1)[:, ::-1]
    areas = ((np.cumsum(ordered, axis=1) * cell_area < mass).sum(axis=1) + 1) * cell_area
    # A line is one row of cells.
    return areas if occupied_region(z).volume > size * cell_area else np.full(len(areas), np.nan)


def class_overlaps(z: np.ndarray, labels: np.ndarray, size: int = 200) -> np.ndarray:
    """Measure the overlap of each two classes: the area under the lower of the two densities.

    Two Gaussian classes of spread 1, a distance d apart, overlap by 2 Phi(-d / 2).

    Args:
        z: Latents, (n, 2).
        labels: The class of each image, (n,), at least three images of each.
        size: The density is estimated on a grid of size x size points.

    Returns:
        Shares from 0, apart, to 1, the same, (k, k), in the order of `np.unique(labels)`.

    Raises:
        ValueError: For latents that are not (n, 2) and finite, labels of another length, a class of fewer than three
            images, and a size below 2.
    """
    x, y, densities = class_densities(z, labels, size)
    cell_area = (x[1] - x[0]) * (y[1] - y[0])
    return np.array([[np.minimum(a, b).sum() * cell_area for b in densities] for a in densities])


def neighbour_accuracy(
    z_train: np.ndarray, y_train: np.ndarray, z_test: np.ndarray, y_test: np.ndarray, neighbours: int = 10
) -> float:
    """Measure how well the class of a test image is told from its nearest training images in latent space.

    Args:
        z_train: Latents of the training images, (n, latent_dim), any number of latents.
        y_train: Their labels, (n,).
        z_test: Latents of the test images, (m, latent_dim).
        y_test: Their labels, (m,).
        neighbours: How many of the nearest training images are asked.

    Returns:
        The share of test images whose class is right, from 0 to 1.

    Raises:
        ValueError: For latents that are not (n, latent_dim) and finite or of unlike numbers, labels of another length,
            and more neighbours than training images.
    """
    _check_count("neighbours", neighbours)
    z_train, z_test = (_finite(z, name) for z, name in ((z_train, "z_train"), (z_test, "z_test")))
    for name, z, y in (("z_train", z_train, y_train), ("z_test", z_test, y_test)):
        _check_labels(z, y, name)
    if z_train.shape[1] != z_test.shape[1]:
        raise ValueError(
            f"z_train has {z_train.shape[1]} latents and z_test {z_test.shape[1]}. Expected those of one encoder."
        )
    if neighbours > len(z_train):
        raise ValueError(f"neighbours is {neighbours}, but there are {len(z_train)} training images. Ask fewer.")
    return float(KNeighborsClassifier(neighbours).fit(z_train, y_train).score(z_test, y_test))


def measures(
    z_train: np.ndarray,
    y_train: np.ndarray,
    z_test: np.ndarray,
    y_test: np.ndarray,
    seed: int = 0,
    decoder_inputs: np.ndarray | None = None,
) -> dict[str, float]:
    """Put all measures of one latent space into a dict, a row each for a table. Spaces of any scale can be compared.

    Args:
        z_train: Latents of the training images, (n, 2).
        y_train: Their labels, (n,).
        z_test: Latents of the test images, (m, 2).
        y_test: Their labels, (m,), at least three images of each class.
        seed: The seed of the points that are drawn to measure the gaps.
        decoder_inputs: What the decoder was given, (draws, n, 2), to measure the gaps; by default z_train.

    Returns:
        Values by what they measure: lengths in units of the space's own mean spread, areas in shares of its occupied
        region. Of a space that has collapsed the areas are NaN. Where one latent is constant, the wider axis is
        infinitely wider; where both are, that is NaN, and the distance of the mean infinite, or NaN at the origin.

    Raises:
        ValueError: For latents that are not (n, 2) and finite or fewer than three, labels of another length, and a
            class of fewer than three test images.
    """
    sides = symmetry(z_train)
    spreads = sides["spread"]
    spreads = np.where(spreads > _rounding(_plane(z_train)), spreads, 0.0)
    areas = class_areas(z_test, y_test) / occupied_region(z_test).volume
    overlaps = class_overlaps(z_test, y_test)
    pairs = overlaps[np.triu_indices(len(overlaps), 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance, elongation = sides["offset"] / spreads.mean(), spreads.max() / spreads.min()
    return {
        "gaps, share of the occupied region": gap_share(z_train if decoder_inputs is None else decoder_inputs, seed),
        "points above 0, first axis": float(sides["share_positive"][0]),
        "points above 0, second axis": float(sides["share_positive"][1]),
        "distance of the mean from the origin, in spreads": float(distance),
        "spread of the wider axis over the narrower": float(elongation),
        "density at the origin over the mean density": crowding(z_train),
        "area of the smallest class, share of the region": float(areas.min()),
        "area of the largest class, share of the region": float(areas.max()),
        "mean overlap of two classes": float(pairs.mean()) if len(pairs) else 0.0,
        "largest overlap of two classes": float(pairs.max()) if len(pairs) else 0.0,
        "10-nearest-neighbour accuracy": neighbour_accuracy(z_train, y_train, z_test, y_test),
    }


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _by_class(z: np.ndarray, labels: np.ndarray) -> Iterator[np.ndarray]:
    labels = np.asarray(labels)
    _check_labels(z, labels, "z")
    for label in np.unique(labels):
        yield _cloud(z[labels == label], name=f"z of class {label}")


def _finite(z: np.ndarray, name: str) -> np.ndarray:
    try:
        z = np.asarray(z, dtype="float64")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is of type {type(z).__name__} and holds no numbers ({error}). Expected (n, latent_dim)."
        ) from error
    if z.ndim != 2 or z.size == 0:
        raise ValueError(f"{name} has shape {z.shape}. Expected (n, latent_dim), n above 0.")
    if not np.isfinite(z).all():
        raise ValueError(f"{name} holds NaN or infinity. Expected finite latents; has the training diverged?")
    return z


def _plane(z: np.ndarray, name: str = "z") -> np.ndarray:
    z = _finite(z, name)
    if z.shape[1] != 2:
        raise ValueError(f"{name} has shape {z.shape}. Expected (n, 2): these measures are for a plane.")
    return z


def _inputs(z: np.ndarray) -> tuple[np.ndarray, int]:
    # The places for which the decoder was trained, (m, 2), and of how many images.
    shape = np.shape(z)
    if len(shape) == 3 and shape[0]:
        return _plane(np.reshape(z, (-1, shape[2]))), shape[1]
    return _plane(z), len(z)


def _cloud(z: np.ndarray, name: str = "z") -> np.ndarray:
    z = _plane(z, name)
    if len(z) < 3:
        raise ValueError(f"{name} holds {len(z)} points. Expected three or more, without which nothing is measured.")
    return z


def _rounding(z: np.ndarray) -> float:
    return ROUNDING * float(np.sqrt((z**2).mean()) or 1.0)


def _widened(z: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    # Latents that are narrower than a quarter of the width, as four places each, so far to each side.
    offsets = (z - z.mean(axis=0)) / width
    if np.linalg.eigvalsh(offsets.T @ offsets / len(z))[0] > 0.25**2:
        return z
    corners = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    return (z[:, np.newaxis] + corners * width).reshape(-1, 2)


def _disc(region: ConvexHull, share: float) -> tuple[float, int]:
    # The radius of the disc that has this share of the area, and 2; of a narrower region that of the length, and 1.
    length = pdist(region.points[region.vertices]).max()
    return max((float(np.sqrt(share * region.volume / np.pi)), 2), (float(share * length / 2), 1))


def _check_labels(z: np.ndarray, labels: Any, name: str) -> None:
    if np.ndim(labels) != 1 or len(labels) != len(z):
        raise ValueError(
            f"{name} has {len(z)} latents, but the labels have shape {np.shape(labels)}. Expected a label for each."
        )


def _check_number(name: str, value: Any, above: float, up_to: float = np.inf) -> None:
    if not isinstance(value, Real) or not above < float(value) <= up_to:
        raise ValueError(f"{name} is {value!r}. Expected a number above {above:g} and up to {up_to:g}.")


def _check_count(name: str, value: Any, least: int = 1) -> None:
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value!r}. Expected a whole number, {least} or more.")
