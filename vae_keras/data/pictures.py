"""Pictures: a folder of PNG, JPEG and WebP files, read into memory or batch by batch."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from numbers import Real
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vae_keras.data.epochs import ShuffledEpochs
from vae_keras.data.images import Images, check_labels, check_whole
from vae_keras.data.pixels import to_images

FORMATS = ("PNG", "JPEG", "WEBP")
# Those that are not read, from .avif on, are found too, so that they are named and not passed over.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".heic", ".tif", ".tiff")
# More bytes than this, in float32, are streamed: 21,845 pictures of 64 x 64 x 3.
STREAM_ABOVE = 2**30
# So many pictures are handed to the threads at once: whatever waits for a thread takes memory.
PORTION = 1000


class PictureBatches(ShuffledEpochs):
    """Batches of pictures and their labels for `fit`, read from their files when they are asked for.

    It gives ceil(n / batch_size) batches of images (batch_size, height, width, channels) and labels (batch_size,), the
    last one what is left; a `VAE` leaves the labels aside. `workers`, which can be set, is the number of threads that
    read batches ahead, 1 by default.

    Args:
        paths: The files, (n,).
        labels: Their classes, whole numbers from 0 on, (n,).
        size: The height and width that pictures are brought to, as `read_pictures` says.
        channels: 3 for colour, 1 for grey.
        batch_size: Pictures in a batch.
        shuffle: Whether every epoch has a new order. Without it the order is that of `paths`.
        seed: The same seed draws the same epochs, whatever the order in which batches are asked for.

    Raises:
        ValueError: For no paths, labels that are none or of another number, and sizes or a seed that are no whole
            numbers. A batch raises it for a file that is no picture.

    Example:
        >>> images = data.load("photos", stream=True)
        >>> vae.fit(images.x_train, epochs=20, validation_data=images.x_test)
        >>> x, labels = images.x_test[0]
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        labels: np.ndarray,
        size: tuple[int, int] = (64, 64),
        channels: int = 3,
        batch_size: int = 64,
        shuffle: bool = True,
        seed: int = 0,
    ):
        _check_form(size, channels)
        paths = [Path(path) for path in paths]
        super().__init__(len(paths), batch_size, shuffle, seed)
        self.paths = paths
        self.labels = np.asarray(labels)
        if not self.paths or self.labels.shape != (len(self.paths),):
            raise ValueError(
                f"There are {len(self.paths)} paths, and labels of shape {self.labels.shape}. Expected one path or "
                "more, and a label for each."
            )
        check_labels(self.labels, self.labels.max() + 1)
        self.size = size
        self.channels = channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image: (height, width, channels)."""
        return (*self.size, self.channels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(index, slice) or not 0 <= index < len(self):
            raise IndexError(
                f"index is {index!r}. Expected that of a batch, 0 to {len(self) - 1}. data.load(..., stream=False) "
                "reads all pictures into one array."
            )
        rows = self.rows(index)
        pixels = np.empty((len(rows), *self.shape), "uint8")
        for place, row in enumerate(rows):
            try:
                pixels[place] = _read(self.paths[row], self.size, self.channels)
            except Exception as error:
                raise ValueError(
                    f"{self.paths[row]} cannot be read: {_fault(self.paths[row], error)}. Repair it, or load the "
                    "folder again."
                ) from error
        return to_images(pixels), self.labels[rows]


@dataclass(frozen=True)
class StreamedImages:
    """A train and a test set of pictures that are too many for memory, to be used where `Images` are.

    Args:
        x_train: Batches to train on, in a new order in every epoch.
        x_test: Batches to measure on, always in the same order: `y_test` are their labels.
        class_names: A name for each label.

    Example:
        >>> images = data.load("photos", stream=True)
        >>> vae.fit(images.x_train, epochs=20, validation_data=images.x_test)
        >>> z_mean, z_log_var, z = vae.encoder.predict(images.x_test)
        >>> plots.latent_scatter({"VAE": z_mean}, images.y_test, images.class_names)
    """

    x_train: PictureBatches
    x_test: PictureBatches
    class_names: Sequence[str]

    @property
    def y_train(self) -> np.ndarray:
        """None that would fit: what `predict` gives for `x_train` is in the order of the epoch."""
        raise AttributeError(
            "y_train of streamed pictures would not be in the order of x_train, which is new in every epoch. Take the "
            "labels from its batches, (images, labels), or from x_train.labels, in the order of x_train.paths."
        )

    @property
    def y_test(self) -> np.ndarray:
        """The labels of the test pictures, (n,)."""
        return self.x_test.labels

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image: (height, width, channels)."""
        return self.x_train.shape


def read_pictures(
    folder: str | Path,
    class_names: Sequence[str] | None = None,
    size: tuple[int, int] = (64, 64),
    channels: int = 3,
    test_share: float = 0.2,
    split_seed: int = 0,
    skip_broken: bool = False,
    stream: bool | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> Images | StreamedImages:
    """Read a train and a test set from a folder of PNG, JPEG and WebP files.

    The folder holds one folder of pictures for each class, or pictures alone, which are then of one class. What is
    hidden and files of other kinds are left aside. A picture is turned as its EXIF says, cropped in the middle to the
    proportions of `size`, and resized by Lanczos' filter. Alpha is laid on white; 16 bits are scaled to 8.

    All files are read once at the start, so that every one that cannot be used is named before a training begins.
    Pictures that take up to 1 GiB in float32 stay in memory. More than that are read again for every batch.

    Args:
        folder: The folder.
        class_names: Other names for the classes. Without them they are the names of the folders, sorted.
        size: Height and width in pixels that all pictures are brought to. Published VAEs of faces take 64 x 64, which
            can be halved six times.
        channels: 3 for colour, 1 for grey.
        test_share: The part of each class that goes into the test set, at least one picture. A picture is placed by a
            hash of its name, the same on every machine.
        split_seed: Another seed gives another split.
        skip_broken: Whether pictures that cannot be used are left out, with a warning that names them.
        stream: True to stream and False to read into memory, whatever the number; None to decide by it.
        batch_size: Pictures in a batch, of streamed ones.
        seed: Fixes the orders of the batches, of streamed ones.

    Returns:
        `Images`, or `StreamedImages`, of which x_train and x_test are `PictureBatches`.

    Raises:
        FileNotFoundError: For a folder without pictures.
        ValueError: For pictures that cannot be used, all of them in one message; for pictures beside folders of
            pictures, folders without any, or more than one level of folders; for a class with fewer than two pictures;
            and for class names of another number, sizes, shares and seeds that are none.
    """
    folder = Path(folder)
    _check_form(size, channels)
    for name, value, least in (("split_seed", split_seed, 0), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        check_whole(name, value, least)
    if not isinstance(test_share, Real) or not 0 < test_share < 1:
        raise ValueError(f"test_share is {test_share!r}. Expected a part of the pictures, above 0 and below 1.")
    names, labels, classes = _find(folder)
    if class_names is None:
        class_names = classes
    elif np.ndim(class_names) != 1 or len(class_names) != len(classes):
        raise ValueError(
            f"class_names are {class_names!r}, but {folder} has the classes {', '.join(classes)}. Expected a sequence "
            f"of {len(classes)} names in this order."
        )
    _check_counts(folder, labels, classes)
    if stream is None:
        stream = len(names) * 4 * size[0] * size[1] * channels > STREAM_ABOVE
    pixels = None if stream else np.empty((len(names), *size, channels), "uint8")
    faults = _faults([folder / name for name in names], size, channels, pixels)
    if faults:
        listed = "\n".join(f"  {names[row]}: {fault}" for row, fault in faults.items())
        found = f"{len(faults)} of the {len(names)} pictures in {folder} cannot be used:\n{listed}\n"
        if not skip_broken:
            raise ValueError(f"{found}Repair or remove them, or leave them out with skip_broken=True.")
        warnings.warn(f"{found}They are left out.", stacklevel=3)
    rows = np.setdiff1d(np.arange(len(names)), list(faults))
    _check_counts(folder, labels[rows], classes)
    train, test = (rows[part] for part in _split([names[row] for row in rows], labels[rows], test_share, split_seed))
    if pixels is not None:
        return Images(to_images(pixels[train]), labels[train], to_images(pixels[test]), labels[test], class_names)
    x_train, x_test = (
        PictureBatches([folder / names[row] for row in part], labels[part], size, channels, batch_size, shuffle, seed)
        for part, shuffle in ((train, True), (test, False))
    )
    return StreamedImages(x_train, x_test, tuple(class_names))


def _find(folder: Path) -> tuple[list[str], np.ndarray, list[str]]:
    # The names of all pictures in the folder, their labels, and the names of the classes.
    def fail(error):
        raise error

    found = {}
    for place, folders, files in os.walk(folder, onerror=fail, followlinks=True):
        place = Path(place).relative_to(folder)
        # Two levels are allowed, a third is looked at; links may lead in a circle.
        folders[:] = [name for name in folders if not name.startswith(".") and len(place.parts) < 2]
        pictures = (name for name in files if not name.startswith(".") and name.lower().endswith(SUFFIXES))
        found[place] = sorted((place / name).as_posix() for name in pictures)
    alone = found.pop(Path())
    deeper = sorted(place.as_posix() for place, names in found.items() if len(place.parts) > 1 and names)
    if deeper:
        raise ValueError(
            f"{folder} holds pictures in folders of folders: {', '.join(deeper)}. Expected one folder for each class, "
            "with its pictures directly in it; move them up, or load one of the folders."
        )
    classes = {place.name: names for place, names in sorted(found.items()) if len(place.parts) == 1}
    if not alone and not any(classes.values()):
        raise FileNotFoundError(
            f"{folder} holds neither IDX files nor pictures. Expected pictures (.png, .jpg, .jpeg, .webp), directly in "
            "it or in one folder for each class, or the four IDX files of MNIST (train-images-idx3-ubyte[.gz] ...)."
        )
    if alone and any(classes.values()):
        raise ValueError(
            f"{folder} holds pictures ({alone[0]} ...) beside folders of pictures "
            f"({', '.join(name for name, names in classes.items() if names)}). Expected pictures alone, or all of them "
            "in one folder for each class."
        )
    if alone:
        classes = {folder.resolve().name: alone}
    empty = [name for name, names in classes.items() if not names]
    if empty:
        raise ValueError(f"{folder} has folders without a picture: {', '.join(empty)}. Fill them, or take them out.")
    if {"train", "test"} <= {name.lower() for name in classes}:
        raise ValueError(
            f"{folder} has the folders {', '.join(classes)}, which look like a split, and would be taken for classes. "
            "Put the pictures of both together; load splits them."
        )
    labels = np.repeat(np.arange(len(classes)), [len(names) for names in classes.values()])
    return [name for names in classes.values() for name in names], labels, list(classes)


def _split(names: Sequence[str], labels: np.ndarray, test_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    # A hash in place of a draw: a picture that comes or goes moves hardly any other to the other side.
    order = np.array(sorted(range(len(names)), key=lambda row: sha256(os.fsencode(f"{seed}/{names[row]}")).digest()))
    test = np.zeros(len(names), bool)
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        test[rows[: min(max(round(test_share * len(rows)), 1), len(rows) - 1)]] = True
    return order[~test[order]], order[test[order]]


def _check_counts(folder, labels, classes) -> None:
    counts = np.bincount(labels, minlength=len(classes))
    few = [f"{name} ({count})" for name, count in zip(classes, counts) if count < 2]
    if few:
        raise ValueError(
            f"{folder} has too few usable pictures of {', '.join(few)}. Expected two or more of each class, one to "
            "train on and one to test on; add pictures, or take the class out."
        )


def _check_form(size, channels) -> None:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f"size is {size!r}. Expected (height, width) in pixels, such as (64, 64).")
    for name, side in zip(("The height in size", "The width in size"), size):
        check_whole(name, side, least=1)
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels!r}. Expected 3 for colour or 1 for grey.")


def _faults(paths, size, channels, pixels) -> dict[int, str]:
    # Read every picture, into `pixels` where that is an array, and say what is wrong with those that cannot be used.
    def fault(row):
        try:
            image = _read(paths[row], size, channels)
        except Exception as error:
            return _fault(paths[row], error)
        if pixels is not None:
            pixels[row] = image

    faults = {}
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), PORTION):
            rows = range(len(paths))[start : start + PORTION]
            faults |= {row: reason for row, reason in zip(rows, pool.map(fault, rows)) if reason is not None}
    return faults


def _fault(path, error) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is no PNG, JPEG or WebP" if path.stat().st_size else "it is empty"
    return f"{type(error).__name__}: {error}"


def _read(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    # One picture, (height, width, channels), uint8.
    with Image.open(path, formats=FORMATS) as image:
        # A camera may put a second picture, such as a preview, behind its photo: MPO.
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":
            raise ValueError(f"it is animated, {frames} frames")
        # A large JPEG is decoded at a half, a quarter or an eighth, where that is still twice the size.
        image.draft(None, (2 * max(size), 2 * max(size)))
        picture = ImageOps.exif_transpose(image)
    if picture.mode.startswith("I"):
        picture = Image.fromarray(np.rint(np.asarray(picture) / 257).astype("uint8"))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB" if channels == 3 else "L")
    picture = ImageOps.fit(picture, (size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(picture).reshape(*size, channels)
