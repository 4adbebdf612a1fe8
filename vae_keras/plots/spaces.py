"""Figures of latent spaces of two dimensions."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import ArrayLike

from vae_keras.plots.style import (
    COLOURS,
    GREY,
    MISSING,
    ROUNDING,
    blank_figure,
    check_array,
    check_flags,
    check_images,
    check_indices,
    check_length,
    check_points,
    check_spaces,
    check_whole,
    class_colour,
    draw_image,
    ends,
    latent_axes,
    name_classes,
    square,
    styled,
    subplots,
)


@styled
def latent_scatter(
    spaces: Mapping[str, np.ndarray], labels: np.ndarray, class_names: Sequence[str], enlarged: str | None = None
) -> Figure:
    """Draw one or more latent spaces side by side, coloured by class, on the same axes, with each class named.

    Args:
        spaces: The latents of the same n images by the title of their panel, shape (n, 2).
        labels: The class of each image, from 0 on, shape (n,).
        class_names: A name for each class, for the legend. Class k has colour k of `COLOURS`, and the eleventh class
            that of the first again.
        enlarged: The title of a space that is drawn once more, in a last panel on axes of its own. Default none.

    Returns:
        The figure, of a panel for each space, and one more where a space is `enlarged`.

    Raises:
        ValueError: If `spaces` is empty, or holds anything but finite points of the plane, as many as there are labels;
            if a label has no class name; and if `enlarged` is not the title of a space.
    """
    spaces = check_spaces(spaces)
    check_length("class_names", class_names, "classes", "a name for each class")
    for title, z in spaces.items():
        meaning = f"the class of each point of spaces[{title!r}], a place in class_names"
        labels = check_indices("labels", labels, (len(z),), meaning, below=len(class_names))
    panels = [(title, z, np.concatenate(list(spaces.values()))) for title, z in spaces.items()]
    if enlarged is not None:
        if enlarged not in list(spaces):
            known = ", ".join(map(str, spaces))
            raise ValueError(f"enlarged is {enlarged!r}. Expected the name of one of the spaces: {known}.")
        panels.append((f"{enlarged}, enlarged", spaces[enlarged], spaces[enlarged]))
    figure, axes = subplots(1, len(panels), width=4.2 * len(panels) + 1, height=4.2)
    for axis, (title, z, shown) in zip(axes[0], panels):
        for label, name in enumerate(class_names):
            axis.scatter(*z[labels == label].T, s=9, color=class_colour(label), lw=0, label=name)
        axis.set_title(title)
        latent_axes(axis, shown)
        name_classes(axis, z, labels, class_names)
    handles, _ = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, class_names, loc="outside right center", markerscale=4, title="class")
    return figure


@styled
def gaps(z: np.ndarray, region: np.ndarray, points: np.ndarray, empty: np.ndarray) -> Figure:
    """Draw the latents of images, the outline of the region that they occupy, and points that lie in its gaps.

    Args:
        z: The latents of the images, shape (n, 2).
        region: The corners of the region in order, shape (k, 2); the outline is closed.
        points: Points drawn from the region, shape (m, 2).
        empty: Bool array (m,), True for the points that lie in a gap. Only these are drawn.

    Returns:
        The figure, of one panel.

    Raises:
        ValueError: If `z`, `region` or `points` holds anything but finite points of the plane, or `empty` is not a bool
            for each of `points`.
    """
    z, region, points = check_points("z", z), check_points("region", region), check_points("points", points)
    empty = check_flags("empty", empty, len(points), "True or False for each of points")
    figure, axes = subplots(1, 1, width=6.2, height=5)
    axis = axes[0, 0]
    axis.scatter(*points[empty].T, s=7, color=COLOURS[1], alpha=0.5, lw=0, label="drawn in a gap")
    axis.scatter(*z.T, s=3, color=COLOURS[0], lw=0, label="images")
    axis.plot(*np.concatenate([region, region[:1]]).T, color="0.2", lw=1, label="occupied region")
    latent_axes(axis, np.concatenate([z, region]))
    figure.legend(loc="outside right center", markerscale=3)
    return figure


@styled
def numbered_points(
    z: np.ndarray, points: np.ndarray, images: np.ndarray, marked: np.ndarray, columns: int = 8
) -> Figure:
    """Draw numbered points among the latents of images, and beside them the image that each point decodes to.

    Args:
        z: The latents of the images, grey, shape (n, 2).
        points: The points that get the numbers from 1 on, shape (m, 2).
        images: What the points decode to, shape (m, height, width, channels) with 1 or 3 channels, in [0, 1].
        marked: Bool array (m,): the points that are True have a red number, and their images a red frame.
        columns: How many images a row holds. Default 8.

    Returns:
        The figure: the space on the left, the images on the right.

    Raises:
        ValueError: If `z` or `points` holds anything but finite points of the plane, `images` or `marked` does not have
            an entry for each of `points`, `images` are not in [0, 1], or `columns` is not a whole number of 1 or more.
    """
    z, points = check_points("z", z), check_points("points", points)
    images = check_images("images", images, len(points), "one for each of points")
    marked = check_flags("marked", marked, len(points), "True or False for each of points")
    check_whole("columns", columns, 1)
    figure = blank_figure(width=10.5, height=4.4)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    space = left.subplots()
    space.scatter(*z.T, s=3, color=GREY, lw=0)
    latent_axes(space, np.concatenate([z, points]))
    axes = right.subplots(-(-len(points) // columns), columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for number, (axis, point, image, flag) in enumerate(zip(axes, points, images, marked), 1):
        colour = MISSING if flag else "black"
        space.annotate(str(number), point, ha="center", va="center", fontsize=8, weight="bold", color=colour)
        draw_image(axis, image, framed=flag)
        axis.set_title(str(number), fontsize=8)
    return figure


@styled
def sides(spaces: Mapping[str, np.ndarray]) -> Figure:
    """Draw a histogram of each axis of each latent space, with the share of points on either side of 0.

    Args:
        spaces: Latents by the title of their row of panels, shape (n, 2); n may differ from row to row.

    Returns:
        The figure: a row for each space, and in it z1 and z2. Points above 0 are blue, the others orange. The bars hold
        all but the outermost 0.1 % at each end; the shares count every point. An axis on which all points are 0 up to
        rounding is drawn as wide as the other.

    Raises:
        ValueError: If `spaces` is empty, or holds anything but finite points of the plane.
    """
    spaces = check_spaces(spaces)
    figure, axes = subplots(len(spaces), 2, width=9, height=2.5 * len(spaces))
    for row, (title, z) in zip(axes, spaces.items()):
        for number, (axis, values) in enumerate(zip(row, z.T), 1):
            low, high = np.quantile(values, (0.001, 0.999))
            largest = np.abs(z).max() or 1.0
            if max(high, -low) <= ROUNDING * largest:
                low, high = -largest, largest
            edges = np.linspace(min(low, 0), max(high, 0), 61)
            edges = edges - edges[np.abs(edges).argmin()]
            for side, colour, place, align in (
                (values <= 0, COLOURS[1], 0.02, "left"),
                (values > 0, COLOURS[0], 0.98, "right"),
            ):
                axis.hist(values[side], bins=edges, color=colour)
                share = f"{side.mean():.0%}"
                axis.text(place, 0.98, share, transform=axis.transAxes, ha=align, va="top", fontsize=13, color=colour)
            axis.axvline(0, color="black", lw=1)
            axis.set(title=f"{title}: z{number}", xlabel=f"z{number}", ylabel="images")
    return figure


@styled
def density_map(spaces: Mapping[str, np.ndarray]) -> Figure:
    """Draw the density of each latent space, relative to its mean over the cells that hold an image.

    Args:
        spaces: Latents by the title of their panel, shape (n, 2); n may differ from panel to panel.

    Returns:
        The figure: a panel for each space, with a colour bar. Hexagonal cells, 40 across, are coloured by their density
        over the mean density; cells without an image are white. Red lines cross at the origin. The cells span the
        points, or, where these are narrower than a cell, the panel.

    Raises:
        ValueError: If `spaces` is empty, or holds anything but finite points of the plane.
    """
    spaces = check_spaces(spaces)
    figure, axes = subplots(1, len(spaces), width=5.2 * len(spaces), height=4.3)
    for axis, (title, z) in zip(axes[0], spaces.items()):
        panel = square(z)
        # Cells as flat as points on a level line could not be seen.
        extent = panel if np.ptp(z, axis=0).min() < (panel[1] - panel[0]) / 40 else None
        cells = axis.hexbin(*z.T, gridsize=40, mincnt=1, extent=extent, cmap="viridis", linewidths=0.1)
        cells.set_array(cells.get_array() / cells.get_array().mean())
        cells.autoscale()
        axis.axhline(0, color=MISSING, lw=0.8)
        axis.axvline(0, color=MISSING, lw=0.8)
        axis.set_title(title)
        latent_axes(axis, z)
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
    """Draw where each class lies, how large that area is, and how much each two classes overlap.

    Args:
        x: The grid along z1, two or more evenly rising values, shape (columns,).
        y: The grid along z2, likewise, shape (rows,).
        densities: The density of each of k classes on the grid, shape (k, rows, columns); times the area of a cell of
            the grid, each sums to 1. `latent.class_densities` returns `x`, `y` and `densities`.
        areas: The area of each class, in shares of the occupied region, shape (k,). NaN, where the region has no area,
            has no bar.
        overlaps: The overlap of each two classes, from 0 to 1, shape (k, k). The diagonal is not drawn.
        class_names: A name for each class, k in all.

    Returns:
        The figure, of three panels: the outline of 90 % of each class with its name at its densest point, the areas in
        % as bars, and the overlaps as a matrix of colours.

    Raises:
        ValueError: If the grid does not rise evenly, the densities do not sum to 1, something is not finite (an area
            may be NaN), or the shapes do not fit one another.
    """
    x, y = _grid_axis("x", x), _grid_axis("y", y)
    densities = check_array("densities", densities, ("k", len(y), len(x)), "the classes, the rows y, the columns x")
    areas = check_array("areas", areas, (len(densities),), "the share of each class", finite=False)
    areas = check_array("areas", np.where(np.isnan(areas), 0.0, areas), areas.shape, "the share of each class")
    overlaps = check_array("overlaps", overlaps, (len(densities), len(densities)), "the share of each two classes")
    check_length("class_names", class_names, len(densities), "a name for each class")
    cell = (x[1] - x[0]) * (y[1] - y[0])
    masses = densities.sum(axis=(1, 2)) * cell
    if not np.allclose(masses, 1, atol=0.05):
        raise ValueError(
            f"densities sum to {', '.join(f'{mass:.2g}' for mass in masses)}, times the area of a cell. Expected 1 for "
            "each class: divide them by their sums, on a grid that holds all of a class."
        )
    names = list(map(str, class_names))
    figure, axes = subplots(1, 3, width=13.5, height=4.2, width_ratios=(1.1, 0.9, 1.1))
    space, bars, matrix = axes[0]
    for label, density in enumerate(densities):
        ordered = np.sort(density.ravel())[::-1]
        level = ordered[(np.cumsum(ordered) * cell < 0.9).sum()]
        colour = class_colour(label)
        space.contour(x, y, density, levels=[level], colors=[colour], linewidths=1.5)
        row, column = np.unravel_index(density.argmax(), density.shape)
        space.text(x[column], y[row], names[label], color=colour, weight="bold", ha="center", va="center")
    latent_axes(space, np.array([[x[0], y[0]], [x[-1], y[-1]]]))
    space.set_title("90 % of each class")
    bars.barh(names, 100 * areas, color=[class_colour(label) for label in range(len(areas))])
    bars.invert_yaxis()
    bars.set(title="Area of each class", xlabel="% of the occupied region", ylabel="class")
    shown = np.where(np.eye(len(overlaps), dtype=bool), np.nan, overlaps)
    picture = matrix.imshow(shown, cmap="viridis", vmin=0, vmax=np.nanmax(shown, initial=0.5))
    matrix.set(xticks=range(len(names)), yticks=range(len(names)), xlabel="class", ylabel="class")
    matrix.set_xticklabels(names, rotation=90 if max(map(len, names)) > 2 else 0)
    matrix.set_yticklabels(names)
    matrix.set_title("Overlap of two classes")
    figure.colorbar(picture, ax=matrix, label="shared area of the densities")
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
    """Draw the distributions of a few images as ellipses of one and two standard deviations among the means of all.

    Args:
        z_mean: The means of all images, shape (n, 2).
        z_log_var: The logarithms of their variances, shape (n, 2).
        z: Samples from the distributions of the chosen images, shape (len(chosen), m, 2).
        labels: The class of each image, from 0 on, shape (n,). Class k has colour k of `COLOURS`, and the eleventh
            class that of the first again.
        chosen: The places of the chosen images among all, from 0 on.
        images: The chosen images, shape (len(chosen), height, width, channels) with 1 or 3 channels, in [0, 1].

    Returns:
        The figure: the space on the left; on the right the chosen images, each with its two standard deviations.

    Raises:
        ValueError: If `z_mean` or `z_log_var` is not finite or not of shape (n, 2), `labels` does not hold a class for
            each image, `chosen` names no image or one that does not exist, or `z` or `images` does not have an entry
            for each of `chosen`.
    """
    z_mean = check_points("z_mean", z_mean)
    z_log_var = check_array("z_log_var", z_log_var, z_mean.shape, "as z_mean")
    labels = check_indices("labels", labels, (len(z_mean),), "the class of each row of z_mean")
    chosen = check_indices("chosen", chosen, ("k",), "places in z_mean", below=len(z_mean))
    z = check_array("z", z, (len(chosen), "m", 2), "samples for each of chosen")
    images = check_images("images", images, len(chosen), "one for each of chosen")
    figure = blank_figure(width=9.5, height=4.8)
    left, right = figure.subfigures(1, 2, width_ratios=(1.4, 1))
    space = left.subplots()
    space.scatter(*z_mean.T, s=2, color="0.85", lw=0)
    latent_axes(space, np.concatenate([z_mean, ends(z_mean[chosen], z_log_var[chosen])]))
    axes = right.subplots(-(-len(chosen) // 3), 3, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image, samples, index in zip(axes, images, z, chosen):
        colour, spread = class_colour(labels[index]), np.exp(z_log_var[index] / 2)
        space.scatter(*samples.T, s=2, color=colour, lw=0)
        for deviations in (1, 2):
            space.add_patch(Ellipse(z_mean[index], *(2 * deviations * spread), fill=False, color=colour, lw=1.2))
        draw_image(axis, image)
        axis.set_title(f"std {spread[0]:.2f}, {spread[1]:.2f}", fontsize=8, color=colour)
    return figure


@styled
def marginals(spaces: Mapping[str, np.ndarray]) -> Figure:
    """Draw a histogram of each axis of each latent space against the density of N(0, 1).

    Args:
        spaces: Latents by the title of their row of panels, shape (n, 2); n may differ from row to row.

    Returns:
        The figure: a row for each space, and in it z1 and z2. The bars reach from -4 to 4, or as far as 99.9 % of the
        points lie.

    Raises:
        ValueError: If `spaces` is empty, or holds anything but finite points of the plane.
    """
    spaces = check_spaces(spaces)
    figure, axes = subplots(len(spaces), 2, width=8.5, height=2.5 * len(spaces))
    line = np.linspace(-4, 4, 201)
    for row, (title, z) in zip(axes, spaces.items()):
        for number, (axis, values) in enumerate(zip(row, z.T), 1):
            limit = max(4, np.quantile(np.abs(values), 0.999))
            axis.hist(values, bins=np.linspace(-limit, limit, 81), density=True, color=COLOURS[0])
            axis.plot(line, np.exp(-(line**2) / 2) / np.sqrt(2 * np.pi), color=COLOURS[1], label="N(0, 1)")
            axis.set(title=f"{title}: z{number}", xlabel=f"z{number}", ylabel="density")
            axis.legend()
    return figure


def _grid_axis(name: str, values: ArrayLike) -> np.ndarray:
    values = check_array(name, values, ("n",), "one axis of the grid")
    steps = np.diff(values)
    if len(steps) == 0 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-3):
        raise ValueError(f"{name} is {values!r:.80}. Expected two or more evenly rising values, as of np.linspace.")
    return values
