"""tables: tables from made-up records whose answer is known."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from seeding import rng

from vae_keras.studies import PUBLISHED, tables


def record(activation, seed, loss, network="dense", **settings):
    run = {
        "data": "digits",
        "network": network,
        "activation": activation,
        "learning_rate": 0.1,
        "epochs": 4,
        "seed": seed,
        **settings,
    }
    terms = {"reconstruction_loss": 0.9, "kl_loss": 0.1}
    return {
        "run": run,
        "status": "diverged" if loss is None else "done",
        "held_out": None
        if loss is None
        else {
            "loss": loss,
            **{name: share * loss for name, share in terms.items()},
            "active_latents": 2,
            "dead_units": 0.25,
        },
        "history": {"loss": [9.0, 8.0, 7.0, 6.0], "seconds": [9.0, 2.0, 2.0 + seed, 3.0 + seed]},
        "seconds": 8.0 + seed,
    }


NOISE = rng().normal(size=10)


@pytest.fixture
def table():
    """GELU is 3 nats better than the reference, give or take 0.1 on each of ten seeds; ELU is not different from it."""
    spread = rng(1).normal(size=(2, 10))
    spread -= spread.mean(axis=1, keepdims=True)
    records = [record("LeakyReLU(0.3)", seed, 100 + 5 * NOISE[seed]) for seed in range(10)]
    records += [record("GELU", seed, 97 + 5 * NOISE[seed] + 0.1 * spread[0, seed]) for seed in range(10)]
    records += [record("ELU", seed, 100 + 5 * NOISE[seed] + spread[1, seed]) for seed in range(10)]
    records += [record("GELU", 100, 1.0, validation=400)]
    return tables.results(records)


def test_runs_on_a_validation_split_are_left_out(table):
    assert len(table) == 30
    assert table["loss"].min() > 50


def test_runs_on_a_validation_split_have_a_table_of_their_own():
    records = [record("GELU", 0, 5.0), record("GELU", 100, 1.0, validation=400, clip_norm=0.5)]
    (row,) = tables.results(records, validation=True).to_dict("records")
    assert (row["loss"], row["seed"], row["clip_norm"], row["validation"]) == (1.0, 100, 0.5, 400)
    assert tables.results(records)["loss"].tolist() == [5.0]


def test_any_setting_can_be_the_one_that_is_compared():
    records = [
        record("GELU", seed, 100 + 5 * NOISE[seed] + shift, clipping=name)
        for seed in range(10)
        for name, shift in (("value 1", 2.0), ("none", 0.0))
    ]
    table = tables.results(records, arm="clipping")
    assert tables.summary(table).index.get_level_values("arm").tolist() == ["none", "value 1"]
    row = tables.paired_differences(table, reference="none").loc[("digits", "dense", "value 1")]
    assert (row["difference"], row["wins"]) == (pytest.approx(2.0), 0)
    with pytest.raises(ValueError, match=r"reference is .value 2.*arms in the table: none, value 1"):
        tables.paired_differences(table, reference="value 2")


def test_summary_averages_over_the_seeds(table):
    row = tables.summary(table).loc[("digits", "dense", "LeakyReLU(0.3)")]
    losses = 100 + 5 * NOISE
    assert row["loss"] == pytest.approx(losses.mean())
    assert row["deviation"] == pytest.approx(losses.std(ddof=1))
    assert row["reconstruction_loss"] == pytest.approx(0.9 * losses.mean())
    assert row["kl_loss"] == pytest.approx(0.1 * losses.mean())
    assert (row["seeds"], row["diverged"], row["active_latents"], row["dead_units"]) == (10, 0, 2, 0.25)
    # The fastest epoch of all: what else the machine does can only add to it.
    assert row["seconds_per_epoch"] == 2.0


def test_summary_puts_the_best_first(table):
    assert tables.summary(table)["loss"].is_monotonic_increasing
    assert tables.summary(table).index[0] == ("digits", "dense", "GELU")


def test_pairs_take_out_what_the_seeds_have_in_common(table):
    differences = tables.paired_differences(table, "LeakyReLU(0.3)")
    gelu = differences.loc[("digits", "dense", "GELU")]
    assert gelu["difference"] == pytest.approx(-3)
    assert -3.3 < gelu["low"] < gelu["difference"] < gelu["high"] < -2.7
    assert (gelu["wins"], gelu["pairs"]) == (1, 10)
    elu = differences.loc[("digits", "dense", "ELU")]
    assert elu["low"] < 0 < elu["high"]
    assert 0 < elu["wins"] < 1
    assert "LeakyReLU(0.3)" not in differences.index.get_level_values("arm")


def test_interval_is_that_of_the_bootstrap_at_the_corrected_level(table):
    losses = table.pivot(index="seed", columns="arm", values="loss")
    values = (losses["ELU"] - losses["LeakyReLU(0.3)"]).to_numpy()
    row = tables.paired_differences(table, "LeakyReLU(0.3)").loc[("digits", "dense", "ELU")]
    assert (row["low"], row["high"]) == tables.bootstrap_interval(values, level=1 - 0.05 / 2)


def test_interval_of_few_pairs_is_that_of_student(table):
    few = table[table["seed"] < 5]
    losses = few.pivot(index="seed", columns="arm", values="loss")
    values = losses["ELU"] - losses["LeakyReLU(0.3)"]
    row = tables.paired_differences(few, "LeakyReLU(0.3)").loc[("digits", "dense", "ELU")]
    # Of Student's t with 4 degrees of freedom 97.5 % lie between -3.4954 and 3.4954.
    half = 3.4954 * values.std() / np.sqrt(5)
    assert (row["high"] + row["low"]) / 2 == pytest.approx(values.mean())
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=1e-4)


@pytest.mark.parametrize("number", [7, 12])
def test_interval_of_other_numbers_of_pairs_than_ten_and_eleven_is_that_of_student(number):
    values = rng().normal(size=number)
    records = [record(name, seed, 5.0) for name in ("ELU", "GELU") for seed in range(number)]
    records += [record("ReLU", seed, 5.0 + values[seed]) for seed in range(number)]
    row = tables.paired_differences(tables.results(records), "GELU").loc[("digits", "dense", "ReLU")]
    expected = stats.ttest_1samp(values, 0).confidence_interval(1 - 0.05 / 2)
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected))


def test_interval_of_eleven_pairs_is_that_of_the_bootstrap():
    values = rng().normal(size=11)
    records = [record("GELU", seed, 5.0) for seed in range(11)]
    records += [record("ReLU", seed, 5.0 + values[seed]) for seed in range(11)]
    row = tables.paired_differences(tables.results(records), "GELU").loc[("digits", "dense", "ReLU")]
    assert (row["low"], row["high"]) == pytest.approx(tables.bootstrap_interval(values, level=0.95))


@pytest.mark.parametrize("level", [0.81, 0.949, 0.989])
def test_interval_is_that_of_all_resamples_one_by_one(level):
    values = rng().exponential(size=5)
    drawn = values[np.array(list(itertools.product(range(5), repeat=5)))]
    drawn = drawn[np.ptp(drawn, axis=1) > 0]
    distances = (drawn.mean(axis=1) - values.mean()) / stats.sem(drawn, axis=1)
    # 3,120 resamples are left, and no end falls between two of them at these levels.
    ranks = [math.ceil((1 + sign * level) / 2 * len(drawn)) - 1 for sign in (1, -1)]
    expected = values.mean() - np.sort(distances)[ranks] * stats.sem(values)
    assert tables.bootstrap_interval(values, level) == pytest.approx(tuple(expected))


def test_there_are_as_many_resamples_as_ways_to_part_a_number_and_their_probabilities_add_up():
    counts, probabilities = tables._resamples(10)
    assert counts.shape == (92_378, 10)
    assert (counts.sum(axis=1) == 10).all()
    assert len(np.unique(counts, axis=0)) == 92_378
    assert probabilities.sum() == pytest.approx(1)
    each_once = (counts == 1).all(axis=1)
    assert probabilities[each_once] == pytest.approx([3_628_800 / 1e10])


@pytest.mark.parametrize("level", [0.8, 0.95, 0.9987])
def test_interval_of_symmetric_values_is_symmetric(level):
    half = rng().uniform(0.5, 2, size=5)
    low, high = tables.bootstrap_interval(np.concatenate([3 + half, 3 - half]), level)
    assert low + high == pytest.approx(6)
    assert low < 3 < high


def test_interval_moves_and_stretches_with_its_values():
    values = rng().normal(size=10)
    low, high = tables.bootstrap_interval(values, level=0.9)
    assert tables.bootstrap_interval(100 - 3 * values, level=0.9) == pytest.approx((100 - 3 * high, 100 - 3 * low))
    shuffled = rng(1).permutation(values)
    assert tables.bootstrap_interval(shuffled, level=0.9) == pytest.approx((low, high))


@pytest.mark.parametrize(("number", "level", "draws"), [(5, 0.9975, 400), (10, 0.9972, 150), (10, 0.8, 150)])
def test_interval_holds_the_mean_as_often_as_it_says(number, level, draws):
    """The percentile and BCa intervals of scipy hold it in 92 %, 97 % and 76 % of the cases."""
    generator = rng()
    intervals = [tables.bootstrap_interval(generator.normal(size=number), level) for _ in range(draws)]
    share = np.mean([low < 0 < high for low, high in intervals])
    assert share == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / draws))


def test_interval_leans_to_the_side_of_the_long_tail():
    low, high = tables.bootstrap_interval(np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 5.0]), level=0.9)
    assert high - 1.7625 > 1.5 * (1.7625 - low) > 0


def test_interval_of_equal_values_is_their_value():
    assert tables.bootstrap_interval(np.full(5, 2.5), level=0.99) == (2.5, 2.5)
    assert tables.bootstrap_interval(np.full(7, 0.1), level=0.99) == (0.1, 0.1)


def test_interval_does_not_lose_resamples_beside_a_value_far_away():
    """Resamples that miss it vary far less than the others: the upper end is theirs."""
    values = np.array([1.0, 1.1, 1.2, 1.3, 1e7])
    drawn = values[np.array(list(itertools.product(range(5), repeat=5)))]
    drawn = drawn[np.ptp(drawn, axis=1) > 0]
    distances = (drawn.mean(axis=1) - values.mean()) / stats.sem(drawn, axis=1)
    end = np.sort(distances)[math.ceil(0.095 * len(drawn)) - 1]
    high = tables.bootstrap_interval(values, level=0.81)[1]
    assert high == pytest.approx(values.mean() - end * stats.sem(values), rel=1e-6)


def test_more_comparisons_make_wider_intervals(table):
    other = table.assign(network="convolutional")
    alone = tables.paired_differences(table, "LeakyReLU(0.3)").loc[("digits", "dense", "ELU")]
    beside = tables.paired_differences(tables.pd.concat([table, other]), "LeakyReLU(0.3)").loc[
        ("digits", "dense", "ELU")
    ]
    assert beside["high"] - beside["low"] > 1.03 * (alone["high"] - alone["low"])


def test_runs_that_diverged_are_counted_and_leave_their_pair():
    """A run that diverged loses against one that did not, and belongs to no mean."""
    losses = {"LeakyReLU(0.3)": 5.0, "GELU": 4.0, "ELU": 6.0}
    records = [record(name, seed, loss + 0.1 * seed) for name, loss in losses.items() for seed in range(8)]
    both = [("LeakyReLU(0.3)", 0), ("GELU", 0), ("GELU", 1), ("LeakyReLU(0.3)", 2)]
    records = [
        {**entry, "held_out": None} if (entry["run"]["activation"], entry["run"]["seed"]) in both else entry
        for entry in records
    ]
    table = tables.results(records)
    assert tables.summary(table).loc[("digits", "dense", "GELU"), "diverged"] == 2
    differences = tables.paired_differences(table, "LeakyReLU(0.3)")
    gelu, elu = (differences.loc[("digits", "dense", name)] for name in ("GELU", "ELU"))
    assert (gelu["pairs"], elu["pairs"]) == (5, 6)
    # Seed 0 has no winner; of the other seven GELU loses seed 1, ELU wins seeds 0 and 2.
    assert (gelu["wins"], elu["wins"]) == (6 / 7, 2 / 8)
    assert (gelu["difference"], gelu["low"], gelu["high"]) == pytest.approx((-1, -1, -1))


def test_a_rate_that_was_given_up_is_left_out_and_its_diverged_trainings_are_counted():
    records = [record("LeakyReLU(0.3)", seed, 5.0) for seed in range(5)]
    records += [record("GELU", seed, None if seed < 2 else 1.0) for seed in range(5)]
    records += [record("GELU", 100, None, validation=400)]
    records += [record("GELU", seed, 4.0, learning_rate=0.05) for seed in range(5)]
    row = tables.summary(tables.results(records)).loc[("digits", "dense", "GELU")]
    assert (row["learning_rate"], row["loss"], row["seeds"], row["diverged"]) == (0.05, 4.0, 5, 2)
    # Where trainings diverged at every rate, that of the fewest is shown.
    records = [entry for entry in records if entry["run"]["seed"] != 0 or entry["run"]["learning_rate"] != 0.05]
    records += [record("GELU", 0, None, learning_rate=0.05)]
    row = tables.summary(tables.results(records)).loc[("digits", "dense", "GELU")]
    assert (row["learning_rate"], row["loss"], row["seeds"], row["diverged"]) == (0.05, 4.0, 5, 3)


def test_of_two_rates_the_one_that_the_validation_split_prefers_is_kept():
    records = [
        record("GELU", seed, loss, learning_rate=rate) for seed in range(5) for rate, loss in ((0.1, 4.0), (1, 5.0))
    ]
    tried = [
        record("GELU", seed, loss, learning_rate=rate, validation=400)
        for rate, losses in ((0.1, (3.0, 3.5)), (1, (3.4, 2.9)))
        for seed, loss in enumerate(losses, start=100)
    ]
    # The mean of the trainings decides, and where there are none the smaller rate is kept.
    assert set(tables.results([*records, *tried])["learning_rate"]) == {1}
    assert set(tables.results(records)["learning_rate"]) == {0.1}
    # A training that diverged makes a rate the worst of all, on either kind of images.
    assert set(tables.results([*records, *tried, record("GELU", 5, None, learning_rate=1)])["learning_rate"]) == {0.1}
    tried.append(record("GELU", 102, None, learning_rate=1, validation=400))
    assert set(tables.results([*records, *tried])["learning_rate"]) == {0.1}
    assert len(tables.results([*records, *tried], validation=True)) == 5


def test_fewer_than_five_pairs_have_no_interval():
    records = [record(name, seed, 5.0 + seed**2) for name in ("LeakyReLU(0.3)", "GELU") for seed in range(4)]
    row = tables.paired_differences(tables.results(records), "LeakyReLU(0.3)").loc[("digits", "dense", "GELU")]
    assert (row["pairs"], row["difference"]) == (4, 0)
    assert np.isnan([row["low"], row["high"]]).all()
    (row,) = tables.paired_differences(tables.results(records[::4]), "LeakyReLU(0.3)").to_dict("records")
    assert row["pairs"] == 1
    with pytest.raises(ValueError, match="4 values"):
        tables.bootstrap_interval(np.arange(4.0), level=0.9)


def test_a_reference_that_was_not_run_is_refused(table):
    with pytest.raises(ValueError, match=r"'softplus'.*ELU, GELU, LeakyReLU\(0\.3\)"):
        tables.paired_differences(table, reference="softplus")


def test_forest_shows_the_table_of_differences(table):
    both = tables.pd.concat([table, table.assign(network="convolutional"), table.assign(data="fashion")])
    differences = tables.paired_differences(both, "LeakyReLU(0.3)")
    figure = tables.differences_figure(differences, "LeakyReLU(0.3)")
    panels = {axis.get_title(): axis for axis in figure.axes}
    assert set(panels) == {"dense", "convolutional"}
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["GELU", "ELU"]
    for title, axis in panels.items():
        lines = [line for line in axis.lines if line.get_label() in ("digits", "fashion")]
        for line, collection in zip(lines, axis.collections):
            assert len(line.get_xydata()) in (0, 2)
            for (mean, place), ((low, _), (high, _)) in zip(line.get_xydata(), collection.get_segments()):
                row = differences.loc[(line.get_label(), title, names[round(place)])]
                assert (mean, low, high) == pytest.approx(tuple(row[["difference", "low", "high"]]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["digits", "fashion"]
    assert "minus that of LeakyReLU(0.3)" in figure.axes[0].get_xlabel()


def test_likelihoods_stand_beside_the_published_ones():
    run = {"binarisation": "dynamic", "latent_dim": 50, "hidden": [200, 200], "activation": "tanh", "epochs": 9}
    held_out = {"loss": 88.5, "log_likelihood": -86.9, "active_latents": 25}
    (row,) = tables.likelihoods([{"run": {**run, "bound_samples": 5000}, "held_out": held_out}], PUBLISHED).to_dict(
        "records"
    )
    assert row == {
        "binarisation": "dynamic",
        "network": "784-200-200-50 tanh",
        "whose": "theirs",
        "epochs": 9,
        "samples": 5000,
        "ELBO": -88.5,
        "log p(x)": -86.9,
        "published": -86.76,
        "source": "Burda et al. 2016, table 1",
        "active latents": 25,
    }


def test_the_network_of_a_published_likelihood_comes_before_our_own():
    same = {"activation": "ReLU", "epochs": 9, "bound_samples": 100}
    runs = [
        {**same, "binarisation": binarisation, "latent_dim": latents, "hidden": hidden}
        for hidden in ([7], [400], [256, 128])
        for binarisation, latents in (("fixed", 3), ("fixed", 40), ("dynamic", 2))
    ]
    records = [{"run": run, "held_out": None} for run in runs]
    table = tables.likelihoods(records, PUBLISHED)
    assert list(zip(table["network"], table["whose"]))[:6] == [
        ("784-256-128-2 ReLU", "theirs"),
        ("784-7-2 ReLU", "ours"),
        ("784-400-2 ReLU", "ours"),
        ("784-400-40 ReLU", "theirs"),
        ("784-7-40 ReLU", "ours"),
        ("784-256-128-40 ReLU", "ours"),
    ]
    assert table["published"].isna().tolist() == [False] * 6 + [True] * 3
    assert table["log p(x)"].isna().all()


def with_curve(curve, activation="GELU", seed=0, epochs=3, **settings):
    entry = record(activation, seed, 1.0, epochs=epochs, **settings)
    return {**entry, "history": {"val_loss": curve, "loss": [value and 2 * value for value in curve]}}


def test_curves_are_gathered_by_a_setting_and_by_a_function():
    records = [
        with_curve([3.0, 2.0, 1.0], seed=0, samples=1),
        with_curve([6.0, 5.0, 4.0], "ELU", seed=0, samples=2),
        with_curve([3.5, 2.5, 1.5], seed=1, samples=2),
    ]
    found = tables.curves(records)
    assert list(found) == ["GELU", "ELU"]
    np.testing.assert_array_equal(found["GELU"], [[3, 2, 1], [3.5, 2.5, 1.5]])
    np.testing.assert_array_equal(found["ELU"], [[6, 5, 4]])
    found = tables.curves(records, "loss", arm="samples")
    np.testing.assert_array_equal(found[1], [[6, 4, 2]])
    np.testing.assert_array_equal(found[2], [[12, 10, 8], [7, 5, 3]])
    by_both = tables.curves(records, arm=lambda run: (run["activation"], run["samples"]))
    assert list(by_both) == [("GELU", 1), ("ELU", 2), ("GELU", 2)]


def test_curves_are_those_of_the_final_runs_or_of_the_validation_runs():
    records = [with_curve([3.0, 2.0, 1.0]), with_curve([9.0, 8.0, 7.0], seed=100, validation=400)]
    np.testing.assert_array_equal(tables.curves(records)["GELU"], [[3, 2, 1]])
    np.testing.assert_array_equal(tables.curves(records, validation=True)["GELU"], [[9, 8, 7]])


def test_curves_that_diverge_end_at_infinity():
    records = [with_curve([3.0, None]), with_curve([3.0, 2.0, None], seed=1), with_curve([3.0, 2.0, 1.0], seed=2)]
    np.testing.assert_array_equal(tables.curves(records)["GELU"], [[3, np.inf, np.inf], [3, 2, np.inf], [3, 2, 1]])


def test_curves_at_a_rate_that_was_given_up_are_left_out():
    records = [{**with_curve([3.0, None]), "held_out": None}, with_curve([3.0, 2.0, 1.0], seed=1)]
    records += [with_curve([5.0, 4.0, 3.0], seed=seed, learning_rate=0.05) for seed in (0, 1)]
    np.testing.assert_array_equal(tables.curves(records)["GELU"], [[5, 4, 3], [5, 4, 3]])


def test_curves_of_what_was_not_measured_are_refused():
    records = [with_curve([3.0, 2.0, 1.0])]
    with pytest.raises(ValueError, match=r"measure is 'kl_loss'\. Expected one of val_loss, loss"):
        tables.curves(records, "kl_loss")
    for table in (tables.curves, tables.results):
        with pytest.raises(ValueError, match=r"arm is 'clipping'\. Expected a function, or one of the settings data, "):
            table(records, arm="clipping")
    records += [with_curve([3.0, 2.0, 1.0, 0.5], seed=1, epochs=4)]
    with pytest.raises(ValueError, match=r"arm 'GELU' have \[3, 4\] epochs"):
        tables.curves(records)
    assert set(tables.curves(records, arm="epochs")) == {3, 4}


def test_an_arm_may_be_a_function_of_the_run():
    records = [record("GELU", seed, 5.0 + seed, clip_norm=norm) for seed in range(2) for norm in (0.5, 1.0)]
    table = tables.results(records, arm=lambda run: f"norm {run['clip_norm']:g}")
    assert table["arm"].tolist() == ["norm 0.5", "norm 1"] * 2
    assert table["loss"].tolist() == [5, 5, 6, 6]


def test_a_row_says_how_long_the_training_and_its_fastest_epoch_took():
    (row,) = tables.results([record("GELU", 3, 5.0, hidden=[30, 20])]).to_dict("records")
    assert (row["seconds"], row["seconds_per_epoch"], row["hidden"]) == (11.0, 2.0, "30-20")


def test_a_row_of_a_record_without_the_seconds_of_its_epochs_has_none():
    entry = record("GELU", 3, 5.0)
    del entry["history"]["seconds"]
    (row,) = tables.results([entry]).to_dict("records")
    assert row["seconds"] == 11.0
    assert np.isnan(row["seconds_per_epoch"])


def test_where_no_record_is_left_there_is_no_table():
    records = [record("GELU", 0, 5.0)]
    for table in (tables.results, tables.curves):
        with pytest.raises(ValueError, match=r"None of the 1 records .* validation split.*validation=False"):
            table(records, validation=True)
        with pytest.raises(ValueError, match=r"None of the 0 records .* test set"):
            table([])
    with pytest.raises(ValueError, match="no records"):
        tables.likelihoods([], PUBLISHED)
    with pytest.raises(ValueError, match=r"lacks binarisation, latent_dim, hidden, bound_samples"):
        tables.likelihoods(records, PUBLISHED)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, float("nan"), "high", None])
def test_a_confidence_that_is_none_is_refused(table, confidence):
    with pytest.raises(ValueError, match=f"confidence is {confidence!r}"):
        tables.paired_differences(table, "LeakyReLU(0.3)", confidence)


def test_what_cannot_be_paired_is_refused(table):
    with pytest.raises(ValueError, match=r"arm 'GELU' has more than one run of the seed 0.*tells these runs apart"):
        tables.paired_differences(tables.pd.concat([table, table[table["arm"] == "GELU"]]), "ELU")
    with pytest.raises(ValueError, match="No arm has a seed in common with 'ELU'"):
        tables.paired_differences(table[table["arm"] == "ELU"], "ELU")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"values": np.ones((6, 2))}, r"shape \(6, 2\)"),
        ({"values": 1.5}, r"shape \(\)"),
        ({"values": None}, r"shape \(\)"),
        ({"values": [1, 2, 3, 4, np.inf]}, "finite"),
        ({"values": [1, 2, 3, 4, np.nan]}, "finite"),
        ({"level": 1}, "level is 1"),
        ({"level": 0}, "level is 0"),
        ({"level": "high"}, "level is 'high'"),
        ({"values": np.arange(12.0)}, "12 values. Expected 11 at most"),
    ],
    ids=str,
)
def test_an_interval_of_what_are_no_values_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        tables.bootstrap_interval(**{"values": np.arange(6.0), "level": 0.9, **changed})


def test_pooled_difference_has_the_interval_of_student_and_the_sign_test():
    """Of -3, -2, -1, -1 and 2 the mean is -1, and the deviations -2, -1, 0, 0, 3 have the variance 14 / 4."""
    differences = {("digits", 0): -3, ("digits", 1): -2, ("digits", 2): -1, ("clothes", 0): -1, ("clothes", 1): 2}
    records = [
        record(name, seed, 10.0 + seed + (name == "GELU") * difference, data=data)
        for (data, seed), difference in differences.items()
        for name in ("GELU", "ReLU")
    ]
    records += [record("GELU", 7, 1.0), record("ELU", 0, 2.0)]
    pooled = tables.pooled_difference(tables.results(records), "GELU", reference="ReLU")
    # Of Student's t with 4 degrees of freedom 95 % lie between -2.7764 and 2.7764.
    half = 2.7764 * np.sqrt(14 / 4 / 5)
    assert pooled["difference"] == pytest.approx(-1)
    assert (pooled["low"], pooled["high"]) == pytest.approx((-1 - half, -1 + half), rel=1e-4)
    assert (pooled["better"], pooled["pairs"]) == (4, 5)
    # Four or five of five fair coins fall on one of two sides: 2 (5 + 1) / 32.
    assert pooled["p_value"] == pytest.approx(12 / 32)
    narrower = tables.pooled_difference(tables.results(records), "GELU", reference="ReLU", confidence=0.5)
    # And 50 % lie between -0.7407 and 0.7407.
    assert narrower["high"] == pytest.approx(-1 + 0.7407 * np.sqrt(14 / 4 / 5), rel=1e-3)


def test_pooled_difference_of_two_arms_changes_its_sign_with_them(table):
    there, back = (
        tables.pooled_difference(table, *arms) for arms in (("GELU", "LeakyReLU(0.3)"), ("LeakyReLU(0.3)", "GELU"))
    )
    assert (back["difference"], back["low"], back["high"]) == pytest.approx(
        (-there["difference"], -there["high"], -there["low"])
    )
    assert (there["better"], back["better"]) == (10, 0)
    assert there["p_value"] == back["p_value"] == pytest.approx(2 / 2**10)


def test_pooled_difference_takes_pairs_without_a_difference_out_of_the_sign_test():
    records = [record(name, seed, 5.0) for name in ("GELU", "ReLU") for seed in range(5)]
    pooled = tables.pooled_difference(tables.results(records), "GELU", "ReLU")
    assert (pooled["difference"], pooled["better"], pooled["pairs"], pooled["p_value"]) == (0, 0, 5, 1)
    records += [record(name, 5, loss) for name, loss in (("GELU", 4.0), ("ReLU", 5.0))]
    pooled = tables.pooled_difference(tables.results(records), "GELU", "ReLU")
    assert (pooled["better"], pooled["pairs"], pooled["p_value"]) == (1, 6, 1)


def test_what_cannot_be_pooled_is_refused(table):
    with pytest.raises(ValueError, match=r"arm is 'tanh'\. Expected one of the other arms in the table: ELU, GELU\."):
        tables.pooled_difference(table, "tanh", "LeakyReLU(0.3)")
    with pytest.raises(ValueError, match="arm is 'ELU'"):
        tables.pooled_difference(table, "ELU", "ELU")
    with pytest.raises(ValueError, match="reference is 'tanh'"):
        tables.pooled_difference(table, "ELU", "tanh")
    with pytest.raises(ValueError, match="confidence is 95"):
        tables.pooled_difference(table, "ELU", "GELU", confidence=95)
    with pytest.raises(ValueError, match="more than one run of the seed 0"):
        tables.pooled_difference(tables.pd.concat([table, table[table["arm"] == "GELU"]]), "ELU", "GELU")
    with pytest.raises(ValueError, match=r"'ELU' and 'GELU' have 4 pairs\. Expected 5 or more"):
        tables.pooled_difference(table[table["seed"] < 4], "ELU", "GELU")
    diverged = table.assign(loss=table["loss"].where((table["arm"] != "GELU") | (table["seed"] > 0)))
    with pytest.raises(ValueError, match=r"1 of the 20 trainings of 'ELU' and 'GELU' diverged"):
        tables.pooled_difference(diverged, "ELU", "GELU")
    # The others are none of its business.
    assert tables.pooled_difference(diverged, "ELU", "LeakyReLU(0.3)")["pairs"] == 10
