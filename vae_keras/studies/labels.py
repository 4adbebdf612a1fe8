"""Labels: how well a few labels teach a classifier on pixels, on PCA, and on the codes of an autoencoder or a VAE."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC

from vae_keras.data import Images, draw_labelled
from vae_keras.studies.checkpoint import Checkpoint, threads
from vae_keras.studies.recipes import (
    build_autoencoder,
    build_vae,
    check_settings,
    defaults,
    fit_vae,
    load_and_compile,
    load_images,
    make_optimizer,
    mean_codes,
    settings_of,
)

# Label spreading compares all images with all others: so many of them are enough, and fit into memory.
SPREAD_OVER = 10_000


def train_for_labels(
    *, folders: dict[str, str] | None = None, backup: Path | None = None, representation: str, **run
) -> dict:
    """Represent images without their labels, teach classifiers with a few labels, and return how often they are right.

    Args:
        folders: Where the data set of a name lies, if not where Keras puts it.
        backup: A folder in which to keep the state, so that a training that was killed goes on where it was. Delete it
            when the result is safe.
        representation: "pixels", "PCA", "autoencoder" or "VAE".
        **run: The settings of `load_images` and `measure_labels`, of `linear_codes` without a network, and with one of
            `build_autoencoder` or `build_vae`, `make_optimizer` and `fit_vae`.

    Returns:
        `defaults`, the settings that the run leaves out, and what `Checkpoint.result` says; `held_out` is as
        `measure_labels` gives it. Without a network there is no history.

    Raises:
        ValueError: For an unknown representation, unknown settings and those that are missing or exclude each other.
    """
    if representation not in REPRESENTATIONS:
        raise ValueError(f"representation is {representation!r}. Expected one of {', '.join(REPRESENTATIONS)}.")
    parts = REPRESENTATIONS[representation]
    check_settings(run, parts)
    measured = settings_of(measure_labels, run)
    if representation in ("pixels", "PCA"):
        images = load_images(folders, **settings_of(load_images, run))
        train, test = linear_codes(images, **settings_of(linear_codes, run))
        result = {"status": "done", "history": {}, "held_out": measure_labels(images, train, test, **measured)}
        result |= {"seconds": 0.0, "threads": threads(), "resumed": []}
        return {"defaults": defaults(run, parts), **result}
    build = build_vae if representation == "VAE" else build_autoencoder
    images, model = load_and_compile(run, build, folders)
    with contextlib.closing(Checkpoint(model, backup)) as checkpoint:
        fit_vae(model, images, checkpoint, **settings_of(fit_vae, run))

        def measure():
            train, test = (mean_codes(model, x) for x in (images.x_train, images.x_test))
            loss = model.evaluate(images.x_test, batch_size=500, verbose=0, return_dict=True)
            return loss | measure_labels(images, train, test, **measured)

        return {"defaults": defaults(run, parts), **checkpoint.result(measure)}


def linear_codes(images: Images, *, seed: int, latent_dim: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Represent images by their pixels, or by their principal components.

    Args:
        images: A train and a test set.
        seed: Fixes the search for the components.
        latent_dim: The number of components; None leaves the pixels.

    Returns:
        What stands for the training images and for the held-out ones, (n, pixels) or (n, latent_dim).
    """
    train, test = (x.reshape(len(x), -1) for x in (images.x_train, images.x_test))
    if latent_dim is None:
        return train, test
    pca = PCA(latent_dim, random_state=seed).fit(train)
    return pca.transform(train), pca.transform(test)


def measure_labels(
    images: Images,
    train: np.ndarray,
    test: np.ndarray,
    *,
    counts: Sequence[int] = (10, 50, 100, 500, 1000),
    draws: int = 10,
) -> dict[str, float]:
    """Teach classifiers with a few labels, several draws of them, and measure how often they are right.

    The draws are the same for every representation and every seed of a network, so that what the draw of the labels
    does and what the network does can be told apart. Features are not scaled: that would make pixels at the border, and
    latents that hardly vary, count as much as others.

    Args:
        images: Whose labels are drawn and predicted.
        train: What stands for the training images, (n, features).
        test: What stands for the held-out images, (n, features).
        counts: Numbers of labels, the same share of each class.
        draws: How many draws of labels there are of each number.

    Returns:
        Shares of the held-out images that are named right, by classifier, number of labels and draw, such as
        "SVM, 100 labels, draw 0": a support vector machine with a Gaussian kernel, "5-NN", the five nearest labelled
        images, and "spreading" (Zhou et al. 2004), which sees the other training images too, without their labels.
    """
    result = {}
    for count in counts:
        for draw in range(draws):
            chosen = draw_labelled(images.y_train, count, seed=draw)
            known = train[chosen], images.y_train[chosen]
            predicted = {
                "SVM": SVC(C=10.0).fit(*known).predict(test),
                "5-NN": KNeighborsClassifier(5).fit(*known).predict(test),
                "spreading": spread_labels(train, images.y_train, chosen, test),
            }
            for name, labels in predicted.items():
                result[f"{name}, {count} labels, draw {draw}"] = float((labels == images.y_test).mean())
    return result


def spread_labels(train: np.ndarray, labels: np.ndarray, chosen: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Spread a few labels over the nearest neighbours of their images, and on to the neighbours of those.

    Args:
        train: What stands for the training images, (n, features).
        labels: Their labels, of which only those of `chosen` are looked at, (n,).
        chosen: Which labels are known.
        test: What stands for other images, (m, features).

    Returns:
        A label for each of these, (m,): that of the nearest training image after the spreading.
    """
    others = np.setdiff1d(np.arange(len(train)), chosen)[: max(0, SPREAD_OVER - len(chosen))]
    places = np.concatenate([chosen, others])
    known = np.full(len(places), -1)
    known[: len(chosen)] = labels[chosen]
    # Until the labels rest: with fewer steps, or a finer tolerance, it stops before and warns.
    spread = LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.99, max_iter=3000, tol=1e-2).fit(train[places], known)
    nearest = KNeighborsClassifier(1).fit(train[places], spread.transduction_)
    return nearest.predict(test)


REPRESENTATIONS = {
    "pixels": (load_images, linear_codes, measure_labels),
    "PCA": (load_images, linear_codes, measure_labels),
    "autoencoder": (load_images, build_autoencoder, make_optimizer, fit_vae, measure_labels),
    "VAE": (load_images, build_vae, make_optimizer, fit_vae, measure_labels),
}
