"""catalogue: which runs a study consists of, and what its arms are called."""

from collections import Counter

import pytest

from vae_keras.studies import catalogue
from vae_keras.studies.records import key


def test_every_arm_is_compared_at_its_own_best_rate():
    arms = [{"activation": "GELU"}, {"activation": "tanh"}]
    arguments = {"rates": (1, 2, 3), "choice_seeds": (100, 101), "validation": 9, "seeds": (0, 1)}
    chosen = catalogue.compare(arms, [], **arguments)
    assert len(chosen) == 12
    assert all(run["validation"] == 9 and run["seed"] >= 100 for run in chosen)
    # The mean decides, a run that diverged rules a rate out, and tanh lacks one record still.
    losses = {1: (5.0, 9.0), 2: (6.0, 6.0), 3: (1.0, None)}
    records = [
        {
            "run": run,
            "held_out": None if loss is None else {"loss": loss},
            "status": "done" if loss is not None else "diverged",
        }
        for run in chosen[:11]
        for loss in [losses[run["learning_rate"]][run["seed"] - 100]]
    ]
    both = catalogue.compare(arms, records, **arguments)
    assert both[:12] == chosen
    assert both[12:] == [{"activation": "GELU", "learning_rate": 2, "seed": seed} for seed in (0, 1)]
    # In turns, so that their seconds can be compared.
    last = {"run": chosen[11], "held_out": {"loss": 0.0}, "status": "done"}
    compared = catalogue.compare(arms, [*records, last], **arguments)[12:]
    assert [(run["activation"], run["learning_rate"], run["seed"]) for run in compared] == [
        ("GELU", 2, 0),
        ("tanh", 3, 0),
        ("GELU", 2, 1),
        ("tanh", 3, 1),
    ]


def test_a_rate_at_which_a_training_diverges_is_given_up_for_the_best_of_the_smaller_ones():
    arguments = {"rates": (1, 2, 3, 4), "choice_seeds": (100,), "validation": 9, "seeds": (0, 1)}
    losses = {1: 8.0, 2: 7.0, 3: 5.0, 4: 6.0}
    records = []

    def finals():
        return [
            (r["learning_rate"], r["seed"]) for r in catalogue.compare([{"activation": "GELU"}], records, **arguments)
        ][4:]

    def note(rate, seed, loss, **settings):
        run = {"activation": "GELU", "learning_rate": rate, "seed": seed, **settings}
        records.append({"run": run, "held_out": loss and {"loss": loss}})

    for rate, loss in losses.items():
        note(rate, 100, loss, validation=9)
    assert finals() == [(3, 0), (3, 1)]
    note(3, 0, 5.0)
    assert finals() == [(3, 0), (3, 1)]
    note(3, 1, None)
    assert finals() == [(3, 0), (2, 0), (3, 1), (2, 1)]
    note(2, 0, None)
    assert finals() == [(3, 0), (2, 0), (1, 0), (3, 1), (2, 1), (1, 1)]
    note(1, 0, None)
    assert finals() == [(3, 0), (2, 0), (1, 0), (3, 1), (2, 1), (1, 1)]


@pytest.mark.parametrize("name", catalogue.STUDIES)
def test_runs_of_the_studies_are_plain_and_told_apart(name):
    listed = catalogue.STUDIES[name].runs([])
    assert len({key(run) for run in listed}) == len(listed) > 0
    assert all("/" not in key(run) for run in listed)


def test_log_p_is_computed_for_the_published_networks_of_two_latents():
    networks = [(run["hidden"], run["epochs"]) for run in catalogue.exact([])]
    assert networks == [([256, 128], 12), ([256, 128], 300)]
    assert all(run["exact"] and run["bound_samples"] == 500 for run in catalogue.exact([]))
    assert not any("exact" in run for run in catalogue.published([]))


def test_the_recipe_for_five_minutes_is_chosen_on_training_images_alone():
    choices = catalogue.expected([])
    assert all(run["validation"] == 10_000 and run["seed"] >= 100 for run in choices)
    assert len({key({**run, "seed": 0}) for run in choices}) == len(choices) > 3
    losses = [5.0, 4.0, 3.0, *[6.0] * (len(choices) - 3)]
    records = [{"run": run, "held_out": {"loss": loss}} for run, loss in zip(choices, losses, strict=True)]
    assert catalogue.expected(records[:-1]) == choices
    chosen = {name: value for name, value in choices[2].items() if name != "validation"}
    assert catalogue.expected(records) == [*choices, *({**chosen, "seed": seed} for seed in range(3))]
    records[2]["held_out"] = None
    assert catalogue.expected(records)[-1]["learning_rate"] == choices[1]["learning_rate"] != chosen["learning_rate"]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "none"),
        ({"clip_value": 1.0}, "value 1"),
        ({"clip_norm": 0.25}, "norm 0.25"),
        ({"clip_value": 1.0, "momentum": 0.0}, "momentum 0"),
        ({"clip_value": None, "clip_norm": 10.0}, "norm 10"),
        ({"optimizer": "Adam", "momentum": 0.0}, "Adam"),
    ],
    ids=str,
)
def test_arms_of_training_by_sgd_have_names(changed, name):
    run = {"optimizer": "SGD", "momentum": 0.9, "clip_value": None, "clip_norm": None}
    assert catalogue.sgd_arm({**run, **changed}) == name


def test_no_two_arms_of_training_by_sgd_have_one_name():
    runs = catalogue.sgd([])
    settings = {(run["optimizer"], run["momentum"], run["clip_value"], run["clip_norm"]) for run in runs}
    assert len({catalogue.sgd_arm(run) for run in runs}) == len(settings) == 23


def test_arms_of_the_cures_have_names_of_their_own():
    runs = catalogue.cures([])
    names = [catalogue.cures_arm(run) for run in runs]
    assert len(runs) == 60
    assert set(Counter(names).values()) == {5}
    assert len({key({**run, "seed": 0}) for run in runs}) == len(set(names)) == 12
    assert {"no cure", "warm-up, 30 epochs", "0.25 nats free", "no cure, GELU"} <= set(names)
    assert "0.5 nats free, rate 0.0005" in names


def test_the_arms_of_blur_are_named_by_what_they_turn():
    runs = catalogue.blur([])
    for data, count, seeds, names in (
        ("mnist_5k", 11, 5, {"autoencoder", "learned sigma", "beta = 0.1", "beta = 3", "sigma = 0.71", "sigma = 0.12"}),
        ("photo_patches", 4, 3, {"autoencoder", "learned sigma", "sigma = 0.71", "sigma = 0.25"}),
    ):
        named = Counter(catalogue.blur_arm(run) for run in runs if run["data"] == data)
        assert set(named.values()) == {seeds}
        assert names <= set(named)
        assert len(named) == count


def test_the_arms_of_features_are_named_by_what_is_compared():
    runs = [run for run in catalogue.features([]) if run["data"] == "mnist_5k"]
    named = Counter(catalogue.features_arm(run) for run in runs)
    assert named == {"pixels": 20, "classifier": 15, "discriminator": 15, "GAN alone": 5}


def of_arm(runs, name):
    return [run for run in runs if catalogue.sgd_arm(run) == name]


@pytest.mark.parametrize(
    ("name", "rates"),
    [("none", 12), ("value 0.1", 12), ("value 5", 12), ("norm 1", 10), ("momentum 0.8", 10), ("Adam", 10)],
)
def test_limits_by_value_and_no_clipping_have_half_steps_of_the_rate(name, rates):
    tried = {(run["learning_rate"], run["seed"]) for run in of_arm(catalogue.sgd([]), name)}
    assert len(tried) == 2 * rates
    assert ((0.005, 100) in tried, (0.02, 101) in tried) == (rates == 12, rates == 12)


@pytest.mark.parametrize(("name", "again"), [("none", True), ("value 1", True), ("value 2", False)])
def test_only_the_references_are_trained_again_where_a_half_step_is_better(name, again):
    tried = of_arm(catalogue.sgd([]), name)
    losses = {0.003: 42.0, 0.005: 43.0}

    def finals():
        records = [{"run": run, "held_out": {"loss": losses.get(run["learning_rate"], 99.0)}} for run in tried]
        runs = of_arm(catalogue.sgd(records), name)
        assert len({key(run) for run in runs}) == len(runs)
        assert {key(run) for run in tried} <= {key(run) for run in runs}
        return {run["learning_rate"] for run in runs if "validation" not in run}

    assert finals() == {0.003}
    losses[0.005] = 41.0
    # What was trained at the best of the ten stays part of the study.
    assert finals() == ({0.003, 0.005} if again else {0.003})


def test_a_run_of_another_study_has_no_arm_of_training_by_sgd():
    with pytest.raises(ValueError, match=r"lacks momentum, clip_norm\. Expected one of the study 'sgd'"):
        catalogue.sgd_arm({"optimizer": "SGD", "clip_value": 1.0})
