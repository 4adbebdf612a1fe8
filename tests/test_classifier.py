"""train_classifier: a small network that learns the classes of images."""

import keras
import numpy as np
import pytest
from seeding import SEED, rng

from vae_keras import losses
from vae_keras.classifier import train_classifier


def halves(n, seed):
    """Noisy images of three classes: the upper half is white, the left half, and none."""
    generator = rng(seed)
    labels = np.arange(n) % 3
    x = np.full((n, 12, 12, 1), 0.5)
    x[labels == 0, :6], x[labels == 1, :, :6] = 1, 1
    return (x * generator.uniform(0.8, 1, x.shape)).astype("float32"), labels


@pytest.fixture(scope="module")
def trained():
    return train_classifier(*halves(600, seed=0), filters=(8, 16), epochs=40, seed=SEED)


def test_it_knows_the_classes_of_images_that_it_has_not_seen(trained):
    x, y = halves(300, seed=1)
    cross_entropy, accuracy = trained.evaluate(x, y, verbose=0)
    assert accuracy > 0.95
    logits = trained.predict(x, verbose=0)
    assert logits.shape == (300, 3)
    assert (logits.argmax(axis=1) == y).mean() == pytest.approx(accuracy)
    by_hand = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(300), y]
    assert cross_entropy == pytest.approx(by_hand.mean(), rel=1e-4)


def test_its_layers_are_named_for_the_perceptual_loss(trained):
    x, _ = halves(6, seed=2)
    seen = keras.Model(trained.input, [trained.get_layer(name).output for name in ("hidden_1", "hidden_2")])(x)
    assert [tuple(each.shape) for each in seen] == [(6, 6, 6, 8), (6, 3, 3, 16)]
    assert all(np.min(each) == 0 for each in seen)
    values = losses.Perceptual(trained, ("hidden_1", "hidden_2"))(x, x[::-1].copy())
    assert np.min(values) > 0


def test_the_seed_alone_fixes_the_weights():
    x, y = halves(60, seed=0)
    networks = []
    for number, seed in enumerate((SEED, SEED, SEED + 1)):
        keras.utils.set_random_seed(number)
        networks.append(train_classifier(x, y, filters=(3,), epochs=1, seed=seed).get_weights())
    for weight, same in zip(*networks[:2], strict=True):
        np.testing.assert_array_equal(weight, same)
    assert np.any(networks[0][0] != networks[2][0])


def test_images_labels_and_settings_that_are_none_are_refused():
    x, y = halves(6, seed=0)
    for arguments, message in (
        ({"images": 255 * x}, "Expected pixels in"),
        ({"labels": y[:5]}, "6 images but 5 labels"),
        ({"labels": y / 2}, "Expected whole numbers"),
        ({"labels": y - 1}, "runs from -1 to 1"),
        ({"labels": 0 * y}, "labels hold the class 0 alone"),
        ({"epochs": 0}, "epochs is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"filters": ()}, r"filters is \(\)"),
    ):
        with pytest.raises(ValueError, match=message):
            train_classifier(**{"images": x, "labels": y, **arguments})
