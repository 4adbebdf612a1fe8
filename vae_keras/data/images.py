"""Images: a train and a test set with their labels, and the checks of all that is trained on."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import keras
import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Images:
    """A train and a test set of images with labels and class names.

    Args:
        x_train: Images to train on, (n, height, width, channels), in [0, 1].
        y_train: Their labels, whole numbers 0 ... k - 1, (n,).
        x_test: Images to measure on, of the same height, width and channels.
        y_test: Their labels.
        class_names: A name for each of the k labels.
        factors_train: All that the training images were drawn from, a table with a row for each. None, the default,
            where it is not known.
        factors_test: The same of the test images.

    Raises:
        ValueError: For images that are none (see `check_images`), labels that are no whole numbers, that are not as
            many as the images, or that have no class name, class names that are no sequence, test images of another
            shape, and factors that are no two tables with the same columns and a row for each image.

    Example:
        >>> x, y = np.random.rand(6, 28, 28, 1), np.array([0, 1, 0, 1, 0, 1])
        >>> Images(x[:4], y[:4], x[4:], y[4:], class_names=("cat", "dog")).shape
        (28, 28, 1)
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: Sequence[str]
    factors_train: pd.DataFrame | None = None
    factors_test: pd.DataFrame | None = None

    def __post_init__(self):
        if np.ndim(self.class_names) != 1:
            raise ValueError(f"class_names are {self.class_names!r}. Expected a sequence with a name for each label.")
        object.__setattr__(self, "class_names", tuple(self.class_names))
        for name, x, y in (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)):
            check_images(x, y, name=f"x_{name}")
            check_labels(y, len(self.class_names), name=f"y_{name}")
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise ValueError(
                f"x_train holds images of shape {self.x_train.shape[1:]} and x_test of {self.x_test.shape[1:]}. "
                "Expected the same shape in both; crop or resize one of them."
            )
        if self.factors_train is None and self.factors_test is None:
            return
        tables: Any = (self.factors_train, self.factors_test)
        for name, x, factors in zip(("train", "test"), (self.x_train, self.x_test), tables):
            if not isinstance(factors, pd.DataFrame) or len(factors) != len(x):
                raise ValueError(
                    f"factors_{name} is of type {type(factors).__name__} and shape {np.shape(factors)}. Expected a "
                    f"pandas table with a row for each of the {len(x)} images, or None for both sets."
                )
        train, test = map(list, tables)
        if train != test:
            raise ValueError(f"factors_train has the columns {train} and factors_test {test}. Expected the same.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image: (height, width, channels)."""
        return self.x_train.shape[1:]


def hold_out(images: Images, count: int) -> Images:
    """Put the last training images in the place of the test set: a validation split, to choose settings on.

    Args:
        images: A train and a test set; the test set plays no part.
        count: How many training images to hold out.

    Returns:
        Images of which the train set is shorter by `count` and the test set holds what was taken from it.

    Raises:
        ValueError: For what is no train and test set, and for a count that is no whole number or leaves one of the two
            sets empty.
    """
    if not isinstance(images, Images):
        raise ValueError(f"images are of type {type(images).__name__}. Expected data.Images, as data.load gives them.")
    if not isinstance(count, Integral) or not 0 < count < len(images.x_train):
        raise ValueError(
            f"count is {count!r}. Expected a whole number from 1 to {len(images.x_train) - 1}: a part of the training "
            "images."
        )
    x, y, factors = images.x_train, images.y_train, images.factors_train
    tables = (None, None) if factors is None else (factors[:-count], factors[-count:])
    return Images(x[:-count], y[:-count], x[-count:], y[-count:], images.class_names, *tables)


def check_images(x: np.ndarray, y: np.ndarray | None = None, name: str = "images") -> None:
    """Refuse what are no images.

    Args:
        x: Expected of shape (n, height, width, channels) with n above 0, and in [0, 1].
        y: Labels, as many as images, or None.
        name: What the message calls them.

    Raises:
        ValueError: For another shape, no images, anything but numbers in [0, 1], and another number of labels.
    """
    x = np.asarray(x)
    if x.ndim != 4:
        raise ValueError(
            f"{name} has shape {x.shape}. Expected (n, height, width, channels); "
            "add the channel axis of grey images with x[..., None]."
        )
    if x.size == 0:
        raise ValueError(f"{name} is empty: shape {x.shape}. Expected at least one image.")
    if not np.issubdtype(x.dtype, np.number) or np.iscomplexobj(x):
        raise ValueError(
            f"{name} is of type {x.dtype}. Expected numbers in [0, 1]; convert them with x.astype('float32')."
        )
    lowest, highest = float(x.min()), float(x.max())
    # A comparison with NaN is false, so the test asks for what is right and not for what is wrong.
    if not (lowest >= 0 and highest <= 1):
        if np.isnan(lowest):
            raise ValueError(f"{name} holds NaN. Expected numbers in [0, 1]; drop or repair those images.")
        raise ValueError(
            f"{name} runs from {lowest:g} to {highest:g}. Expected pixels in [0, 1]; "
            "vae_keras.data.to_images turns 0 ... 255 into them."
        )
    if y is not None and np.shape(y)[:1] != (len(x),):
        labels = len(y) if np.ndim(y) else repr(y)
        raise ValueError(f"{name} has {len(x)} images but {labels} labels. Expected one label for each image.")


def check_whole(name: str, value: Any, least: int = 0) -> None:
    """Refuse what is no whole number, or too small.

    Args:
        name: What the message calls it.
        value: Expected a whole number.
        least: The smallest that is allowed.

    Raises:
        ValueError: For anything else.
    """
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value!r}. Expected a whole number, {least} or more.")


def check_labels(y: Any, classes: int, name: str = "labels", least: int = 0) -> None:
    """Refuse what are no labels.

    Args:
        y: Expected whole numbers from `least` to `classes` - 1, (n,).
        classes: How many classes there are.
        name: What the message calls them.
        least: 0, or -1 where that stands for no label.

    Raises:
        ValueError: For another shape, anything but whole numbers, and labels without a class.
    """
    y = np.asarray(y)
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"{name} has shape {y.shape} and type {y.dtype}. Expected whole numbers of shape (n,); "
            "np.unique(labels, return_inverse=True) counts other labels from 0, and one_hot.argmax(axis=1) undoes "
            "one-hot ones."
        )
    if np.any((y < least) | (y >= classes)):
        raise ValueError(
            f"{name} runs from {y.min()} to {y.max()}, but there are {classes} classes. Expected labels {least} to "
            f"{classes - 1}; give every label a class name, or the networks more classes."
        )


def images_of(data: Any) -> Any:
    """Take the images out of what `fit` hands to a step.

    Args:
        data: Images, `(images,)` or `(images, labels)`.

    Returns:
        The images; labels are left aside.

    Raises:
        ValueError: Where weights of the images are given.
    """
    images, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if sample_weight is not None:
        raise ValueError("sample_weight is given, but every image counts the same here. Leave it out.")
    return images


def check_source(
    x: Any, y: Any = None, sample_weight: Any = None, name: str = "x", classes: int | None = None, least_label: int = 0
) -> None:
    """Refuse what `fit` and `evaluate` cannot use, before they begin.

    Args:
        x: Arrays, which are checked whole, `tf.data` or a `PyDataset`, of which the first batch is, or a generator, of
            which nothing is. They hold images as `check_images` wants them.
        y: Labels, as many as images, or None.
        sample_weight: Expected to be None.
        name: What the message calls the source.
        classes: How many classes there are, where the model needs labels as `check_labels` wants them; None where
            labels play no part.
        least_label: The least label, as for `check_labels`.

    Raises:
        ValueError: For an empty source, for what are no images, for weights of the images, and, with `classes`, for
            labels that are missing or that `check_labels` refuses.
    """
    # Other backends do without TensorFlow; where it is not loaded there is no tf.data either.
    tf = sys.modules.get("tensorflow")
    if tf is not None and isinstance(x, tf.data.Dataset):
        batch = next(iter(x.take(1)), None)
        if batch is None:
            raise ValueError(f"{name} is an empty tf.data.Dataset. Expected at least one batch of images.")
    elif isinstance(x, keras.utils.PyDataset):
        if x.num_batches == 0:
            raise ValueError(f"{name} is an empty {type(x).__name__}. Expected at least one batch of images.")
        batch = x[0]
    elif hasattr(x, "__next__"):
        return
    else:
        batch = (x, y, sample_weight)
    _, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
    check_images(keras.ops.convert_to_numpy(images_of(batch)), labels, name=name)
    if classes is not None:
        if labels is None:
            raise ValueError(
                f"{name} comes without labels. Expected the class of each image: fit(x, y), "
                "validation_data=(x_test, y_test), or batches of (x, y)."
            )
        check_labels(keras.ops.convert_to_numpy(labels), classes, name=f"y of {name}", least=least_label)
