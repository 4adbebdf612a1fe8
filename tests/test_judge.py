"""judge: what is a digit and what is not, how like two sets of images are, how evenly the classes come."""

import dataclasses

import keras
import numpy as np
import pytest
from scipy import linalg, stats
from seeding import SEED, rng

from vae_keras.judge import class_imbalance, compare, damaged, train_judge


def test_imbalance_is_the_share_that_would_have_to_change_its_class():
    assert class_imbalance(np.arange(40) % 10, classes=10) == pytest.approx(0)
    assert class_imbalance(np.zeros(40, int), classes=10) == pytest.approx(0.9)
    assert class_imbalance(np.array([0, 0, 0, 1]), classes=2) == pytest.approx(0.25)
    assert class_imbalance(np.array([0, 1]), classes=4) == pytest.approx(0.5)


def bars(n, seed, size=16):
    """Images of four classes: a bar that lies, stands, or leans to either side; its place and width vary."""
    generator = rng(seed)
    labels = np.arange(n) % 4
    x, y = np.meshgrid(np.arange(size) - size / 2, np.arange(size) - size / 2)
    angle = labels[:, None, None] * np.pi / 4 + generator.normal(0, 0.08, (n, 1, 1))
    x, y = x + generator.uniform(-1, 1, (n, 1, 1)), y + generator.uniform(-1, 1, (n, 1, 1))
    across = np.abs(x * np.sin(angle) - y * np.cos(angle))
    along = np.abs(x * np.cos(angle) + y * np.sin(angle))
    ink = (across < generator.uniform(1, 2, (n, 1, 1))) & (along < 6)
    return ink[..., None].astype("float32"), labels


@pytest.fixture(scope="module")
def judge():
    return train_judge(*bars(1200, seed=0), *bars(1000, seed=1), rejected=0.1, epochs=6, seed=SEED)


def test_a_judge_knows_the_classes_and_rejects_about_as_few_as_it_was_asked_to(judge):
    assert judge.accuracy > 0.95
    # Four standard errors: that of the share of 1,000 test images, and that of the threshold, which 300 set.
    assert judge.rejected == pytest.approx(0.1, abs=4 * np.sqrt(0.1 * 0.9 * (1 / 1000 + 1 / 300)))
    x_test, y_test = bars(1000, seed=1)
    assert judge.accuracy == pytest.approx((judge.classes(x_test) == y_test).mean())
    assert judge.rejected == pytest.approx(judge(x_test).mean(), abs=0.002)


def test_a_judge_rejects_what_shows_no_class(judge):
    for kind, images in damaged(*bars(400, seed=2), seed=SEED + 5).items():
        if kind not in ("a third erased", "halves of two"):  # Of a bar both may leave a bar.
            assert judge(images).mean() > 0.7, kind


def test_a_judge_takes_a_mild_blur_for_what_it_was(judge):
    from scipy.ndimage import gaussian_filter

    x, labels = bars(400, seed=3)
    blurred = np.stack([gaussian_filter(image, (0.4, 0.4, 0)) for image in x])
    assert judge(blurred).mean() < 0.25
    assert (judge.classes(blurred) == labels).mean() > 0.9


def test_a_judge_answers_for_every_image(judge):
    x, _ = bars(7, seed=4)
    assert (judge(x).shape, judge(x).dtype) == ((7,), bool)
    assert judge.features(x).shape == (7, 64)
    np.testing.assert_array_equal(judge(x), judge.doubt(x) > judge.threshold)
    assert ((judge.doubt(x) >= 0) & (judge.doubt(x) <= 1)).all()


def test_the_threshold_of_a_judge_is_what_decides(judge):
    x, _ = bars(50, seed=4)
    assert dataclasses.replace(judge, threshold=-1.0)(x).all()
    assert not dataclasses.replace(judge, threshold=1.0)(x).any()


def test_a_judge_works_with_labels_that_do_not_count_from_zero():
    x, y = bars(120, seed=0)
    names = np.array([7, 9, 12, 40])
    judge = train_judge(x, names[y], x, names[y], epochs=1, seed=SEED)
    assert set(judge.classes(x)) <= set(names)
    np.testing.assert_array_equal(judge.labels, names)


def test_a_judge_follows_its_seed_and_leaves_the_state_of_keras_alone():
    x, y = bars(80, seed=0)
    found = []
    for global_seed in (1, 2):
        keras.utils.set_random_seed(global_seed)
        found.append(train_judge(x, y, x, y, epochs=1, seed=SEED).doubt(x))
        found.append(keras.random.normal((3,)))
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[1], found[3])
    assert not np.array_equal(found[0], train_judge(x, y, x, y, epochs=1, seed=SEED + 1).doubt(x))


def test_a_kind_that_is_left_out_is_not_shown(monkeypatch):
    shown = []
    monkeypatch.setattr(keras.Model, "fit", lambda self, x, y, **arguments: shown.append((x, y)))
    x, y = bars(80, seed=0)
    train_judge(x, y, x, y, epochs=1, seed=SEED)
    train_judge(x, y, x, y, epochs=1, seed=SEED, left_out="noise")
    (all_kinds, _), (without, labels) = shown
    assert len(all_kinds) - len(without) == 60
    # Three copies of three quarters of the real images.
    assert (labels < 4).sum() == 3 * 60


def test_damaged_images_are_images_of_each_kind():
    x, y = bars(200, seed=0)
    kinds = damaged(x, y, seed=SEED)
    assert list(kinds) == [
        *("two overlaid", "a third erased", "halves of two", "patches shuffled", "strong blur", "noise"),
    ]
    for kind, images in kinds.items():
        assert images.dtype == np.float32
        assert images.shape[1:] == x.shape[1:]
        assert images.min() >= 0 and images.max() <= 1
        assert len(images) == 200 or kind in ("two overlaid", "halves of two")
    np.testing.assert_array_equal(kinds["noise"], damaged(x, y, seed=SEED)["noise"])
    assert not np.array_equal(kinds["noise"], damaged(x, y, seed=SEED + 1)["noise"])


def test_damage_does_what_its_name_says():
    x, y = bars(400, seed=0)
    kinds = damaged(x, y, seed=SEED)
    ink = x.sum(axis=(1, 2, 3))
    lost = 1 - kinds["a third erased"].sum(axis=(1, 2, 3)) / ink
    # Whole rows and columns are erased, so that it is a third only about.
    assert lost.mean() == pytest.approx(1 / 3, abs=0.05)
    assert ((kinds["a third erased"] == x) | (kinds["a third erased"] == 0)).all()
    np.testing.assert_allclose(kinds["patches shuffled"].sum(axis=(1, 2, 3)), ink, rtol=1e-5)
    np.testing.assert_allclose(
        np.sort(kinds["patches shuffled"].reshape(400, -1)), np.sort(x.reshape(400, -1)), atol=1e-6
    )
    assert not np.array_equal(kinds["patches shuffled"], x)
    np.testing.assert_allclose(kinds["strong blur"].sum(axis=(1, 2, 3)).mean(), ink.mean(), rtol=0.05)
    assert kinds["strong blur"].max(axis=(1, 2, 3)).mean() < 0.85
    # The brighter of two bars has more ink than either, the mean of two as much as the mean.
    assert kinds["two overlaid"].sum(axis=(1, 2, 3)).mean() > 1.1 * ink.mean()
    assert 0.05 < np.abs(kinds["noise"] - x).mean() < 0.5


def test_halves_come_from_two_classes():
    x, y = np.zeros((40, 8, 8, 1), "float32"), np.arange(40) % 2
    x[y == 1] = 1
    halves = damaged(x, y, seed=SEED)["halves of two"]
    assert set(np.unique(halves)) == {0.0, 1.0}
    np.testing.assert_allclose(halves.mean(axis=(1, 2, 3)), 0.5)
    # Cut across in some images, down in the others.
    upper, left = halves[:, :4].mean(axis=(1, 2, 3)), halves[:, :, :4].mean(axis=(1, 2, 3))
    assert 0 < (np.isin(upper, (0, 1))).sum() < len(halves)
    np.testing.assert_array_equal(np.isin(upper, (0, 1)), ~np.isin(left, (0, 1)))


def test_damage_leaves_the_images_alone_and_takes_odd_shapes_and_colours():
    x = rng().random((30, 10, 7, 3), dtype="float32")
    before = x.copy()
    assert all(images.shape[1:] == (10, 7, 3) for images in damaged(x, np.arange(30) % 3, seed=SEED).values())
    np.testing.assert_array_equal(x, before)
    assert all(np.isfinite(images).all() for images in damaged(np.zeros_like(x), np.arange(30) % 3).values())


def test_two_samples_of_one_distribution_are_alike():
    real, generated = rng(1).normal(size=(1000, 3)), rng(2).normal(size=(1000, 3))
    measured = compare(real, generated)
    assert measured["precision"] > 0.9 and measured["recall"] > 0.9
    assert measured["density"] == pytest.approx(1, abs=0.1)
    # A real ball holds none of the generated ones with the chance of 1/2^5, where both sets are of one size.
    assert measured["coverage"] == pytest.approx(1 - 0.5**5, abs=0.025)
    assert measured["frechet_distance"] < 0.05


def test_what_lies_apart_is_not_alike():
    real, generated = rng(1).normal(size=(300, 2)), rng(2).normal(size=(300, 2)) + 100
    measured = compare(real, generated)
    assert [measured[name] for name in ("precision", "recall", "density", "coverage")] == [0, 0, 0, 0]
    assert measured["frechet_distance"] == pytest.approx(2 * 100**2, rel=0.01)


def test_a_generator_with_one_mode_is_precise_and_lacks_recall_and_coverage():
    real = np.concatenate([rng(1).normal(size=(200, 2)), rng(2).normal(size=(200, 2)) + 50])
    measured = compare(real, rng(3).normal(size=(400, 2)))
    assert measured["precision"] > 0.9
    assert measured["recall"] == pytest.approx(0.5, abs=0.05)
    assert measured["coverage"] == pytest.approx(0.5, abs=0.05)
    assert measured["density"] > 0.8
    # The other way round the recall is whole and the precision half.
    other = compare(rng(3).normal(size=(400, 2)), real)
    assert other["precision"] == pytest.approx(0.5, abs=0.05)
    assert other["recall"] > 0.9


def test_the_measures_by_hand():
    # The balls of the real points reach to their nearest neighbours, 1, 1 and 9 away, those of the generated ones 0.6.
    real, generated = np.array([[0.0], [1.0], [10.0]]), np.array([[0.2], [0.8]])
    measured = compare(real, generated, neighbours=1)
    # Both generated points lie in the balls of 0 and 1, and 0.8 at a distance of 9.2 from 10, out of its ball of 9.
    assert measured["precision"] == 1
    assert measured["density"] == 2
    assert measured["recall"] == pytest.approx(2 / 3)
    assert measured["coverage"] == pytest.approx(2 / 3)


def test_the_frechet_distance_has_its_closed_form():
    real = rng(1).normal(size=(400, 3)) @ np.array([[2, 0, 0], [1, 1, 0], [0, 0.3, 0.5]])
    generated = rng(2).normal(loc=(1, 0, 2), size=(400, 3))
    first, second = np.cov(real.T), np.cov(generated.T)
    root = linalg.sqrtm(first @ second).real
    expected = ((real.mean(0) - generated.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root)
    assert compare(real, generated)["frechet_distance"] == pytest.approx(expected, rel=1e-6)
    assert compare(generated, real)["frechet_distance"] == pytest.approx(expected, rel=1e-6)
    # Of one dimension: the differences of means and of standard deviations, squared.
    a, b = stats.norm(0, 1).ppf((np.arange(2000) + 0.5) / 2000), stats.norm(3, 2).ppf((np.arange(2000) + 0.5) / 2000)
    assert compare(a[:, None], b[:, None])["frechet_distance"] == pytest.approx(9 + 1, rel=0.01)


def test_a_generator_that_repeats_twenty_images_is_caught_by_its_coverage_and_recall():
    few = np.repeat(rng(2).normal(size=(20, 8)), 50, axis=0)
    measured = compare(rng(1).normal(size=(1000, 8)), few)
    # What looks at the generated images alone takes it for good.
    assert measured["precision"] > 0.7 and measured["density"] > 0.6
    assert measured["coverage"] < 0.2
    assert measured["recall"] == 0


def kernel_distance_by_loops(real, generated):
    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y)) / len(x) + 1) ** 3

    def within(sample):
        pairs = [kernel(x, y) for i, x in enumerate(sample) for j, y in enumerate(sample) if i != j]
        return sum(pairs) / len(pairs)

    between = [kernel(x, y) for x in real for y in generated]
    return within(real) + within(generated) - 2 * sum(between) / len(between)


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (7, 12, 3), (12, 5, 4)])
def test_the_kernel_distance_is_that_of_its_loops(n, m, d):
    real, generated = rng(1).normal(1, size=(n, d)), rng(2).normal(0, 2, size=(m, d))
    expected = kernel_distance_by_loops(real.tolist(), generated.tolist())
    assert compare(real, generated, neighbours=1)["kernel_distance"] == pytest.approx(expected)
    assert compare(generated, real, neighbours=1)["kernel_distance"] == pytest.approx(expected)


def test_the_kernel_distance_by_hand():
    # Kernels of 1 within the first, 1 + 1 cubed within the second, and 1 between.
    assert compare(np.zeros((2, 3)), np.ones((2, 3)), neighbours=1)["kernel_distance"] == pytest.approx(1 + 8 - 2)


@pytest.mark.parametrize(("n", "m"), [(4, 4), (30, 10), (60, 60)])
def test_the_kernel_distance_has_no_bias_and_the_frechet_distance_has(n, m):
    measured = [
        compare(rng(2 * k).normal(size=(n, 6)), rng(2 * k + 1).normal(size=(m, 6)), neighbours=1) for k in range(100)
    ]
    kernel, frechet = ([values[f"{name}_distance"] for values in measured] for name in ("kernel", "frechet"))
    error = np.std(kernel) / np.sqrt(len(kernel))
    assert abs(np.mean(kernel)) < 4 * error
    assert min(kernel) < 0 < max(kernel)
    assert np.mean(frechet) > 10 * np.std(frechet) / np.sqrt(len(frechet))


def test_the_kernel_distance_grows_with_a_shift():
    real, generated = rng(1).normal(size=(300, 8)), rng(2).normal(size=(300, 8))
    distances = [compare(real, generated + shift)["kernel_distance"] for shift in (0, 0.3, 0.6, 1.2)]
    assert (np.diff(distances) > 0).all()
    assert distances[-1] > 1 > abs(distances[0])


def test_a_feature_that_never_changes_does_no_harm():
    real, generated = rng(1).normal(size=(100, 3)), rng(2).normal(size=(100, 3))
    real[:, 1] = generated[:, 1] = 4
    assert np.isfinite(list(compare(real, generated).values())).all()


X, Y = bars(40, seed=0)
KWARGS = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_train": Y[:-1]}, "40"),
        ({"y_test": np.zeros((40, 4))}, r"shape \(40, 4\)"),
        ({"y_train": np.zeros(40, int)}, r"\{0: 40\} images by class"),
        ({"y_train": np.where(np.arange(40) < 3, 9, Y)}, "at least 5 images"),
        ({"x_train": 255 * X}, "255"),
        ({"x_test": X[..., 0]}, r"\(40, 16, 16\)"),
        ({"rejected": 0}, "rejected is 0"),
        ({"rejected": 1.5}, "rejected is 1.5"),
        ({"rejected": "few"}, "rejected is 'few'"),
        ({"left_out": "cats"}, "left_out is 'cats'.*noise"),
    ],
)
def test_what_cannot_be_judged_by_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        train_judge(**{**KWARGS, **changed})


def test_a_judge_takes_images_only(judge):
    for images in (X[..., 0], X[:0], 255 * X):
        with pytest.raises(ValueError, match="Expected"):
            judge(images)


def test_damage_needs_two_classes():
    with pytest.raises(ValueError, match="class 3 alone"):
        damaged(X, np.full(40, 3))
    with pytest.raises(ValueError, match=r"shape \(40, 1\)"):
        damaged(X, Y[:, None])


@pytest.mark.parametrize(
    ("real", "generated", "neighbours", "message"),
    [
        (np.zeros((9, 2)), np.zeros((9, 3)), 5, "2 features and generated 3"),
        (np.zeros(9), np.zeros((9, 3)), 5, r"real has shape \(9,\)"),
        (np.zeros((9, 2)), np.full((9, 2), np.nan), 5, "finite"),
        (np.zeros((9, 2)), np.zeros((5, 2)), 5, "neighbours is 5.*from 1 to 4"),
        (np.zeros((9, 2)), np.zeros((9, 2)), 0, "neighbours is 0"),
        (np.zeros((9, 2)), np.zeros((9, 2)), 2.5, "neighbours is 2.5"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(real, generated, neighbours, message):
    with pytest.raises(ValueError, match=message):
        compare(real, generated, neighbours)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([], 10, r"shape \(0,\)"),
        ([0.0, 1.0], 10, "whole numbers"),
        ([0, 10], 10, "from 0 to 9"),
        ([-1, 2], 10, "from 0 to 9"),
        ([0], 0, "classes is 0"),
        ([0], 2.5, "classes is 2.5"),
    ],
)
def test_labels_and_classes_that_are_none_are_refused(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        class_imbalance(np.array(labels), classes)
