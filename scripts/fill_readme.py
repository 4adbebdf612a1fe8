"""Fill README.md and results/README.md with the tables, and draw the figure of the activation study, from records."""

import hashlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import nbformat
import pandas as pd
from run_notebooks import claims

from vae_keras import studies

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "figures" / "activation_study.png"
RESULTS = ROOT / "results"
PAGES = (ROOT / "README.md", RESULTS / "README.md")
NETWORKS = ("dense", "convolutional")
ACTIVATION_STUDIES = ("activations", "activations_full_data")
REFERENCE = "LeakyReLU(0.3)"
DATA_NAMES = studies.DATA_NAMES
SHOWN = ["GELU", "LeakyReLU(0.01)", "ReLU", "LeakyReLU(0.3)"]
# The first arm of each study is the one that the others are compared with.
SGD_ARMS = {
    "value 1": "SGD, momentum 0.9, clipped by value at 1",
    "none": "SGD, momentum 0.9, not clipped",
    "value 0.1": "SGD, momentum 0.9, clipped by value at 0.1",
    "value 0.25": "SGD, momentum 0.9, clipped by value at 0.25",
    "norm 1": "SGD, momentum 0.9, clipped by norm at 1",
    "momentum 0": "SGD, no momentum, clipped by value at 1",
    "momentum 0.99": "SGD, momentum 0.99, clipped by value at 1",
    "Adam": "Adam, not clipped",
}
DRAWS = {1: "1 draw of z for an image", 2: "2 draws", 5: "5 draws", 10: "10 draws"}
# What stands in the table of other data: claims of the notebooks, and what the table calls them.
COMPARED = {
    "01_autoencoder": {
        "held-out loss of the autoencoder, nats per image": "autoencoder, held-out loss, nats",
        "share of the occupied region in gaps": "share of the occupied region in gaps",
        "none, most crowded fifth minus gaps": "taken for none: share of the most crowded fifth minus that of the gaps",
        "10-nearest-neighbour accuracy": "10-nearest-neighbour accuracy",
        "share of real held-out digits that the judge names right": "real images that the judge names right, share",
    },
    "02_variational_autoencoder": {
        "held-out loss with all habits, nats per image": "VAE, held-out loss, nats",
        "median of KL(q || p(z|x)) of held-out digits, nats": "gap of the ELBO, median, nats",
        "reconstruction_loss at the largest beta minus that at 1, nats": "reconstruction lost by beta = 10, nats",
    },
    "03_gelu": {
        "dense: GELU minus LeakyReLU(0.3), mean, nats": "dense: GELU minus LeakyReLU(0.3), nats",
        "convolutional: GELU minus LeakyReLU(0.3), mean, nats": "convolutional: GELU minus LeakyReLU(0.3), nats",
    },
    "04_likelihood": {
        "bound with 1,000 samples below log p(x), held out, nats": "log p(x) minus the bound, held out, nats",
        "the same on training images, as a share of that": "the same on training images, times that",
        "the bound rises with the same model, nats": "gain of the bound, encoder trained on the held-out images, nats",
        "ten latents above two, bound, nats per image": "gain of the bound by ten latents in place of two, nats",
        "held-out ELBO: dynamic above fixed by, nats": "gain of the ELBO by dynamic binarisation, nats",
    },
    "05_dense_vae": {
        "ELBO, sigma set afterwards minus sigma² = 1/2, nats": "gain of the ELBO by a sigma set afterwards, nats",
        "ELBO, learned minus set afterwards, nats": "gain of the ELBO by a learned sigma over that, nats",
    },
    "06_pca_and_denoising": {
        "squared error with activations over that of PCA, largest": "squared error, autoencoder over PCA, largest",
        "8 latents, ratio of the errors over the lower of the other two": "that of 8 latents over the next, 2 or 32",
        "autoencoder minus its best rival, noise 0.1, dB": "autoencoder minus its best rival, noise 0.1, dB",
        "read rightly, originals, per cent": "originals that a classifier reads rightly, %",
    },
}
DECODERS = {False: "a decoder with weights of its own", True: "a decoder with tied weights"}


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text()))
    figure().savefig(FIGURE, metadata={"Description": digest()})


def filled(text: str) -> str:
    """Put the tables in the places that pairs of comments keep for them."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        if start not in text:
            continue
        before, rest = text.split(start)
        text = before + start + table() + end + rest.split(end)[1]
    return text


def results(study: str, arm="activation") -> pd.DataFrame:
    return studies.results(studies.read(study, RESULTS), arm)


def digest() -> str:
    """Name the numbers that the figure shows, so that a test sees when they are not those of the records."""
    return hashlib.sha256(differences().round(2).to_csv().encode()).hexdigest()


def differences(reference: str = REFERENCE) -> pd.DataFrame:
    """Compare the activations with a reference, corrected for the number of all these comparisons."""
    table = pd.concat([results(study) for study in ACTIVATION_STUDIES])
    return studies.paired_differences(table, reference).rename(DATA_NAMES, level="data")


def figure():
    """Draw the activation study at a glance."""
    return studies.differences_figure(differences(), REFERENCE)


def epoch_seconds() -> pd.Series:
    """Take the median seconds of an epoch, by data, network and activation."""
    return studies.summary(results("cost"))["seconds_per_epoch"]


def expected_results() -> str:
    """Say what losses a reader should see."""
    headings = [
        *("data", "network", "activation", "learning rate", "epochs", "seeds", "held-out loss", "lowest to highest"),
        *("reconstruction", "KL", "seconds"),
    ]
    place = ["data", "network", "arm"]
    table = pd.concat([results(study) for study in ("activations", "expected")])
    # The many trainings of the study shared the machine with other work; those of `cost` took turns.
    seconds = table["epochs"] * epoch_seconds().reindex(pd.MultiIndex.from_frame(table[place])).to_numpy()
    table["seconds"] = seconds.fillna(table["seconds"])
    table["network"] = (table["network"] + " " + table["hidden"]).str.strip()
    by_place = dict(list(table.groupby(place)))
    shown = [("mnist_5k", network, activation) for network in NETWORKS for activation in SHOWN]
    rows = []
    for data, network, activation in [*shown, ("mnist", "dense 512-256-128", "GELU")]:
        runs = by_place[data, network, activation]
        loss, mean = runs["loss"], runs.mean(numeric_only=True)
        rows.append(
            [
                *(DATA_NAMES[data], network, activation, f"{mean['learning_rate']:g}", f"{mean['epochs']:.0f}"),
                *(finished(loss), f"**{mean['loss']:.1f}**", f"{loss.min():.1f} to {loss.max():.1f}"),
                *(f"{mean['reconstruction_loss']:.1f}", f"{mean['kl_loss']:.1f}"),
                f"{runs['seconds'].median():.0f}",
            ]
        )
    return markdown(headings, rows)


def finished(loss: pd.Series) -> str:
    """Count the runs that a mean is about, and say so where some diverged."""
    return f"{loss.count()}" if loss.notna().all() else f"{loss.count()} of {len(loss)}"


def activation_study() -> str:
    """Compare GELU with two slopes of LeakyReLU: mean differences in nats per image, their intervals, and the cost."""
    to_steep, to_small = differences(), differences("LeakyReLU(0.01)")
    seconds = epoch_seconds().rename(DATA_NAMES, level="data").unstack("arm")
    cost = seconds["GELU"] / seconds["LeakyReLU(0.3)"]
    rows = []
    for place in itertools.product(DATA_NAMES.values(), NETWORKS):
        rows.append(
            [
                *place,
                *(
                    "{difference:.1f} ({low:.1f} to {high:.1f})".format(**table.loc[(*place, name)])
                    for table, name in ((to_steep, "GELU"), (to_steep, "LeakyReLU(0.01)"), (to_small, "GELU"))
                ),
                f"{cost[place]:.2f}" if place in cost else "",
            ]
        )
    headings = ["GELU minus LeakyReLU(0.3)", "LeakyReLU(0.01) minus LeakyReLU(0.3)", "GELU minus LeakyReLU(0.01)"]
    return markdown(["data", "network", *headings, "time of an epoch, GELU to LeakyReLU(0.3)"], rows)


def published_likelihoods() -> str:
    """Put our estimates of log p(x) beside published ones."""
    table = studies.likelihoods(studies.read("published", RESULTS), studies.PUBLISHED)
    rounded = table.map(lambda entry: f"{entry:.2f}" if isinstance(entry, float) else str(entry))
    return markdown(rounded.columns, rounded.values)


def compared(table: pd.DataFrame, names: dict) -> pd.DataFrame:
    """Compare the arms that `names` describes with the first of them: means over the seeds, and their differences."""
    rows = studies.summary(table).join(studies.paired_differences(table, next(iter(names))))
    return rows.droplevel(["data", "network"]).reindex(list(names)).rename(index=names)


def choices_of_training() -> str:
    """Compare optimizers and clipping, numbers of draws, and decoders."""
    comparisons = [
        compared(results("sgd", studies.sgd_arm), SGD_ARMS),
        compared(results("samples", "samples"), DRAWS),
        compared(results("tied", "tied"), DECODERS),
    ]
    rows = []
    for name, row in pd.concat(comparisons).iterrows():
        difference = "" if pd.isna(row["difference"]) else "{difference:z.1f} ({low:z.1f} to {high:z.1f})".format(**row)
        rows.append([name, f"{row['learning_rate']:g}", f"{row['seeds']:.0f}", f"**{row['loss']:.1f}**", difference])
    return markdown(["training", "learning rate", "seeds", "held-out loss", "minus the first of its kind"], rows)


def measured(study: str) -> pd.DataFrame:
    """Put the records of a study into a table, a row for each run: its settings and what was measured."""
    records = pd.json_normalize(studies.read(study, RESULTS))
    table = records.filter(regex=r"^(run|held_out)\.").rename(columns=lambda name: name.split(".", 1)[1])
    if "variational" in table:
        table["model"] = table["variational"].map({False: "autoencoder", True: "VAE"})
    return table.replace({"data": DATA_NAMES})


def with_range(values: pd.Series, form: str) -> str:
    """Write a mean over the seeds, with the lowest and the highest of them."""
    return f"{values.mean():{form}} ({values.min():{form}} to {values.max():{form}})"


def spaces() -> str:
    """Compare the planes of autoencoders and VAEs."""
    table = measured("spaces")
    # Each model draws from what it has: a prior, or a normal distribution fitted to its codes.
    table["draws"] = table["gaps 1, prior"].where(table["variational"], table["gaps 1, normal"])
    columns = {
        **{f"gaps {epochs}": f"in gaps, last {epochs} epochs, %" for epochs in (1, 5, 20)},
        "draws": "draws in gaps, last epoch, %",
        "reconstruction, right": "come back as their class, %",
        "none, gap": "none: from gaps, %",
        "none, elsewhere": "none: elsewhere, %",
        "none, fifth 1": "none: emptiest fifth, %",
        "none, fifth 5": "none: most crowded fifth, %",
        "partial none, gap": "partial judge: from gaps, %",
        "partial none, fifth 5": "partial judge: most crowded fifth, %",
    }
    rows = [
        [*place, *(with_range(100 * runs[name], ".0f") if runs[name].notna().all() else "" for name in columns)]
        for place, runs in table.groupby(["data", "model"], sort=False)
    ]
    return markdown(["data", "model", *columns.values()], rows)


def generation() -> str:
    """Compare ways to draw from autoencoders and VAEs with 16 latents."""
    shares = ("none", "partial none", "imbalance", "precision", "recall", "density", "coverage")
    forms = {**dict.fromkeys(shares, ".2f"), "frechet_distance": ".0f"}
    rows = [
        [*place, way, *(with_range(runs[f"{way}, {name}"], form) for name, form in forms.items())]
        for place, runs in measured("generation").groupby(["data", "model"], sort=False)
        for way in ("reconstruction", "prior", "box", "normal", "mixture")
    ]
    return markdown(["data", "model", "latents from", *(name.replace("_", " ") for name in forms)], rows)


def habits() -> str:
    """Say what each habit of training gains."""
    names = ["plain Adam, rate 0.001", "and warm-up", "and rate 0.004", "and clipping at 100", "and averaged weights"]
    table = pd.json_normalize(studies.read("habits", RESULTS))
    settings = [f"run.{name}" for name in ("learning_rate", "clip_norm", "ema_momentum", "warm_up")]
    losses = [loss for _, loss in table.groupby(settings, sort=False, dropna=False)["held_out.loss"]]
    return markdown(
        ["training", "held-out loss"], [[n, with_range(x, ".1f")] for n, x in zip(names, losses, strict=True)]
    )


def lines() -> str:
    """Compare walks between pictures of lines with published ones."""
    rows = []
    for model, runs in measured("lines").groupby("model", sort=False):
        for way in ("straight", "spherical"):
            distance, smoothness = 1000 * runs[f"{way}, distance"], runs[f"{way}, smoothness"]
            rows.append([model, "here", way, with_range(distance, ".2f"), with_range(smoothness, ".2f")])
    for model, values in studies.PUBLISHED_LINES.items():
        rows.append([model, "Berthelot et al. 2018, table 1", "straight", *values])
    return markdown(["model", "trained", "path", "distance, thousandths", "smoothness"], rows)


def blur() -> str:
    """Compare sharpness and draws over betas and sigmas."""
    table = measured("blur").replace({"data": {"photo_patches": "patches of photographs"}})
    table["arm"] = [studies.blur_arm(record["run"]) for record in studies.read("blur", RESULTS)]
    columns = {"kl_loss": ".1f", "sigma": ".2f", "reconstruction, laplacian_variance": ".2f"}
    for source in ("prior", "mixture"):
        columns |= {
            f"{source}, laplacian_variance": ".2f",
            f"{source}, none": ".2f",
            f"{source}, frechet_distance": ".0f",
        }
    groups = dict(list(table.groupby(["data", "arm"])))
    # From the smallest KL term to the largest; an autoencoder has none.
    order = sorted(groups, key=lambda group: groups[group]["kl_loss"].fillna(1e9).mean())
    rows = [
        [
            *group,
            *(
                with_range(groups[group][name], form) if groups[group][name].notna().all() else ""
                for name, form in columns.items()
            ),
        ]
        for data in table["data"].unique()
        for group in order
        if group[0] == data
    ]
    names = ("KL", "learned sigma", "Laplacian: come back", "draws of the prior", "none", "Fréchet distance")
    return markdown(["data", "training", *names, "draws of a mixture", "none", "Fréchet distance"], rows)


def features() -> str:
    """Compare what VAEs draw that compare pixels, or what a classifier or a discriminator sees."""
    table = measured("features")
    table["arm"] = [studies.features_arm(record["run"]) for record in studies.read("features", RESULTS)]
    columns = {"kl_loss": ".1f", "pixels": ".1f"}
    columns |= {
        f"prior, {name}": ".2f" for name in ("laplacian_variance", "none", "coverage", "recall", "rarest class")
    }
    columns |= {f"{way}, frechet_distance": ".0f" for way in ("prior", "prior masked", "mixture", "mixture masked")}
    groups = table.groupby(["data", "arm", "beta"], sort=False)
    rows = [
        [*group[:2], f"{group[2]:g}", *(with_range(runs[name], form) for name, form in columns.items())]
        for group, runs in groups
    ]
    names = (
        "KL",
        "cross-entropy of pixels",
        "Laplacian",
        "none",
        "coverage",
        "recall",
        "rarest class",
        "Fréchet distance",
    )
    return markdown(
        ["data", "compared", "beta", *names, "after a mask", "of a mixture", "of a mixture, after a mask"], rows
    )


def rates() -> str:
    """Say what rate and what distortion each weight of the KL term leads to."""
    rows = [
        [
            *(network, f"{beta:g}"),
            *(with_range(runs[name], ".1f") for name in ("kl_loss", "reconstruction_loss")),
            with_range(runs["kl_loss"] + runs["reconstruction_loss"], ".1f"),
            with_range(runs["active_latents"], ".0f"),
        ]
        for (network, beta), runs in measured("rates").groupby(["network", "beta"])
    ]
    return markdown(["network", "beta", "rate", "distortion", "their sum", "active latents, of 16"], rows)


def cures() -> str:
    """Compare cures of posterior collapse."""
    columns = {"active_latents": ".0f", "kl_loss": ".1f", "reconstruction_loss": ".1f", "log_likelihood": ".1f"}
    table = measured("cures")
    table["arm"] = [studies.cures_arm(record["run"]) for record in studies.read("cures", RESULTS)]
    groups = dict(list(table.groupby("arm")))
    # In the order of the study: two trainings at once are not recorded in order.
    arms = dict.fromkeys(map(studies.cures_arm, studies.STUDIES["cures"].runs([])))
    rows = [[arm, *(with_range(groups[arm][name], form) for name, form in columns.items())] for arm in arms]
    return markdown(["training", "active latents, of 16", "KL", "reconstruction", "bound on log p(x)"], rows)


def few_labels() -> str:
    """Say how many held-out images classifiers name right, by the number of labels and what they are shown."""
    counts, rows = (10, 50, 100, 500, 1000), []
    places = ["data", "representation", "latent_dim"]
    for place, runs in measured("few_labels").groupby(places, sort=False, dropna=False):
        *names, latent_dim = place
        for classifier in ("SVM", "5-NN", "spreading"):
            # One number for each network: the mean over the draws of the labels.
            shares = [100 * runs.filter(like=f"{classifier}, {count} labels,").mean(axis=1) for count in counts]
            cells = [with_range(share, ".1f") if len(runs) > 1 else f"{share.mean():.1f}" for share in shares]
            rows.append([*names, f"{latent_dim:.0f}" if latent_dim > 0 else "", classifier, *cells])
    return markdown(["data", "shown", "latents", "classifier", *(f"{count} labels" for count in counts)], rows)


def semi_supervised() -> str:
    """Say what model M2 makes of a hundred labels, beside its classifier and others that have the same labels."""
    places = ["data", "seed"]
    pixels = measured("few_labels").query("representation == 'pixels'").set_index("data")
    columns = {"right": "M2", "right, labels alone": "its classifier alone"}
    table = measured("semi_supervised").query("seed < 100").set_index(places).rename(columns=columns)
    for classifier in ("SVM", "spreading"):
        table[f"{classifier} on pixels"] = [
            pixels.loc[data, f"{classifier}, 100 labels, draw {seed}"] for data, seed in table.index
        ]
    shown = [*columns.values(), "SVM on pixels", "spreading on pixels", "as asked", "none"]
    rows = [
        [data, *(with_range(100 * runs[name], ".1f") for name in shown)]
        for data, runs in table.groupby("data", sort=False)
    ]
    return markdown(["data", *shown], rows)


def full_data() -> str:
    """Put what the notebooks measure on all of MNIST and on Fashion-MNIST beside what they measure on the digits."""
    sets = {"mnist_5k": bundled_claims(), **full_runs()}
    rows = [
        [notebook[:2], name, *(f"{sets[data][notebook]['claims'][sentence]:.3g}" for data in DATA_NAMES)]
        for notebook, names in COMPARED.items()
        for sentence, name in names.items()
    ]
    return markdown(["notebook", "measured", *DATA_NAMES.values()], rows)


def full_minutes() -> str:
    """Say how long each notebook takes on other data than the bundled digits."""
    runs = full_runs()
    sets = [data for data in DATA_NAMES if data in runs]
    seconds = {name: [runs[data][name]["seconds"] for data in sets] for name in runs[sets[0]]}
    rows = [[name, *("" if s is None else f"{s / 60:.1f}" for s in both)] for name, both in seconds.items()]
    return markdown(["notebook", *(f"{DATA_NAMES[data]}, minutes" for data in sets)], rows)


def full_runs() -> dict:
    """Read what `make full` found: by data set and notebook the seconds and the values of the claims."""
    return json.loads((RESULTS / "full_data.json").read_text())


def bundled_claims() -> dict:
    """Read the values of the claims that stand in the notebooks, by notebook."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return {path.stem: {"claims": claims(nbformat.read(path, as_version=4))} for path in paths}


def markdown(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Draw a table in Markdown."""
    lines = [list(headings), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(columns)} |\n" for columns in lines)


TABLES = {
    "expected results": expected_results,
    "activation study": activation_study,
    "published likelihoods": published_likelihoods,
    "choices of training": choices_of_training,
    "spaces": spaces,
    "generation": generation,
    "habits": habits,
    "lines": lines,
    "blur": blur,
    "features": features,
    "rates": rates,
    "cures": cures,
    "few labels": few_labels,
    "semi-supervised": semi_supervised,
    "full data": full_data,
    "minutes of full data": full_minutes,
}

if __name__ == "__main__":
    main()
