"""Figures of true posteriors p(z|x) over two latents beside the distributions that stand for them."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from vae_keras.plots.style import (
    COLOURS,
    check_array,
    check_images,
    check_mapping,
    check_whole,
    draw_image,
    latent_axes,
    styled,
    subplots,
)

LINES = ("-", "--", ":")
COLOURS_OF_LINES = (COLOURS[2], COLOURS[1], COLOURS[4])


@styled
def posteriors(
    axis: np.ndarray,
    density: np.ndarray,
    distributions: Mapping[str, tuple[np.ndarray, np.ndarray]],
    images: np.ndarray,
    log_likelihood: np.ndarray,
    elbo: np.ndarray,
    kl: np.ndarray,
    columns: int = 3,
) -> Figure:
    """Draw the posterior of each image as shading, and normal distributions as ellipses on it.

    Args:
        axis: The values of each of two latents on a grid around 0, evenly rising, shape (points,).
        density: The posterior p(z|x) of each image, shape (n, points, points), rows along the second latent; times the
            area of a cell of the grid, each sums to 1. `likelihood.posterior` returns `axis` and `density`.
        distributions: By name the means and the logarithms of the variances, each of shape (n, 2), of normal
            distributions, such as that of the encoder first; three at most.
        images: The images, shape (n, height, width, channels) with 1 or 3 channels, in [0, 1].
        log_likelihood: log p(x) of each image in nats, shape (n,).
        elbo: The ELBO of the first of `distributions`, shape (n,).
        kl: KL(q || p(z|x)) of the first of `distributions`, shape (n,).
        columns: How many images a row holds, each with its panel. Default 3.

    Returns:
        The figure. A panel shows the part of the plane that holds its posterior, all but a hundredth along each axis,
        and the ellipses of one and two standard deviations.

    Raises:
        ValueError: If the grid does not rise evenly, the densities do not sum to 1, there is no distribution or more
            than three, something is not finite, `columns` is not a whole number of 1 or more, or the shapes do not fit
            one another.
    """
    axis = check_array("axis", axis, ("points",), "the values of each latent on the grid")
    steps = np.diff(axis)
    if len(steps) == 0 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-3):
        raise ValueError(f"axis is {axis!r:.80}. Expected two or more evenly rising values, as of np.linspace.")
    shape = ("n", len(axis), len(axis))
    density = check_array("density", density, shape, "the images, the second latent, the first")
    count, step = len(density), steps[0]
    masses = density.sum(axis=(1, 2), dtype="float64") * step**2
    if not np.allclose(masses, 1, atol=0.01):
        raise ValueError(
            f"density sums to {', '.join(f'{mass:.3g}' for mass in masses)}, times the area of a cell. Expected 1 for "
            "each image."
        )
    check_mapping("distributions", distributions, most=len(LINES))
    checked = {}
    for name, pair in distributions.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"distributions[{name!r}] is {pair!r:.80}. Expected a pair, (z_mean, z_log_var).")
        label = f"distributions[{name!r}]"
        checked[name] = [
            check_array(label, part, (count, 2), "z_mean and z_log_var, as many as density") for part in pair
        ]
    images = check_images("images", images, count, "one for each of density")
    numbers = {"log_likelihood": log_likelihood, "elbo": elbo, "kl": kl}
    numbers = [check_array(name, values, (count,), "nats for each of density") for name, values in numbers.items()]
    check_whole("columns", columns, 1)
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = subplots(rows, 2 * columns, width=3.7 * columns, height=3.2 * rows, width_ratios=[1, 2.2] * columns)
    for blank in axes.flat[2 * count :]:
        blank.axis("off")
    for row, (picture, panel) in enumerate(axes.reshape(-1, 2)[:count]):
        draw_image(picture, images[row])
        panel.imshow(
            density[row],
            cmap="Blues",
            origin="lower",
            extent=[axis[0] - step / 2, axis[-1] + step / 2] * 2,
            interpolation="bilinear",
        )
        corners = [_span(axis, density[row])]
        for (mean, log_var), line, colour in zip(checked.values(), LINES, COLOURS_OF_LINES):
            spread = np.exp(log_var[row] / 2)
            for deviations in (1, 2):
                panel.add_patch(Ellipse(mean[row], *(2 * deviations * spread), fill=False, ec=colour, ls=line, lw=1.2))
            corners.append(mean[row] + np.outer((-2, 2), spread))
        latent_axes(panel, np.concatenate(corners))
        log_p, bound, divergence = (values[row] for values in numbers)
        panel.set_title(f"log p(x) {log_p:.1f}\nELBO {bound:.1f}, KL {divergence:.1f}", fontsize=9)
    handles = [Line2D([], [], color=colour, ls=line) for line, colour in zip(LINES, COLOURS_OF_LINES)]
    figure.legend(handles[: len(checked)], list(checked), loc="outside lower center", ncols=len(checked))
    return figure


def _span(axis: np.ndarray, density: np.ndarray) -> np.ndarray:
    # Two corners of the part of the plane that holds all but a hundredth of the density along each latent.
    shares = [np.cumsum(density.sum(axis=along, dtype="float64")) for along in (0, 1)]
    ends = [[np.searchsorted(share, part * share[-1]) for part in (0.005, 0.995)] for share in shares]
    return axis[np.array(ends).T]
