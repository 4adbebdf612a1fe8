"""studies.labels: what a few labels teach on pixels, on PCA and on codes."""

import json

import numpy as np
import pytest
from seeding import SEED, rng

from vae_keras import data
from vae_keras.studies import labels, recipes

NETWORK = {"network": "dense", "activation": "GELU", "hidden": [8]}
TRAINING = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "latent_dim": 3}
COUNTED = {"data": "tiny", "seed": SEED, "counts": [6, 12], "draws": 2}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Sixty training and thirty test images of 8 x 8 pixels, of three classes that differ in where they are bright."""
    generator = rng(5)
    y = np.arange(90) % 3
    x = 0.2 * generator.random((90, 8, 8, 1), dtype="float32")
    for label in range(3):
        x[y == label, 2 * label : 2 * label + 2] += 0.6
    images = data.Images(x[:60], y[:60], x[60:], y[60:], ("a", "b", "c"))
    monkeypatch.setattr(recipes, "_loaded", lambda name: images)
    return images


RUNS = {
    "pixels": {},
    "PCA": {"latent_dim": 3},
    "autoencoder": {k: v for k, v in (NETWORK | TRAINING).items() if k != "hidden"},
    "VAE": NETWORK | TRAINING,
}


@pytest.mark.parametrize("representation", RUNS)
def test_what_is_measured_has_a_name_and_a_number(representation):
    run = {"representation": representation, **RUNS[representation], **COUNTED}
    result = labels.train_for_labels(**run)
    assert json.loads(json.dumps(result)) == result
    shares = {name: value for name, value in result["held_out"].items() if "labels" in name}
    assert shares.keys() == {
        f"{name}, {count} labels, draw {draw}"
        for name in ("SVM", "5-NN", "spreading")
        for count in (6, 12)
        for draw in range(2)
    }
    assert all(0 <= share <= 1 for share in shares.values())
    assert ("loss" in result["held_out"]) is (representation in ("autoencoder", "VAE"))
    assert labels.train_for_labels(**run)["held_out"] == result["held_out"]


def test_classes_that_pixels_tell_apart_are_learnt_from_few_labels():
    held_out = labels.train_for_labels(representation="pixels", **COUNTED)["held_out"]
    assert min(held_out[f"{name}, 12 labels, draw 0"] for name in ("SVM", "spreading")) == 1


def test_codes_that_say_nothing_teach_nothing(tiny):
    generator = rng(6)
    noise = [generator.standard_normal((n, 4)) for n in (60, 30)]
    held_out = labels.measure_labels(tiny, *noise, counts=(30,), draws=10)
    assert np.mean(list(held_out.values())) == pytest.approx(1 / 3, abs=0.12)


def test_other_labels_than_those_drawn_play_no_part(tiny):
    chosen = data.draw_labelled(tiny.y_train, 6)
    train, test = labels.linear_codes(tiny, seed=SEED)
    spoilt = np.full(60, 99)
    spoilt[chosen] = tiny.y_train[chosen]
    np.testing.assert_array_equal(
        labels.spread_labels(train, spoilt, chosen, test), labels.spread_labels(train, tiny.y_train, chosen, test)
    )


def test_labels_spread_along_a_chain_to_what_lies_nearer_to_another_label():
    # Two lines of points, the upper one labelled at its left end, the lower one at its right: the label nearest to the
    # upper right end is that of the lower line.
    along = np.linspace(0, 3, 31)
    upper, lower = np.stack([along, along * 0 + 2], axis=1), np.stack([along, along * 0], axis=1)
    train, y = np.concatenate([upper, lower]), np.repeat([1, 0], 31)
    chosen = np.array([0, 31 + 30])
    test = np.array([[3.0, 2.0], [0.0, 0.0]])
    np.testing.assert_array_equal(labels.spread_labels(train, y, chosen, test), [1, 0])


def test_the_draws_of_labels_are_the_same_every_time(tiny, monkeypatch):
    seen = []
    draw = data.draw_labelled

    def watched(y, count, seed):
        seen.append((count, seed))
        return draw(y, count, seed)

    monkeypatch.setattr(labels, "draw_labelled", watched)
    train, test = labels.linear_codes(tiny, seed=SEED)
    for _ in range(2):
        labels.measure_labels(tiny, train, test, counts=(6,), draws=3)
    assert seen == 2 * [(6, 0), (6, 1), (6, 2)]


def test_principal_components_are_those_of_the_training_images(tiny):
    train, test = labels.linear_codes(tiny, seed=SEED, latent_dim=2)
    assert (train.shape, test.shape) == ((60, 2), (30, 2))
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-4)
    assert np.abs(np.corrcoef(train.T)[0, 1]) < 1e-4


def test_an_unknown_representation_and_settings_of_another_are_refused():
    with pytest.raises(ValueError, match=r"representation is 'codes'. Expected one of pixels, PCA, autoencoder, VAE"):
        labels.train_for_labels(representation="codes", **COUNTED)
    with pytest.raises(ValueError, match="epochs"):
        labels.train_for_labels(representation="pixels", epochs=3, **COUNTED)
