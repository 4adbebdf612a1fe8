"""Labels: which images have one, and batches of images of which only some do."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np

from vae_keras.data.epochs import SeededEpochs
from vae_keras.data.images import check_images, check_labels, check_whole


def draw_labelled(labels: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Draw which images are labelled, the same number of each class.

    Args:
        labels: The labels of all images, (n,).
        count: How many images are labelled, a multiple of the number of classes that there are labels of.
        seed: The same seed draws the same images.

    Returns:
        Their places, (count,), sorted.

    Raises:
        ValueError: For labels that are not (n,), a single class, a count that gives not every class the same number, 1
            or more, and a class that has fewer images than that.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels have shape {labels.shape}. Expected (n,).")
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"labels hold the classes {classes.tolist()}. Expected two or more, to tell apart.")
    if not isinstance(count, Integral) or count < 1 or count % len(classes):
        raise ValueError(
            f"count is {count!r}, but there are {len(classes)} classes. Expected a multiple of that, so that each "
            "class has the same number of labels."
        )
    each = count // len(classes)
    if counts.min() < each:
        raise ValueError(
            f"The class {classes[counts.argmin()]} has {counts.min()} images, but {each} of each class are to be "
            "labelled. Take fewer, or leave this class out."
        )
    generator = np.random.default_rng(seed)
    drawn = [generator.choice(np.flatnonzero(labels == label), each, replace=False) for label in classes]
    return np.sort(np.concatenate(drawn))


class PartlyLabelled(SeededEpochs):
    """Batches of images of which only some have a label, for a `SemiSupervisedVAE`; -1 stands where there is none.

    In an epoch every image without a label comes once, in a new order. Each batch has the same number of images with a
    label, which come again and again, and first in the batch.

    Args:
        images: (n, height, width, channels), in [0, 1].
        labels: Their classes, whole numbers from 0 on, (n,). Only those of `chosen` are looked at.
        chosen: The places of the images that have a label, as `draw_labelled` gives them.
        batch_size: Images in a batch.
        labelled: How many of them have a label.
        seed: The same seed draws the same epochs, whatever the order in which batches are asked for.

    Raises:
        ValueError: For anything but images in [0, 1] and labels of them, places that are none or twice the same or
            leave no image without a label, and sizes or a seed that are no whole numbers or leave no room in a batch.

    Example:
        >>> chosen = data.draw_labelled(images.y_train, 100)
        >>> vae.fit(data.PartlyLabelled(images.x_train, images.y_train, chosen), epochs=30)
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | Sequence[int],
        chosen: np.ndarray | Sequence[int],
        batch_size: int = 64,
        labelled: int = 16,
        seed: int = 0,
    ):
        super().__init__()
        labels, chosen = np.asarray(labels), np.asarray(chosen)
        check_images(images, labels)
        if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer) or not 0 < len(chosen) < len(images):
            raise ValueError(
                f"chosen has shape {chosen.shape} and type {chosen.dtype}. Expected whole numbers, fewer than the "
                f"{len(images)} images and one or more: the places of those that have a label."
            )
        if chosen.min() < 0 or chosen.max() >= len(images) or len(np.unique(chosen)) < len(chosen):
            raise ValueError(
                f"chosen runs from {chosen.min()} to {chosen.max()}, {len(np.unique(chosen))} of {len(chosen)} unlike "
                f"each other. Expected places among the {len(images)} images, each once."
            )
        check_labels(labels[chosen], int(labels[chosen].max()) + 1)
        for name, value, least in (("batch_size", batch_size, 2), ("labelled", labelled, 1), ("seed", seed, 0)):
            check_whole(name, value, least)
        if labelled >= batch_size:
            raise ValueError(
                f"labelled is {labelled} and batch_size {batch_size}. Expected room for images without a label, too."
            )
        self.images, self.labels = images, labels
        self.chosen, self.others = chosen, np.setdiff1d(np.arange(len(images)), chosen)
        self.labelled, self.unlabelled = labelled, batch_size - labelled
        self.seed = seed
        self.begin_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.others) // self.unlabelled)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        known = self._chosen[index * self.labelled : (index + 1) * self.labelled]
        unknown = self._others[index * self.unlabelled : (index + 1) * self.unlabelled]
        labels = np.concatenate([self.labels[known], np.full(len(unknown), -1)]).astype("int32")
        return self.images[np.concatenate([known, unknown])], labels

    def draw_epoch(self, generator: np.random.Generator) -> None:
        """Draw the order of an epoch."""
        self._others = generator.permutation(self.others)
        times = -(-len(self) * self.labelled // len(self.chosen))
        self._chosen = np.concatenate([generator.permutation(self.chosen) for _ in range(times)])
