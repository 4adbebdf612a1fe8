"""photo_patches: pieces of two photographs, of which those held out share no pixel with the others."""

import numpy as np
import pytest
from sklearn import datasets

from vae_keras import data


@pytest.fixture(scope="module")
def patches():
    return data.load("photo_patches")


def parts(images):
    return (images.x_train, images.y_train), (images.x_test, images.y_test)


def test_photo_patches_have_the_promised_shapes(patches):
    assert patches.x_train.shape == (5800, 32, 32, 3)
    assert patches.x_test.shape == (1300, 32, 32, 3)
    assert patches.class_names == ("china", "flower")
    for x, y in parts(patches):
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert x.min() >= 0 and 0.9 < x.max() <= 1


def test_there_are_as_many_patches_of_either_photograph(patches):
    for _, y in parts(patches):
        np.testing.assert_array_equal(np.bincount(y), [len(y) / 2] * 2)


def test_the_first_patches_are_of_both_photographs_and_of_many_places(patches):
    for x, y in parts(patches):
        assert 30 < y[:100].sum() < 70
        # Neighbours in a photograph share three quarters of their pixels.
        assert np.abs(x[0:100:2] - x[1:100:2]).mean() > 0.1


def test_photo_patches_are_always_the_same(patches):
    again = data.load("photo_patches")
    np.testing.assert_array_equal(again.x_train, patches.x_train)
    np.testing.assert_array_equal(again.y_test, patches.y_test)


@pytest.fixture
def places(monkeypatch):
    """Photographs each pixel of which says where it is; returns the pixels of training and of test patches."""
    pixel = {"china.jpg": 0, "flower.jpg": 1}
    where = {name: np.arange(427 * 640).reshape(427, 640) + 427 * 640 * k for name, k in pixel.items()}
    photographs = {name: np.stack([w // 65536, w // 256 % 256, w % 256], axis=-1) for name, w in where.items()}
    monkeypatch.setattr(datasets, "load_sample_image", lambda name: photographs[name].astype("uint8"))
    return data.load("photo_patches")


def pixels_of(x):
    return np.rint(255 * x).astype(int) @ [65536, 256, 1]


def test_no_pixel_is_in_a_training_and_in_a_test_patch(places):
    train, test = (np.unique(pixels_of(x)) for x, _ in parts(places))
    assert not np.intersect1d(train, test).size
    # Between the two there is a strip that is in neither, narrower than a patch with a step; all else is in use.
    assert 0.9 < (len(train) + len(test)) / (2 * 427 * 640) < 1
    assert 0.15 < len(test) / (len(train) + len(test)) < 0.25


def test_patches_are_pieces_of_a_photograph_eight_pixels_apart(places):
    corners = []
    for x, y in parts(places):
        pixels = pixels_of(x)
        first = pixels[:, :1, :1]
        np.testing.assert_array_equal(
            pixels - first, np.broadcast_to(640 * np.arange(32)[:, None] + np.arange(32), pixels.shape)
        )
        photograph, place = np.divmod(first.ravel(), 427 * 640)
        np.testing.assert_array_equal(photograph, y)
        row, column = np.divmod(place, 640)
        assert not (row % 8).any() and not (column % 8).any()
        assert set(row) == set(range(0, 427 - 31, 8))
        corners.append(first.ravel())
    # None comes twice.
    assert len(np.unique(np.concatenate(corners))) == 7100


def test_the_names_of_the_photographs_can_be_others():
    assert data.load("photo_patches", class_names=["temple", "dahlia"]).class_names == ("temple", "dahlia")


def test_an_unknown_name_is_told_of_the_photographs():
    with pytest.raises(ValueError, match="'photo_patches'"):
        data.load("photos")
