"""Judge: what is a digit and what is not, and how evenly the classes come."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.model_selection import cross_val_predict

from vae_keras.data import check_images

FOLDS = 5


@dataclass(frozen=True)
class Judge:
    """Say which images are not of any known class: those of which a classifier is less sure than of real images.

    Called with images, (n, height, width, channels), it returns True where an image is not recognised, (n,). Make one
    with `train_judge`.

    Args:
        classifier: A fitted scikit-learn classifier with `predict_proba`, of flat images.
        threshold: The probability of the best class below which an image is not recognised.
        accuracy: The share of held-out images of which the best class is right.
        rejected: The share of held-out images that are not recognised.

    Example:
        >>> judge = train_judge(LogisticRegression(), images.x_train, images.y_train, images.x_test, images.y_test)
        >>> judge(vae.decoder.predict(z)).mean()
    """

    classifier: ClassifierMixin
    threshold: float
    accuracy: float
    rejected: float

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return True where an image is not recognised, (n,)."""
        return self.confidence(images) < self.threshold

    def confidence(self, images: np.ndarray) -> np.ndarray:
        """Return the probability that the classifier gives to its best class, (n,)."""
        return self.classifier.predict_proba(_flat(images)).max(axis=1)

    def classes(self, images: np.ndarray) -> np.ndarray:
        """Return the class that the classifier finds most probable, (n,)."""
        return self.classifier.predict(_flat(images))


def train_judge(
    classifier: ClassifierMixin,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    rejected: float = 0.05,
) -> Judge:
    """Train a classifier on real images, and set its threshold so that it rejects few real ones.

    The threshold is the quantile `rejected` of its confidence in training images, each judged by a copy that was
    trained without them (five folds). Accuracy and the rejected share are then measured on the test images.

    Args:
        classifier: A scikit-learn classifier with `predict_proba`, or a pipeline that ends in one.
        x_train: Images to train on, (n, height, width, channels), in [0, 1].
        y_train: Their labels, (n,), at least five of each class.
        x_test: Images to measure on.
        y_test: Their labels.
        rejected: The share of real images that may be rejected, between 0 and 1.

    Returns:
        The judge.

    Raises:
        ValueError: For labels of another length than the images, a single class, a class with fewer than five training
            images, and a share that is none.
    """
    for part, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        check_images(x, y, name=f"x_{part}")
        if np.ndim(y) != 1:
            raise ValueError(f"y_{part} has shape {np.shape(y)}. Expected one label for each image, (n,).")
    if not isinstance(rejected, Real) or not 0 < rejected < 1:
        raise ValueError(f"rejected is {rejected!r}. Expected a share between 0 and 1.")
    labels, counts = np.unique(y_train, return_counts=True)
    if len(labels) < 2 or counts.min() < FOLDS:
        raise ValueError(
            f"y_train holds {dict(zip(labels.tolist(), counts.tolist()))} images by class. Expected two classes or "
            f"more, and at least {FOLDS} images of each; leave small classes out."
        )
    held_out = cross_val_predict(classifier, _flat(x_train), y_train, cv=FOLDS, method="predict_proba")
    threshold = float(np.quantile(held_out.max(axis=1), rejected))
    probabilities = classifier.fit(_flat(x_train), y_train).predict_proba(_flat(x_test))
    return Judge(
        classifier=classifier,
        threshold=threshold,
        accuracy=float((classifier.classes_[probabilities.argmax(axis=1)] == y_test).mean()),
        rejected=float((probabilities.max(axis=1) < threshold).mean()),
    )


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


def _flat(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4 or images.size == 0:
        raise ValueError(f"images have shape {images.shape}. Expected (n, height, width, channels), n above 0.")
    return images.reshape(len(images), -1)
