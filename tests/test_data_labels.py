"""data.PartlyLabelled: batches in which some images have a label."""

import re

import numpy as np
import pytest
from seeding import SEED

from vae_keras import data

# Each image is named by its brightness.
X = (np.arange(50, dtype="float32") / 64).reshape(50, 1, 1, 1) * np.ones((1, 4, 4, 1), "float32")
Y = np.arange(50) % 5
CHOSEN = data.draw_labelled(Y, 10, seed=SEED)


def make(**arguments):
    return data.PartlyLabelled(
        **{"images": X, "labels": Y, "chosen": CHOSEN, "batch_size": 12, "labelled": 4, "seed": SEED, **arguments}
    )


def epoch_of(batches):
    return [batches[index] for index in range(len(batches))]


def names(x):
    return (x[:, 0, 0, 0] * 64).astype(int)


def test_an_epoch_has_every_image_without_a_label_once_and_those_with_one_again_and_again():
    batches = make()
    assert len(batches) == 5
    orders = []
    for _ in range(2):
        epoch = epoch_of(batches)
        assert [len(x) for x, _ in epoch] == [len(y) for _, y in epoch] == [12] * 5
        images = np.concatenate([names(x) for x, _ in epoch])
        labels = np.concatenate([y for _, y in epoch])
        assert sorted(images[labels == -1]) == sorted(set(range(50)) - set(CHOSEN))
        known, counts = np.unique(images[labels >= 0], return_counts=True)
        np.testing.assert_array_equal(known, CHOSEN)
        np.testing.assert_array_equal(counts, 2)
        np.testing.assert_array_equal(labels[labels >= 0], Y[images[labels >= 0]])
        assert all(np.all(y[:4] >= 0) and np.all(y[4:] == -1) for _, y in epoch)
        orders.append((images[labels >= 0], images[labels == -1]))
        batches.on_epoch_end()
    for one, other in zip(*orders, strict=True):
        assert not np.array_equal(one, other)
        assert not np.array_equal(one, np.sort(one))


def test_the_last_batch_is_what_is_left_and_few_labels_are_enough():
    batches = make(batch_size=11, chosen=CHOSEN[:1])
    assert [len(x) for x, _ in epoch_of(batches)] == [11] * 7
    assert [len(x) for x, _ in epoch_of(make(batch_size=10))] == [10] * 6 + [8]


def test_the_same_seed_draws_the_same_epochs_whatever_was_asked_for_before():
    one, again, other = make(), make(), make(seed=SEED + 1)
    assert epoch_of(one)[3][0].tobytes() == again[3][0].tobytes() != other[3][0].tobytes()
    one.on_epoch_end()
    again.begin_epoch(1)
    assert one[2][0].tobytes() == again[2][0].tobytes()


def test_labels_of_other_images_play_no_part():
    spoilt = np.full(50, -99)
    spoilt[CHOSEN] = Y[CHOSEN]
    for (_, labels), (_, others) in zip(epoch_of(make()), epoch_of(make(labels=spoilt)), strict=True):
        np.testing.assert_array_equal(labels, others)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": 255 * X}, "Expected pixels in [0, 1]"),
        ({"labels": Y[:-1]}, "50 images but 49 labels"),
        ({"labels": Y / 2}, "Expected whole numbers"),
        ({"labels": Y - 1}, "labels runs from -1"),
        ({"chosen": []}, "chosen has shape (0,)"),
        ({"chosen": np.arange(50)}, "fewer than the 50 images"),
        ({"chosen": [0.5]}, "type float64. Expected whole numbers"),
        ({"chosen": [[1]]}, "chosen has shape (1, 1)"),
        ({"chosen": [3, 50]}, "chosen runs from 3 to 50"),
        ({"chosen": [-1, 3]}, "chosen runs from -1 to 3"),
        ({"chosen": [3, 3]}, "1 of 2 unlike each other"),
        ({"batch_size": 1}, "batch_size is 1. Expected a whole number, 2 or more"),
        ({"labelled": 0}, "labelled is 0. Expected a whole number, 1 or more"),
        ({"labelled": 12}, "labelled is 12 and batch_size 12. Expected room"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=str,
)
def test_what_makes_no_batches_is_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**arguments)


@pytest.mark.parametrize("epoch", [-1, 0.5, None])
def test_an_epoch_that_is_none_is_refused(epoch):
    with pytest.raises(ValueError, match=f"epoch is {epoch!r}. Expected a whole number, 0 or more"):
        make().begin_epoch(epoch)
