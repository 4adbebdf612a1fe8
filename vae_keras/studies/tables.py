"""Tables, intervals and curves drawn from the records of studies: what came out, and how sure we are."""

import functools
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from vae_keras import plots
from vae_keras.studies.records import key

DATA_NAMES = {"mnist_5k": "bundled digits", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
MEASURES = ("loss", "reconstruction_loss", "kl_loss", "active_latents", "dead_units")
LEAST_VALUES = 5
# Five values have 126 different resamples, too few for the ends of an interval that many comparisons share.
LEAST_FOR_BOOTSTRAP = 10
# Eleven values have 352,716 different resamples, and twelve 1,352,078.
MOST_FOR_BOOTSTRAP = 11

Arm = str | Callable[[dict], Hashable]


def results(records: list[dict], arm: Arm = "activation", validation: bool = False) -> pd.DataFrame:
    """Put the runs that were measured on the test set into a table, a row each; or those on a validation split.

    Args:
        records: As `read` gives them. Of an arm's runs on the test set, those at one learning rate are kept: that at
            which the fewest diverged, and of several such that with the least loss on a validation split.
        arm: What is compared: the name of a setting, or a function from a run to the name of its arm.
        validation: Whether to take the runs on a validation split instead.

    Returns:
        A table with the settings of the runs; `arm`; the held-out losses in nats per image, active latents and the
        share of dead units, NaN for a run that diverged; `diverged`, how many trainings of the same arm did; `seconds`
        of the training, and `seconds_per_epoch`, those of the fastest epoch, because what else the machine does can
        only add to them; NaN for the first records, which did not keep them.

    Raises:
        ValueError: For an arm that a run does not have, and where no record is left.
    """
    rows = []
    kept, diverged = _kept(records, validation)
    for record in kept:
        run, held_out = record["run"], record["held_out"] or {}
        rows.append(
            {
                **run,
                "hidden": "-".join(map(str, run.get("hidden", []))),
                "arm": _arm(run, arm),
                **{name: held_out.get(name, np.nan) for name in MEASURES},
                "diverged": diverged[_without_rate(run)].total(),
                "seconds": record["seconds"],
                "seconds_per_epoch": min(record["history"].get("seconds", [np.nan])),
            }
        )
    return pd.DataFrame(rows)


def curves(
    records: list[dict], measure: str = "val_loss", arm: Arm = "activation", validation: bool = False
) -> dict[Hashable, np.ndarray]:
    """Gather what was measured after each epoch, for each arm.

    Args:
        records: As `read` gives them. Of an arm's runs on the test set, those at one learning rate are kept: that at
            which the fewest diverged, and of several such that with the least loss on a validation split.
        measure: A name in the history of the records.
        arm: What is compared: the name of a setting, or a function from a run to the name of its arm.
        validation: Whether to take the runs on a validation split instead of those on the test set.

    Returns:
        By arm an array (seeds, epochs), in the order of the records. Infinity stands where a training diverged, and
        after that.

    Raises:
        ValueError: For a measure that a record lacks, an arm that a run does not have or whose runs have unlike numbers
            of epochs, and where no record is left.
    """
    found = defaultdict(list)
    for record in _kept(records, validation)[0]:
        if measure not in record["history"]:
            raise ValueError(f"measure is {measure!r}. Expected one of {', '.join(record['history'])}.")
        by_epoch = [np.inf if value is None else value for value in record["history"][measure]]
        by_epoch += [np.inf] * (record["run"]["epochs"] - len(by_epoch))
        found[_arm(record["run"], arm)].append(by_epoch)
    for name, values in found.items():
        lengths = sorted({len(by_epoch) for by_epoch in values})
        if len(lengths) > 1:
            raise ValueError(
                f"The runs of the arm {name!r} have {lengths} epochs. Expected one number; name arms apart."
            )
    return {name: np.array(values) for name, values in found.items()}


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Average `results` over the seeds.

    Args:
        table: As `results` gives it.

    Returns:
        A row for each data set, network and arm, the lowest mean loss first: the learning rate, the number of seeds and
        of trainings that diverged, means of what was measured, the standard deviation of the loss, and the seconds of
        the fastest epoch.
    """
    rows = table.groupby(["data", "network", "arm"]).agg(
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


def paired_differences(table: pd.DataFrame, reference: Hashable, confidence: float = 0.95) -> pd.DataFrame:
    """Compare every arm with the reference, seed by seed: the mean difference of the loss and its interval.

    The interval is a bootstrap over the seeds (`bootstrap_interval`) for ten or eleven pairs, and that of Student's t
    for fewer and for more, at a level so high that all comparisons of the table hold together (Bonferroni).

    Args:
        table: As `results` gives it.
        reference: The arm with which the others are compared.
        confidence: That of all intervals together.

    Returns:
        A row for each data set, network and arm: `difference`, less than zero where the arm is better, in nats per
        image; `low` and `high`, the ends of its interval, NaN for fewer than five pairs; `wins`, the share of seeds on
        which the arm is better, where to diverge is worse than any loss; `pairs`, how many are left for the mean
        and the interval without those of which one diverged.

    Raises:
        ValueError: For an unknown reference or one without another arm beside it, for an arm that has more than one run
            of a seed, and for a confidence outside (0, 1).
    """
    _check_share("confidence", confidence)
    differences = _differences(table, reference)
    compared = [
        (*place, name, column.dropna().to_numpy())
        for place in table[["data", "network"]].drop_duplicates().itertuples(index=False)
        for name, column in differences.loc[tuple(place)].items()
        if column.notna().any()
    ]
    if not compared:
        raise ValueError(f"No arm has a seed in common with {reference!r}. Expected another arm to compare it with.")
    level = 1 - (1 - confidence) / max(1, len(compared))
    rows = []
    for data, network, name, with_diverged in compared:
        values = with_diverged[np.isfinite(with_diverged)]
        low, high = _interval(values, level)
        rows.append(
            {
                "data": data,
                "network": network,
                "arm": name,
                "difference": values.mean() if len(values) else np.nan,
                "low": low,
                "high": high,
                "wins": np.mean(with_diverged < 0),
                "pairs": len(values),
            }
        )
    return pd.DataFrame(rows).set_index(["data", "network", "arm"])


def pooled_difference(
    table: pd.DataFrame, arm: Hashable, reference: Hashable, confidence: float = 0.95
) -> dict[str, float]:
    """Compare one arm with the reference over all pairs of a table together, whatever their data set and network.

    This is one question, so nothing is corrected for. All pairs weigh the same and count as independent. The interval
    is that of Student's t; the sign test asks only on how many pairs the arm is better, and takes pairs without a
    difference out.

    Args:
        table: As `results` gives it.
        arm: The arm that is compared.
        reference: The arm with which it is compared.
        confidence: That of the interval.

    Returns:
        `difference`, the mean over the pairs in nats per image, less than zero where the arm is better; `low` and
        `high`, the ends of its interval; `better`, on how many of the `pairs` the arm is better; and `p_value`, that of
        the two-sided sign test.

    Raises:
        ValueError: For an unknown arm or reference or twice the same, for one that has more than one run of a seed, for
            a confidence outside (0, 1), for fewer than five pairs, and where a training diverged.
    """
    _check_share("confidence", confidence)
    differences = _differences(table, reference)
    if arm not in differences:
        known = ", ".join(sorted(map(str, differences)))
        raise ValueError(f"arm is {arm!r}. Expected one of the other arms in the table: {known}.")
    both = table[table["arm"].isin([arm, reference])]
    if both["loss"].isna().any():
        raise ValueError(
            f"{both['loss'].isna().sum()} of the {len(both)} trainings of {arm!r} and {reference!r} diverged. Expected "
            "none: a mean over the others would flatter them."
        )
    values = differences[arm].dropna().to_numpy()
    if len(values) < LEAST_VALUES:
        raise ValueError(f"{arm!r} and {reference!r} have {len(values)} pairs. Expected {LEAST_VALUES} or more.")
    low, high = _student(values, confidence)
    better, worse = int((values < 0).sum()), int((values > 0).sum())
    return {
        "difference": float(values.mean()),
        "low": low,
        "high": high,
        "better": better,
        "pairs": len(values),
        "p_value": float(stats.binomtest(better, better + worse).pvalue) if better + worse else 1.0,
    }


def bootstrap_interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Bound the mean of five to eleven values at a confidence level: the bootstrap-t interval, without chance.

    A resample draws as many values as there are, with replacement; its distance from the mean is measured in its own
    standard errors (Efron and Tibshirani 1993, section 12.5). There are so few different resamples, 92,378 for ten
    values, that we go through all of them, each with its probability, and draw none at random. The percentile and BCa
    intervals are far too narrow for so few values: of five normal ones, at a level of 99.75 %, they hold the mean in
    92 % of the cases. This one is too narrow for skewed values: of ten exponential ones, at a level of 99.7 %, it holds
    the mean in 98 %.

    Args:
        values: Five to eleven, (n,).
        level: The confidence, between 0 and 1.

    Returns:
        The two ends of the interval.

    Raises:
        ValueError: For values that are not (n,) and finite, fewer than five or more than eleven, and a level outside
            (0, 1).
    """
    _check_share("level", level)
    if np.ndim(values) != 1 or len(values) < LEAST_VALUES:
        raise ValueError(
            f"{np.size(values)} values of shape {np.shape(values)}. Expected (n,), {LEAST_VALUES} or more: fewer say "
            "too little of their spread."
        )
    if len(values) > MOST_FOR_BOOTSTRAP:
        raise ValueError(
            f"{len(values)} values. Expected {MOST_FOR_BOOTSTRAP} at most: more have too many resamples to go through. "
            "For these Student's t will do."
        )
    values = np.asarray(values, "float64")
    if not np.isfinite(values).all():
        raise ValueError(f"values are {values}. Expected finite numbers.")
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))
    counts, probabilities = _resamples(len(values))
    means = counts @ values / len(values)
    squares = counts * (values - means[:, None]) ** 2
    errors = np.sqrt(squares.sum(axis=1) / (len(values) - 1) / len(values))
    # A resample of one value many times has no standard error.
    varied = errors > 1e-12 * np.abs(values).max()
    distances = (means[varied] - mean) / errors[varied]
    ends = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(distances, ends, weights=probabilities[varied], method="inverted_cdf")
    return float(mean - high * error), float(mean - low * error)


def differences_figure(differences: pd.DataFrame, reference: str, limits: tuple[float, float] = (-15.0, 5.0)) -> Figure:
    """Draw paired differences: a panel for each network, a colour for each data set, the best arm on top.

    Args:
        differences: As `paired_differences` gives them.
        reference: What the axis calls the arm with which the others are compared.
        limits: What lies beyond, in nats per image, is cut there.

    Returns:
        The figure.
    """
    best_first = differences.groupby("arm")["difference"].mean().sort_values().index
    differences = differences.reindex(best_first, level="arm").rename(DATA_NAMES, level="data")
    panels = {
        network: {
            data: {
                name: (row["difference"], row["low"], row["high"])
                for name, row in in_panel.droplevel(["data", "network"]).iterrows()
            }
            for data, in_panel in rows.groupby("data", sort=False)
        }
        for network, rows in differences.groupby("network", sort=False)
    }
    return plots.forest(panels, f"held-out loss minus that of {reference},\nnats per image", limits)


def likelihoods(records: list[dict], published: Mapping[tuple[str, int], tuple[float, str, str]]) -> pd.DataFrame:
    """Put the estimates of log p(x) into a table, beside the published ones, in nats per image.

    Args:
        records: Of runs with a binarisation and a bound.
        published: By binarisation and number of latents: log p(x), where it is printed, and the network it belongs to,
            written as its layers from the pixels to the latents.

    Returns:
        A row for each run. `ELBO` and `log p(x)` are means over the test images; the second is the importance-weighted
        bound with `samples`. For each published number its own network comes first; runs for which none is known come
        last. What was measured is NaN for a run that diverged.

    Raises:
        ValueError: For no records, and for a run without a binarisation, latents or a bound.
    """
    if not records:
        raise ValueError("There are no records. Expected those of a study such as 'published'.")
    rows = []
    for record in records:
        run, held_out = record["run"], record["held_out"] or {}
        missing = [name for name in ("binarisation", "latent_dim", "hidden", "bound_samples") if name not in run]
        if missing:
            raise ValueError(f"The run {run} lacks {', '.join(missing)}. Expected one that estimates log p(x).")
        number, source, its_network = published.get((run["binarisation"], run["latent_dim"]), (np.nan, "", ""))
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
                "published": number,
                "source": source,
                "active latents": held_out.get("active_latents", np.nan),
            }
        )
    table = pd.DataFrame(rows).astype({"active latents": "Int64"})
    return table.sort_values(["published", "whose"], ascending=[True, False], ignore_index=True, kind="stable")


def _kept(records: list[dict], validation: bool) -> tuple[list[dict], dict[str, Counter]]:
    # The records on one kind of held-out images, on the test set at one rate for each arm, and the trainings that
    # diverged by arm and rate.
    diverged, chose = defaultdict(Counter), defaultdict(list)
    for record in records:
        run, held_out = record["run"], record["held_out"]
        if run.get("validation"):
            chose[_without_rate(run), run["learning_rate"]].append((held_out or {}).get("loss", np.inf))
        else:
            diverged[_without_rate(run)][run["learning_rate"]] += held_out is None

    def rank(arm: str, rate: float) -> tuple[int, float, float]:
        # Rates at which trainings diverged are given up; between others the validation split decides, as it did before.
        return diverged[arm][rate], float(np.mean(chose[arm, rate] or np.inf)), rate

    kept = []
    for record in records:
        run, arm = record["run"], _without_rate(record["run"])
        if bool(run.get("validation")) != validation:
            continue
        if validation or run["learning_rate"] == min(diverged[arm], key=lambda rate: rank(arm, rate)):
            kept.append(record)
    if not kept:
        which = "a validation split" if validation else "the test set"
        raise ValueError(
            f"None of the {len(records)} records is of a run on {which}. Expected one; validation={not validation} "
            "takes the others."
        )
    return kept, diverged


def _without_rate(run: dict) -> str:
    return key({name: run[name] for name in run if name not in ("learning_rate", "seed", "validation")})


def _check_share(name: str, value: Any) -> None:
    if not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ValueError(f"{name} is {value!r}. Expected a number between 0 and 1.")


def _arm(run: dict, arm: Arm) -> Hashable:
    if callable(arm):
        return arm(run)
    if arm not in run:
        raise ValueError(f"arm is {arm!r}. Expected a function, or one of the settings {', '.join(run)}.")
    return run[arm]


def _differences(table: pd.DataFrame, reference: Hashable) -> pd.DataFrame:
    # By data set, network and seed, a column for each other arm: its loss minus that of the reference. Where one of the
    # two diverged it is infinite; where both did, or one was not run, it is NaN.
    if reference not in set(table["arm"]):
        known = ", ".join(sorted(map(str, set(table["arm"]))))
        raise ValueError(f"reference is {reference!r}. Expected one of the arms in the table: {known}.")
    repeated = table[table.duplicated(["data", "network", "seed", "arm"])]
    if len(repeated):
        raise ValueError(
            f"The arm {repeated['arm'].iloc[0]!r} has more than one run of the seed {repeated['seed'].iloc[0]}. "
            "Expected one of each; name the arms by what tells these runs apart."
        )
    table = table.assign(loss=table["loss"].fillna(np.inf))
    losses = table.pivot(index=["data", "network", "seed"], columns="arm", values="loss")
    return losses.drop(columns=reference).sub(losses[reference], axis=0)


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    # In the way that their number allows.
    if len(values) < LEAST_VALUES:
        return np.nan, np.nan
    if LEAST_FOR_BOOTSTRAP <= len(values) <= MOST_FOR_BOOTSTRAP:
        return bootstrap_interval(values, level)
    return _student(values, level)


def _student(values: np.ndarray, level: float) -> tuple[float, float]:
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


@functools.cache
def _resamples(n: int) -> tuple[np.ndarray, np.ndarray]:
    # All different resamples of n values, a row each that counts how often it holds each value, and their multinomial
    # probabilities. Rows are found by stars and bars: n - 1 bars among 2 n - 1 places part n stars into n counts.
    bars = np.array(list(itertools.combinations(range(2 * n - 1), n - 1)))
    counts = np.diff(bars, prepend=-1, append=2 * n - 1, axis=1) - 1
    factorials = np.array([math.factorial(count) for count in range(n + 1)])
    return counts.astype("float64"), math.factorial(n) / factorials[counts].prod(axis=1) / float(n) ** n
