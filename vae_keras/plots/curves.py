"""Figures of curves and intervals: over epochs, steps, seconds and settings."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vae_keras.plots.style import (
    COLOURS,
    GREY,
    check_array,
    check_arrays,
    check_mapping,
    check_names,
    check_whole,
    styled,
    subplots,
)

RUNS = "a row of epochs for each seed"
INTERVAL = "a value and the lower and the upper end of its interval"


@styled
def training(history: Mapping[str, Sequence[float]], first_epoch: int = 2) -> Figure:
    """Draw what `fit` recorded: the loss and its terms over the epochs, training and held-out.

    Args:
        history: The attribute `history` of what `fit` returns: a value for each epoch, in nats per image, of `loss`,
            for a VAE of `reconstruction_loss` and `kl_loss` too, and of their held-out twins, named `val_...`, where
            there are any. Other entries are not drawn.
        first_epoch: The epoch that the curves begin with. Default 2, because the first lies far above the others.

    Returns:
        The figure. Training is solid, held-out dashed. The KL term has an axis of its own below, because it is far
        smaller; without it there is one panel, with the loss. A value that is not finite leaves a gap.

    Raises:
        ValueError: If `history` lacks a curve or has curves of unequal length, or there is no such epoch.
    """
    check_mapping("history", history)
    panels = [["loss", "reconstruction_loss"], ["kl_loss"]] if "kl_loss" in history else [["loss"]]
    needed = [name for names in panels for name in names]
    if not set(needed) <= set(history):
        raise ValueError(
            f"history has entries for {', '.join(map(str, history))}. Expected {', '.join(needed)} among them, as has "
            "the attribute `history` of what fit returns."
        )
    drawn = {name: history[name] for name in [*needed, *(f"val_{name}" for name in needed)] if name in history}
    meaning = "a value for each epoch of loss"
    epochs = len(check_array("history['loss']", history["loss"], ("epochs",), meaning, finite=False))
    curves = check_arrays("history", drawn, (epochs,), meaning, finite=False)
    _check_first_epoch(first_epoch, epochs)
    height, ratios = (5.2, (2, 1)) if len(panels) == 2 else (3.4, (1,))
    figure, axes = subplots(len(panels), 1, width=7, height=height, height_ratios=ratios)
    colours = dict(zip(("loss", "reconstruction_loss", "kl_loss"), COLOURS))
    shown = np.arange(first_epoch, epochs + 1)
    for axis, names in zip(axes[:, 0], panels):
        for name in names:
            axis.plot(shown, curves[name][first_epoch - 1 :], color=colours[name], label=f"{name}, training")
            if f"val_{name}" in curves:
                values = curves[f"val_{name}"][first_epoch - 1 :]
                axis.plot(shown, values, color=colours[name], ls="--", label=f"{name}, held-out")
        axis.set_ylabel("nats per image")
        axis.legend(fontsize=8)
        _whole_ticks(axis)
    axes[-1, 0].set_xlabel("epoch")
    return figure


@styled
def kl_term(closed_form: Callable, monte_carlo: Callable) -> Figure:
    """Draw the KL term of one latent over its mean and over its log variance, closed form against Monte Carlo.

    Args:
        closed_form: A function of two arrays, z_mean and z_log_var of shape (n,), that returns nats, shape (n,).
        monte_carlo: A function that estimates the same; it is called for fewer points.

    Returns:
        The figure, of three panels: the KL term over z_mean from -3 to 3, over z_log_var from -6 to 2.5, and the closed
        form as a map over both, where everything above 10 nats has one colour.

    Raises:
        ValueError: If one of the two is no function, or does not return a finite number for each point.
    """
    figure, axes = subplots(1, 3, width=13, height=3.6, width_ratios=(1, 1, 1.15))
    mean_axis, log_var_axis, map_axis = axes[0]
    mean, log_var = np.linspace(-3, 3, 121), np.linspace(-6, 2.5, 121)
    for axis, values, variable in ((mean_axis, mean, "z_mean"), (log_var_axis, log_var, "z_log_var")):
        pair = (values, np.zeros_like(values)) if variable == "z_mean" else (np.zeros_like(values), values)
        axis.plot(values, _nats("closed_form", closed_form, *pair), label="closed form")
        few = _nats("monte_carlo", monte_carlo, *(part[::8] for part in pair))
        axis.plot(values[::8], few, "o", ms=4, label="Monte Carlo")
        other = "z_log_var" if variable == "z_mean" else "z_mean"
        axis.set(xlabel=variable, ylabel="KL, nats", title=f"{other} = 0")
        axis.legend()
    grid = np.meshgrid(mean, log_var)
    values = _nats("closed_form", closed_form, *(part.ravel() for part in grid)).reshape(grid[0].shape)
    filled = map_axis.contourf(mean, log_var, values, levels=np.arange(0, 10.5, 0.5), cmap="viridis", extend="max")
    map_axis.plot(0, 0, "w*", ms=10)
    map_axis.set(xlabel="z_mean", ylabel="z_log_var", title="KL = 0 at the star, N(0, 1)")
    figure.colorbar(filled, ax=map_axis, label="KL, nats")
    return figure


@styled
def beta_sweep(betas: Sequence[float], reconstruction_loss: Sequence[float], kl_loss: Sequence[float]) -> Figure:
    """Draw both held-out terms of the loss against beta, and against each other.

    Args:
        betas: The weights of the KL term, above 0, shape (n,); their axis is logarithmic.
        reconstruction_loss: The held-out reconstruction term for each beta, in nats per image, shape (n,).
        kl_loss: The held-out KL term for each beta, without the weight, in nats per image, shape (n,).

    Returns:
        The figure: on the left both terms over beta, each with an axis of its own; on the right the reconstruction term
        over the KL term, each point with its beta.

    Raises:
        ValueError: If the betas are not above 0, something is not finite, or the lengths differ.
    """
    betas = _positive("betas", betas)
    reconstruction_loss = check_array("reconstruction_loss", reconstruction_loss, betas.shape, "a value for each beta")
    kl_loss = check_array("kl_loss", kl_loss, betas.shape, "a value for each beta")
    figure, axes = subplots(1, 2, width=9.5, height=3.6)
    terms, plane = axes[0]
    terms.plot(betas, reconstruction_loss, "o-", color=COLOURS[1], label="reconstruction_loss")
    _logarithmic(terms, betas)
    terms.set(xlabel="beta", ylabel="reconstruction_loss, nats per image")
    twin = terms.twinx()
    twin.plot(betas, kl_loss, "s-", color=COLOURS[2], label="kl_loss")
    twin.set_ylabel("kl_loss, nats per image")
    twin.spines["right"].set_visible(True)
    terms.legend(handles=[terms.lines[0], twin.lines[0]], loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    plane.plot(kl_loss, reconstruction_loss, "-", color=GREY)
    for beta, x, y in zip(betas, kl_loss, reconstruction_loss):
        plane.plot(x, y, "o", color=COLOURS[0])
        plane.annotate(f"beta {beta:g}", (x, y), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8)
    plane.set(xlabel="kl_loss, nats per image", ylabel="reconstruction_loss, nats per image")
    plane.margins(0.15)
    return figure


@styled
def rate_distortion(
    rates: Mapping[str, np.ndarray], distortions: Mapping[str, np.ndarray], betas: Sequence[float]
) -> Figure:
    """Draw distortion against rate, and through each mean a line of the slope -beta (Alemi et al. 2018).

    Where training minimises distortion + beta * rate over all that a network can do, the line touches the curve.

    Args:
        rates: The KL terms by the name of the network, in nats per image, shape (betas, seeds).
        distortions: The reconstruction terms by the same names, in nats per image, shape (betas, seeds).
        betas: The weights of the KL term, 0 or more, shape (betas,).

    Returns:
        The figure, a panel for each network: a dot for each training, a curve through the means.

    Raises:
        ValueError: If there are no rates, if distortions have other names or shapes, if something is not finite, and if
            a beta is below 0.
    """
    betas = check_array("betas", betas, ("betas",), "weights of the KL term")
    if betas.min() < 0:
        raise ValueError(f"betas hold {betas.min():g}. Expected weights of 0 or more.")
    rates = check_arrays("rates", rates, (len(betas), "seeds"), "trainings at each beta")
    check_names("distortions", distortions, rates)
    figure, axes = subplots(1, len(rates), width=5.2 * len(rates), height=4.2, sharey=True)
    for axis, (name, rate) in zip(axes[0], rates.items()):
        distortion = check_array(f"distortions[{name!r}]", distortions[name], rate.shape, "as the rates have")
        axis.plot(rate, distortion, "o", ms=3, color=COLOURS[0])
        x, y = rate.mean(axis=1), distortion.mean(axis=1)
        axis.plot(x, y, "-", color=GREY, lw=1)
        width, height = max(np.ptp(rate), 1e-9), max(np.ptp(distortion), 1e-9)
        for beta, at, level in zip(betas, x, y):
            # Of one length on the page, whatever the slope.
            half = 0.07 / np.hypot(1 / width, beta / height)
            axis.plot([at - half, at + half], [level + beta * half, level - beta * half], color=COLOURS[1], lw=1.5)
            axis.annotate(f"{beta:g}", (at, level), xytext=(6, 6), textcoords="offset points", fontsize=8)
        axis.set(title=name, xlabel="rate: kl_loss, nats per image")
    axes[0, 0].set_ylabel("distortion: reconstruction_loss, nats per image")
    return figure


@styled
def latents_over_epochs(kl_by_latent: Mapping[str, np.ndarray]) -> Figure:
    """Draw the KL term of every latent over the epochs, a panel for each training, on the same axes.

    Args:
        kl_by_latent: Means over images in nats, by the name of the training, shape (epochs, latent_dim).

    Returns:
        The figure. A latent at 0 says nothing about the image.

    Raises:
        ValueError: If there is no training, and for anything but finite numbers of that shape.
    """
    kl_by_latent = check_arrays("kl_by_latent", kl_by_latent, ("epochs", "latent_dim"), "the KL term of each latent")
    figure, axes = subplots(1, len(kl_by_latent), width=4.2 * len(kl_by_latent), height=3.6)
    top = max(values.max() for values in kl_by_latent.values())
    for axis, (name, values) in zip(axes[0], kl_by_latent.items()):
        axis.plot(np.arange(1, len(values) + 1), values, color=COLOURS[0], lw=1)
        axis.set(title=name, xlabel="epoch", ylim=(-0.03 * top, 1.05 * top))
        _whole_ticks(axis)
    axes[0, 0].set_ylabel("KL term of each latent, nats")
    return figure


@styled
def curves_over(
    x: np.ndarray,
    curves: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str = "nats per image",
    errors: Mapping[str, np.ndarray] | None = None,
    lines: Mapping[str, float] | None = None,
) -> Figure:
    """Draw a curve for each name over a logarithmic axis, with error bars and level lines.

    Args:
        x: Where the curves have their points, above 0, shape (n,).
        curves: The values by the name of the curve, shape (n,), ten names at most. A value that is not finite leaves a
            gap.
        xlabel: What `x` is, for the axis.
        ylabel: What the values are, with their unit. Default "nats per image".
        errors: Standard errors, shape (n,), for some of the names: bars of twice their length each way. Default none.
        lines: Values by name at which a dashed level line is drawn. Default none.

    Returns:
        The figure, of one panel, with a tick at each `x`.

    Raises:
        ValueError: If `x` is not above 0; if `curves` is empty or has more names than there are colours, or curves of
            another length than `x`; if `errors` has an unknown name, another length or a number below 0; and if a line
            is no finite number.
    """
    x = _positive("x", x)
    curves = check_arrays("curves", curves, x.shape, "a value for each x", most=len(COLOURS), finite=False)
    errors = {} if errors is None else errors
    check_names("errors", errors, curves, some=True)
    lines = check_arrays("lines", lines, (), "one number") if lines is not None else {}
    figure, axes = subplots(1, 1, width=6.5, height=3.9)
    axis = axes[0, 0]
    for (name, values), colour in zip(curves.items(), COLOURS):
        error = None
        if name in errors:
            error = 2 * check_array(f"errors[{name!r}]", errors[name], x.shape, "a standard error for each x")
            if error.min() < 0:
                raise ValueError(f"errors[{name!r}] holds {error.min() / 2:g}. Expected standard errors of 0 or more.")
        axis.errorbar(x, values, error, fmt="o-", ms=4, color=colour, label=name)
    for name, value in lines.items():
        axis.axhline(value, color="black", ls="--", lw=1, label=name)
    _logarithmic(axis, x)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.legend()
    return figure


@styled
def measures_over(
    x: Mapping[str, np.ndarray],
    measures: Mapping[str, Mapping[str, np.ndarray]],
    xlabel: str,
    levels: Mapping[str, float] | None = None,
    level_name: str = "real images",
) -> Figure:
    """Draw measures over a quantity that is itself measured, such as the KL term, with curves of their own places.

    Args:
        x: Where the trainings stand, by the name of the curve, shape (settings, seeds), ten names at most.
        measures: By the title of a panel, the values by the names of the curves, shape (settings, seeds).
        xlabel: What `x` is, with its unit.
        levels: By the titles of some of the panels, a value at which a dashed line is drawn. Default none.
        level_name: What the dashed lines are, for the legend. Default "real images".

    Returns:
        The figure, a panel for each measure: a dot for each training, and a curve through the means over the seeds.

    Raises:
        ValueError: If there are no curves or measures, if the names or shapes of a panel are not those of `x`, if
            something is not finite, and if levels are none or have an unknown title.
    """
    x = check_arrays("x", x, ("settings", "seeds"), "a row for each setting", most=len(COLOURS))
    check_mapping("measures", measures)
    levels = {} if levels is None else check_arrays("levels", levels, (), "one number")
    check_names("levels", levels, measures, some=True)
    figure, axes = subplots(1, len(measures), width=3.6 * len(measures), height=3.6)
    for axis, (title, curves) in zip(axes[0], measures.items()):
        check_names(f"measures[{title!r}]", curves, x)
        for (name, places), colour in zip(x.items(), COLOURS):
            values = check_array(f"measures[{title!r}][{name!r}]", curves[name], places.shape, "as x has")
            axis.plot(places, values, "o", ms=2.5, color=colour, alpha=0.5)
            axis.plot(places.mean(axis=1), values.mean(axis=1), "o-", ms=5, lw=1.2, color=colour, label=name)
        if title in levels:
            axis.axhline(levels[title], color="black", ls="--", lw=1, label=level_name)
        axis.set(title=title, xlabel=xlabel)
    # One legend for all; the panel with most entries has every one.
    legends = [axis.get_legend_handles_labels() for axis in axes[0]]
    handles, labels = max(legends, key=lambda legend: len(legend[1]))
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def activations(x: np.ndarray, values: Mapping[str, np.ndarray], derivatives: Mapping[str, np.ndarray]) -> Figure:
    """Draw activation functions and, beside them, their derivatives.

    Args:
        x: Where the functions are evaluated, shape (n,).
        values: The values by the name of the function, shape (n,), ten names at most.
        derivatives: The derivatives by the same names, shape (n,).

    Returns:
        The figure, of two panels, where a function has the same colour and the same dashes in both.

    Raises:
        ValueError: If `values` is empty, has more names than there are colours or others than `derivatives`; and if a
            curve has another length than `x`, or something is not finite.
    """
    x = check_array("x", x, ("n",), "where the functions are evaluated")
    values = check_arrays("values", values, x.shape, "a value for each x", most=len(COLOURS))
    check_names("derivatives", derivatives, values)
    derivatives = check_arrays("derivatives", derivatives, x.shape, "a value for each x")
    figure, axes = subplots(1, 2, width=10, height=3.8)
    for axis, curves, ylabel in zip(axes[0], (values, derivatives), ("activation", "derivative")):
        for name, line_style in zip(values, ("-", "-", "--", "-.", ":", "-") * 2):
            axis.plot(x, curves[name], label=name, ls=line_style)
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
    """Draw learning curves, a panel for each title and in it a line for each name, as means over the seeds in a band.

    Args:
        curves: The panels by title; in each the values by the name of the line, shape (seeds, epochs), ten names at
            most and the same in all panels.
        first_epoch: The epoch that the lines begin with. Default 1.
        ylabel: What the values are, with their unit. Default "held-out loss, nats per image".

    Returns:
        The figure. A line is the mean over the seeds, its band runs from the lowest to the highest; where a value is
        not finite, they have a gap. A name has one colour in all panels, and the legend stands in the first.

    Raises:
        ValueError: If there is no panel or no line, more names than colours, panels with unequal names, values of
            another shape, or no such epoch.
    """
    check_mapping("curves", curves)
    panels = {
        title: check_arrays(f"curves[{title!r}]", lines, ("seeds", "epochs"), RUNS, len(COLOURS), finite=False)
        for title, lines in curves.items()
    }
    names = next(iter(panels.values()))
    figure, axes = subplots(1, len(panels), width=5.2 * len(panels), height=3.8)
    for axis, (title, lines) in zip(axes[0], panels.items()):
        check_names(f"curves[{title!r}]", lines, names)
        for name, colour in zip(names, COLOURS):
            _check_first_epoch(first_epoch, lines[name].shape[1])
            values = lines[name][:, first_epoch - 1 :]
            epochs = np.arange(first_epoch, first_epoch + values.shape[1])
            axis.plot(epochs, values.mean(axis=0), color=colour, label=name)
            axis.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, lw=0)
        axis.set(title=title, xlabel="epoch", ylabel=ylabel)
        _whole_ticks(axis)
    axes[0, 0].legend()
    return figure


@styled
def over_epochs_and_seconds(losses: Mapping[str, np.ndarray], seconds: Mapping[str, float]) -> Figure:
    """Draw held-out losses over the epochs, and again over the time that they take.

    Args:
        losses: Held-out losses by name, in nats per image, shape (seeds, epochs), ten names at most. Their mean over
            the seeds is drawn; where a value is not finite, it has a gap.
        seconds: The seconds of one epoch by the same names, above 0.

    Returns:
        The figure, of two panels with one loss axis. The dotted line is the end of the fastest.

    Raises:
        ValueError: If `losses` is empty, has more names than there are colours or arrays of another shape; and if
            `seconds` has other names, or a number that is not above 0.
    """
    losses = check_arrays("losses", losses, ("seeds", "epochs"), RUNS, len(COLOURS), finite=False)
    check_names("seconds", seconds, losses)
    seconds = {name: _positive(f"seconds[{name!r}]", seconds[name], ()) for name in losses}
    figure, axes = subplots(1, 2, width=10.4, height=3.8, sharey=True)
    ends = []
    for (name, values), colour in zip(losses.items(), COLOURS):
        mean = values.mean(axis=0)
        epochs = np.arange(1, len(mean) + 1)
        axes[0, 0].plot(epochs, mean, color=colour, label=name)
        axes[0, 1].plot(epochs * seconds[name], mean, color=colour, label=name)
        ends.append(len(mean) * seconds[name])
    axes[0, 0].set(title="at equal epochs", xlabel="epoch", ylabel="held-out loss, nats per image")
    _whole_ticks(axes[0, 0])
    axes[0, 1].axvline(min(ends), color=GREY, ls=":")
    axes[0, 1].set(title="at equal time", xlabel="seconds of training")
    axes[0, 0].legend()
    return figure


@styled
def arms(
    curves: Mapping[str, np.ndarray], finals: Mapping[str, Sequence[float]], first_epoch: int = 2, others: int = 0
) -> Figure:
    """Draw the arms of an experiment: their held-out losses by epoch, and beside it their final losses with intervals.

    Args:
        curves: Held-out losses by the name of the arm, in nats per image, shape (seeds, epochs). Their mean over the
            seeds is drawn; where a value is not finite, it has a gap.
        finals: For each arm its final held-out loss and the lower and the upper end of its interval, in nats per image.
        first_epoch: The epoch that the curves begin with. Default 2, because the first lies far above the others.
        others: How many of the last arms are grey, because they stand outside the order. Default 0.

    Returns:
        The figure: the curves on the left, the final losses on the right, the first arm on top. The colours run from
        dark to light in the order of the arms.

    Raises:
        ValueError: If `curves` is empty or has arrays of another shape; if `finals` has other names, or anything but a
            finite value within its interval; if there is no such epoch; and if `others` is not from 0 to the number of
            arms.
    """
    curves = check_arrays("curves", curves, ("seeds", "epochs"), RUNS, finite=False)
    check_names("finals", finals, curves)
    finals = {name: _interval(f"finals[{name!r}]", finals[name]) for name in curves}
    check_whole("others", others, 0, len(curves), ", the number of arms")
    figure, axes = subplots(1, 2, width=10.4, height=1.4 + max(2.6, 0.3 * len(curves)), width_ratios=(3, 2))
    colours = [*plt.cm.viridis(np.linspace(0, 0.9, len(curves) - others)), *[GREY] * others]
    for place, (name, colour) in enumerate(zip(curves, colours)):
        _check_first_epoch(first_epoch, curves[name].shape[1])
        mean = curves[name].mean(axis=0)[first_epoch - 1 :]
        axes[0, 0].plot(np.arange(first_epoch, first_epoch + len(mean)), mean, color=colour, label=name)
        value, low, high = finals[name]
        axes[0, 1].plot(value, place, "o", ms=5, color=colour)
        axes[0, 1].hlines(place, low, high, color=colour, lw=2)
    axes[0, 0].set(xlabel="epoch", ylabel="held-out loss, nats per image")
    _whole_ticks(axes[0, 0])
    axes[0, 1].set_yticks(range(len(curves)), list(curves))
    axes[0, 1].invert_yaxis()
    axes[0, 1].set(xlabel="final held-out loss, nats per image")
    axes[0, 0].legend(fontsize=8)
    return figure


@styled
def gradient_norms(norms: Mapping[str, np.ndarray], x: np.ndarray | None = None, xlabel: str = "step") -> Figure:
    """Draw norms of gradients on a logarithmic axis, by step or over a setting.

    Args:
        norms: Norms by the name of their line, 0 or more, in nats per image for a step of length 1; shape (n,), ten
            names at most. Without `x`, n may differ from line to line.
        x: The setting of each norm, above 0, shape (n,), on a logarithmic axis. Default none: the steps from 1 on.
        xlabel: What `x` is, for the axis. Default "step".

    Returns:
        The figure, of one panel. What is not finite is left out, and a cross stands at the last value of a line from
        which something was left out.

    Raises:
        ValueError: If `norms` is empty, has more names than there are colours, or a norm below 0; and if `x` is not
            above 0, or a line has another length.
    """
    x = None if x is None else _positive("x", x)
    shape, meaning = (("n",), "a norm for each step") if x is None else (x.shape, "a norm for each x")
    norms = check_arrays("norms", norms, shape, meaning, most=len(COLOURS), finite=False)
    figure, axes = subplots(1, 1, width=6.5, height=3.9)
    axis = axes[0, 0]
    for (name, values), colour in zip(norms.items(), COLOURS):
        if np.any(values < 0):
            raise ValueError(f"norms[{name!r}] holds {np.nanmin(values):g}. Expected norms, which are 0 or more.")
        places = np.arange(1, len(values) + 1) if x is None else x
        finite = np.isfinite(values)
        axis.plot(places[finite], values[finite], "-" if x is None else "o-", ms=4, color=colour, label=name)
        if not finite.all() and finite.any():
            last = np.flatnonzero(finite)[-1]
            axis.plot(places[last], values[last], "x", ms=9, mew=2, color=colour)
    axis.set(xlabel=xlabel, ylabel="norm of the gradient, nats per image\nfor a step of length 1", yscale="log")
    if x is not None:
        _logarithmic(axis, x)
    axis.legend()
    return figure


@styled
def seed_differences(differences: Mapping[str, Mapping[str, np.ndarray]], reference: str) -> Figure:
    """Draw a point for the difference on each seed, a row for each name, with a bar at their mean.

    Args:
        differences: The panels by title; in each, by the name of the row, the held-out loss minus that of the reference
            on the same seed, in nats per image, shape (seeds,).
        reference: The name of what was subtracted, for the axis.

    Returns:
        The figure: a panel for each title, with a line at 0, where the two are equal. The first name is on top.

    Raises:
        ValueError: If there is no panel or no row, or a row is not finite or not of shape (seeds,).
    """
    check_mapping("differences", differences)
    figure, axes = subplots(1, len(differences), width=5.2 * len(differences), height=3)
    for axis, (title, rows) in zip(axes[0], differences.items()):
        rows = check_arrays(f"differences[{title!r}]", rows, ("seeds",), "a difference for each seed")
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
    """Draw a forest plot: a panel for each title, a colour for each series in it, and a row for each name in that.

    Args:
        panels: The panels by title; in each the series by name, ten names at most; in each of these, by the name of the
            row, a value and the lower and the upper end of its interval. NaN is not drawn.
        xlabel: What the values are, with their unit.
        limits: What lies below the first or above the second is cut there, and an arrow says so. Default: no limits.

    Returns:
        The figure. All panels have the same rows, in the order of the first mention, and the same axis. A series that
        is missing in a panel keeps its place and its colour. A line stands at 0.

    Raises:
        ValueError: If there is no row, there are more series than colours, a value lies outside its interval or is
            infinite, or the limits are not two rising numbers.
    """
    low, high = limits = check_array("limits", limits, (2,), "a lower and an upper limit", finite=False)
    if not low < high:
        raise ValueError(f"limits are {low:g} and {high:g}. Expected the lower one first.")
    check_mapping("panels", panels)
    for title, series in panels.items():
        check_mapping(f"panels[{title!r}]", series)
        for label, rows in series.items():
            check_mapping(f"panels[{title!r}][{label!r}]", rows)
            for name, row in rows.items():
                _interval(f"panels[{title!r}][{label!r}][{name!r}]", row, finite=False)
    names = list(dict.fromkeys(name for series in panels.values() for rows in series.values() for name in rows))
    labels = dict.fromkeys(label for series in panels.values() for label in series)
    check_mapping("The series of all panels together", labels, most=len(COLOURS))
    figure, axes = subplots(1, len(panels), width=4.8 * len(panels), height=1.2 + 0.42 * len(names))
    for axis, (title, series) in zip(axes[0], panels.items()):
        for number, (label, colour) in enumerate(zip(labels, COLOURS)):
            rows = series.get(label, {})
            values = np.array(list(rows.values()), float).reshape(-1, 3)
            places = np.array([names.index(name) for name in rows]) + 0.24 * (number - (len(labels) - 1) / 2)
            inside = (values[:, 0] >= low) & (values[:, 0] <= high)
            axis.plot(values[inside, 0], places[inside], "o", ms=5, color=colour, label=label)
            axis.hlines(places, *np.clip(values[:, 1:], low, high).T, color=colour, lw=2)
            for limit, arrow, beyond in zip(limits, "<>", (values[:, 1] < low, values[:, 2] > high)):
                axis.plot(np.full(beyond.sum(), limit), places[beyond], arrow, ms=7, color=colour)
        axis.axvline(0, color="black", lw=0.8)
        for place in range(1, len(names)):
            axis.axhline(place - 0.5, color="0.9", lw=0.8, zorder=0)
        axis.set_yticks(range(len(names)), names if axis is axes[0, 0] else [""] * len(names))
        axis.set(title=title, xlabel=xlabel, ylim=(len(names) - 0.5, -0.5))
    ends = [axis.get_xlim() for axis in axes[0]]
    for axis in axes[0]:
        axis.set_xlim(np.min(ends), np.max(ends))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(labels))
    return figure


def _whole_ticks(axis: Axes) -> None:
    axis.xaxis.get_major_locator().set_params(integer=True)


def _logarithmic(axis: Axes, x: np.ndarray) -> None:
    axis.set_xscale("log")
    axis.set_xticks(x, [f"{value:g}" for value in x])
    axis.minorticks_off()


def _check_first_epoch(first_epoch: int, epochs: int) -> None:
    check_whole("first_epoch", first_epoch, 1, epochs, ", the number of epochs")


def _positive(name: str, values: ArrayLike, shape: tuple[str, ...] = ("n",)) -> np.ndarray:
    values = check_array(name, values, shape, "above 0")
    if values.min() <= 0:
        raise ValueError(f"{name} holds {values.min():g}. Expected numbers above 0.")
    return values


def _interval(name: str, values: ArrayLike, finite: bool = True) -> np.ndarray:
    values = check_array(name, values, (3,), INTERVAL, finite)
    value, low, high = values
    rounding = 1e-9 * abs(value)
    # No comparison with NaN is true.
    if np.isinf(values).any() or low > high or value < low - rounding or value > high + rounding:
        raise ValueError(f"{name} is {value:g}, {low:g}, {high:g}. Expected {INTERVAL}, in this order.")
    return values


def _nats(name: str, function: Callable, z_mean: np.ndarray, z_log_var: np.ndarray) -> np.ndarray:
    if not callable(function):
        raise ValueError(f"{name} is {function!r:.80}. Expected a function of z_mean and z_log_var.")
    return check_array(f"What {name} returns", function(z_mean, z_log_var), z_mean.shape, "nats for each pair")
