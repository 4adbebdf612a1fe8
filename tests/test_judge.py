"""judge: what is a digit and what is not."""

import numpy as np
import pytest
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
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    images = generator.uniform(0, 0.5, (n, 8, 8, 1))
    for image, label in zip(images, labels):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 0.3
    return images, labels


@pytest.fixture(scope="module")
def judge():
    classifier = make_pipeline(PCA(4), LogisticRegression(C=100))
    return train_judge(classifier, *quadrants(800, seed=0), *quadrants(800, seed=1), rejected=0.1)


def test_a_judge_knows_the_classes_and_rejects_as_few_as_it_was_asked_to(judge):
    assert judge.accuracy > 0.97
    assert judge.rejected == pytest.approx(0.1, abs=0.04)
    x_test, y_test = quadrants(800, seed=1)
    flat = x_test.reshape(800, -1)
    assert judge.accuracy == judge.classifier.score(flat, y_test)
    assert judge.rejected == judge(x_test).mean()
    np.testing.assert_array_equal(judge.confidence(x_test), judge.classifier.predict_proba(flat).max(axis=1))


def test_a_judge_rejects_noise(judge):
    noise = np.random.default_rng(5).uniform(0, 0.8, (200, 8, 8, 1))
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
