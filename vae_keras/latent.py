"""Measures of a two-dimensional latent space: gaps, symmetry, crowding, classes; and active units in any dimension.

All take latents z of shape (n, 2) as arrays and know nothing of the network that made them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, Delaunay, cKDTree
from scipy.stats import gaussian_kde
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline


def occupied_region(z: np.ndarray, coverage: float = 0.95) -> ConvexHull:
    """Outline the region that the images occupy: the convex hull of the most central points.

    Of the points in `z`, the share `coverage` with the smallest Mahalanobis distance from the mean counts, so that a
    few stray points do not make the region. `.volume` of the result is its area. Raises `ValueError` for latents that
    are not (n, 2) and finite, and for a coverage outside (0, 1].
    """
    z = _plane(z)
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is {coverage}. Expected a share above 0 and up to 1.")
    offsets = z - z.mean(axis=0)
    distances = np.einsum("ni,ij,nj->n", offsets, np.linalg.inv(np.cov(z.T)), offsets)
    return ConvexHull(z[distances <= np.quantile(distances, coverage)])


def draw_points(z: np.ndarray, count: int, seed: int = 0, coverage: float = 0.95) -> np.ndarray:
    """Draw `count` points evenly from the occupied region, shape (count, 2)."""
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
    """Say for each of `points` whether it lies in a gap: no image near it, shape (m,), bool.

    Near means within the radius that would hold `neighbours` images on average, were the images spread evenly over the
    occupied region. So the measure depends neither on the scale of the space nor, in expectation, on the number of
    images. Evenly spread images leave a share of exp(-neighbours) empty, 1.8 % for the default of 4.
    """
    region = occupied_region(z, coverage)
    radius = np.sqrt(neighbours * region.volume / (np.pi * coverage * len(z)))
    distances, _ = cKDTree(_plane(z)).query(_plane(points, name="points"))
    return distances > radius


def gap_share(
    z: np.ndarray, seed: int = 0, count: int = 20_000, coverage: float = 0.95, neighbours: float = 4.0
) -> float:
    """Measure the share of the occupied region that lies in gaps, from `count` points drawn evenly from it."""
    return float(in_gap(draw_points(z, count, seed, coverage), z, coverage, neighbours).mean())


def largest_gaps(z: np.ndarray, count: int, seed: int = 0, coverage: float = 0.95) -> np.ndarray:
    """Find the centres of the largest empty discs in the occupied region, largest first, shape (count, 2).

    Each is the point farthest from any image, among 20,000 drawn evenly, that lies in none of the discs before it.
    """
    points = draw_points(z, 20_000, seed, coverage)
    radii, _ = cKDTree(_plane(z)).query(points)
    centres = []
    for _ in range(count):
        widest = radii.argmax()
        centres.append(points[widest])
        radii = np.where(np.linalg.norm(points - points[widest], axis=1) <= radii[widest], 0, radii)
    return np.array(centres)


@dataclass(frozen=True)
class Judge:
    """Say which images are not of any known class: those of which a classifier is less sure than of real images.

    `accuracy` is the classifier's on held-out images, `rejected` the share of those that it does not recognise.
    """

    classifier: Pipeline
    threshold: float
    accuracy: float
    rejected: float

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """True where an image is not recognised, shape (n,)."""
        return self.confidence(images) < self.threshold

    def confidence(self, images: np.ndarray) -> np.ndarray:
        """The probability that the classifier gives to its best class, shape (n,)."""
        return self.classifier.predict_proba(images.reshape(len(images), -1)).max(axis=1)

    def classes(self, images: np.ndarray) -> np.ndarray:
        """The class that the classifier finds most probable, shape (n,)."""
        return self.classifier.predict(images.reshape(len(images), -1))


def train_judge(
    classifier: Pipeline,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    rejected: float = 0.05,
) -> Judge:
    """Train a scikit-learn classifier on real images, and set its threshold so that it rejects few real ones.

    The threshold is the quantile `rejected` of its confidence in training images, each judged by a copy that was
    trained without them (five folds). Accuracy and the rejected share are then measured on the test images.
    """
    flat_train, flat_test = x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1)
    held_out = cross_val_predict(classifier, flat_train, y_train, cv=5, method="predict_proba")
    threshold = float(np.quantile(held_out.max(axis=1), rejected))
    probabilities = classifier.fit(flat_train, y_train).predict_proba(flat_test)
    return Judge(
        classifier=classifier,
        threshold=threshold,
        accuracy=float((classifier.classes_[probabilities.argmax(axis=1)] == y_test).mean()),
        rejected=float((probabilities.max(axis=1) < threshold).mean()),
    )


def symmetry(z: np.ndarray) -> dict[str, np.ndarray | float]:
    """Measure how evenly the latents lie around the origin.

    Returns `share_positive` (the share of points above 0, for each axis), `mean` and `spread` (standard deviation) for
    each axis, and `offset`, the distance of the mean from the origin. N(0, 1) has 0.5, 0, 1 and 0.
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

    The origin is a disc around (0, 0) of `area_share` of the region's area. Evenly spread latents have 1; for
    N(0, 1) it is 3.1 with the defaults.
    """
    region = occupied_region(z, coverage)
    radius = np.sqrt(area_share * region.volume / np.pi)
    share = (np.linalg.norm(z, axis=1) <= radius).mean()
    return float(share / (area_share * coverage))


def class_densities(z: np.ndarray, labels: np.ndarray, size: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate the density of each class on one grid of `size` x `size` points, by Gaussian kernels (Scott's rule).

    Returns the grid's two axes, shape (size,), and the densities, shape (k, size, size), rows along the second latent;
    each class sums to 1 times the area of a cell. Classes are those of `np.unique(labels)`.
    """
    z = _plane(z)
    margin = 0.1 * np.ptp(z, axis=0)
    axes = [np.linspace(low, high, size) for low, high in zip(z.min(axis=0) - margin, z.max(axis=0) + margin)]
    grid = np.stack(np.meshgrid(*axes)).reshape(2, -1)
    densities = np.stack([gaussian_kde(z[labels == label].T)(grid) for label in np.unique(labels)])
    cell = (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0])
    densities /= densities.sum(axis=1, keepdims=True) * cell
    return axes[0], axes[1], densities.reshape(-1, size, size)


def class_areas(z: np.ndarray, labels: np.ndarray, mass: float = 0.9, size: int = 200) -> np.ndarray:
    """Measure the area that each class takes: the smallest that holds the share `mass` of its density, shape (k,).

    For a Gaussian class of covariance S it is -2 pi ln(1 - mass) sqrt(det S), to which the kernel adds a share
    of about n^(-1/3), 22 % for 100 points.
    """
    x, y, densities = class_densities(z, labels, size)
    cell = (x[1] - x[0]) * (y[1] - y[0])
    ordered = np.sort(densities.reshape(len(densities), -1), axis=1)[:, ::-1]
    return ((np.cumsum(ordered, axis=1) * cell < mass).sum(axis=1) + 1) * cell


def class_overlaps(z: np.ndarray, labels: np.ndarray, size: int = 200) -> np.ndarray:
    """Measure the overlap of each two classes: the area under the lower of the two densities, shape (k, k), 0 to 1.

    Two Gaussian classes of spread 1, a distance d apart, overlap by 2 Phi(-d / 2).
    """
    x, y, densities = class_densities(z, labels, size)
    cell = (x[1] - x[0]) * (y[1] - y[0])
    return np.array([[np.minimum(a, b).sum() * cell for b in densities] for a in densities])


def imbalance(labels: np.ndarray, classes: int) -> float:
    """Measure how far the shares of the classes 0 ... classes - 1 are from even: half the sum of the differences.

    It is the share of images that would have to change their class, the total variation distance: 0 if all classes are
    as frequent, 1 - 1 / classes if there is only one.
    """
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return float(np.abs(shares - 1 / classes).sum() / 2)


def neighbour_accuracy(
    z_train: np.ndarray, y_train: np.ndarray, z_test: np.ndarray, y_test: np.ndarray, neighbours: int = 10
) -> float:
    """Measure how well the class of a test image is told from its nearest training images in latent space, 0 to 1."""
    return float(KNeighborsClassifier(neighbours).fit(z_train, y_train).score(z_test, y_test))


def measures(
    z_train: np.ndarray, y_train: np.ndarray, z_test: np.ndarray, y_test: np.ndarray, seed: int = 0
) -> dict[str, float]:
    """Put all measures of one latent space into a dict, a row each for a table. Spaces of any scale can be compared.

    Lengths are given in units of the space's own mean spread, areas in shares of its occupied region.
    """
    sides = symmetry(z_train)
    spread = float(sides["spread"].mean())
    areas = class_areas(z_test, y_test) / occupied_region(z_test).volume
    overlaps = class_overlaps(z_test, y_test)
    pairs = overlaps[np.triu_indices(len(overlaps), 1)]
    return {
        "gaps, share of the occupied region": gap_share(z_train, seed),
        "points above 0, first axis": float(sides["share_positive"][0]),
        "points above 0, second axis": float(sides["share_positive"][1]),
        "distance of the mean from the origin, in spreads": sides["offset"] / spread,
        "spread of the wider axis over the narrower": float(sides["spread"].max() / sides["spread"].min()),
        "density at the origin over the mean density": crowding(z_train),
        "area of the smallest class, share of the region": float(areas.min()),
        "area of the largest class, share of the region": float(areas.max()),
        "mean overlap of two classes": float(pairs.mean()),
        "largest overlap of two classes": float(pairs.max()),
        "10-nearest-neighbour accuracy": neighbour_accuracy(z_train, y_train, z_test, y_test),
    }


def active_units(z_mean: np.ndarray, threshold: float = 0.01) -> np.ndarray:
    """Say which latents carry information: the variance of z_mean over the images is above `threshold`, shape (d,).

    Burda et al. 2016, section 5.2. `z_mean` has shape (n, latent_dim), any number of latents. Raises `ValueError` for
    another shape and for NaN.
    """
    if np.ndim(z_mean) != 2 or not np.isfinite(z_mean).all():
        raise ValueError(f"z_mean has shape {np.shape(z_mean)}. Expected (n, latent_dim), all finite; has it diverged?")
    return np.var(z_mean, axis=0) > threshold


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _plane(z: np.ndarray, name: str = "z") -> np.ndarray:
    z = np.asarray(z, dtype="float64")
    if z.ndim != 2 or z.shape[1] != 2 or len(z) < 1:
        raise ValueError(f"{name} has shape {z.shape}. Expected (n, 2): these measures are for a plane.")
    if not np.isfinite(z).all():
        raise ValueError(f"{name} holds NaN or infinity. Expected finite latents; has the training diverged?")
    return z
