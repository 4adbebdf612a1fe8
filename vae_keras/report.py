"""Tables and a figure drawn from the records of studies: what was chosen, what came out, and how sure we are."""

from collections import Counter, defaultdict

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from vae_keras import plots, studies

CELL = ["data", "network", "activation"]
DATA = {"mnist_5k": "bundled digits", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
REFERENCE = "LeakyReLU(0.3)"
LEAST_VALUES = 5
# Five values have 126 different resamples, too few for the ends of an interval that many comparisons share.
LEAST_FOR_BOOTSTRAP = 10
# log p(x) of the test images, by binarisation and number of latents, as their authors print it, and their network.
PUBLISHED = {
    ("dynamic", 2): (-135.7, "Davidson et al. 2018, table 1", "784-256-128-2 ReLU"),
    ("fixed", 40): (-89.78, "pythae, its table of reproductions", "784-400-40 ReLU"),
    ("dynamic", 50): (-86.76, "Burda et al. 2016, table 1", "784-200-200-50 tanh"),
}


def results(records: list[dict], validation: bool = False) -> pd.DataFrame:
    """Put the runs that were measured on the test set into a table, a row each; or those on a validation split.

    The columns are the settings of the runs, the held-out losses in nats per image, active latents, the share of dead
    units, the seconds of the training and the least seconds of an epoch: what else the machine does can only add to
    them. What was measured on held-out images is NaN for a run that diverged. Left out are learning rates that
    `studies.compare` gave up because trainings diverged; `diverged` counts these trainings.
    """
    diverged = defaultdict(Counter)
    for record in records:
        if not record["run"].get("validation"):
            diverged[_cell(record["run"])][record["run"]["learning_rate"]] += record["held_out"] is None
    rows = []
    for record in records:
        run = record["run"]
        by_rate = diverged[_cell(run)]
        if bool(run.get("validation")) != validation:
            continue
        if not validation and run["learning_rate"] != min(by_rate, key=lambda rate: (by_rate[rate], rate)):
            continue
        settings = {**run, "hidden": "-".join(map(str, run.get("hidden", [])))}
        held_out = record["held_out"] or {}
        measured = ("loss", "reconstruction_loss", "kl_loss", "active_latents", "dead_units")
        rows.append(
            {
                **settings,
                **{name: held_out.get(name, np.nan) for name in measured},
                "diverged": by_rate.total(),
                "seconds": record["seconds"],
                "seconds_per_epoch": min(record["history"]["seconds"]),
            }
        )
    return pd.DataFrame(rows)


def _cell(run: dict) -> str:
    """Name what a comparison compares: the settings without the learning rate and the seed."""
    return studies.key({name: run[name] for name in run if name not in ("learning_rate", "seed")})


def summary(table: pd.DataFrame, arm: str = "activation") -> pd.DataFrame:
    """Average `results` over the seeds: a row for each data set, network and value of the column `arm`, best first."""
    grouped = table.groupby(["data", "network", arm])
    rows = grouped.agg(
        learning_rate=("learning_rate", "first"),
        seeds=("seed", "count"),
        diverged=("diverged", "first"),
        loss=("loss", "mean"),
        deviation=("loss", "std"),
        reconstruction_loss=("reconstruction_loss", "mean"),
        kl_loss=("kl_loss", "mean"),
        active_latents=("active_latents", "mean"),
        dead_units=("dead_units", "mean"),
        seconds_per_epoch=("seconds_per_epoch", "min"),
    )
    return rows.sort_values(["data", "network", "loss"])


def paired_differences(
    table: pd.DataFrame, reference: str = REFERENCE, confidence: float = 0.95, arm: str = "activation"
) -> pd.DataFrame:
    """Compare every activation with the `reference`, seed by seed: the mean difference of the loss and its interval.

    Another column of the table than the activation is compared where `arm` names it.

    Less than zero is better than the reference. The interval is a bootstrap over the seeds (`bootstrap_interval`), or
    that of Student's t for fewer than ten pairs, at a level so high that all comparisons of the table hold together
    with `confidence` (Bonferroni); NaN for fewer than five pairs. `wins` is the share of seeds on which the activation
    is better: to diverge is worse than any loss. The mean and the interval leave seeds out on which one of the two
    diverged; `pairs` says how many are left. Raises `ValueError` for an unknown reference.
    """
    if reference not in set(table[arm]):
        known = ", ".join(sorted(map(str, set(table[arm]))))
        raise ValueError(f"reference is {reference!r}. Expected one of the {arm}s in the table: {known}.")
    table = table.assign(loss=table["loss"].fillna(np.inf))
    losses = table.pivot(index=["data", "network", "seed"], columns=arm, values="loss")
    differences = losses.drop(columns=reference).sub(losses[reference], axis=0)
    cells = [
        (*place, name, column.dropna().to_numpy())
        for place in table[["data", "network"]].drop_duplicates().itertuples(index=False)
        for name, column in differences.loc[tuple(place)].items()
        if column.notna().any()
    ]
    level = 1 - (1 - confidence) / max(1, len(cells))
    rows = []
    for data, network, name, with_diverged in cells:
        values = with_diverged[np.isfinite(with_diverged)]
        low, high = _interval(values, level)
        rows.append(
            {
                "data": data,
                "network": network,
                arm: name,
                "difference": values.mean() if len(values) else np.nan,
                "low": low,
                "high": high,
                "wins": np.mean(with_diverged < 0),
                "pairs": len(values),
            }
        )
    return pd.DataFrame(rows).set_index(["data", "network", arm])


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Bound the mean of the values in the way that their number allows."""
    if len(values) >= LEAST_FOR_BOOTSTRAP:
        return bootstrap_interval(values, level)
    if len(values) < LEAST_VALUES:
        return np.nan, np.nan
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return np.mean(values) - half, np.mean(values) + half


def bootstrap_interval(values: np.ndarray, level: float, resamples: int = 20_000, seed: int = 0) -> tuple[float, float]:
    """Bound the mean of a few values, shape (n,), at a confidence `level`: the bootstrap-t interval.

    The values are drawn again with replacement; each resample's distance from the mean is measured in its own standard
    errors (Efron and Tibshirani 1993, section 12.5). The percentile and BCa intervals are far too narrow for so few
    values: of five normal ones, at a level of 99.75 %, they hold the mean in 92 % of the cases. This one is too narrow
    for skewed values: of ten exponential ones, at a level of 99.7 %, it holds the mean in 99 %. Raises `ValueError` for
    fewer than five values.
    """
    if len(values) < LEAST_VALUES:
        raise ValueError(
            f"{len(values)} values. Expected {LEAST_VALUES} or more: fewer say too little of their spread."
        )
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))
    drawn = np.random.default_rng(seed).choice(values, (resamples, len(values)))
    errors = drawn.std(axis=1, ddof=1) / np.sqrt(len(values))
    # A resample of one value many times has no standard error.
    varied = errors > 1e-6 * error
    distances = (drawn.mean(axis=1)[varied] - mean) / errors[varied] if error > 0 else np.zeros(1)
    low, high = np.quantile(distances, [(1 - level) / 2, (1 + level) / 2])
    return float(mean - high * error), float(mean - low * error)


def forest(differences: pd.DataFrame, reference: str = REFERENCE, limits: tuple[float, float] = (-15.0, 5.0)) -> Figure:
    """Draw `paired_differences`: a panel for each network, a colour for each data set, the best activation on top.

    What lies beyond the `limits`, in nats per image, is cut there.
    """
    arm = differences.index.names[-1]
    best_first = differences.groupby(arm)["difference"].mean().sort_values().index
    differences = differences.reindex(best_first, level=arm).rename(DATA, level="data")
    panels = {
        network: {
            data: {
                name: (row["difference"], row["low"], row["high"])
                for name, row in cells.droplevel(["data", "network"]).iterrows()
            }
            for data, cells in rows.groupby("data", sort=False)
        }
        for network, rows in differences.groupby("network", sort=False)
    }
    return plots.forest(panels, f"held-out loss minus that of {reference},\nnats per image", limits)


def sgd_arm(run: dict) -> str:
    """Name the arm of the study `sgd` to which a run belongs: "value 1", "norm 0.5", "none", "momentum 0.8", "Adam"."""
    if run["optimizer"] == "Adam":
        return "Adam"
    if run["momentum"] != 0.9:
        return f"momentum {run['momentum']:g}"
    limits = {"value": run["clip_value"], "norm": run["clip_norm"]}
    return "".join(f"{kind} {limit:g}" for kind, limit in limits.items() if pd.notna(limit)) or "none"


def likelihoods(records: list[dict]) -> pd.DataFrame:
    """Put the estimates of log p(x) into a table, beside the published ones, in nats per image.

    `ELBO` and `log p(x)` are means over the test images; the second is the importance-weighted bound with `samples`.
    For each published number its own network comes first; runs for which none is known come last. What was measured is
    NaN for a run that diverged.
    """
    rows = []
    for record in records:
        run, held_out = record["run"], record["held_out"] or {}
        published, source, its_network = PUBLISHED.get((run["binarisation"], run["latent_dim"]), (np.nan, "", ""))
        network = f"784-{'-'.join(map(str, run['hidden']))}-{run['latent_dim']} {run['activation']}"
        rows.append(
            {
                "binarisation": run["binarisation"],
                "network": network,
                "whose": "theirs" if network == its_network else "ours",
                "epochs": run["epochs"],
                "samples": run["bound_samples"],
                "ELBO": -held_out.get("loss", np.nan),
                "log p(x)": held_out.get("log_likelihood", np.nan),
                "published": published,
                "source": source,
                "latents in use": held_out.get("active_latents", np.nan),
            }
        )
    table = pd.DataFrame(rows).astype({"latents in use": "Int64"})
    return table.sort_values(["published", "whose"], ascending=[True, False], ignore_index=True, kind="stable")
