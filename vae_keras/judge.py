"""Judge: what is a digit and what is not, how like two sets of images are, and how evenly the classes come."""

from dataclasses import dataclass
from numbers import Integral, Real

import keras
import numpy as np
from keras import layers, ops
from scipy.linalg import eigvals
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from vae_keras import networks
from vae_keras.data import check_images

FEATURES = 64
LEAST_OF_A_CLASS = 5


def damaged(images: np.ndarray, labels: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Make images that show nothing of any class out of images that do, in six kinds.

    Two classes overlaid, the brighter pixel or the mean of both; a strip with a third of the ink erased; halves of two
    classes put together; quarters of the sides shuffled, 16 patches in all; a blur of 7 to 14 % of the side; noise.

    Args:
        images: (n, height, width, channels), in [0, 1], of two classes or more.
        labels: Their classes, (n,).
        seed: The same seed gives the same images.

    Returns:
        By kind, images of the same shape, (m, height, width, channels): m is n, or a little less for the two kinds that
        take two images, where these were of one class.

    Raises:
        ValueError: For images and labels that are none, and for a single class.
    """
    images, labels = _checked(images, labels, "images")
    if len(np.unique(labels)) < 2:
        raise ValueError(f"labels hold the class {labels[0]} alone. Expected two classes or more.")
    generator = np.random.default_rng(seed)
    partner = generator.permutation(len(images))
    unlike = labels != labels[partner]
    first, second = images[unlike], images[partner][unlike]
    brighter, mean = np.maximum(first, second), (first + second) / 2
    kinds = {
        "two overlaid": np.where(_coins(first, generator), brighter, mean),
        "a third erased": _erased(images, generator),
        "halves of two": _joined(first, second, generator),
        "patches shuffled": _shuffled(images, generator),
        "strong blur": _blurred(images, generator.uniform(0.07, 0.14, len(images)) * images.shape[1]),
        "noise": images + generator.uniform(0.2, 0.8, (len(images), 1, 1, 1)) * generator.standard_normal(images.shape),
    }
    return {kind: made.clip(0, 1).astype("float32") for kind, made in kinds.items()}


@dataclass(frozen=True)
class Judge:
    """Say which images show none of the known classes, and give the features in which images are compared.

    Called with images, (n, height, width, channels), it returns True where an image is not recognised, (n,). Make one
    with `train_judge`.

    Args:
        network: Images -> features, (n, 64), and logits, (n, k + 1), of k classes and of none.
        labels: The k classes.
        threshold: The probability of "none" above which an image is not recognised.
        accuracy: The share of held-out images of which the class is right.
        rejected: The share of held-out images that are not recognised.

    Example:
        >>> judge = train_judge(images.x_train, images.y_train, images.x_test, images.y_test)
        >>> generated = vae.decoder.predict(z)
        >>> judge(generated).mean()
        >>> compare(judge.features(images.x_test), judge.features(generated))
    """

    network: keras.Model
    labels: np.ndarray
    threshold: float
    accuracy: float
    rejected: float

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return True where an image is not recognised, (n,)."""
        return self.doubt(images) > self.threshold

    def doubt(self, images: np.ndarray) -> np.ndarray:
        """Return the probability that an image shows none of the classes, (n,)."""
        return _probabilities(self._look(images)[1])[:, -1]

    def classes(self, images: np.ndarray) -> np.ndarray:
        """Return the class that is most probable, (n,), "none" left aside."""
        return self.labels[self._look(images)[1][:, :-1].argmax(axis=1)]

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features of images, (n, 64)."""
        return self._look(images)[0]

    def _look(self, images):
        check_images(images)
        return self.network.predict(np.asarray(images), batch_size=500, verbose=0)


def train_judge(
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    rejected: float = 0.05,
    left_out: str | None = None,
    epochs: int = 15,
    seed: int = 0,
) -> Judge:
    """Train a small convolutional classifier that knows one class more than the images: none of them.

    For that class it sees `damaged` images (outlier exposure, Hendrycks et al. 2019). Real images are shown as they
    are, shifted by a pixel, and blurred by up to 4 % of the side: decoders blur, and a blurred digit is a digit still.
    A quarter of the training images is kept for the threshold, the probability of "none" that so few of them exceed as
    `rejected` says. Accuracy and rejected share are then measured on the test images.

    Args:
        x_train: Images to train on, (n, height, width, channels), in [0, 1].
        y_train: Their labels, (n,), at least five of each class.
        x_test: Images to measure on.
        y_test: Their labels.
        rejected: The share of real images that may be rejected, between 0 and 1.
        left_out: A kind of `damaged` images that is not shown, to see how the judge does on what it has not seen.
        epochs: Passes over the images.
        seed: Fixes weights and images.

    Returns:
        The judge.

    Raises:
        ValueError: For images and labels that are none, a single class, a class with fewer than five training images, a
            share that is none, and an unknown kind.
    """
    x_train, y_train = _checked(x_train, y_train, "x_train")
    x_test, y_test = _checked(x_test, y_test, "x_test")
    if not isinstance(rejected, Real) or not 0 < rejected < 1:
        raise ValueError(f"rejected is {rejected!r}. Expected a share between 0 and 1.")
    labels, counts = np.unique(y_train, return_counts=True)
    if len(labels) < 2 or counts.min() < LEAST_OF_A_CLASS:
        raise ValueError(
            f"y_train holds {dict(zip(labels.tolist(), counts.tolist()))} images by class. Expected two classes or "
            f"more, and at least {LEAST_OF_A_CLASS} images of each; leave small classes out."
        )
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(x_train))
    kept, shown = np.split(order, [len(order) // 4])
    x, y = x_train[shown], np.searchsorted(labels, y_train[shown])
    none = damaged(x, y, seed)
    if left_out is not None and left_out not in none:
        raise ValueError(f"left_out is {left_out!r}. Expected None or one of {', '.join(none)}.")
    none = [made for kind, made in none.items() if kind != left_out]
    mild = _blurred(x, generator.uniform(0, 0.04, len(x)) * x.shape[1])
    real = [x, _shifted(x, generator), mild.astype("float32")]
    network = _network(x.shape[1:], len(labels), seed)
    classifier = keras.Model(network.input, network.output[1])
    shown_images = np.concatenate(real + none)
    answers = np.concatenate([y] * len(real) + [np.full(len(made), len(labels)) for made in none])
    # Mixed here once, and not by `fit`, whose order the global seed would decide.
    order = generator.permutation(len(answers))
    steps = epochs * -(-len(answers) // 128)
    classifier.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    classifier.fit(shown_images[order], answers[order], batch_size=128, epochs=epochs, shuffle=False, verbose=0)
    doubt = _probabilities(classifier.predict(x_train[kept], batch_size=500, verbose=0))[:, -1]
    threshold = float(np.quantile(doubt, 1 - rejected))
    logits = classifier.predict(x_test, batch_size=500, verbose=0)
    return Judge(
        network=network,
        labels=labels,
        threshold=threshold,
        accuracy=float((labels[logits[:, :-1].argmax(axis=1)] == y_test).mean()),
        rejected=float((_probabilities(logits)[:, -1] > threshold).mean()),
    )


def compare(real: np.ndarray, generated: np.ndarray, neighbours: int = 5) -> dict[str, float]:
    """Measure how like a set of generated images is to a set of real ones, in features.

    A ball around each image reaches to its k-th nearest neighbour in its own set. `precision` is the share of generated
    images in a real ball, `recall` that of real images in a generated ball (Kynkaanniemi et al. 2019, equations 1 to
    3). `density` counts the real balls that hold a generated image, over k, and `coverage` is the share of real balls
    that hold one or more (Naeem et al. 2020, equations 3 and 4): a single odd real image with a large ball weighs less
    there. `frechet_distance` is that of two normal distributions with the means and covariances of the sets (Heusel et
    al. 2017, equation 6). `kernel_distance` is the squared maximum mean discrepancy with the kernel (x.y / d + 1)^3,
    the kernel inception distance of Binkowski et al. 2018 in other features than theirs. It sees the first three
    moments.

    The Frechet distance is biased: it has a floor that falls with the number of images and rises steeply with d.
    Between two samples of one normal distribution, with variance 1 in 16, 32, 64 or 128 features, it is 0.1, 0.4, 1.4
    or 5.4 for 1,000 against 4,000 images, and 0.2, 0.6, 2.2 or 8.5 for 1,000 against 1,000. The kernel distance has no
    floor: for samples of one distribution its mean is 0, whatever their size, and a single value may be below 0. Of
    fewer images it is noisier. It comes without a standard error: subsets of the same images are too alike to tell,
    other draws or other seeds do.

    Args:
        real: Features of real images, (n, d).
        generated: Features of generated images, (m, d). Compare sets of one size only: all measures but the last depend
            on it.
        neighbours: k.

    Returns:
        The six measures. Two sets of real images have about 0.9 to 1 for the first four; measure the floor of the
        Frechet distance: `compare` real images with other real images. A generator that repeats twenty images has a
        precision and a density as good as real images have, but a coverage of about 0.1 against 1,000 real images, and
        no recall.

    Raises:
        ValueError: For features that are not (n, d) and finite or of two lengths, and for neighbours that are no whole
            number from 1 to one below the number of images.
    """
    real, generated = _features("real", real), _features("generated", generated)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            f"real has {real.shape[1]} features and generated {generated.shape[1]}. Expected those of one judge."
        )
    most = min(len(real), len(generated)) - 1
    if not isinstance(neighbours, Integral) or not 1 <= neighbours <= most:
        raise ValueError(
            f"neighbours is {neighbours!r}. Expected a whole number from 1 to {most}, one below the number of images."
        )
    # Each image is its own nearest neighbour, at distance 0.
    real_radii, generated_radii = (
        np.partition(cdist(images, images), neighbours, axis=1)[:, neighbours] for images in (real, generated)
    )
    distances = cdist(real, generated)
    in_real_ball = distances <= real_radii[:, np.newaxis]
    return {
        "precision": float(in_real_ball.any(axis=0).mean()),
        "recall": float((distances <= generated_radii).any(axis=1).mean()),
        "density": float(in_real_ball.sum(axis=0).mean() / neighbours),
        "coverage": float(in_real_ball.any(axis=1).mean()),
        "frechet_distance": _frechet_distance(real, generated),
        "kernel_distance": _kernel_distance(real, generated),
    }


def class_imbalance(labels: np.ndarray, classes: int) -> float:
    """Measure how far the shares of the classes are from even.

    Half the sum of the differences, the total variation distance: the share of images that would have to change their
    class.

    Args:
        labels: Whole numbers 0 ... classes - 1, (n,).
        classes: How many classes there are.

    Returns:
        0 if all classes are as frequent, 1 - 1 / classes if there is only one.

    Raises:
        ValueError: For no labels, for labels that are no whole numbers in 0 ... classes - 1, and for no classes.
    """
    labels = np.asarray(labels)
    if not isinstance(classes, Integral) or classes < 1:
        raise ValueError(f"classes is {classes!r}. Expected a whole number, 1 or more.")
    whole = labels.ndim == 1 and len(labels) > 0 and np.issubdtype(labels.dtype, np.integer)
    if not whole or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels have shape {labels.shape} and the values {np.unique(labels).tolist()}. Expected (n,), n above 0, "
            f"and whole numbers from 0 to {classes - 1}."
        )
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return float(np.abs(shares - 1 / classes).sum() / 2)


def _network(shape, classes, seed) -> keras.Model:
    encoder = networks.conv_encoder(
        shape, FEATURES, filters=(16, 32, 64), hidden=(), activation="relu", variational=False, seed=seed
    )
    x = layers.Dropout(0.3, seed=seed)(layers.ReLU()(encoder.output))
    logits = layers.Dense(classes + 1, kernel_initializer=keras.initializers.GlorotUniform(seed=seed))(x)
    return keras.Model(encoder.input, [encoder.output, logits], name="judge")


def _probabilities(logits) -> np.ndarray:
    return ops.convert_to_numpy(ops.softmax(logits))


def _coins(images, generator) -> np.ndarray:
    # One True or False for each image, of a shape that fits its pixels.
    return generator.random((len(images), 1, 1, 1)) < 0.5


def _erased(images, generator) -> np.ndarray:
    # Rows or columns between two quantiles of the ink, a third apart.
    start = generator.uniform(0, 2 / 3, (len(images), 1))
    strips = []
    for other_axes in ((2, 3), (1, 3)):
        ink = images.sum(axis=other_axes).cumsum(axis=1)
        share = ink / np.maximum(ink[:, -1:], 1e-6)
        strips.append((share > start) & (share <= start + 1 / 3))
    rows, columns = strips
    erased = np.where(_coins(images, generator), rows[:, :, None, None], columns[:, None, :, None])
    return np.where(erased, 0, images)


def _joined(first, second, generator) -> np.ndarray:
    height, width = first.shape[1:3]
    upper = np.arange(height)[:, None, None] < height / 2
    left = np.arange(width)[:, None] < width / 2
    return np.where(np.where(_coins(first, generator), upper, left), first, second)


def _shuffled(images, generator) -> np.ndarray:
    shuffled = images.copy()
    height, width = (max(1, side // 4) for side in images.shape[1:3])
    corners = [(row * height, column * width) for row in range(4) for column in range(4)]
    for image, source in zip(shuffled, images):
        for (row, column), place in zip(corners, generator.permutation(len(corners))):
            top, left = corners[place]
            image[row : row + height, column : column + width] = source[top : top + height, left : left + width]
    return shuffled


def _blurred(images, widths) -> np.ndarray:
    return np.stack([gaussian_filter(image, (width, width, 0)) for image, width in zip(images, widths)])


def _shifted(images, generator) -> np.ndarray:
    return np.stack(
        [np.roll(image, step, axis=(0, 1)) for image, step in zip(images, generator.integers(-1, 2, (len(images), 2)))]
    )


def _frechet_distance(real, generated) -> float:
    means, covariances = zip(*((x.mean(axis=0), np.atleast_2d(np.cov(x.T))) for x in (real, generated)))
    # The trace of the root of a product is the sum of the roots of its eigenvalues, which are real and not negative.
    roots = np.sqrt(np.maximum(eigvals(covariances[0] @ covariances[1]).real, 0)).sum()
    distance = np.square(means[0] - means[1]).sum() + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * roots
    return float(max(distance, 0))


def _kernel_distance(real, generated) -> float:
    own, other, between = (
        (x @ y.T / x.shape[1] + 1) ** 3 for x, y in ((real, real), (generated, generated), (real, generated))
    )
    # The mean over pairs of two images: an image with itself would add a bias.
    within = ((kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in (own, other))
    return float(sum(within) - 2 * between.mean())


def _features(name, values) -> np.ndarray:
    values = np.asarray(values, "float64")
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"{name} has shape {values.shape}. Expected finite features, (n, d), as judge.features gives.")
    return values


def _checked(images, labels, name) -> tuple[np.ndarray, np.ndarray]:
    check_images(images, labels, name=name)
    if np.ndim(labels) != 1:
        raise ValueError(f"The labels of {name} have shape {np.shape(labels)}. Expected one for each image, (n,).")
    return np.asarray(images, "float32"), np.asarray(labels)
