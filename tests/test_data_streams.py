"""Pixels that need not fit into memory."""

from pathlib import Path

import numpy as np
import pytest
from seeding import SEED, rng

from benchmarks.worker import Memory
from vae_keras import data


@pytest.fixture
def pixels():
    """Fifty images, the first pixel of each its number."""
    values = rng().integers(0, 256, (50, 4, 3), dtype="uint8")
    values[:, 0, 0] = np.arange(50)
    return values


def numbers(images):
    return np.rint(images[:, 0, 0, 0] * 255).astype(int)


def test_every_epoch_has_each_image_once_in_an_order_of_its_own(pixels):
    batches = data.PixelBatches(pixels, batch_size=16, seed=SEED)
    assert batches.shape == (4, 3, 1)
    assert [len(batches[i]) for i in range(len(batches))] == [16, 16, 16, 2]
    epochs = []
    for _ in range(2):
        images = np.concatenate([batches[i] for i in range(len(batches))])
        assert images.dtype == "float32"
        np.testing.assert_array_equal(images[np.argsort(numbers(images))], data.to_images(pixels))
        epochs.append([set(numbers(batches[i])) for i in range(len(batches))])
        batches.on_epoch_end()
    assert epochs[0] != epochs[1]
    again = data.PixelBatches(pixels, batch_size=16, seed=SEED)
    again.begin_epoch(1)
    assert [set(numbers(again[i])) for i in range(len(again))] == epochs[1]
    assert set(numbers(data.PixelBatches(pixels, batch_size=16, seed=SEED + 1)[0])) != epochs[0][0]


def test_without_shuffling_the_order_is_that_of_the_array(pixels):
    batches = data.PixelBatches(pixels[..., None], batch_size=20, shuffle=False)
    for _ in range(2):
        assert [list(numbers(batches[i])) for i in range(3)] == [[*range(20)], [*range(20, 40)], [*range(40, 50)]]
        batches.on_epoch_end()


def test_labels_stay_with_their_images(pixels):
    batches = data.PixelBatches(pixels, labels=np.arange(50) % 7, batch_size=16, seed=SEED)
    for index in range(len(batches)):
        images, labels = batches[index]
        assert np.array_equal(labels, numbers(images) % 7)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pixels": np.zeros((5, 4, 3), "float32")}, "pixels are of type float32. Expected whole numbers"),
        ({"pixels": np.zeros((5, 12), "uint8")}, r"pixels have shape \(1, 12\)"),
        ({"pixels": np.zeros((0, 4, 3), "uint8")}, "There are 0 images"),
        ({"labels": np.zeros(4)}, r"There are 5 images, and labels of shape \(4,\)"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_gives_no_batches_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        data.PixelBatches(**{"pixels": np.zeros((5, 4, 3), "uint8"), **changed})


def test_a_batch_outside_the_bytes_is_refused():
    far = np.zeros((5, 4, 3), "int32")
    far[3] = 256
    batches = data.PixelBatches(far, batch_size=2, shuffle=False)
    assert len(batches[0]) == 2
    with pytest.raises(ValueError, match="pixels run from 0 to 256"):
        batches[1]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_file_larger_than_what_training_takes_trains_in_flat_memory(tmp_path, make_vae):
    written = np.lib.format.open_memmap(tmp_path / "pixels.npy", "w+", "uint8", (500_000, 8, 8))
    written[::1000] = rng().integers(0, 256, (500, 8, 8))
    written.flush()
    pixels = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    vae = make_vae()
    with Memory() as before:
        vae.fit(data.PixelBatches(pixels[:20_000], batch_size=2000), verbose=0)
    with Memory() as memory:
        vae.fit(data.PixelBatches(pixels, batch_size=2000), verbose=0)
    # In float32 they are 122 MiB.
    assert 0 < memory.most < before.most + 40
