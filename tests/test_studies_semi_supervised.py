"""studies.semi_supervised: model M2 with a few labels, beside its classifier without the other images."""

import json

import numpy as np
import pytest
from seeding import SEED, rng

from vae_keras import data
from vae_keras.studies import recipes, semi_supervised

RUN = {
    **{"data": "tiny", "seed": SEED, "labels": 6, "classes": 3, "activation": "GELU", "hidden": [8], "latent_dim": 2},
    **{"epochs": 2, "batch_size": 16, "labelled": 4, "learning_rate": 5e-3, "classifier_weight": 20.0},
}


class Judge:
    """Takes every second image for none, and sees the class by where it is bright."""

    def __call__(self, images):
        return np.arange(len(images)) % 2 == 1

    def classes(self, images):
        return images.reshape(len(images), 4, -1).mean(axis=2)[:, :3].argmax(axis=1)


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
    monkeypatch.setattr(semi_supervised, "trained_judge", lambda name, folders: Judge())
    return images


def test_what_is_measured_has_a_name_and_a_number_and_comes_again():
    result = semi_supervised.train_semi_supervised(**RUN)
    assert json.loads(json.dumps(result)) == result
    terms = {"loss", "reconstruction_loss", "kl_loss", "class_loss"}
    assert result["held_out"].keys() == terms | {"right", "right, labels alone", "none", "as asked"}
    assert result["held_out"]["none"] == 0.5
    assert terms < result["history"].keys()
    assert len(result["history"]["loss"]) == 2
    assert result["defaults"]["validation"] == 0
    again = semi_supervised.train_semi_supervised(**RUN)
    assert again["held_out"] == result["held_out"]
    other = semi_supervised.train_semi_supervised(**{**RUN, "seed": SEED + 1})
    assert other["held_out"]["loss"] != result["held_out"]["loss"]


def test_classes_are_learnt_and_drawn_as_asked():
    held_out = semi_supervised.train_semi_supervised(**{**RUN, "epochs": 40})["held_out"]
    assert min(held_out["right"], held_out["right, labels alone"]) > 0.9
    # Half of the images, all that the judge takes for any, is the most that there can be, and a sixth is chance.
    assert held_out["as asked"] > 0.25


def test_the_classifier_alone_sees_no_image_without_a_label(tiny, monkeypatch):
    seen = []
    fit = semi_supervised.fit_alone

    def watched(classifier, batches, steps, optimizer):
        before = classifier.get_weights()
        fit(classifier, batches, steps, optimizer)
        seen.append((before, batches, steps, int(optimizer.iterations)))

    monkeypatch.setattr(semi_supervised, "fit_alone", watched)
    semi_supervised.train_semi_supervised(**RUN)
    before, batches, steps, taken = seen[0]
    assert steps == 2 * len(batches) == 2 * 5
    # Whole epochs of six images in batches of four.
    assert steps <= taken < steps + 10
    # It begins where that of the model began.
    start = recipes.compiled(RUN, semi_supervised.build_semi_supervised, tiny).classifier.get_weights()
    for weight, expected in zip(before, start, strict=True):
        np.testing.assert_array_equal(weight, expected)
    chosen = data.draw_labelled(tiny.y_train, 6, seed=SEED)
    np.testing.assert_array_equal(batches.chosen, chosen)


def test_a_training_that_was_killed_goes_on(tmp_path, monkeypatch):
    begun = []
    begin = data.PartlyLabelled.begin_epoch

    def watched(batches, epoch):
        begun.append(epoch)
        begin(batches, epoch)

    saving = semi_supervised.Checkpoint
    monkeypatch.setattr(semi_supervised, "Checkpoint", lambda model, folder: saving(model, folder, 0.0))
    with monkeypatch.context() as killed:
        killed.setattr(semi_supervised, "measure_semi_supervised", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            semi_supervised.train_semi_supervised(**RUN, backup=tmp_path)
    monkeypatch.setattr(data.PartlyLabelled, "begin_epoch", watched)
    result = semi_supervised.train_semi_supervised(**{**RUN, "epochs": 3}, backup=tmp_path)
    assert result["resumed"] == [2]
    assert len(result["history"]["loss"]) == 3
    assert begun[1] == 2


def test_settings_that_are_unknown_or_missing_are_refused():
    with pytest.raises(ValueError, match=r"activation is 'gelu'\. Expected one of"):
        semi_supervised.train_semi_supervised(**{**RUN, "activation": "gelu"})
    with pytest.raises(ValueError, match=r"unknown settings \['beta'\]"):
        semi_supervised.train_semi_supervised(**RUN, beta=2.0)
    with pytest.raises(ValueError, match=r"lacks \['labels'\]"):
        semi_supervised.train_semi_supervised(**{name: value for name, value in RUN.items() if name != "labels"})
