"""Factors: how far each latent stands for one of the factors that images were drawn from, and for that one alone.

All take codes, (n, latent_dim), of an encoder of a VAE `z_mean`, and a table with a row for each image and a column for
each factor: of whole numbers where they are classes without an order, of floats where they are quantities.
`data.draw_factors` draws such tables.

A factor that comes round, such as a hue or an angle, cannot score 1 with the codes of any continuous encoder: no single
latent follows a circle without a jump. Its sine and cosine in place of it do not mend this, for each tells much about
the other: two latents that copy them have a gap of about 0.3. Draw such a factor from an arc with two unlike ends, as
`data.SPRITE_FACTORS` does, or leave it out.
"""

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import entropy, mode, rankdata
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import mutual_info_score

from vae_keras.data import check_whole

# A leaf of fewer images would follow noise.
LEAST_IN_LEAF = 5


def mutual_information(codes: np.ndarray, factors: pd.DataFrame, bins: int = 20) -> pd.DataFrame:
    """Measure how much each latent tells about each factor.

    Latents, and factors that are floats, are cut into bins of as many images each, so that a latent that is stretched,
    or bent without turning back, counts the same. Where there are no more values than bins, each value is a bin. From n
    images the information comes out too high, by about (k - 1) (l - 1) / 2n nats for bins k and l, of which the two
    have nothing to do with each other: 0.018 for 20 bins and 10,000 images.

    Args:
        codes: (n, latent_dim), any number of latents.
        factors: Their factors, n rows: whole numbers for classes, floats for quantities.
        bins: How many.

    Returns:
        Nats, a row for each latent and a column for each factor.

    Raises:
        ValueError: For codes that are not (n, latent_dim) and finite, factors that are no table of n rows and finite
            numbers, a factor that is the same for all images, a number of bins that is no whole number, 2 or more, and
            fewer images than bins.
    """
    latents, columns = _binned(*_checked(codes, factors), bins)
    information = {name: [mutual_info_score(column, z) for z in latents] for name, column in columns.items()}
    return pd.DataFrame(information).rename_axis("latent")


def mutual_information_gap(codes: np.ndarray, factors: pd.DataFrame, bins: int = 20) -> pd.DataFrame:
    """Measure for each factor how much more one latent tells about it than any other (Chen et al. 2018, section 4).

    The mean of the column `gap` is the MIG. It is 1 where each factor has a latent that tells all about it while the
    others tell nothing, and 0 where two latents tell as much as each other, be it all or nothing. A latent may stand
    for two factors all the same. Locatello et al. 2019 cut each latent into 20 bins of one width; here they hold as
    many images each, see `mutual_information`.

    Args:
        codes: (n, latent_dim), two latents or more, of about 10,000 images.
        factors: Their factors, n rows: whole numbers for classes, floats for quantities.
        bins: How many.

    Returns:
        A row for each factor. Columns:

        - `gap`: the difference of `first` and `second` as a share of `entropy`, 0 to 1.
        - `latent`: that which tells most about the factor, counted from 0.
        - `first`, `second`: what this one and the next tell about the factor, nats.
        - `entropy`: all that there is to tell, nats.

    Raises:
        ValueError: As for `mutual_information`, and for a single latent.

    Example:
        >>> z_mean, _, _ = vae.encoder.predict(images.x_train)
        >>> factors.mutual_information_gap(z_mean, images.factors_train)["gap"].mean()
    """
    codes, factors = _checked(codes, factors)
    _expect_two("latents", codes.shape[1])
    information = mutual_information(codes, factors, bins)
    _, columns = _binned(codes, factors, bins)
    entropies = [entropy(np.bincount(column)) for column in columns.values()]
    second, first = np.sort(information.to_numpy(), axis=0)[-2:]
    table = {
        "gap": (first - second) / entropies,
        "latent": information.to_numpy().argmax(axis=0),
        "first": first,
        "second": second,
        "entropy": entropies,
    }
    return pd.DataFrame(table, index=information.columns.rename("factor"))


def dci(
    codes: np.ndarray, factors: pd.DataFrame, trees: int = 10, held_out: float = 0.25, seed: int = 0
) -> dict[str, Any]:
    """Measure disentanglement, completeness and informativeness (Eastwood and Williams 2018).

    A random forest predicts each factor from all latents, and says how important each was: its share of the fall in
    squared error, for classes of the fall in Gini impurity. A latent is disentangled where it is important for one
    factor alone, and a factor is complete where one latent alone is important for it. Both are 1 minus an entropy, of
    base K for K factors and of base latent_dim. Informativeness says how well the forest predicts at all. The paper
    gives the error; here it is 1 minus the error as a share of that of the best constant guess, so that 1 is best. The
    first two tell little where this is low.

    Args:
        codes: (n, latent_dim), two latents or more, of about 10,000 images.
        factors: Two factors or more, n rows: whole numbers for classes, floats for quantities.
        trees: How many each forest has.
        held_out: The share of images that informativeness is measured on, and the forests are not trained on.
        seed: Fixes the forests and the images held out.

    Returns:
        - `disentanglement`: 0 to 1, the mean over latents, each with the weight of its importance over all factors; 0
          where no latent is important for any.
        - `completeness`: 0 to 1, the mean over factors; 0 for a factor for which no latent is important.
        - `informativeness`: the mean over factors, at most 1; 0 where the codes are of no use, and less where the
          forests have learnt what does not hold.
        - `importances`: a table, a row for each latent and a column for each factor, which adds up to 1, or to 0 where
          no latent is important.
        - `by_factor`: a table, completeness and informativeness of each factor.

    Raises:
        ValueError: For codes that are not (n, latent_dim) and finite, factors that are no table of n rows and finite
            numbers, a factor that is the same for all images, in all or held out, a single latent or factor, and a
            number of trees, a share and a seed that are none.

    Example:
        >>> z_mean, _, _ = vae.encoder.predict(images.x_train)
        >>> factors.dci(z_mean, images.factors_train)["disentanglement"]
    """
    codes, factors = _checked(codes, factors)
    _expect_two("latents", codes.shape[1])
    _expect_two("factors", factors.shape[1])
    check_whole("trees", trees, least=1)
    check_whole("seed", seed)
    if not isinstance(held_out, Real) or not 0 < held_out < 1 or not 1 <= round(held_out * len(codes)) < len(codes):
        raise ValueError(f"held_out is {held_out!r}. Expected a share of the {len(codes)} images, between 0 and 1.")
    order = np.random.default_rng(seed).permutation(len(codes))
    test, train = np.split(order, [round(held_out * len(codes))])
    importances, informativeness = {}, []
    for name, column in factors.items():
        values = column.to_numpy()
        classes = _is_classes(values)
        # Every split may choose among all latents: otherwise it has to take one that is of no use, now and then.
        forest = (RandomForestClassifier if classes else RandomForestRegressor)(
            trees, max_features=None, min_samples_leaf=LEAST_IN_LEAF, random_state=seed
        )
        forest.fit(codes[train], values[train])
        importances[name] = forest.feature_importances_
        error = np.not_equal if classes else _squared_error
        guess = mode(values[train]).mode if classes else values[train].mean()
        guessed = error(values[test], guess).mean()
        if guessed == 0:
            raise ValueError(f"The factor {name!r} is {guess:g} for all images held out. Expected more images.")
        informativeness.append(1 - error(values[test], forest.predict(codes[test])).mean() / guessed)
    importances = pd.DataFrame(importances).rename_axis("latent")
    completeness = _concentration(importances.to_numpy().T)
    by_factor = pd.DataFrame(
        {"completeness": completeness, "informativeness": informativeness}, index=factors.columns.rename("factor")
    )
    weights = importances.sum(axis=1).to_numpy()
    return {
        "disentanglement": float(_concentration(importances.to_numpy()) @ weights / max(weights.sum(), 1e-12)),
        **by_factor.mean().to_dict(),
        "importances": importances,
        "by_factor": by_factor,
    }


def _concentration(importances: np.ndarray) -> np.ndarray:
    # Of each row: 1 where one column has all the importance, 0 where all have the same, or none has any.
    sums = importances.sum(axis=1, keepdims=True)
    even = np.full_like(importances, 1 / importances.shape[1])
    shares = np.divide(importances, sums, out=even, where=sums > 0)
    return 1 - entropy(shares, base=importances.shape[1], axis=1)


def _squared_error(values: np.ndarray, predicted: np.ndarray | float) -> np.ndarray:
    return (values - predicted) ** 2


def _is_classes(values: np.ndarray) -> bool:
    return values.dtype.kind in "iu"


def _binned(codes: np.ndarray, factors: pd.DataFrame, bins: int) -> tuple[list[np.ndarray], dict[Any, np.ndarray]]:
    # The bin of each image, for each latent and for each factor.
    check_whole("bins", bins, least=2)
    if len(codes) < bins:
        raise ValueError(f"codes hold {len(codes)} images, and there are {bins} bins. Expected many images for each.")
    columns = {name: _bins_of(column.to_numpy(), bins) for name, column in factors.items()}
    return [_bins_of(latent, bins) for latent in codes.T], columns


def _bins_of(values: np.ndarray, bins: int) -> np.ndarray:
    different, places = np.unique(values, return_inverse=True)
    if _is_classes(values) or len(different) <= bins:
        return places
    # Equal values share a rank, and so a bin. Ranks count from 1.
    return ((rankdata(values) - 0.5) * bins / len(values)).astype(int)


def _checked(codes: Any, factors: Any) -> tuple[np.ndarray, pd.DataFrame]:
    try:
        codes = np.asarray(codes, "float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"codes hold no numbers ({error}). Expected (n, latent_dim).") from error
    if codes.ndim != 2 or codes.size == 0:
        raise ValueError(f"codes have shape {codes.shape}. Expected (n, latent_dim), n above 0.")
    if not np.isfinite(codes).all():
        raise ValueError("codes hold NaN or infinity. Expected finite latents; has the training diverged?")
    if not isinstance(factors, pd.DataFrame) or factors.shape[1] == 0:
        raise ValueError(
            f"factors are of type {type(factors).__name__} and shape {np.shape(factors)}. Expected a pandas table, a "
            "column for each factor."
        )
    if len(factors) != len(codes):
        raise ValueError(f"factors have {len(factors)} rows and codes {len(codes)}. Expected a row for each image.")
    for name, column in factors.items():
        values = column.to_numpy()
        if values.dtype.kind not in "iuf":
            raise ValueError(
                f"The factor {name!r} is of type {values.dtype}. Expected whole numbers or floats; np.unique(names, "
                "return_inverse=True) counts classes from 0."
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"The factor {name!r} holds NaN or infinity. Expected finite numbers; leave such rows out."
            )
        if values.min() == values.max():
            raise ValueError(
                f"The factor {name!r} is {values[0]:g} for all images. Expected one that varies; leave it out."
            )
    return codes, factors


def _expect_two(what: str, count: int) -> None:
    if count < 2:
        raise ValueError(f"There is {count} of {what}. Expected two or more, to compare with each other.")
