import functools
import gzip
import hashlib
import re
import struct
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from seeding import SEED, rng

from vae_keras import data

MNIST = Path(__file__).parents[1] / ".." / "shared" / "data" / "mnist"
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="needs the MNIST files in ../shared")

NAMES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype("uint8").tobytes()


def write_set(folder, names=NAMES, packed=False, transposed=False, first_label=0):
    """Write six training and three test images of 5 x 4 pixels, of three classes; return pixels and labels."""
    generator = rng()
    pixels = {part: generator.integers(0, 256, (n, 5, 4)) for part, n in (("train", 6), ("test", 3))}
    labels = {"train": np.array([0, 1, 2, 2, 1, 0]), "test": np.array([2, 0, 1])}
    for (part, kind), name in names.items():
        stored = pixels[part].transpose(0, 2, 1) if transposed else pixels[part]
        content = idx(stored if kind == "images" else labels[part] + first_label)
        (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return pixels, labels


def assert_holds(images, pixels, labels):
    for part, x, y in (("train", images.x_train, images.y_train), ("test", images.x_test, images.y_test)):
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, pixels[part][..., np.newaxis] / 255, rtol=1e-6)
        np.testing.assert_array_equal(y, labels[part])


@pytest.fixture(scope="module")
def mnist_5k():
    return data.load()


def test_mnist_5k_is_the_default_and_has_the_promised_shapes(mnist_5k):
    assert mnist_5k.x_train.shape == (4000, 28, 28, 1)
    assert mnist_5k.x_test.shape == (1000, 28, 28, 1)
    assert mnist_5k.shape == (28, 28, 1)
    assert mnist_5k.class_names == tuple("0123456789")


def test_mnist_5k_holds_float32_from_0_to_1(mnist_5k):
    for x in (mnist_5k.x_train, mnist_5k.x_test):
        assert x.dtype == np.float32
        assert (x.min(), x.max()) == (0, 1)


def test_mnist_5k_has_as_many_of_every_digit(mnist_5k):
    np.testing.assert_array_equal(np.bincount(mnist_5k.y_train), [400] * 10)
    np.testing.assert_array_equal(np.bincount(mnist_5k.y_test), [100] * 10)


def test_mnist_5k_is_shuffled_but_always_the_same(mnist_5k):
    assert len(set(mnist_5k.y_train[:50])) == 10
    content = hashlib.sha256()
    for x, y in ((mnist_5k.x_train, mnist_5k.y_train), (mnist_5k.x_test, mnist_5k.y_test)):
        content.update(np.rint(255 * x).astype("uint8").tobytes())
        content.update(y.astype("uint8").tobytes())
    assert content.hexdigest()[:16] == "65c3edcee6816eb8"


def test_mnist_5k_has_no_image_in_both_sets(mnist_5k):
    train, test = ({image.tobytes() for image in x} for x in (mnist_5k.x_train, mnist_5k.x_test))
    assert (len(train), len(test)) == (4000, 1000)
    assert not train & test


@needs_mnist
def test_full_mnist_loads_from_its_folder_and_mnist_5k_is_its_beginning(mnist_5k):
    full = data.load(MNIST)
    assert full.x_train.shape == (60000, 28, 28, 1)
    assert full.x_test.shape == (10000, 28, 28, 1)
    assert full.class_names == tuple("0123456789")
    assert full.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    for digit in range(10):
        first = full.x_train[full.y_train == digit][:500]
        for expected, x, y in (
            (first[:400], mnist_5k.x_train, mnist_5k.y_train),
            (first[400:], mnist_5k.x_test, mnist_5k.y_test),
        ):
            assert {image.tobytes() for image in x[y == digit]} == {image.tobytes() for image in expected}


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_idx_files_is_read_back(tmp_path, packed):
    names = {key: name + ".gz" * packed for key, name in NAMES.items()}
    pixels, labels = write_set(tmp_path, names, packed)
    images = data.load(str(tmp_path))
    assert_holds(images, pixels, labels)
    assert images.shape == (5, 4, 1)
    assert images.class_names == ("0", "1", "2")


def test_a_dot_may_stand_where_mnist_has_a_dash(tmp_path):
    pixels, labels = write_set(tmp_path, {key: name.replace("-idx", ".idx") for key, name in NAMES.items()})
    assert_holds(data.load(tmp_path), pixels, labels)


def test_a_file_may_lie_there_both_packed_and_unpacked(tmp_path):
    write_set(tmp_path, {key: f"{name}.gz" for key, name in NAMES.items()}, packed=True)
    pixels, labels = write_set(tmp_path)
    assert_holds(data.load(tmp_path), pixels, labels)


def test_emnist_is_turned_upright_and_its_labels_counted_from_0(tmp_path):
    names = {
        (part, kind): f"emnist-letters-{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte.gz" for part, kind in NAMES
    }
    pixels, labels = write_set(tmp_path, names, packed=True, transposed=True, first_label=1)
    images = data.load(tmp_path)
    assert_holds(images, pixels, labels)
    assert images.class_names == ("1", "2", "3")


def test_class_names_can_be_given(tmp_path):
    write_set(tmp_path)
    assert data.load(tmp_path, class_names=["a", "b", "c"]).class_names == ("a", "b", "c")


def test_too_few_class_names_are_refused(tmp_path):
    write_set(tmp_path)
    with pytest.raises(ValueError, match="runs from 0 to 2, but there are 2 classes"):
        data.load(tmp_path, class_names=["a", "b"])


def test_two_sets_in_one_folder_are_refused(tmp_path):
    write_set(tmp_path)
    write_set(tmp_path, {key: f"kmnist-{name}" for key, name in NAMES.items()})
    with pytest.raises(ValueError, match="more than one set: kmnist-train-images"):
        data.load(tmp_path)


@pytest.mark.parametrize("name", NAMES.values())
def test_a_missing_file_is_named(tmp_path, name):
    write_set(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        data.load(tmp_path)


@pytest.mark.parametrize("length", [2, 12, -12, -1])
def test_a_truncated_gzip_file_is_refused(tmp_path, length):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(np.arange(60).reshape(3, 5, 4)))[:length])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is a broken gzip file"):
        data.read_idx(path)


def test_a_damaged_gzip_file_is_refused(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    content = bytearray(gzip.compress(idx(rng().integers(0, 256, (30, 5, 4)))))
    content[10:20] = bytes([255] * 10)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is a broken gzip file"):
        data.read_idx(path)


@pytest.mark.parametrize("content", [b"", b"\x00\x00", b"\x00\x00\x09\x01\x00\x00\x00\x01a", b"\x89PNG and so on"])
def test_what_is_no_idx_file_is_refused(tmp_path, content):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not an IDX file"):
        data.read_idx(path)


@pytest.mark.parametrize("change", [lambda whole: whole[:-1], lambda whole: whole + b"a", lambda whole: whole[:9]])
def test_a_file_shorter_or_longer_than_its_header_says_is_refused(tmp_path, change):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(change(idx(np.arange(60).reshape(3, 5, 4))))
    with pytest.raises(ValueError, match="truncated or damaged"):
        data.read_idx(path)


@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_read_idx_gives_back_what_was_written(tmp_path, shape):
    array = rng().integers(0, 256, shape)
    (tmp_path / "file").write_bytes(idx(array))
    found = data.read_idx(tmp_path / "file")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("shape", [(6, 20), (6, 5, 4, 1)])
def test_image_files_of_another_rank_are_refused(tmp_path, shape):
    write_set(tmp_path)
    (tmp_path / NAMES["train", "images"]).write_bytes(idx(np.zeros(shape)))
    with pytest.raises(
        ValueError, match=rf"{NAMES['train', 'images']} holds an array of shape {re.escape(str(shape))}"
    ):
        data.load(tmp_path)


def test_labels_of_another_number_than_the_images_are_refused(tmp_path):
    write_set(tmp_path)
    (tmp_path / NAMES["train", "labels"]).write_bytes(idx(np.zeros(5)))
    with pytest.raises(ValueError, match="6 images but 5 labels"):
        data.load(tmp_path)


def test_test_labels_that_training_does_not_know_are_refused(tmp_path):
    write_set(tmp_path)
    (tmp_path / NAMES["test", "labels"]).write_bytes(idx(np.array([2, 7, 9])))
    with pytest.raises(ValueError, match=r"\[7, 9\] do not occur"):
        data.load(tmp_path)


def test_train_and_test_images_of_unlike_sizes_are_refused(tmp_path):
    write_set(tmp_path)
    (tmp_path / NAMES["test", "images"]).write_bytes(idx(np.zeros((3, 4, 4))))
    with pytest.raises(ValueError, match=r"\(5, 4, 1\) and x_test of \(4, 4, 1\)"):
        data.load(tmp_path)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"Unknown data set 'mnits'.*'mnist_5k', 'mnist', 'fashion_mnist'"):
        data.load("mnits")


@pytest.mark.parametrize("name", [None, 5, np.zeros((3, 5, 4)), ["mnist"], Path("nowhere")])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="Unknown data set"):
        data.load(name)


@pytest.mark.parametrize(("name", "ninth"), [("mnist", "9"), ("fashion_mnist", "Ankle boot")])
def test_keras_datasets_are_used_by_their_names(monkeypatch, name, ninth):
    pixels = rng().integers(0, 256, (12, 28, 28), dtype="uint8")
    labels = np.arange(12, dtype="uint8") % 10
    module = getattr(keras.datasets, name)
    monkeypatch.setattr(module, "load_data", lambda: ((pixels, labels), (pixels[:4], labels[:4])))
    images = data.load(name)
    assert_holds(images, {"train": pixels, "test": pixels[:4]}, {"train": labels, "test": labels[:4]})
    assert images.class_names[9] == ninth
    assert data.load(name, class_names=list("abcdefghij")).class_names[9] == "j"


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_a_failed_download_names_the_bundled_set_and_the_folder_way(monkeypatch, name):
    def fail():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", fail)
    with pytest.raises(ConnectionError, match=rf"'{name}' \(URL fetch failure\).*data\.load\('mnist_5k'\).*folder"):
        data.load(name)


def test_to_images_scales_and_adds_the_channel_axis():
    pixels = np.array([[[0, 51], [102, 255]]], "uint8")
    images = data.to_images(pixels)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, np.array([[[[0], [0.2]], [[0.4], [1]]]]))
    assert data.to_images(np.zeros((2, 5, 4, 3), "int64")).shape == (2, 5, 4, 3)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((3, 784), "uint8"), r"shape \(3, 784\)"),
        (np.zeros((3, 5, 4)), "type float64"),
        (np.zeros((3, 5, 4), bool), "type bool"),
        (np.full((3, 5, 4), 256), "from 256 to 256"),
        (np.full((3, 5, 4), -1), "from -1 to -1"),
    ],
)
def test_to_images_refuses_what_are_no_pixels(pixels, message):
    with pytest.raises(ValueError, match=message):
        data.to_images(pixels)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 5, 4)), r"x has shape \(3, 5, 4\).*x\[\.\.\., None\]"),
        (np.zeros((0, 5, 4, 1)), "x is empty"),
        (np.full((3, 5, 4, 1), 255.0), r"x runs from 255 to 255.*to_images"),
        (np.full((3, 5, 4, 1), -0.5), r"x runs from -0\.5"),
        (np.full((3, 5, 4, 1), np.nan), "x holds NaN"),
        (np.full((3, 5, 4, 1), np.inf), "x runs from inf to inf"),
    ],
)
def test_check_images_refuses_what_are_no_images(x, message):
    with pytest.raises(ValueError, match=message):
        data.check_images(x, name="x")


def test_check_labels_refuses_what_are_no_labels():
    for y in (np.array([0, 2, 1]), [0, 1], np.array([2], "uint8")):
        data.check_labels(y, 3)
    for y, message in (
        ([0, 3], "y runs from 0 to 3, but there are 3 classes. Expected labels 0 to 2"),
        ([-1, 0], "y runs from -1 to 0"),
        ([0.5, 1], r"y has shape \(2,\) and type float64. Expected whole numbers"),
        (np.eye(3, dtype=int), r"y has shape \(3, 3\).*argmax\(axis=1\)"),
        (None, r"y has shape \(\) and type object"),
    ):
        with pytest.raises(ValueError, match=message):
            data.check_labels(y, 3, name="y")


def test_check_images_finds_one_bad_pixel_and_one_label_too_few():
    x = np.zeros((3, 5, 4, 1))
    data.check_images(x, np.zeros(3))
    with pytest.raises(ValueError, match="3 images but 2 labels"):
        data.check_images(x, np.zeros(2))
    x[1, 2, 3, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        data.check_images(x)
    x[1, 2, 3, 0] = 1.5
    with pytest.raises(ValueError, match=r"0 to 1\.5"):
        data.check_images(x)


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_without_a_class_name_are_refused(label):
    x, y = np.zeros((2, 5, 4, 1), "float32"), np.array([0, label])
    with pytest.raises(ValueError, match=rf"y_test runs from {min(0, label)} to {max(0, label)}"):
        data.Images(x, np.zeros(2, int), x, y, ("a", "b", "c"))


@pytest.fixture
def grey():
    return rng().random((50, 6, 5, 1), dtype="float32")


def test_binarised_pixels_are_white_as_often_as_they_are_bright():
    grey = np.broadcast_to(np.linspace(0, 1, 5, dtype="float32").reshape(1, 5, 1, 1), (20_000, 5, 1, 1))
    drawn = data.binarise(grey, seed=SEED)
    assert drawn.dtype == np.float32
    assert set(np.unique(drawn)) == {0, 1}
    means = drawn.mean(axis=(0, 2, 3))
    assert means == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.015)
    assert means[0] == 0
    assert means[-1] == 1


def test_black_stays_black_whatever_is_drawn(monkeypatch):
    class Least:
        def random(self, shape, dtype):
            return np.zeros(shape, dtype)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Least())
    drawn = data.binarise(np.array([0, 1e-6, 1], "float32").reshape(1, 3, 1, 1))
    assert drawn.ravel().tolist() == [0, 1, 1]


def test_fixed_binarisation_is_that_of_its_seed(grey):
    assert np.array_equal(data.binarise(grey, seed=SEED + 3), data.binarise(grey, seed=SEED + 3))
    assert not np.array_equal(data.binarise(grey, seed=SEED + 3), data.binarise(grey, seed=SEED + 4))
    black_and_white = data.binarise(grey)
    assert np.array_equal(data.binarise(black_and_white, seed=SEED + 9), black_and_white)


def test_dynamic_binarisation_gives_every_image_once_in_every_epoch(grey):
    # Each image is marked by a corner that no draw changes: bits of its number.
    marked = grey.copy()
    marked[:, :, 0, 0] = [[number >> bit & 1 for bit in range(6)] for number in range(50)]
    batches = data.DynamicBinarisation(marked, batch_size=16, seed=SEED)
    assert [len(batches[i]) for i in range(len(batches))] == [16, 16, 16, 2]
    orders = []
    for _ in range(2):
        epoch = np.concatenate([batches[i] for i in range(len(batches))])
        numbers = (epoch[:, :, 0, 0] @ 2 ** np.arange(6)).astype(int)
        assert sorted(numbers) == list(range(50))
        orders.append(numbers)
        batches.on_epoch_end()
    assert not np.array_equal(*orders)
    assert not np.array_equal(orders[0], np.arange(50))


def test_dynamic_binarisation_draws_anew_in_every_epoch_and_repeats_for_its_seed(grey):
    same, again, other = (data.DynamicBinarisation(grey, 50, seed=SEED + seed) for seed in (0, 0, 1))
    by_order = np.argsort(np.random.default_rng((SEED, 0)).permutation(50))
    first = same[0]
    assert np.array_equal(first, again[0])
    assert not np.array_equal(first, other[0])
    assert first[by_order].shape == grey.shape
    assert np.abs(first[by_order] - grey).mean() < 0.45
    same.on_epoch_end()
    second = same[0]
    assert sorted(first.sum(axis=(1, 2, 3))) != sorted(second.sum(axis=(1, 2, 3)))
    again.begin_epoch(1)
    assert np.array_equal(second, again[0])
    # Not only in another order: of pixels that are all drawn, no image comes twice.
    drawn, half = set(), data.DynamicBinarisation(np.full_like(grey, 0.5), 10, seed=SEED)
    for _ in range(3):
        drawn |= {image.tobytes() for index in range(len(half)) for image in half[index]}
        half.on_epoch_end()
    assert len(drawn) == 3 * len(grey)
    # Batches do not depend on the order in which they are asked for, and differ.
    small = data.DynamicBinarisation(np.full_like(grey, 0.5), 10, seed=SEED)
    assert np.array_equal(small[3], small[3])
    assert not np.array_equal(small[3], small[4])


def test_dynamic_binarisation_trains_on_a_new_draw_in_every_epoch(grey, make_vae):
    seen = []

    class Watched(data.DynamicBinarisation):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            seen.append((self.epoch, index, batch))
            return batch

    x = rng().random((20, 8, 8, 1), dtype="float32")
    make_vae().fit(Watched(x, batch_size=8, seed=SEED), epochs=3, verbose=0)
    # Keras looks at the first batches before it trains, and counts that as an epoch.
    trained = seen[-9:]
    assert sorted((epoch, index) for epoch, index, _ in trained) == [(e, i) for e in (1, 2, 3) for i in range(3)]
    expected = data.DynamicBinarisation(x, batch_size=8, seed=SEED)
    for epoch, index, batch in trained:
        expected.begin_epoch(epoch)
        assert np.array_equal(batch, expected[index])


def test_what_cannot_be_binarised_is_refused(grey):
    for make in (data.binarise, data.DynamicBinarisation):
        with pytest.raises(ValueError, match="255"):
            make(grey * 255)
    for batch_size in (0, 1.5, "8", None):
        with pytest.raises(ValueError, match=f"batch_size is {batch_size!r}. Expected a whole number, 1 or more"):
            data.DynamicBinarisation(grey, batch_size=batch_size)
    for seed in (-1, 1.5, "a", None):
        for make in (data.binarise, data.DynamicBinarisation, functools.partial(data.add_noise, stddev=0.1)):
            with pytest.raises(ValueError, match=f"seed is {seed!r}. Expected a whole number, 0 or more"):
                make(grey, seed=seed)
        with pytest.raises(ValueError, match=f"epoch is {seed!r}"):
            data.DynamicBinarisation(grey).begin_epoch(seed)


@pytest.mark.parametrize("names", [None, 3, "abc", [["a", "b", "c"]]])
def test_class_names_that_are_no_sequence_are_refused(tmp_path, names):
    x, y = np.zeros((2, 5, 4, 1), "float32"), np.array([0, 1])
    with pytest.raises(ValueError, match=r"class_names are .*Expected a sequence with a name for each label"):
        data.Images(x, y, x, y, names)
    if names is not None:
        write_set(tmp_path)
        with pytest.raises(ValueError, match="class_names are"):
            data.load(tmp_path, class_names=names)


def test_class_names_may_be_an_array(tmp_path):
    write_set(tmp_path)
    assert data.load(tmp_path, class_names=np.array(["a", "b", "c"])).class_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_train": np.array([0.0, 1.0])}, r"y_train has shape \(2,\) and type float64"),
        ({"y_test": np.zeros((2, 1), int)}, r"y_test has shape \(2, 1\)"),
        ({"y_test": None}, r"y_test has shape \(\) and type object"),
        ({"y_train": np.zeros(3, int)}, "x_train has 2 images but 3 labels"),
        ({"x_test": np.zeros((2, 5, 4))}, r"x_test has shape \(2, 5, 4\)"),
        ({"x_train": np.full((2, 5, 4, 1), "a")}, "x_train is of type <U1"),
        ({"x_train": np.zeros((2, 5, 4, 1), complex)}, "x_train is of type complex128"),
    ],
    ids=str,
)
def test_sets_that_do_not_fit_together_are_refused(changed, message):
    x, y = np.zeros((2, 5, 4, 1), "float32"), np.array([0, 1])
    with pytest.raises(ValueError, match=message):
        data.Images(**{"x_train": x, "y_train": y, "x_test": x, "y_test": y, "class_names": ("a", "b"), **changed})


@pytest.mark.parametrize(
    ("name", "train", "test", "draw", "ranges"),
    [
        ("sprites", 8000, 2000, data.draw_sprites, data.SPRITE_FACTORS),
        ("scenes", 4000, 1000, data.draw_scenes, data.SCENE_FACTORS),
    ],
)
def test_drawn_sets_come_with_all_that_they_were_drawn_from(name, train, test, draw, ranges):
    images = data.load(name)
    factors = data.draw_factors(ranges, train + test, seed=0)
    pd.testing.assert_frame_equal(images.factors_train, factors[:train])
    pd.testing.assert_frame_equal(images.factors_test, factors[train:].reset_index(drop=True))
    for x, y, table, count in (
        (images.x_train, images.y_train, images.factors_train, train),
        (images.x_test, images.y_test, images.factors_test, test),
    ):
        assert (x.shape, x.dtype) == ((count, 32, 32, 3), np.float32)
        np.testing.assert_array_equal(y, table["shape"])
        np.testing.assert_allclose(x[-20:], draw(table[-20:]), atol=1e-6)
    assert images.class_names == ranges["shape"]


def test_classes_of_a_drawn_set_can_be_renamed(monkeypatch):
    monkeypatch.setattr("vae_keras.data.sets.draw_sprites", lambda table: np.zeros((len(table), 2, 2, 3), "float32"))
    assert data.load("sprites", class_names=("a", "b", "c")).class_names == ("a", "b", "c")
    with pytest.raises(ValueError, match="there are 2 classes"):
        data.load("sprites", class_names=("a", "b"))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (pd.DataFrame({"a": [1, 2]}), None, r"factors_test is of type NoneType"),
        (None, pd.DataFrame({"a": [1, 2]}), r"factors_train is of type NoneType"),
        (
            pd.DataFrame({"a": [1]}),
            pd.DataFrame({"a": [1, 2]}),
            r"factors_train is of type DataFrame and shape \(1, 1\)",
        ),
        (pd.DataFrame({"a": [1, 2]}), np.zeros((2, 1)), r"factors_test is of type ndarray and shape \(2, 1\)"),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]}), r"columns \['a'\] and factors_test \['b'\]"),
    ],
)
def test_factors_that_do_not_fit_the_images_are_refused(train, test, message):
    x, y = np.zeros((2, 5, 4, 1), "float32"), np.array([0, 1])
    assert data.Images(x, y, x, y, ("a", "b")).factors_train is None
    with pytest.raises(ValueError, match=message):
        data.Images(x, y, x, y, ("a", "b"), train, test)


def test_factors_are_held_out_with_their_images():
    x, y, table = np.zeros((5, 5, 4, 1), "float32"), np.array([0, 1, 0, 1, 0]), pd.DataFrame({"a": range(5)})
    held = data.hold_out(data.Images(x, y, x, y, ("a", "b"), table, table), 2)
    assert held.factors_train["a"].tolist() == [0, 1, 2] and held.factors_test["a"].tolist() == [3, 4]
    assert data.hold_out(data.Images(x, y, x, y, ("a", "b")), 2).factors_test is None


def test_held_out_images_are_the_last_of_the_training_set(mnist_5k):
    images = mnist_5k
    held = data.hold_out(images, 400)
    assert np.array_equal(held.x_train, images.x_train[:3600])
    assert np.array_equal(held.x_test, images.x_train[3600:])
    assert np.array_equal(held.y_test, images.y_train[3600:])
    assert held.class_names == images.class_names
    for count in (0, -1, 4000, 1.5, "400", None):
        with pytest.raises(ValueError, match=f"count is {count!r}"):
            data.hold_out(images, count)
    assert len(data.hold_out(images, 3999).x_train) == 1
    with pytest.raises(ValueError, match=r"images are of type ndarray\. Expected data\.Images"):
        data.hold_out(images.x_train, 400)


def test_noise_has_its_standard_deviation_and_is_not_cut_off():
    grey = rng().random((1000, 8, 8, 1), dtype="float32")
    noisy = data.add_noise(grey, 0.5, seed=SEED + 1)
    assert noisy.dtype == np.float32
    assert (noisy - grey).std() == pytest.approx(0.5, rel=0.02)
    assert abs((noisy - grey).mean()) < 0.02
    assert noisy.min() < -0.5
    assert noisy.max() > 1.5
    np.testing.assert_array_equal(data.add_noise(grey, 0.5, seed=SEED + 1), noisy)
    assert not np.array_equal(data.add_noise(grey, 0.5, seed=SEED + 2), noisy)
    np.testing.assert_array_equal(data.add_noise(grey, 0.0), grey)


@pytest.mark.parametrize("stddev", [-0.1, float("nan"), float("inf"), "0.1", None])
def test_noise_that_is_none_is_refused(stddev):
    with pytest.raises(ValueError, match=f"stddev is {stddev!r}"):
        data.add_noise(np.zeros((1, 8, 8, 1), "float32"), stddev)


def test_noise_is_for_images_only():
    with pytest.raises(ValueError, match="images"):
        data.add_noise(np.full((1, 8, 8, 1), 255.0, "float32"), 0.1)


def test_labelled_images_are_as_many_of_each_class():
    y = rng(11).permutation(np.repeat([0, 3, 7], [20, 30, 5]))
    chosen = data.draw_labelled(y, 15, seed=SEED)
    assert len(set(chosen)) == 15
    assert np.unique(y[chosen], return_counts=True)[1].tolist() == [5, 5, 5]
    np.testing.assert_array_equal(chosen, data.draw_labelled(y, 15, seed=SEED))
    draws = {tuple(data.draw_labelled(y, 3, seed=seed)) for seed in range(20)}
    assert len(draws) > 10


@pytest.mark.parametrize(
    ("y", "count", "message"),
    [
        ([0, 1, 0, 1], 3, "count is 3, but there are 2 classes. Expected a multiple"),
        ([0, 1, 0, 1], 0, "count is 0"),
        ([0, 1, 0, 1], 2.0, "count is 2.0"),
        ([0, 1, 0, 0], 4, "The class 1 has 1 images, but 2 of each class"),
        ([5, 5], 2, r"labels hold the classes \[5\]. Expected two or more"),
        ([[0, 1]], 2, r"labels have shape \(1, 2\)"),
    ],
)
def test_labels_that_cannot_be_drawn_are_refused(y, count, message):
    with pytest.raises(ValueError, match=message):
        data.draw_labelled(np.array(y), count)
