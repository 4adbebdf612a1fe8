"""The studies of the book: the runs that each consists of, the names of its arms, and what was published before."""

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vae_keras.studies.features import train_features
from vae_keras.studies.labels import train_for_labels
from vae_keras.studies.lines import train_lines
from vae_keras.studies.recipes import ACTIVATIONS, NETWORKS, train_deep_autoencoder, train_vae
from vae_keras.studies.records import key
from vae_keras.studies.semi_supervised import train_semi_supervised
from vae_keras.studies.spaces import train_space

SEEDS = range(10)
# Seeds for the choice of a learning rate are others than those of the comparison.
CHOICE_SEEDS = (100, 101)
# And others than those on which the settings of the VAE/GAN were found.
FEATURE_SEEDS = (10, 11, 12, 13, 14)
BUNDLED_RATES = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
FULL_RATES = (2e-3, 4e-3, 8e-3, 1.6e-2)
# Clipping by norm shortens the steps by hundreds of times, and the rate has to make up for it.
SGD_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
# Steps of three can miss a best rate by a factor of 1.7. Of those without a limit on the norm it lies near these.
SGD_HALF_STEPS = (5e-3, 2e-2)
MAIN_ACTIVATIONS = ("LeakyReLU(0.3)", "LeakyReLU(0.01)", "ReLU", "ELU", "SiLU", "GELU")
# A dense VAE as Mashra and Shahid 2022 describe it, followed on the held-out images; its last weights are measured.
SQUARED_ERROR = {
    "data": "mnist_5k",
    "network": "dense",
    "activation": "ReLU",
    "reconstruction_loss": "gaussian",
    "batch_size": 64,
    "ema_momentum": None,
    "validate_each_epoch": True,
}


class Study(NamedTuple):
    """The runs of a study, a function from the records so far, and what does one of them, on how many processes."""

    runs: Callable[[list[dict]], list[dict]]
    train: Callable[..., dict]
    # What times the trainings has the machine for itself.
    workers: int = 2


def activations(records: list[dict]) -> list[dict]:
    """Compare ten activations on the bundled digits: five rates each, then ten seeds at the best."""
    recipe = {"data": "mnist_5k", "epochs": 30, "batch_size": 64, "warm_up": 15}
    arms = [{**recipe, "network": n, "activation": a} for n, a in itertools.product(NETWORKS, ACTIVATIONS)]
    return compare(arms, records, rates=BUNDLED_RATES, choice_seeds=CHOICE_SEEDS, validation=400, seeds=SEEDS)


def activations_full_data(records: list[dict]) -> list[dict]:
    """Compare the six that matter on all of MNIST and Fashion-MNIST: four rates each, then five seeds at the best."""
    recipe = {"epochs": 6, "batch_size": 128, "warm_up": 3}
    arms = [
        {**recipe, "data": d, "network": n, "activation": a}
        for n, d, a in itertools.product(NETWORKS, ("mnist", "fashion_mnist"), MAIN_ACTIVATIONS)
    ]
    return compare(arms, records, rates=FULL_RATES, choice_seeds=CHOICE_SEEDS[:1], validation=10_000, seeds=SEEDS[:5])


def compare(
    arms: list[dict],
    records: list[dict],
    *,
    rates: Sequence[float],
    choice_seeds: Sequence[int],
    validation: int,
    seeds: Sequence[int],
) -> list[dict]:
    """List the runs of a comparison in which every arm has its own best learning rate.

    First each arm at each rate, measured on a part of the training images; once the records hold all rates of an arm,
    also that arm with other seeds, measured on the test set, at the rate with the least mean loss. A rate at which one
    of these trainings diverges is given up for the best of the smaller ones.

    Args:
        arms: Settings of what is compared, without a learning rate and a seed.
        records: What has been recorded so far.
        rates: The learning rates to choose from.
        choice_seeds: Seeds of the trainings that choose.
        validation: How many training images they are measured on.
        seeds: Seeds of the trainings that are compared.

    Returns:
        All runs that can be named so far.
    """
    held_out = {key(record["run"]): (record["held_out"] or {}).get("loss", math.inf) for record in records}
    chosen, best = [], []
    for arm in arms:
        choices = {
            rate: [{**arm, "learning_rate": rate, "validation": validation, "seed": seed} for seed in choice_seeds]
            for rate in rates
        }
        chosen += itertools.chain(*choices.values())
        if all(key(run) in held_out for runs in choices.values() for run in runs):
            left = rates
            while left:
                rate = min(left, key=lambda rate: statistics.mean(held_out[key(run)] for run in choices[rate]))
                best.append({**arm, "learning_rate": rate})
                diverged = any(held_out.get(key({**best[-1], "seed": seed})) == math.inf for seed in seeds)
                left = [smaller for smaller in rates if diverged and smaller < rate]
    return chosen + [{**arm, "seed": seed} for seed, arm in itertools.product(seeds, best)]


def cost(records: list[dict]) -> list[dict]:
    """Time the epochs of the ten activations in turns, so that what else the machine does meets all."""
    recipe = {"data": "mnist_5k", "epochs": 6, "batch_size": 64, "learning_rate": 2e-3}
    return [
        {**recipe, "network": network, "activation": activation, "seed": seed}
        for seed, network, activation in itertools.product(range(5), NETWORKS, ACTIVATIONS)
    ]


def published(records: list[dict]) -> list[dict]:
    """Train the VAEs of three published likelihoods on MNIST, and for each a network of our own."""
    same = {"data": "mnist", "network": "dense", "cosine_decay": True, "ema_momentum": 0.999, "seed": 0}
    same |= {"batch_size": 100, "learning_rate": 1e-3}
    plane = {**same, "binarisation": "dynamic", "latent_dim": 2, "bound_samples": 5000}
    burda = {**same, "binarisation": "dynamic", "latent_dim": 50, "bound_samples": 5000}
    fixed = {**same, "binarisation": "fixed", "latent_dim": 40, "bound_samples": 200}
    return [
        # In trials of 80 epochs half as many latents were in use without a warm-up, and the bound was lower.
        {**burda, "learning_rate": 2e-3, "hidden": [200, 200], "activation": "tanh", "epochs": 800, "warm_up": 60},
        {**burda, "hidden": [512, 512], "activation": "GELU", "epochs": 200},
        {**fixed, "hidden": [500, 300], "activation": "GELU", "epochs": 200, "weight_decay": 0.1},
        {**plane, "hidden": [256, 128], "activation": "ReLU", "epochs": 300, "warm_up": 30},
        {**plane, "hidden": [512, 256, 128], "activation": "GELU", "epochs": 150, "warm_up": 30},
    ]


def exact(records: list[dict]) -> list[dict]:
    """Train the network of the published VAE with two latents, shortly and to the end, and compute log p(x) itself."""
    plane = next(run for run in published([]) if run["latent_dim"] == 2)
    short = {**plane, "epochs": 12, "warm_up": 4}
    # Davidson et al. 2018 estimate with 500 samples.
    return [{**run, "bound_samples": 500, "exact": True} for run in (short, plane)]


def expected(records: list[dict]) -> list[dict]:
    """Choose a VAE with two latents for five minutes on two cores, on a part of MNIST, and train it on all of it."""
    recipe = {
        "data": "mnist",
        "network": "dense",
        "hidden": [512, 256, 128],
        "activation": "GELU",
        "epochs": 40,
        "batch_size": 128,
        "learning_rate": 2e-3,
        "weight_decay": 0.05,
        "ema_momentum": 0.999,
        "warm_up": 20,
    }
    others = (
        {"learning_rate": 5e-4},
        {"learning_rate": 1e-3},
        {"learning_rate": 4e-3},
        {"weight_decay": None},
        {"hidden": [512, 256]},
    )
    candidates = [recipe, *({**recipe, **other} for other in others)]
    choices = [{**each, "validation": 10_000, "seed": CHOICE_SEEDS[0]} for each in candidates]
    held_out = {key(record["run"]): (record["held_out"] or {}).get("loss", math.inf) for record in records}
    if any(key(run) not in held_out for run in choices):
        return choices
    _, best = min(zip(choices, candidates), key=lambda pair: held_out[key(pair[0])])
    return choices + [{**best, "seed": seed} for seed in range(3)]


def gelu_paper(records: list[dict]) -> list[dict]:
    """Train the GELU paper's autoencoder at its three rates, three seeds each, and with LeakyReLU too."""
    recipe = {"data": "mnist", "epochs": 10, "batch_size": 64}
    names = ("GELU (tanh)", "ELU", "ReLU", "LeakyReLU(0.01)", "LeakyReLU(0.3)")
    return [
        {**recipe, "activation": name, "learning_rate": rate, "seed": seed}
        for rate, seed, name in itertools.product((1e-3, 1e-4, 1e-5), range(3), names)
    ]


def sgd(records: list[dict]) -> list[dict]:
    """Compare clipping by value and by norm, momenta, and Adam, each at its own best of ten or twelve rates."""
    plain = {"optimizer": "SGD", "momentum": 0.9, "clip_value": None, "clip_norm": None}
    by_value = [plain, *({**plain, "clip_value": value} for value in (0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0))]
    others = [
        *({**plain, "clip_norm": norm} for norm in (0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0)),
        *({**plain, "clip_value": 1.0, "momentum": momentum} for momentum in (0.0, 0.5, 0.8, 0.85, 0.95, 0.99)),
        {**plain, "optimizer": "Adam", "momentum": 0.0},
    ]
    by_value, others = ([{**SQUARED_ERROR, "epochs": 30, **arm} for arm in arms] for arms in (by_value, others))
    same = {"choice_seeds": CHOICE_SEEDS, "validation": 400, "seeds": SEEDS}
    # The two with which all others are compared: no clipping, and what the report chooses.
    references = [arm for arm in by_value if arm["clip_value"] in (None, 1.0)]
    runs = [
        *compare([*by_value, *others], records, rates=SGD_RATES, **same),
        # Without records these are the trainings that choose a rate, and no others.
        *compare(by_value, [], rates=SGD_HALF_STEPS, **same),
        *compare(references, records, rates=sorted((*SGD_RATES, *SGD_HALF_STEPS)), **same),
    ]
    return list({key(run): run for run in runs}.values())


def samples(records: list[dict]) -> list[dict]:
    """Train with one to ten draws of z for an image, five seeds each, and follow the held-out loss."""
    arms = [{**SQUARED_ERROR, "epochs": 40, "samples": count} for count in (1, 2, 5, 10)]
    rates = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)
    return compare(arms, records, rates=rates, choice_seeds=CHOICE_SEEDS, validation=400, seeds=SEEDS[:5])


def tied(records: list[dict]) -> list[dict]:
    """Train VAEs with kernels of the decoder's own and with the encoder's, five seeds each."""
    recipe = {"data": "mnist_5k", "network": "dense", "activation": "GELU", "epochs": 30, "batch_size": 64}
    arms = [{**recipe, "warm_up": 15, "tied": tied} for tied in (False, True)]
    return compare(arms, records, rates=BUNDLED_RATES, choice_seeds=CHOICE_SEEDS, validation=400, seeds=SEEDS[:5])


def habits(records: list[dict]) -> list[dict]:
    """Train the convolutional VAE of notebook 02 plainly, then with one habit more each time, five seeds each."""
    plain = {"data": "mnist_5k", "network": "convolutional", "activation": "LeakyReLU(0.3)", "epochs": 20}
    plain |= {"batch_size": 64, "learning_rate": 1e-3, "clip_norm": None, "ema_momentum": None}
    arms = [plain]
    for habit in ({"warm_up": 10}, {"learning_rate": 4e-3}, {"clip_norm": 100.0}, {"ema_momentum": 0.99}):
        arms.append({**arms[-1], **habit})
    return [{**arm, "seed": seed} for seed, arm in itertools.product(SEEDS[:5], arms)]


def spaces(records: list[dict]) -> list[dict]:
    """Measure the spaces of autoencoders and VAEs with two latents, on two data sets, five seeds each."""
    same = {"network": "convolutional", "activation": "LeakyReLU(0.3)", "latent_dim": 2, "learning_rate": 4e-3}
    sets = ({"data": "mnist_5k", "epochs": 20, "batch_size": 64}, {"data": "mnist", "epochs": 6, "batch_size": 128})
    return _autoencoders_and_vaes([{**same, **each} for each in sets])


def generation(records: list[dict]) -> list[dict]:
    """Draw images from autoencoders and VAEs with 16 latents, five seeds each."""
    same = {"network": "dense", "activation": "GELU", "latent_dim": 16, "learning_rate": 1e-3}
    return _autoencoders_and_vaes([{**same, "data": "mnist_5k", "epochs": 40, "batch_size": 64}])


def rates(records: list[dict]) -> list[dict]:
    """Train VAEs with 16 latents at eight weights of the KL term, two networks, five seeds each."""
    same = {"data": "mnist_5k", "latent_dim": 16, "activation": "GELU", "binarisation": "dynamic", "batch_size": 64}
    arms = [
        {**same, "network": "dense", "hidden": [256, 128], "epochs": 60, "learning_rate": 2e-3},
        {**same, "network": "convolutional", "epochs": 30, "learning_rate": 4e-3},
    ]
    betas = (0.0, 0.1, 0.3, 1.0, 2.0, 4.0, 10.0, 30.0)
    return [{**arm, "beta": beta, "seed": seed} for seed, arm, beta in itertools.product(SEEDS[:5], arms, betas)]


def cures(records: list[dict]) -> list[dict]:
    """Train a deep VAE with 16 latents plainly, with warm-up and with free bits, and otherwise, five seeds each."""
    plain = {"data": "mnist_5k", "latent_dim": 16, "network": "dense", "hidden": [256, 256, 256, 256]}
    plain |= {"activation": "tanh", "binarisation": "dynamic", "batch_size": 64, "epochs": 60, "learning_rate": 2e-3}
    plain |= {"bound_samples": 500}
    others = [{"warm_up": 10}, {"warm_up": 30}, *({"free_nats": nats} for nats in (0.1, 0.25, 0.5))]
    # Does a cure hold, and is one needed, with small steps and with another activation?
    others += [{"learning_rate": 5e-4, **cure} for cure in ({}, {"warm_up": 30}, {"free_nats": 0.5})]
    others += [{"activation": "GELU", **cure} for cure in ({}, {"warm_up": 30}, {"free_nats": 0.5})]
    arms = [plain, *({**plain, **other} for other in others)]
    return [{**arm, "seed": seed} for seed, arm in itertools.product(SEEDS[:5], arms)]


def blur(records: list[dict]) -> list[dict]:
    """Train autoencoders and VAEs with several betas and sigmas of a pixel, on digits and on photographs."""
    digits = {"data": "mnist_5k", "network": "dense", "latent_dim": 16, "epochs": 40}
    photos = {"data": "photo_patches", "network": "convolutional", "latent_dim": 64, "epochs": 30}
    same = {"activation": "GELU", "batch_size": 64, "learning_rate": 1e-3}
    gaussian, learned = {"reconstruction_loss": "gaussian"}, {"reconstruction_loss": "learned gaussian"}
    # With a squared error sigma² is beta / 2: sigmas of 0.71 down to 0.12.
    sigmas = [{**gaussian, "beta": beta} for beta in (1.0, 0.25, 0.125, 0.0625, 0.03)]
    of_digits = [{"variational": False}, *({"variational": True, "beta": beta} for beta in (0.1, 0.3, 1.0, 3.0))]
    of_digits += [{"variational": True, **sigma} for sigma in (*sigmas, learned)]
    of_photos = [{"variational": False, **gaussian}]
    of_photos += [{"variational": True, **sigma} for sigma in (sigmas[0], sigmas[2], learned)]
    # One set after the other: each has judges of its own to train.
    return [
        {**same, **of_set, **arm, "seed": seed}
        for of_set, arms, seeds in ((digits, of_digits, SEEDS[:5]), (photos, of_photos, SEEDS[:3]))
        for seed, arm in itertools.product(seeds, arms)
    ]


def features(records: list[dict]) -> list[dict]:
    """Compare pixels, what a classifier sees and what a discriminator sees, over weights of the KL term, five seeds."""
    same = {"data": "mnist_5k", "epochs": 25, "batch_size": 64}
    pixels = {"compared": "pixels", "learning_rate": 2e-3}
    classifier = {"compared": "classifier", "learning_rate": 2e-3}
    discriminator = {"compared": "discriminator", "learning_rate": 5e-4}
    arms = [{**pixels, "beta": beta} for beta in (0.3, 0.5, 1.0, 2.0)]
    arms += [{**classifier, "beta": beta} for beta in (1.0, 2.0, 5.0)]
    arms += [{**discriminator, "beta": beta} for beta in (16.0, 32.0, 64.0)]
    # No features: a GAN of which the encoder finds the latents.
    arms.append({**discriminator, "beta": 16.0, "feature_weight": 0.0})
    runs = [{**same, **arm, "seed": seed} for seed, arm in itertools.product(FEATURE_SEEDS, arms)]
    # The settings were chosen where the bundled digits were seen; most of these were not.
    others = {**same, "data": "mnist", "epochs": 3}
    arms = [{**pixels, "beta": 1.0}, {**discriminator, "beta": 16.0}]
    return runs + [{**others, **arm, "seed": seed} for seed, arm in itertools.product(FEATURE_SEEDS[:3], arms)]


def lines(records: list[dict]) -> list[dict]:
    """Train autoencoders and VAEs on pictures of lines, and measure the paths between lines, five seeds each."""
    same = {"epochs": 25, "batch_size": 64, "learning_rate": 1e-3}
    return [
        {**same, "variational": variational, "seed": seed}
        for seed, variational in itertools.product(SEEDS[:5], (False, True))
    ]


def few_labels(records: list[dict]) -> list[dict]:
    """Teach classifiers with 10 to 1,000 labels on pixels, PCA and codes, on two data sets, five seeds each."""
    runs = []
    for data, epochs, batch_size in (("mnist_5k", 40, 64), ("mnist", 10, 128)):
        runs.append({"data": data, "representation": "pixels", "seed": 0})
        network = {"network": "dense", "activation": "GELU", "learning_rate": 1e-3, "epochs": epochs}
        for latent_dim in (10, 50):
            same = {"data": data, "latent_dim": latent_dim}
            runs.append({**same, "representation": "PCA", "seed": 0})
            runs += [
                {**same, **network, "batch_size": batch_size, "representation": representation, "seed": seed}
                for seed, representation in itertools.product(SEEDS[:5], ("autoencoder", "VAE"))
            ]
    return runs


def semi_supervised(records: list[dict]) -> list[dict]:
    """Train model M2 with 100 labels, on two data sets; the labels of a seed are those of a draw of `few_labels`."""
    same = {"labels": 100, "activation": "GELU", "batch_size": 64, "learning_rate": 2e-3}
    sets = ({"data": "mnist_5k", "epochs": 40}, {"data": "mnist", "epochs": 10})
    weights = (10.0, 30.0, 100.0, 300.0, 1000.0)
    # What was chosen: the weight of the labels, on images that were held out of the training set.
    choice = [{"classifier_weight": weight, "validation": 400, "seed": CHOICE_SEEDS[0]} for weight in weights]
    runs = [{**same, **sets[0], **each} for each in choice]
    chosen = {**same, "classifier_weight": 300.0}
    return [*runs, *({**chosen, **each, "seed": seed} for each, seed in itertools.product(sets, SEEDS[:5]))]


def _autoencoders_and_vaes(settings: list[dict]) -> list[dict]:
    return [
        {**each, "variational": variational, **({"warm_up": each["epochs"] // 2} if variational else {}), "seed": seed}
        for each, seed, variational in itertools.product(settings, SEEDS[:5], (False, True))
    ]


STUDIES = {
    "activations": Study(activations, train_vae),
    "activations_full_data": Study(activations_full_data, train_vae),
    "cost": Study(cost, train_vae, workers=1),
    "expected": Study(expected, train_vae, workers=1),
    "published": Study(published, train_vae),
    "exact": Study(exact, train_vae, workers=1),
    "gelu_paper": Study(gelu_paper, train_deep_autoencoder),
    "sgd": Study(sgd, train_vae),
    "samples": Study(samples, train_vae, workers=1),
    "tied": Study(tied, train_vae, workers=1),
    "habits": Study(habits, train_vae, workers=1),
    "spaces": Study(spaces, train_space, workers=1),
    "generation": Study(generation, train_space, workers=1),
    "rates": Study(rates, train_vae),
    "cures": Study(cures, train_vae),
    "blur": Study(blur, train_space),
    "features": Study(features, train_features),
    "lines": Study(lines, train_lines, workers=1),
    "few_labels": Study(few_labels, train_for_labels, workers=1),
    "semi_supervised": Study(semi_supervised, train_semi_supervised),
}

# log p(x) of the test images, by binarisation and number of latents, as their authors print it, and their network.
PUBLISHED = {
    ("dynamic", 2): (-135.73, "Davidson et al. 2018, table 1", "784-256-128-2 ReLU"),
    ("fixed", 40): (-89.78, "pythae, its table of reproductions", "784-400-40 ReLU"),
    ("dynamic", 50): (-86.76, "Burda et al. 2016, table 1", "784-200-200-50 tanh"),
}

# Walks between lines, straight ones, after Berthelot et al. 2018, table 1: by model the distance to the nearest line in
# thousandths, and the smoothness, each with its standard deviation.
PUBLISHED_LINES = {
    "autoencoder": ("6.88 ± 0.21", "0.44 ± 0.04"),
    "VAE": ("1.21 ± 0.17", "0.49 ± 0.13"),
    "ACAI": ("0.24 ± 0.01", "0.10 ± 0.01"),
}


def blur_arm(run: dict) -> str:
    """Name the arm of the study `blur` to which a run belongs.

    Args:
        run: The settings of a run of that study.

    Returns:
        "autoencoder", "learned sigma", or such as "beta = 0.3" for a VAE with cross-entropy and "sigma = 0.71" for one
        with a squared error.
    """
    if not run["variational"]:
        return "autoencoder"
    loss = run.get("reconstruction_loss", "bernoulli")
    if loss == "learned gaussian":
        return "learned sigma"
    return f"beta = {run['beta']:g}" if loss == "bernoulli" else f"sigma = {math.sqrt(run['beta'] / 2):.2f}"


def features_arm(run: dict) -> str:
    """Name the arm of the study `features` to which a run belongs, whatever its beta.

    Args:
        run: The settings of a run of that study.

    Returns:
        What is compared, "pixels", "classifier" or "discriminator"; or "GAN alone", where it is nothing.
    """
    return "GAN alone" if run.get("feature_weight") == 0 else run["compared"]


def cures_arm(run: dict) -> str:
    """Name the arm of the study `cures` to which a run belongs.

    Args:
        run: The settings of a run of that study.

    Returns:
        Such as "no cure", "warm-up, 30 epochs" or "0.5 nats free, GELU".
    """
    name = "no cure"
    if run.get("warm_up"):
        name = f"warm-up, {run['warm_up']} epochs"
    if run.get("free_nats"):
        name = f"{run['free_nats']:g} nats free"
    if run["activation"] != "tanh":
        name += f", {run['activation']}"
    return name if run["learning_rate"] == 2e-3 else f"{name}, rate {run['learning_rate']:g}"


def sgd_arm(run: dict) -> str:
    """Name the arm of the study `sgd` to which a run belongs.

    Args:
        run: The settings of a run of that study.

    Returns:
        Such as "value 1", "norm 0.5", "none", "momentum 0.8" or "Adam".

    Raises:
        ValueError: For a run of another study, which lacks one of the settings that are compared.
    """
    missing = [name for name in ("optimizer", "momentum", "clip_value", "clip_norm") if name not in run]
    if missing:
        raise ValueError(f"The run {run} lacks {', '.join(missing)}. Expected one of the study 'sgd'.")
    if run["optimizer"] == "Adam":
        return "Adam"
    if run["momentum"] != 0.9:
        return f"momentum {run['momentum']:g}"
    limits = {"value": run["clip_value"], "norm": run["clip_norm"]}
    return "".join(f"{kind} {limit:g}" for kind, limit in limits.items() if limit is not None) or "none"
