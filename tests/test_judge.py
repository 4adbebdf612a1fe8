"""judge: what is a digit and what is not."""

import numpy as np
import pytest
from seeding import rng
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from vae_keras.judge import class_imbalance, train_judge


def test_imbalance_is_the_share_that_would_have_to_change_its_class():
    assert class_imbalance(np.arange(40) % 10, classes=10) == pytest.approx(0)
    assert class_imbalance(np.zeros(40, int), classes=10) == pytest.approx(0.9)
    assert class_imbalance(np.array([0, 0, 0, 1]), classes=2) == pytest.approx(0.25)
    assert class_imbalance(np.array([0, 1]), classes=4) == pytest.approx(0.5)


def quadrants(n, seed):
    """Noisy images of four classes, each with one bright quadrant."""
    generator = rng(seed)
    labels = np.arange(n) % 4
    images = generator.uniform(0, 0.5, (n, 8, 8, 1))
    quadrant = np.arange(8)[:, None] // 4 * 2 + np.arange(8) // 4
    images[..., 0] += 0.3 * (quadrant == labels[:, None, None])
    return images, labels


@pytest.fixture(scope="module")
def judge():
    classifier = make_pipeline(PCA(4), LogisticRegression(C=100))
    return train_judge(classifier, *quadrants(2000, seed=0), *quadrants(2000, seed=1), rejected=0.1)


def test_a_judge_knows_the_classes_and_rejects_as_few_as_it_was_asked_to(judge):
    assert judge.accuracy > 0.97
    # Four standard errors: that of the share of 2,000 test images, and as much for the threshold.
    assert judge.rejected == pytest.approx(0.1, abs=4 * np.sqrt(2 * 0.1 * 0.9 / 2000))
    x_test, y_test = quadrants(2000, seed=1)
    flat = x_test.reshape(2000, -1)
    assert judge.accuracy == judge.classifier.score(flat, y_test)
    assert judge.rejected == judge(x_test).mean()
    np.testing.assert_array_equal(judge.confidence(x_test), judge.classifier.predict_proba(flat).max(axis=1))


def test_a_judge_rejects_noise(judge):
    noise = rng(5).uniform(0, 0.8, (200, 8, 8, 1))
    rejected = judge(noise)
    assert (rejected.shape, rejected.dtype) == ((200,), bool)
    assert rejected.mean() > 0.8


def test_the_threshold_of_a_judge_comes_from_images_that_its_copies_had_not_seen():
    class Parrot(LogisticRegression):
        """Sure of the images that it was trained on, and of no others."""

        def fit(self, x, y):
            self.known = {row.tobytes() for row in x}
            return super().fit(x, y)

        def predict_proba(self, x):
            share = np.array([0.9 if row.tobytes() in self.known else 0.4 for row in x])[:, None]
            return np.concatenate([share, (1 - share) / 3, (1 - share) / 3, (1 - share) / 3], axis=1)

    parrot = train_judge(Parrot(), *quadrants(100, seed=0), *quadrants(100, seed=1))
    assert parrot.threshold == pytest.approx(0.4)


def test_a_judge_works_with_labels_that_do_not_count_from_zero():
    x_train, y_train = quadrants(200, seed=0)
    x_test, y_test = quadrants(200, seed=1)
    judge = train_judge(LogisticRegression(), x_train, y_train + 5, x_test, y_test + 5)
    assert judge.accuracy > 0.97


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_train": np.arange(99) % 4}, "x_train has 100 images but 99 labels"),
        ({"y_test": np.arange(101) % 4}, "x_test has 100 images but 101 labels"),
        ({"y_test": None}, r"y_test has shape \(\)"),
        ({"y_train": np.zeros((100, 1))}, r"y_train has shape \(100, 1\)"),
        ({"y_train": np.zeros(100)}, r"\{0.0: 100\} images by class. Expected two classes"),
        ({"y_train": np.repeat([0, 1], [96, 4])}, "{0: 96, 1: 4} images by class.*at least 5"),
        ({"rejected": 0}, "rejected is 0"),
        ({"rejected": 1.0}, r"rejected is 1\.0"),
        ({"rejected": "few"}, "rejected is 'few'"),
        ({"x_test": np.full((100, 8, 8, 1), 2.0)}, "x_test runs from 2 to 2"),
        ({"x_train": np.zeros((100, 64))}, r"x_train has shape \(100, 64\)"),
    ],
    ids=str,
)
def test_what_cannot_be_judged_by_is_refused(changed, message):
    (x_train, y_train), (x_test, y_test) = quadrants(100, seed=0), quadrants(100, seed=1)
    arguments = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test, **changed}
    with pytest.raises(ValueError, match=message):
        train_judge(LogisticRegression(), **arguments)


def test_a_judge_takes_images_only(judge):
    for call in (judge, judge.confidence, judge.classes):
        for images in (np.zeros((3, 64)), np.zeros((0, 8, 8, 1)), None):
            with pytest.raises(ValueError, match=r"images have shape .*Expected \(n, height, width, channels\)"):
                call(images)


def test_the_classes_of_a_judge_are_those_that_it_finds_most_probable(judge):
    x, y = quadrants(200, seed=2)
    classes = judge.classes(x)
    assert (classes == y).mean() > 0.9
    np.testing.assert_array_equal(classes, judge.classifier.predict_proba(x.reshape(200, -1)).argmax(axis=1))


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 1, 2], 2, r"values \[0, 1, 2\].*from 0 to 1"),
        ([-1, 0], 2, r"values \[-1, 0\]"),
        ([], 2, r"shape \(0,\)"),
        ([[0, 1]], 2, r"shape \(1, 2\)"),
        ([0.0, 1.0], 2, "whole numbers"),
        (["a", "b"], 2, "whole numbers"),
        ([0], 0, "classes is 0"),
        ([0], 1.5, r"classes is 1\.5"),
    ],
)
def test_labels_and_classes_that_are_none_are_refused(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        class_imbalance(np.array(labels), classes)
