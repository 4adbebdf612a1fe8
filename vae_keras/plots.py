"""Every figure of the book: functions that take arrays and return a Matplotlib figure, all in one style."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

# Ten colours that people with colour-vision deficiencies tell apart (Petroff 2021); class k has colour k everywhere.
COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
STYLE = {
    "axes.grid": False,
    "axes.prop_cycle": mpl.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 10,
    "image.cmap": "gray_r",
    "legend.frameon": False,
    "savefig.dpi": 100,
}
styled = mpl.rc_context(STYLE)
GREY = "0.6"
MISSING = "#bd1f01"


@styled
def image_rows(rows: Mapping[str, np.ndarray], marked: Mapping[str, np.ndarray] | None = None) -> Figure:
    """Draw one row of images for each name: arrays (n, height, width, channels) in [0, 1], the same n in all.

    `marked` holds a bool array (n,) for some of the names; a red frame goes round those images.
    """
    columns = max(len(images) for images in rows.values())
    figure, axes = _figure(len(rows), columns, width=min(10, 0.75 * columns + 1), height=0.82 * len(rows), images=True)
    for row, (name, images) in zip(axes, rows.items()):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for column, image in enumerate(images):
            flags = (marked or {}).get(name)
            _draw_image(row[column], image, framed=flags is not None and bool(flags[column]))
    return figure


@styled
def image_grid(
    images: np.ndarray, columns: int = 10, titles: Sequence[str] | None = None, marked: np.ndarray | None = None
) -> Figure:
    """Draw images (n, height, width, channels) row by row, with a title over each and a red frame where `marked`."""
    rows = -(-len(images) // columns)
    figure, axes = _figure(
        rows, columns, width=0.85 * columns, height=(1.05 if titles is not None else 0.85) * rows, images=True
    )
    for index, image in enumerate(images):
        axis = axes.flat[index]
        _draw_image(axis, image, framed=marked is not None and bool(marked[index]))
        if titles is not None:
            axis.set_title(titles[index], fontsize=8)
    return figure


@styled
def latent_scatter(
    spaces: Mapping[str, np.ndarray], labels: np.ndarray, class_names: Sequence[str], enlarged: str | None = None
) -> Figure:
    """Draw one or more latent spaces side by side: arrays (n, 2) by title, coloured by class, on the same axes.

    `enlarged` names a space that is drawn once more, in a last panel on axes of its own.
    """
    panels = [(title, z, np.concatenate(list(spaces.values()))) for title, z in spaces.items()]
    if enlarged is not None:
        panels.append((f"{enlarged}, enlarged", spaces[enlarged], spaces[enlarged]))
    figure, axes = _figure(1, len(panels), width=4.2 * len(panels) + 1, height=4.2)
    for axis, (title, z, shown) in zip(axes[0], panels):
        _scatter(axis, z, labels, class_names)
        axis.set_title(title)
        _latent_axes(axis, shown)
    _class_legend(figure, axes[0, -1], class_names)
    return figure


@styled
def gaps(z: np.ndarray, region: np.ndarray, points: np.ndarray, empty: np.ndarray) -> Figure:
    """Draw latents (n, 2), the outline of their region (m, 2), and points drawn from it, those in gaps marked."""
    figure, axes = _figure(1, 1, width=6.2, height=5)
    axis = axes[0, 0]
    axis.scatter(*points[empty].T, s=7, color=COLOURS[1], alpha=0.5, lw=0, label="drawn in a gap")
    axis.scatter(*z.T, s=3, color=COLOURS[0], lw=0, label="images")
    axis.plot(*np.concatenate([region, region[:1]]).T, color="0.2", lw=1, label="occupied region")
    _latent_axes(axis, np.concatenate([z, region]))
    figure.legend(loc="outside right center", markerscale=3)
    return figure


@styled
def numbered_points(
    z: np.ndarray, points: np.ndarray, images: np.ndarray, marked: np.ndarray, columns: int = 8
) -> Figure:
    """Draw numbered points (m, 2) among latents (n, 2), and beside them the image that each decodes to.

    A red number and frame where `marked`.
    """
    rows = -(-len(points) // columns)
    figure = _blank(width=10.5, height=4.4)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    axis = left.subplots()
    axis.scatter(*z.T, s=3, color=GREY, lw=0)
    for number, (point, flag) in enumerate(zip(points, marked), 1):
        axis.annotate(
            str(number), point, ha="center", va="center", fontsize=8, weight="bold", color=MISSING if flag else "black"
        )
    _latent_axes(axis, np.concatenate([z, points]))
    axes = right.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for number, (image, flag) in enumerate(zip(images, marked), 1):
        _draw_image(axes.flat[number - 1], image, framed=bool(flag))
        axes.flat[number - 1].set_title(str(number), fontsize=8)
    return figure


@styled
def symmetry(spaces: Mapping[str, np.ndarray]) -> Figure:
    """Draw a histogram of each axis of each latent space (n, 2), with the share of points on either side of 0."""
    figure, axes = _figure(len(spaces), 2, width=9, height=2.5 * len(spaces))
    for row, (title, z) in zip(axes, spaces.items()):
        for number, axis in enumerate(row):
            values = z[:, number]
            edges = np.linspace(*np.quantile(values, (0.001, 0.999)), 61)
            edges = edges - edges[np.abs(edges).argmin()]
            for side, colour, place in ((values <= 0, COLOURS[1], 0.02), (values > 0, COLOURS[0], 0.98)):
                axis.hist(values[side], bins=edges, color=colour)
                axis.text(
                    place,
                    0.98,
                    f"{side.mean():.0%}",
                    transform=axis.transAxes,
                    ha="left" if place < 0.5 else "right",
                    va="top",
                    fontsize=13,
                    color=colour,
                )
            axis.axvline(0, color="black", lw=1)
            axis.set(title=f"{title}: z{number + 1}", xlabel=f"z{number + 1}", ylabel="images")
    return figure


@styled
def crowding(spaces: Mapping[str, np.ndarray]) -> Figure:
    """Draw the density of each latent space (n, 2), relative to its mean over the cells that hold an image."""
    figure, axes = _figure(1, len(spaces), width=5.2 * len(spaces), height=4.3)
    for axis, (title, z) in zip(axes[0], spaces.items()):
        cells = axis.hexbin(*z.T, gridsize=40, mincnt=1, cmap="viridis", linewidths=0.1)
        cells.set_array(cells.get_array() / cells.get_array().mean())
        cells.autoscale()
        axis.axhline(0, color=MISSING, lw=0.8)
        axis.axvline(0, color=MISSING, lw=0.8)
        axis.set_title(title)
        _latent_axes(axis, z)
        figure.colorbar(cells, ax=axis, label="density / mean density")
    return figure


@styled
def class_map(
    x: np.ndarray,
    y: np.ndarray,
    densities: np.ndarray,
    areas: np.ndarray,
    overlaps: np.ndarray,
    class_names: Sequence[str],
) -> Figure:
    """Draw where each class lies (90 % of its density), how large that area is, and how much two classes overlap.

    `x`, `y` and `densities` (k, len(y), len(x)) as `latent.class_densities` gives them, `areas` (k,) in shares of the
    occupied region, `overlaps` (k, k) from 0 to 1.
    """
    figure, axes = _figure(1, 3, width=13.5, height=4.2, width_ratios=(1.1, 0.9, 1.1))
    space, bars, matrix = axes[0]
    cell = (x[1] - x[0]) * (y[1] - y[0])
    for label, density in enumerate(densities):
        ordered = np.sort(density.ravel())[::-1]
        level = ordered[(np.cumsum(ordered) * cell < 0.9).sum()]
        colour = COLOURS[label % len(COLOURS)]
        space.contour(x, y, density, levels=[level], colors=[colour], linewidths=1.5)
        row, column = np.unravel_index(density.argmax(), density.shape)
        space.text(x[column], y[row], class_names[label], color=colour, weight="bold", ha="center", va="center")
    _latent_axes(space, np.array([[x[0], y[0]], [x[-1], y[-1]]]))
    space.set_title("90 % of each class")
    bars.barh(class_names, 100 * areas, color=[COLOURS[k % len(COLOURS)] for k in range(len(areas))])
    bars.invert_yaxis()
    bars.set(title="Area of each class", xlabel="% of the occupied region", ylabel="class")
    shown = np.where(np.eye(len(overlaps), dtype=bool), np.nan, overlaps)
    picture = matrix.imshow(shown, cmap="viridis", vmin=0, vmax=max(0.5, np.nanmax(shown)))
    matrix.set(xticks=range(len(class_names)), yticks=range(len(class_names)), xlabel="class", ylabel="class")
    long = max(map(len, class_names)) > 2
    matrix.set_xticklabels(class_names, rotation=90 if long else 0)
    matrix.set_yticklabels(class_names)
    matrix.set_title("Overlap of two classes")
    figure.colorbar(picture, ax=matrix, label="shared area of the densities")
    return figure


@styled
def training(history: Mapping[str, Sequence[float]], first_epoch: int = 2) -> Figure:
    """Draw what `fit` recorded: the loss and its terms in nats per image, over epochs, training and held-out.

    The first epoch, which is far above the others, is left out; `first_epoch=1` shows it. Where there is a KL term, it
    has an axis of its own below, because it is far smaller.
    """
    has_kl = "kl_loss" in history
    figure, axes = _figure(
        2 if has_kl else 1, 1, width=7, height=5.2 if has_kl else 3.4, height_ratios=(2, 1)[: 1 + has_kl]
    )
    epochs = np.arange(1, len(history["loss"]) + 1)[first_epoch - 1 :]
    upper = ["loss", "reconstruction_loss"] if has_kl else ["loss"]
    for axis, names in zip(axes[:, 0], [upper, ["kl_loss"]]):
        for name in names:
            colour = COLOURS[("loss", "reconstruction_loss", "kl_loss").index(name)]
            axis.plot(epochs, history[name][first_epoch - 1 :], color=colour, label=f"{name}, training")
            if f"val_{name}" in history:
                values = history[f"val_{name}"][first_epoch - 1 :]
                axis.plot(epochs, values, color=colour, ls="--", label=f"{name}, held-out")
        axis.set_ylabel("nats per image")
        axis.legend(fontsize=8)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[-1, 0].set_xlabel("epoch")
    return figure


@styled
def ellipses(
    z_mean: np.ndarray,
    z_log_var: np.ndarray,
    z: np.ndarray,
    labels: np.ndarray,
    chosen: Sequence[int],
    images: np.ndarray,
) -> Figure:
    """Draw the distributions of a few images as ellipses of one and two standard deviations among all means (n, 2).

    `chosen` are the indices of the images, `images` (len(chosen), height, width, channels) the images themselves, and
    `z` (len(chosen), m, 2) samples from their distributions.
    """
    figure = _blank(width=9.5, height=4.8)
    left, right = figure.subfigures(1, 2, width_ratios=(1.4, 1))
    axis = left.subplots()
    axis.scatter(*z_mean.T, s=2, color="0.85", lw=0)
    for samples, index in zip(z, chosen):
        colour = COLOURS[labels[index] % len(COLOURS)]
        axis.scatter(*samples.T, s=2, color=colour, lw=0)
        for deviations in (1, 2):
            width, height = 2 * deviations * np.exp(z_log_var[index] / 2)
            axis.add_patch(Ellipse(z_mean[index], width, height, fill=False, color=colour, lw=1.2))
    _latent_axes(axis, z_mean)
    axes = right.subplots(-(-len(chosen) // 3), 3, squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for place, image, index in zip(axes.flat, images, chosen):
        _draw_image(place, image)
        spread = np.exp(z_log_var[index] / 2)
        place.set_title(
            f"std {spread[0]:.2f}, {spread[1]:.2f}", fontsize=8, color=COLOURS[labels[index] % len(COLOURS)]
        )
    return figure


@styled
def kl_term(closed_form: Callable, monte_carlo: Callable) -> Figure:
    """Draw the KL term of one latent over its mean and over its log variance, closed form against Monte Carlo.

    Both functions take arrays z_mean and z_log_var of shape (n,) and return nats, shape (n,).
    """
    figure, axes = _figure(1, 3, width=13, height=3.6, width_ratios=(1, 1, 1.15))
    mean_axis, log_var_axis, map_axis = axes[0]
    mean, log_var = np.linspace(-3, 3, 121), np.linspace(-6, 2.5, 121)
    for axis, values, variable in ((mean_axis, mean, "z_mean"), (log_var_axis, log_var, "z_log_var")):
        pair = (values, np.zeros_like(values)) if variable == "z_mean" else (np.zeros_like(values), values)
        axis.plot(values, closed_form(*pair), label="closed form")
        axis.plot(values[::8], monte_carlo(*(part[::8] for part in pair)), "o", ms=4, label="Monte Carlo")
        other = "z_log_var" if variable == "z_mean" else "z_mean"
        axis.set(xlabel=variable, ylabel="KL, nats", title=f"{other} = 0")
        axis.legend()
    grid = np.meshgrid(mean, log_var)
    values = closed_form(*(part.ravel() for part in grid)).reshape(grid[0].shape)
    filled = map_axis.contourf(mean, log_var, values, levels=np.arange(0, 10.5, 0.5), cmap="viridis", extend="max")
    map_axis.plot(0, 0, "w*", ms=10)
    map_axis.set(xlabel="z_mean", ylabel="z_log_var", title="KL = 0 at the star, N(0, 1)")
    figure.colorbar(filled, ax=map_axis, label="KL, nats")
    return figure


@styled
def marginals(spaces: Mapping[str, np.ndarray]) -> Figure:
    """Draw a histogram of each axis of each latent space (n, 2) against the density of N(0, 1)."""
    figure, axes = _figure(len(spaces), 2, width=8.5, height=2.5 * len(spaces))
    values = np.linspace(-4, 4, 201)
    for row, (title, z) in zip(axes, spaces.items()):
        for number, axis in enumerate(row):
            limit = max(4, np.quantile(np.abs(z[:, number]), 0.999))
            axis.hist(z[:, number], bins=np.linspace(-limit, limit, 81), density=True, color=COLOURS[0])
            axis.plot(values, np.exp(-(values**2) / 2) / np.sqrt(2 * np.pi), color=COLOURS[2], label="N(0, 1)")
            axis.set(title=f"{title}: z{number + 1}", xlabel=f"z{number + 1}", ylabel="density")
            axis.legend()
    return figure


@styled
def decoded_grid(images: np.ndarray, first: np.ndarray, second: np.ndarray) -> Figure:
    """Draw images decoded on a grid of latents as one picture, with the latents on the axes.

    `images` has shape (rows * columns, height, width, channels), row by row; `first` (columns,) are the values of z1
    from left to right, `second` (rows,) those of z2 from top to bottom.
    """
    rows, columns = len(second), len(first)
    height, width, channels = images.shape[1:]
    picture = images.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    picture = picture.reshape(rows * height, columns * width, channels)
    figure, axes = _figure(1, 1, width=6.6, height=6.6 * rows / columns)
    axis = axes[0, 0]
    axis.imshow(picture.squeeze(), vmin=0, vmax=1)
    axis.set_xticks((np.arange(columns) + 0.5) * width - 0.5, _ticks(first), fontsize=7)
    axis.set_yticks((np.arange(rows) + 0.5) * height - 0.5, _ticks(second), fontsize=7)
    axis.set(xlabel="z1", ylabel="z2")
    return figure


@styled
def beta_sweep(betas: Sequence[float], reconstruction_loss: Sequence[float], kl_loss: Sequence[float]) -> Figure:
    """Draw both held-out terms, in nats per image, against beta on a logarithmic axis, and against each other."""
    figure, axes = _figure(1, 2, width=9.5, height=3.6)
    terms, plane = axes[0]
    terms.plot(betas, reconstruction_loss, "o-", color=COLOURS[1], label="reconstruction_loss")
    terms.set_xscale("log")
    terms.set_xticks(betas, [f"{beta:g}" for beta in betas])
    terms.minorticks_off()
    terms.set(xlabel="beta", ylabel="reconstruction_loss, nats per image")
    twin = terms.twinx()
    twin.plot(betas, kl_loss, "s-", color=COLOURS[2], label="kl_loss")
    twin.set_ylabel("kl_loss, nats per image")
    twin.spines["right"].set_visible(True)
    terms.legend(handles=[terms.lines[0], twin.lines[0]], loc="center right")
    plane.plot(kl_loss, reconstruction_loss, "-", color=GREY)
    for beta, x, y in zip(betas, kl_loss, reconstruction_loss):
        plane.plot(x, y, "o", color=COLOURS[0])
        plane.annotate(f"beta {beta:g}", (x, y), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8)
    plane.set(xlabel="kl_loss, nats per image", ylabel="reconstruction_loss, nats per image")
    plane.margins(0.15)
    return figure


@styled
def bounds(
    x: np.ndarray,
    curves: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str = "nats per image",
    errors: Mapping[str, np.ndarray] | None = None,
    lines: Mapping[str, float] | None = None,
) -> Figure:
    """Draw a curve over `x` (n,), on a logarithmic axis, for each name, and a level line for each of `lines`.

    `errors` holds standard errors (n,) for some of the names: bars of twice their length each way.
    """
    figure, axes = _figure(1, 1, width=6.5, height=3.9)
    axis = axes[0, 0]
    for number, (name, values) in enumerate(curves.items()):
        error = (errors or {}).get(name)
        axis.errorbar(
            x, values, None if error is None else 2 * error, fmt="o-", ms=4, color=COLOURS[number], label=name
        )
    for name, value in (lines or {}).items():
        axis.axhline(value, color="black", ls="--", lw=1, label=name)
    axis.set_xscale("log")
    axis.set_xticks(x, [f"{value:g}" for value in x])
    axis.minorticks_off()
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.legend()
    return figure


@styled
def activations(x: np.ndarray, values: Mapping[str, np.ndarray], derivatives: Mapping[str, np.ndarray]) -> Figure:
    """Draw activation functions and their derivatives over `x` (n,), a line for each name."""
    figure, axes = _figure(1, 2, width=10, height=3.8)
    for axis, curves, ylabel in zip(axes[0], (values, derivatives), ("activation", "derivative")):
        for (name, curve), line_style in zip(curves.items(), ("-", "-", "--", "-.", ":", "-") * 2):
            axis.plot(x, curve, label=name, ls=line_style)
        axis.axhline(0, color="0.8", lw=0.8, zorder=0)
        axis.set(xlabel="x", ylabel=ylabel)
    axes[0, 0].legend()
    return figure


@styled
def learning_curves(
    curves: Mapping[str, Mapping[str, np.ndarray]],
    first_epoch: int = 1,
    ylabel: str = "held-out loss, nats per image",
) -> Figure:
    """Draw a panel for each title and in it a line for each name: arrays (seeds, epochs).

    The line is the mean over seeds, the band runs from the lowest to the highest.
    """
    figure, axes = _figure(1, len(curves), width=5.2 * len(curves), height=3.8)
    for axis, (title, lines) in zip(axes[0], curves.items()):
        for number, (name, values) in enumerate(lines.items()):
            values = np.asarray(values)[:, first_epoch - 1 :]
            epochs = np.arange(first_epoch, first_epoch + values.shape[1])
            axis.plot(epochs, values.mean(axis=0), color=COLOURS[number], label=name)
            axis.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=COLOURS[number], alpha=0.2, lw=0)
        axis.set(title=title, xlabel="epoch", ylabel=ylabel)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].legend()
    return figure


@styled
def over_epochs_and_seconds(losses: Mapping[str, np.ndarray], seconds: Mapping[str, float]) -> Figure:
    """Draw held-out losses over epochs, and again over the time: arrays (seeds, epochs) by name, means over the seeds.

    `seconds` are those of one epoch. The dotted line is the end of the fastest.
    """
    figure, axes = _figure(1, 2, width=10.4, height=3.8, sharey=True)
    ends = []
    for number, (name, values) in enumerate(losses.items()):
        mean = np.mean(values, axis=0)
        epochs = np.arange(1, len(mean) + 1)
        axes[0, 0].plot(epochs, mean, color=COLOURS[number], label=name)
        axes[0, 1].plot(epochs * seconds[name], mean, color=COLOURS[number], label=name)
        ends.append(len(mean) * seconds[name])
    axes[0, 0].set(title="at equal epochs", xlabel="epoch", ylabel="held-out loss, nats per image")
    axes[0, 0].xaxis.get_major_locator().set_params(integer=True)
    axes[0, 1].axvline(min(ends), color=GREY, ls=":")
    axes[0, 1].set(title="at equal time", xlabel="seconds of training")
    axes[0, 0].legend()
    return figure


@styled
def arms(
    curves: Mapping[str, np.ndarray], finals: Mapping[str, Sequence[float]], first_epoch: int = 2, others: int = 0
) -> Figure:
    """Draw the arms of an experiment: their losses by epoch, and beside it their final losses with intervals.

    `curves` holds arrays (seeds, epochs), of which the mean is drawn; `finals` a value and the two ends of its
    interval, in nats per image. The colours run from dark to light in the order of the arms; the last `others` are
    grey.
    """
    figure, axes = _figure(1, 2, width=10.4, height=1.4 + max(2.6, 0.3 * len(curves)), width_ratios=(3, 2))
    colours = [*plt.cm.viridis(np.linspace(0, 0.9, len(curves) - others)), *[GREY] * others]
    for place, (name, colour) in enumerate(zip(curves, colours)):
        mean = np.mean(curves[name], axis=0)[first_epoch - 1 :]
        axes[0, 0].plot(np.arange(first_epoch, first_epoch + len(mean)), mean, color=colour, label=name)
        value, low, high = finals[name]
        axes[0, 1].plot(value, place, "o", ms=5, color=colour)
        axes[0, 1].hlines(place, low, high, color=colour, lw=2)
    axes[0, 0].set(xlabel="epoch", ylabel="held-out loss, nats per image")
    axes[0, 0].xaxis.get_major_locator().set_params(integer=True)
    axes[0, 1].set_yticks(range(len(curves)), list(curves))
    axes[0, 1].invert_yaxis()
    axes[0, 1].set(xlabel="final held-out loss, nats per image")
    axes[0, 0].legend(fontsize=8)
    return figure


@styled
def gradient_norms(norms: Mapping[str, np.ndarray], x: np.ndarray | None = None, xlabel: str = "step") -> Figure:
    """Draw norms of gradients (n,) by name on a logarithmic axis, over `x` (n,), or by step.

    What is not finite is left out, and a cross stands at the last value of a line from which something was left out.
    """
    figure, axes = _figure(1, 1, width=6.5, height=3.9)
    axis = axes[0, 0]
    for (name, values), colour in zip(norms.items(), COLOURS):
        values = np.asarray(values, float)
        places = np.arange(1, len(values) + 1) if x is None else np.asarray(x, float)
        finite = np.isfinite(values)
        axis.plot(places[finite], values[finite], "-" if x is None else "o-", ms=4, color=colour, label=name)
        if not finite.all() and finite.any():
            last = np.flatnonzero(finite)[-1]
            axis.plot(places[last], values[last], "x", ms=9, mew=2, color=colour)
    axis.set(xlabel=xlabel, ylabel="norm of the gradient, nats per image\nfor a step of length 1", yscale="log")
    if x is not None:
        axis.set_xscale("log")
        axis.set_xticks(x, [f"{value:g}" for value in x])
        axis.minorticks_off()
    axis.legend()
    return figure


@styled
def paired_differences(
    differences: Mapping[str, Mapping[str, np.ndarray]],
    reference: str,
) -> Figure:
    """Draw a panel of paired differences for each title: arrays (seeds,) in nats per image, a bar at the mean."""
    figure, axes = _figure(1, len(differences), width=5.2 * len(differences), height=3)
    for axis, (title, rows) in zip(axes[0], differences.items()):
        for place, values in enumerate(rows.values()):
            axis.plot(values, np.full(len(values), place), "o", color=COLOURS[0], alpha=0.7)
            axis.plot([np.mean(values)] * 2, [place - 0.25, place + 0.25], color=COLOURS[2], lw=2.5)
        axis.axvline(0, color="black", lw=0.8)
        axis.set_yticks(range(len(rows)), list(rows))
        axis.invert_yaxis()
        axis.set(title=title, xlabel=f"held-out loss minus that of {reference}, nats per image")
    return figure


@styled
def forest(
    panels: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    xlabel: str,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> Figure:
    """Draw a forest plot: a panel for each title, a colour for each series in it, a row for each name in that.

    Each name has its value and the two ends of its interval. All panels have the same rows, in the order of the first
    mention, and the same axis. A series that is missing in a panel keeps its place and its colour. What lies beyond the
    `limits` is cut there, and an arrow says so.
    """
    names = list(dict.fromkeys(name for series in panels.values() for rows in series.values() for name in rows))
    colours = dict(zip(dict.fromkeys(title for series in panels.values() for title in series), COLOURS))
    figure, axes = _figure(1, len(panels), width=4.8 * len(panels), height=1.2 + 0.42 * len(names))
    for axis, (title, series) in zip(axes[0], panels.items()):
        for number, (label, colour) in enumerate(colours.items()):
            rows = series.get(label, {})
            values = np.array(list(rows.values()), float).reshape(-1, 3)
            places = np.array([names.index(name) for name in rows]) + 0.24 * (number - (len(colours) - 1) / 2)
            inside = (values[:, 0] >= limits[0]) & (values[:, 0] <= limits[1])
            axis.plot(values[inside, 0], places[inside], "o", ms=5, color=colour, label=label)
            axis.hlines(places, *np.clip(values[:, 1:], *limits).T, color=colour, lw=2)
            for limit, arrow, beyond in zip(limits, "<>", (values[:, 1] < limits[0], values[:, 2] > limits[1])):
                axis.plot(np.full(beyond.sum(), limit), places[beyond], arrow, ms=7, color=colour)
        axis.axvline(0, color="black", lw=0.8)
        for place in range(1, len(names)):
            axis.axhline(place - 0.5, color="0.9", lw=0.8, zorder=0)
        axis.set_yticks(range(len(names)), names if axis is axes[0, 0] else [""] * len(names))
        axis.set(title=title, xlabel=xlabel, ylim=(len(names) - 0.5, -0.5))
    ends = [axis.get_xlim() for axis in axes[0]]
    for axis in axes[0]:
        axis.set_xlim(np.min(ends), np.max(ends))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(colours))
    return figure


def _blank(width: float, height: float) -> Figure:
    # Closed at once: pyplot forgets the figure, so that notebooks show it once and long sessions do not pile them up.
    figure = plt.figure(figsize=(width, height))
    plt.close(figure)
    return figure


def _figure(
    rows: int, columns: int, width: float, height: float, images: bool = False, sharey: bool = False, **ratios
) -> tuple[Figure, np.ndarray]:
    figure = _blank(width, height)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey, gridspec_kw=ratios)
    if images:
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    return figure, axes


def _draw_image(axis: Axes, image: np.ndarray, framed: bool = False) -> None:
    axis.axis("on")
    axis.imshow(image.squeeze(), vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(framed)
    axis.spines[:].set(color=MISSING, linewidth=2)


def _scatter(axis: Axes, z: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> None:
    for label, name in enumerate(class_names):
        axis.scatter(*z[labels == label].T, s=5, color=COLOURS[label % len(COLOURS)], lw=0, label=name)


def _ticks(values: np.ndarray) -> list[str]:
    # Adding 0 turns -0.0 into 0.0.
    return [f"{value:.1f}" for value in np.round(values, 1) + 0.0]


def _latent_axes(axis: Axes, z: np.ndarray) -> None:
    low, high = z.min(axis=0), z.max(axis=0)
    centre, half = (low + high) / 2, 0.54 * max(high - low)
    axis.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half))
    axis.set(xlabel="z1", ylabel="z2", aspect="equal")


def _class_legend(figure: Figure, axis: Axes, class_names: Sequence[str]) -> None:
    handles, _ = axis.get_legend_handles_labels()
    figure.legend(handles, class_names, loc="outside right center", markerscale=4, title="class")
