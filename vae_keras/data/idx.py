"""IDX: the file format in which MNIST, Fashion-MNIST, KMNIST and EMNIST are handed out."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vae_keras.data.images import Images, check_images
from vae_keras.data.pixels import to_images


def read_idx(path: str | Path) -> np.ndarray:
    """Read one IDX file of unsigned bytes, gzipped or not.

    Args:
        path: The file.

    Returns:
        The bytes in the shape that the header of the file gives, uint8.

    Raises:
        ValueError: Where the file is no such file, or is shorter or longer than its header says.
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


def read_folder(folder: Path, class_names: Sequence[str] | None = None) -> Images:
    """Read a train and a test set from the four IDX files of a folder.

    Args:
        folder: Holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
            `t10k-labels-idx1-ubyte`, each as it is or with `.gz`. EMNIST has a prefix (`emnist-letters-train-...`) and
            `test` for `t10k`, and stores each image transposed; both are handled, one EMNIST split to a folder.
        class_names: Names for the labels, by default the labels as they stand in the file.

    Returns:
        The images, with labels that count from 0.

    Raises:
        FileNotFoundError: For a folder without the four files.
        ValueError: For a broken file, labels that do not fit, or more than one set in the folder.
    """
    images, labels = {}, {}
    for part, stems in {"train": ("train",), "test": ("t10k", "test")}.items():
        path = _find(folder, stems, "images", 3)
        pixels = read_idx(path)
        if pixels.ndim != 3:
            raise ValueError(f"{path} holds an array of shape {pixels.shape}. Expected (n, height, width).")
        if path.name.startswith("emnist"):
            pixels = pixels.transpose(0, 2, 1)
        images[part] = to_images(pixels)
        labels[part] = read_idx(_find(folder, stems, "labels", 1))
        check_images(images[part], labels[part], name=str(path))
    values, y_train = np.unique(labels["train"], return_inverse=True)
    unknown = np.setdiff1d(labels["test"], values)
    if len(unknown):
        raise ValueError(
            f"{folder}: the test labels {unknown.tolist()} do not occur among the training labels, "
            f"{values.tolist()}. Expected the labels of one set; fetch its four files again."
        )
    names = [str(value) for value in values] if class_names is None else class_names
    return Images(images["train"], y_train, images["test"], np.searchsorted(values, labels["test"]), names)


def _find(folder: Path, stems: Sequence[str], kind: str, ndim: int) -> Path:
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
