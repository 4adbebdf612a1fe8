"""Factors: the mutual information gap, and disentanglement, completeness and informativeness."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import special_ortho_group
from seeding import SEED, rng

from vae_keras import data, factors

MEASURES = [factors.mutual_information, factors.mutual_information_gap, factors.dci]


def drawn(count, seed=0, ranges=data.SPRITE_FACTORS):
    """A table of factors, and codes that copy them, each with mean 0 and standard deviation 1."""
    table = data.draw_factors(ranges, count, seed=SEED + seed)
    return table, ((table - table.mean()) / table.std()).to_numpy()


def rotated(codes):
    return codes @ special_ortho_group.rvs(codes.shape[1], random_state=SEED)


def mig(codes, table, **arguments):
    return factors.mutual_information_gap(codes, table, **arguments)["gap"].mean()


def information_of_counts(one, other):
    """Nats of two columns of whole numbers, from the counts of all pairs."""
    counts = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(counts, (one, other), 1)
    joint = counts / counts.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    return sum(p * np.log(p / q) for p, q in zip(joint.ravel(), apart.ravel()) if p > 0)


@pytest.mark.parametrize("ranges", [data.SPRITE_FACTORS, data.SCENE_FACTORS], ids=["sprites", "scenes"])
def test_the_gap_is_high_for_the_factors_themselves_low_once_rotated_and_nothing_for_noise(ranges):
    table, codes = drawn(10_000, 1, ranges)
    assert mig(codes, table) > 0.98
    assert mig(rotated(codes), table) < 0.4
    assert mig(rng(2).standard_normal(codes.shape), table) < 0.002


def test_dci_is_high_for_the_factors_themselves_low_once_rotated_and_nothing_for_noise():
    table, codes = drawn(2000, 3)
    copied, turned, noise = (
        factors.dci(z, table, trees=5, seed=SEED) for z in (codes, rotated(codes), rng(4).standard_normal(codes.shape))
    )
    assert min(copied[name] for name in ("disentanglement", "completeness", "informativeness")) > 0.99
    # The rotated codes tell as much, but not one for one.
    assert turned["informativeness"] > 0.8
    assert max(turned["disentanglement"], turned["completeness"]) < 0.7
    assert max(noise["disentanglement"], noise["completeness"]) < 0.05
    assert -0.6 < noise["informativeness"] < 0.05


@pytest.mark.parametrize("classes", [2, 5, 40])
def test_a_code_that_copies_classes_has_all_their_entropy(classes):
    table = pd.DataFrame({"kind": np.arange(40 * 30) % classes})
    codes = np.stack([table["kind"] ** 2, np.zeros(len(table))], axis=1)
    found = factors.mutual_information_gap(codes, table, bins=max(classes, 20)).loc["kind"]
    np.testing.assert_allclose(found[["gap", "latent", "first", "second"]], [1, 0, np.log(classes), 0], atol=1e-12)
    assert found["entropy"] == pytest.approx(np.log(classes))


def test_rare_values_of_a_code_keep_bins_of_their_own():
    table = pd.DataFrame({"kind": np.repeat([0, 1, 2], [980, 10, 10])})
    codes = np.stack([table["kind"] / 2, np.zeros(1000)], axis=1)
    assert mig(codes, table) == pytest.approx(1)


def test_information_and_entropy_are_those_of_the_counts():
    generator = rng(5)
    table = pd.DataFrame({"a": generator.integers(0, 4, 500), "b": generator.integers(0, 30, 500)})
    codes = np.stack([(table["a"] + generator.integers(0, 3, 500)) % 5, generator.integers(0, 7, 500)], axis=1)
    information = factors.mutual_information(codes, table)
    assert information.shape == (2, 2) and list(information) == ["a", "b"]
    found = factors.mutual_information_gap(codes, table)
    for name in table:
        expected = [information_of_counts(table[name].to_numpy(), latent) for latent in codes.T]
        np.testing.assert_allclose(information[name], expected, atol=1e-12)
        shares = np.bincount(table[name]) / 500
        entropy = -sum(p * np.log(p) for p in shares if p > 0)
        assert found.loc[name, "entropy"] == pytest.approx(entropy)
        assert found.loc[name, "gap"] == pytest.approx(abs(expected[0] - expected[1]) / entropy)
        assert found.loc[name, "latent"] == np.argmax(expected)
        assert found.loc[name, "first"] == pytest.approx(max(expected))
        assert found.loc[name, "second"] == pytest.approx(min(expected))


def test_bins_hold_as_many_images_each():
    table, codes = drawn(1000, 6, {"a": (0, 1), "b": (5, 6)})
    for bins in (2, 10, 20):
        np.testing.assert_allclose(factors.mutual_information_gap(codes, table, bins)["entropy"], np.log(bins))
        np.testing.assert_allclose(np.diag(factors.mutual_information(codes, table, bins)), np.log(bins))


def test_information_about_what_has_nothing_to_do_with_it_is_that_of_few_images():
    table = data.draw_factors({"a": (0, 1), "b": ("x", "y", "z")}, 4000, seed=SEED + 7)
    information = factors.mutual_information(rng(8).random((4000, 50)), table).mean()
    np.testing.assert_allclose(information, [19 * 19 / 8000, 19 * 2 / 8000], rtol=0.15)


def test_two_latents_that_copy_one_factor_leave_no_gap():
    table, codes = drawn(2000, 9)
    doubled = np.concatenate([codes, codes[:, [3]] ** 3], axis=1)
    gaps = factors.mutual_information_gap(doubled, table)["gap"]
    assert gaps["y"] == pytest.approx(0, abs=1e-12)
    assert (gaps.drop("y") > 0.9).all()


def test_one_latent_that_stands_for_two_factors_counts_for_the_gap_and_not_for_disentanglement():
    generator = rng(10)
    pairs = generator.integers(0, 4, (4000, 2))
    table = pd.DataFrame(pairs, columns=["a", "b"])
    both = np.stack([4 * pairs[:, 0] + pairs[:, 1], generator.random(4000)], axis=1)
    assert mig(both, table) > 0.95
    found = factors.dci(both, table, trees=5, seed=SEED)
    assert found["disentanglement"] < 0.05 and found["completeness"] > 0.95


def test_order_scale_and_bends_of_latents_change_nothing():
    # No multiple of the bins.
    table, codes = drawn(2004, 11)
    codes = rotated(codes)
    order = rng(12).permutation(5)
    found = factors.mutual_information(codes, table)
    moved = factors.mutual_information(codes[:, order], table)
    np.testing.assert_allclose(moved, found.iloc[order], atol=1e-12)
    for bent in (np.exp(codes), -codes, 1e3 * codes + 7, np.arctan(codes)):
        np.testing.assert_allclose(factors.mutual_information(bent, table), found, atol=1e-12)
    # Quantities are bent as well as latents, and names of classes can be swapped.
    other = table.assign(hue=np.exp(table["hue"]), shape=np.array([7, -1, 2])[table["shape"]])
    np.testing.assert_allclose(factors.mutual_information(codes, other), found, atol=1e-12)
    assert mig(codes[:, order], other) == pytest.approx(mig(codes, table))
    first, second, third = (
        factors.dci(z, table, trees=5, seed=SEED)
        for z in (codes, codes[:, order], np.sign(codes) * np.abs(codes) ** 1.5)
    )
    for name in ("disentanglement", "completeness", "informativeness"):
        assert second[name] == pytest.approx(first[name], abs=0.03)
        assert third[name] == pytest.approx(first[name], abs=0.03)


def test_dead_latents_tell_nothing_and_change_nothing():
    table, codes = drawn(1500, 13)
    dead = np.full((1500, 2), 0.3)
    padded = np.concatenate([dead[:, :1], codes, dead[:, 1:]], axis=1)
    information = factors.mutual_information(padded, table)
    assert (information.iloc[[0, 6]] == 0).all(axis=None)
    assert mig(padded, table) == pytest.approx(mig(codes, table))
    found = factors.dci(padded, table, trees=3, seed=SEED)
    assert (found["importances"].iloc[[0, 6]] == 0).all(axis=None)
    assert found["disentanglement"] > 0.99


def test_codes_that_have_collapsed_score_nothing():
    table, _ = drawn(400, 14)
    nothing = np.ones((400, 3))
    assert mig(nothing, table) == 0
    found = factors.dci(nothing, table, trees=2, seed=SEED)
    for name in ("disentanglement", "completeness", "informativeness"):
        assert found[name] == pytest.approx(0, abs=1e-12 if name != "informativeness" else 0.05)
    assert (found["importances"] == 0).all(axis=None)


def test_disentanglement_and_completeness_are_entropies_of_the_importances():
    table, codes = drawn(1500, 15)
    found = factors.dci(rotated(codes)[:, :4], table, trees=5, seed=SEED)
    shares = found["importances"].to_numpy()
    assert shares.shape == (4, 5)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    rows = shares / shares.sum(axis=1, keepdims=True)
    by_latent = 1 + (rows * np.log(rows)).sum(axis=1) / np.log(5)
    assert found["disentanglement"] == pytest.approx(by_latent @ shares.sum(axis=1) / 5)
    by_factor = 1 + (shares * np.log(shares)).sum(axis=0) / np.log(4)
    np.testing.assert_allclose(found["by_factor"]["completeness"], by_factor)
    for name in ("completeness", "informativeness"):
        assert found[name] == pytest.approx(found["by_factor"][name].mean())


def test_informativeness_is_the_share_of_the_error_that_codes_take_away():
    generator = rng(16)
    signal, noise = generator.uniform(-1, 1, (2, 6000))
    # Sorted, so that images held out have to be drawn; the first class is the rarer one.
    signal.sort()
    flipped = np.where(generator.random(6000) < 0.2, 1 - (signal > -0.4), signal > -0.4).astype(int)
    table = pd.DataFrame({"known": signal, "half": signal + noise, "class": flipped})
    found = factors.dci(np.stack([signal, generator.random(6000)], axis=1), table, seed=SEED)
    informativeness = found["by_factor"]["informativeness"]
    assert informativeness["known"] == pytest.approx(1, abs=0.01)
    # Noise of the same variance is half of the squared error, and the forest adds some. Classes: of a guess 0.38 are
    # wrong, and 0.2 stay so.
    assert 0.35 < informativeness["half"] < 0.53
    assert 0.3 < informativeness["class"] < 0.55


def test_the_same_seed_gives_the_same_numbers():
    table, codes = drawn(300, 17)
    codes = rotated(codes)
    one, again, other = (factors.dci(codes, table, trees=2, seed=seed) for seed in (SEED, SEED, SEED + 1))
    pd.testing.assert_frame_equal(one["by_factor"], again["by_factor"])
    assert not one["by_factor"].equals(other["by_factor"])


def test_a_circle_does_not_score_1():
    angle = rng(18).uniform(0, 2 * np.pi, 10_000)
    codes = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert mig(codes, pd.DataFrame({"angle": angle})) < 0.05
    assert mig(codes, pd.DataFrame(codes, columns=["cosine", "sine"])) == pytest.approx(0.3, abs=0.03)


def test_the_index_of_a_table_plays_no_part():
    table, codes = drawn(500, 19)
    shuffled = table.set_index(rng(20).permutation(500))
    pd.testing.assert_frame_equal(factors.mutual_information(codes, shuffled), factors.mutual_information(codes, table))


GOOD_TABLE, GOOD_CODES = drawn(60, 21)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("codes", "table", "message"),
    [
        (GOOD_CODES[0], GOOD_TABLE, "codes have shape (5,)"),
        (GOOD_CODES[:0], GOOD_TABLE[:0], "codes have shape (0, 5)"),
        ([["a", "b"]], GOOD_TABLE, "codes hold no numbers"),
        (np.where(np.eye(60, 5), np.nan, GOOD_CODES), GOOD_TABLE, "codes hold NaN or infinity"),
        (np.where(np.eye(60, 5), np.inf, GOOD_CODES), GOOD_TABLE, "codes hold NaN or infinity"),
        (GOOD_CODES, GOOD_TABLE.to_numpy(), "factors are of type ndarray and shape (60, 5). Expected a pandas table"),
        (GOOD_CODES, GOOD_TABLE[[]], "factors are of type DataFrame and shape (60, 0)"),
        (GOOD_CODES[:59], GOOD_TABLE, "factors have 60 rows and codes 59"),
        (GOOD_CODES, GOOD_TABLE.assign(x=1.5), "The factor 'x' is 1.5 for all images"),
        (GOOD_CODES, GOOD_TABLE.assign(shape=1), "The factor 'shape' is 1 for all images"),
        (GOOD_CODES, GOOD_TABLE.assign(x=np.nan), "The factor 'x' holds NaN or infinity"),
        (GOOD_CODES, GOOD_TABLE.assign(x="far"), "The factor 'x' is of type"),
    ],
    ids=str,
)
def test_codes_and_factors_that_are_none_are_refused(measure, codes, table, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        measure(codes, table)


@pytest.mark.parametrize("measure", MEASURES[:2])
def test_fewer_images_than_bins_are_refused(measure):
    with pytest.raises(ValueError, match="codes hold 60 images, and there are 61 bins"):
        measure(GOOD_CODES, GOOD_TABLE, bins=61)
    measure(GOOD_CODES, GOOD_TABLE, bins=60)
    for bins in (1, 2.5, None):
        with pytest.raises(ValueError, match=f"bins is {bins!r}. Expected a whole number, 2 or more"):
            measure(GOOD_CODES, GOOD_TABLE, bins=bins)


def test_a_comparison_needs_two():
    for measure in MEASURES[1:]:
        with pytest.raises(ValueError, match=r"There is 1 of latents\. Expected two or more"):
            measure(GOOD_CODES[:, :1], GOOD_TABLE)
    with pytest.raises(ValueError, match="There is 1 of factors"):
        factors.dci(GOOD_CODES, GOOD_TABLE[["x"]])
    assert factors.mutual_information(GOOD_CODES[:, :1], GOOD_TABLE[["x"]]).shape == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trees": 0}, "trees is 0. Expected a whole number, 1 or more"),
        ({"seed": -1}, "seed is -1"),
        ({"held_out": 0}, "held_out is 0. Expected a share of the 60 images"),
        ({"held_out": 1}, "held_out is 1."),
        ({"held_out": 0.001}, "held_out is 0.001"),
        ({"held_out": "half"}, "held_out is 'half'"),
    ],
    ids=str,
)
def test_settings_of_dci_that_are_none_are_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        factors.dci(GOOD_CODES, GOOD_TABLE, **arguments)


def test_a_factor_that_does_not_vary_among_the_images_held_out_is_refused():
    rare = np.arange(60) == np.random.default_rng(0).permutation(60)[-1]
    with pytest.raises(ValueError, match=r"The factor 'rare' is 0 for all images held out\. Expected more images"):
        factors.dci(GOOD_CODES, GOOD_TABLE.assign(rare=rare.astype(int)))
