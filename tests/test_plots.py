import inspect

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from vae_keras import plots

generator = np.random.default_rng(0)
IMAGES = generator.random((12, 4, 3, 1))
Z = generator.normal(size=(300, 2))
WIDE = Z * (5, 1) + (2, 0)
LABELS = np.arange(300) % 10
NAMES = [f"class {k}" for k in range(10)]
MARKED = np.arange(12) % 5 == 2
HISTORY = {
    prefix + name: [90.0, 50 - shift, 40 - shift, 35 - shift]
    for prefix in ("", "val_")
    for shift, name in enumerate(("loss", "reconstruction_loss", "kl_loss"))
}
GRID = np.linspace(-5, 5, 60)
DENSITIES = np.stack(
    [
        np.exp(-((GRID[None, :] - 1) ** 2) - (GRID[:, None] + k) ** 2) / np.pi for k in range(2)
    ]  # Class k lies at (1, -k).
)

FIGURES = {
    "image_rows": lambda: plots.image_rows({"input": IMAGES, "output": 1 - IMAGES}, {"output": MARKED}),
    "image_grid": lambda: plots.image_grid(IMAGES, columns=5, titles=[f"no. {k}" for k in range(12)], marked=MARKED),
    "latent_scatter": lambda: plots.latent_scatter({"one": Z, "two": WIDE}, LABELS, NAMES),
    "gaps": lambda: plots.gaps(Z, np.array([[-2, -2], [2, -2], [0, 2]]), WIDE, np.arange(300) < 40),
    "numbered_points": lambda: plots.numbered_points(Z, Z[:12], IMAGES, MARKED),
    "symmetry": lambda: plots.symmetry({"one": Z, "two": WIDE}),
    "crowding": lambda: plots.crowding({"one": Z, "two": WIDE}),
    "class_map": lambda: plots.class_map(
        GRID, GRID, DENSITIES, np.array([0.2, 0.4]), np.array([[1, 0.3], [0.3, 1]]), ["0", "1"]
    ),
    "training": lambda: plots.training(HISTORY),
    "ellipses": lambda: plots.ellipses(
        Z, np.log(np.tile([4.0, 0.25], (300, 1))), Z[:2, None].repeat(5, axis=1), LABELS, [3, 14], IMAGES[:2]
    ),
    "kl_term": lambda: plots.kl_term(lambda m, v: (np.exp(v) + m**2 - 1 - v) / 2, lambda m, v: 0 * m),
    "marginals": lambda: plots.marginals({"one": Z, "two": WIDE}),
    "decoded_grid": lambda: plots.decoded_grid(IMAGES, np.array([-1, -0.01, 0.5, 1]), np.array([2, 0, -2])),
    "beta_sweep": lambda: plots.beta_sweep([0.1, 1, 10], [130, 140, 180], [9, 6, 2]),
    "bounds": lambda: plots.bounds(
        [1, 10, 100],
        {"bound": np.array([-9, -7, -6]), "ELBO": np.array([-9, -9, -9])},
        xlabel="samples",
        errors={"bound": np.array([0.5, 0.25, 0.125])},
        lines={"exact": -5.5},
    ),
    "activations": lambda: plots.activations(GRID, {"ReLU": np.maximum(GRID, 0)}, {"ReLU": np.float64(GRID > 0)}),
    "over_epochs_and_seconds": lambda: plots.over_epochs_and_seconds(
        {"N = 1": np.array([[3, 2], [5, 4]]), "N = 2": np.array([[3, 1], [3, 1]])},
        {"N = 1": 2.0, "N = 2": 4.5},
    ),
    "arms": lambda: plots.arms(
        {"0.1": np.array([[9, 5, 4], [9, 7, 6]]), "1": np.ones((2, 3)), "none": np.zeros((2, 3))},
        {"0.1": (5, 4, 7), "1": (1, 0.5, 1.5), "none": (0, 0, 0)},
        others=1,
    ),
    "gradient_norms": lambda: plots.gradient_norms({"none": [10, 1e3, np.nan], "value 1": [10, 20, 5]}),
    "learning_curves": lambda: plots.learning_curves(
        {"dense": {"gelu": np.array([[3, 2, 1], [5, 4, 3]]), "relu": np.ones((2, 3))}}
    ),
    "paired_differences": lambda: plots.paired_differences(
        {"dense": {"gelu": np.array([-2, -1]), "tanh": np.array([1, 3])}}, "relu"
    ),
    "forest": lambda: plots.forest(
        {
            "dense": {"digits": {"gelu": (-2, -3, -1), "tanh": (1, 0, 3)}, "fashion": {"tanh": (-1, -2, 5)}},
            "convolutional": {"fashion": {"gelu": (4, 3, 5)}},
        },
        xlabel="nats less than relu",
    ),
}
SPACES = ("latent_scatter", "gaps", "numbered_points", "crowding", "class_map", "ellipses")


def framed(axis):
    return any(spine.get_visible() for spine in axis.spines.values())


def pictures(figure):
    return [axis for axis in figure.axes if axis.images]


def limits(axis):
    return [*axis.get_xlim(), *axis.get_ylim()]


def test_every_public_function_is_tested_here():
    functions = inspect.getmembers(plots, inspect.isfunction)
    own = {name for name, function in functions if function.__module__ == plots.__name__ and not name.startswith("_")}
    assert own == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_returned_and_drawn_and_pyplot_forgets_it(name, tmp_path):
    before = dict(mpl.rcParams)
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before
    figure.savefig(tmp_path / "figure.png")
    assert plt.imread(tmp_path / "figure.png").std() > 0.01


@pytest.mark.parametrize("name", FIGURES)
def test_axes_that_are_no_images_say_what_they_show(name):
    for axis in FIGURES[name]().axes:
        if axis.axison and len(axis.get_xticks()) and not axis.images:
            assert axis.get_xlabel() or axis.get_ylabel()


@pytest.mark.parametrize("name", SPACES)
def test_latent_spaces_have_equal_aspect_and_hold_every_point(name):
    spaces = [axis for axis in FIGURES[name]().axes if axis.get_xlabel() == "z1"]
    assert spaces
    for axis in spaces:
        assert axis.get_aspect() == 1
        left, right, low, high = limits(axis)
        assert right - left == pytest.approx(high - low)
        for points in axis.collections:
            if name != "gaps" and len(points.get_offsets()):
                assert np.all(points.get_offsets() >= (left, low))
                assert np.all(points.get_offsets() <= (right, high))


def test_spaces_that_are_compared_have_the_same_axes():
    one, two = plots.latent_scatter({"one": Z, "two": WIDE}, LABELS, NAMES).axes
    assert limits(one) == limits(two)
    assert (one.get_title(), two.get_title()) == ("one", "two")


def test_an_enlarged_space_comes_last_on_axes_of_its_own():
    axes = plots.latent_scatter({"one": Z, "two": WIDE}, LABELS, NAMES, enlarged="one").axes
    assert [axis.get_title() for axis in axes] == ["one", "two", "one, enlarged"]
    assert limits(axes[0]) == limits(axes[1])
    assert limits(axes[2]) == limits(plots.latent_scatter({"one": Z}, LABELS, NAMES).axes[0])


def test_colours_are_ten_that_differ():
    assert len(set(plots.COLOURS)) == 10
    colours = np.array([to_rgb(colour) for colour in plots.COLOURS])
    distances = np.linalg.norm(colours[:, None] - colours, axis=2)
    assert distances[np.triu_indices(10, 1)].min() > 0.1


def test_a_class_keeps_its_colour():
    figure = plots.latent_scatter({"one": Z, "two": WIDE}, LABELS, NAMES)
    for axis, z in zip(figure.axes, (Z, WIDE)):
        for label, points in enumerate(axis.collections):
            assert to_hex(points.get_facecolor()[0]) == plots.COLOURS[label]
            np.testing.assert_allclose(points.get_offsets(), z[np.equal(LABELS, label)])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == NAMES


def test_a_class_that_is_missing_shifts_no_colour():
    some = LABELS[LABELS != 0], Z[LABELS != 0]
    (axis,) = plots.latent_scatter({"one": some[1]}, some[0], NAMES).axes
    assert len(axis.collections[0].get_offsets()) == 0
    assert to_hex(axis.collections[1].get_facecolor()[0]) == plots.COLOURS[1]


def test_the_map_of_classes_puts_each_where_its_density_is_in_its_colour():
    space, bars, matrix, *_ = FIGURES["class_map"]().axes
    for label, text in enumerate(space.texts):
        assert text.get_text() == str(label)
        np.testing.assert_allclose(text.get_position(), (1, -label), atol=0.1)
        assert text.get_color() == plots.COLOURS[label]
        # A round density of variance 1/2 keeps 90 % of its mass within this radius.
        (outline,) = space.collections[label].get_paths()
        distances = np.linalg.norm(outline.vertices - (1, -label), axis=1)
        np.testing.assert_allclose(distances, np.sqrt(-np.log(0.1)), atol=0.1)
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([20, 40])
    assert [to_hex(bar.get_facecolor()) for bar in bars.patches] == list(plots.COLOURS[:2])
    shown = matrix.images[0].get_array()
    assert shown[0, 1] == shown[1, 0] == 0.3
    assert np.ma.is_masked(shown[0, 0]) or np.isnan(shown[0, 0])


def test_rows_of_images_hold_them_in_order_and_frame_the_marked():
    figure = FIGURES["image_rows"]()
    axes = np.array(figure.axes).reshape(2, 12)
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["input", "output"]
    for column in range(12):
        np.testing.assert_array_equal(axes[0, column].images[0].get_array(), IMAGES[column, ..., 0])
        np.testing.assert_array_equal(axes[1, column].images[0].get_array(), 1 - IMAGES[column, ..., 0])
    assert [framed(axis) for axis in axes.flat] == [False] * 12 + MARKED.tolist()
    assert {to_hex(axis.spines["left"].get_edgecolor()) for axis in axes[1, MARKED]} == {plots.MISSING}


def test_images_keep_the_scale_from_0_to_1():
    for name in ("image_rows", "image_grid", "decoded_grid", "numbered_points", "ellipses"):
        for axis in pictures(FIGURES[name]()):
            assert axis.images[0].get_clim() == (0, 1)


def test_a_grid_of_images_holds_them_row_by_row_and_frames_the_marked():
    axes = FIGURES["image_grid"]().axes
    assert len(axes) == 15
    for index in range(12):
        np.testing.assert_array_equal(axes[index].images[0].get_array(), IMAGES[index, ..., 0])
        assert axes[index].get_title() == f"no. {index}"
    assert [framed(axis) for axis in axes[:12]] == MARKED.tolist()
    assert not any(axis.images or framed(axis) for axis in axes[12:])


def test_numbered_points_carry_the_numbers_of_their_images():
    figure = FIGURES["numbered_points"]()
    space, *others = figure.axes
    for number, (text, axis) in enumerate(zip(space.texts, others), 1):
        assert text.get_text() == axis.get_title() == str(number)
        np.testing.assert_array_equal(text.xy, Z[number - 1])
        np.testing.assert_array_equal(axis.images[0].get_array(), IMAGES[number - 1, ..., 0])
        assert framed(axis) == (text.get_color() == plots.MISSING) == MARKED[number - 1]
    assert len(space.texts) == len(pictures(figure)) == 12


def test_gaps_show_the_points_that_lie_in_gaps():
    (axis,) = FIGURES["gaps"]().axes
    in_gaps, images = axis.collections
    np.testing.assert_allclose(in_gaps.get_offsets(), WIDE[:40])
    np.testing.assert_allclose(images.get_offsets(), Z)
    np.testing.assert_array_equal(axis.lines[0].get_xydata(), [[-2, -2], [2, -2], [0, 2], [-2, -2]])


def test_symmetry_names_the_share_on_each_side():
    z = np.stack([np.linspace(-1, 3, 200), np.linspace(-4, 1, 200)], axis=1)
    first, second = plots.symmetry({"space": z}).axes
    for axis, left, right in ((first, "25%", "75%"), (second, "80%", "20%")):
        texts = {text.get_ha(): text.get_text() for text in axis.texts}
        assert texts == {"left": left, "right": right}
        assert axis.lines[0].get_xdata()[0] == 0
        # No bar reaches over 0, where the colours change.
        for bar in axis.patches:
            side = bar.get_x() + bar.get_width() / 2
            assert bar.get_height() == 0 or to_hex(bar.get_facecolor()) == plots.COLOURS[0 if side > 0 else 1]


def test_crowding_is_relative_to_the_mean_of_the_cells_that_are_occupied():
    spaces = [axis for axis in FIGURES["crowding"]().axes if axis.get_xlabel() == "z1"]
    for axis in spaces:
        cells = axis.collections[0]
        assert cells.get_array().mean() == pytest.approx(1)
        assert cells.get_array().min() > 0
        assert cells.get_clim() == pytest.approx((cells.get_array().min(), cells.get_array().max()))


def test_a_grid_of_decoded_images_puts_each_in_its_place():
    (axis,) = FIGURES["decoded_grid"]().axes
    picture = axis.images[0].get_array()
    assert picture.shape == (3 * 4, 4 * 3)
    for row in range(3):
        for column in range(4):
            tile = picture[4 * row : 4 * row + 4, 3 * column : 3 * column + 3]
            np.testing.assert_array_equal(tile, IMAGES[4 * row + column, ..., 0])
    assert [text.get_text() for text in axis.get_xticklabels()] == ["-1.0", "0.0", "0.5", "1.0"]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["2.0", "0.0", "-2.0"]
    np.testing.assert_allclose(axis.get_xticks(), [1, 4, 7, 10])
    np.testing.assert_allclose(axis.get_yticks(), [1.5, 5.5, 9.5])
    bottom, top = axis.get_ylim()
    assert bottom > top  # The first row is at the top.


def test_a_grid_of_coloured_images_stays_coloured():
    images = np.random.default_rng(0).random((6, 4, 3, 3))
    (axis,) = plots.decoded_grid(images, np.arange(3), np.arange(2)).axes
    assert axis.images[0].get_array().shape == (8, 9, 3)
    np.testing.assert_array_equal(axis.images[0].get_array()[4:, 3:6], images[4])


def test_training_draws_the_terms_from_the_second_epoch_on():
    upper, lower = plots.training(HISTORY).axes
    lines = {line.get_label(): line for axis in (upper, lower) for line in axis.lines}
    assert set(lines) == {
        f"{name}, {side}" for name in ("loss", "reconstruction_loss", "kl_loss") for side in ("training", "held-out")
    }
    for label, line in lines.items():
        name, side = label.split(", ")
        np.testing.assert_array_equal(line.get_xdata(), [2, 3, 4])
        np.testing.assert_array_equal(line.get_ydata(), HISTORY["val_" * (side == "held-out") + name][1:])
    assert {line.get_label() for line in lower.lines} == {"kl_loss, training", "kl_loss, held-out"}


def test_training_of_an_autoencoder_has_one_panel_and_may_start_at_the_first_epoch():
    history = {"loss": [3.0, 2.0], "reconstruction_loss": [3.0, 2.0]}
    (axis,) = plots.training(history, first_epoch=1).axes
    (line,) = axis.lines
    np.testing.assert_array_equal(line.get_xydata(), [[1, 3], [2, 2]])


@pytest.mark.parametrize("name", ["training", "learning_curves"])
def test_ticks_stand_at_whole_epochs(name):
    for axis in FIGURES[name]().axes:
        np.testing.assert_array_equal(axis.get_xticks(), np.rint(axis.get_xticks()))


def test_ellipses_have_one_and_two_standard_deviations_around_their_means():
    space = FIGURES["ellipses"]().axes[0]
    sizes = [(ellipse.width, ellipse.height) for ellipse in space.patches]
    np.testing.assert_allclose(sizes, [(4, 1), (8, 2)] * 2)
    np.testing.assert_array_equal([ellipse.center for ellipse in space.patches], Z[[3, 3, 14, 14]])
    colours = [to_hex(ellipse.get_edgecolor()) for ellipse in space.patches]
    assert colours == [plots.COLOURS[k] for k in (3, 3, 4, 4)]


def test_the_kl_term_is_drawn_over_each_of_its_arguments():
    over_mean, over_log_var, *_ = FIGURES["kl_term"]().axes
    x, y = over_mean.lines[0].get_data()
    np.testing.assert_allclose(y, x**2 / 2)
    x, y = over_log_var.lines[0].get_data()
    np.testing.assert_allclose(y, (np.exp(x) - 1 - x) / 2, atol=1e-12)
    assert (over_mean.get_xlabel(), over_log_var.get_xlabel()) == ("z_mean", "z_log_var")


def test_marginals_are_densities_beside_that_of_the_prior():
    for axis in FIGURES["marginals"]().axes:
        assert sum(bar.get_height() * bar.get_width() for bar in axis.patches) == pytest.approx(1)
        x, y = axis.lines[0].get_data()
        np.testing.assert_allclose(y, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))


def test_the_sweep_over_beta_draws_both_terms():
    terms, plane, twin = FIGURES["beta_sweep"]().axes
    np.testing.assert_array_equal(terms.lines[0].get_xydata(), [[0.1, 130], [1, 140], [10, 180]])
    np.testing.assert_array_equal(twin.lines[0].get_xydata(), [[0.1, 9], [1, 6], [10, 2]])
    np.testing.assert_array_equal(plane.lines[0].get_xydata(), [[9, 130], [6, 140], [2, 180]])
    assert terms.get_xscale() == "log"
    assert [text.get_text().strip() for text in plane.texts] == ["beta 0.1", "beta 1", "beta 10"]


def test_bounds_have_bars_of_two_standard_errors_and_level_lines():
    (axis,) = FIGURES["bounds"]().axes
    bound, elbo = axis.containers
    np.testing.assert_array_equal(bound.lines[0].get_xydata(), [[1, -9], [10, -7], [100, -6]])
    np.testing.assert_array_equal(elbo.lines[0].get_ydata(), [-9, -9, -9])
    assert (bound.has_yerr, elbo.has_yerr) == (True, False)
    (bars,) = bound.lines[2]
    np.testing.assert_array_equal([bar[:, 1] for bar in bars.get_segments()], [[-10, -8], [-7.5, -6.5], [-6.25, -5.75]])
    assert next(line.get_ydata() for line in axis.lines if line.get_label() == "exact") == [-5.5, -5.5]
    assert axis.get_xscale() == "log"
    assert [text.get_text() for text in axis.get_xticklabels()] == ["1", "10", "100"]
    assert axis.get_xlabel() == "samples"
    assert "nats" in axis.get_ylabel()


def test_activations_are_drawn_beside_their_derivatives():
    values, derivatives = FIGURES["activations"]().axes
    np.testing.assert_array_equal(values.lines[0].get_ydata(), np.maximum(GRID, 0))
    np.testing.assert_array_equal(derivatives.lines[0].get_ydata(), GRID > 0)
    assert (values.get_ylabel(), derivatives.get_ylabel()) == ("activation", "derivative")


def test_learning_curves_are_means_over_the_seeds_in_a_band():
    (axis,) = FIGURES["learning_curves"]().axes
    mean, flat = axis.lines
    np.testing.assert_array_equal(mean.get_xydata(), [[1, 4], [2, 3], [3, 2]])
    np.testing.assert_array_equal(flat.get_ydata(), [1, 1, 1])
    assert axis.get_ylabel() == "held-out loss, nats per image"
    assert plots.learning_curves({"a": {"b": np.ones((1, 2))}}, ylabel="error").axes[0].get_ylabel() == "error"
    assert (mean.get_label(), flat.get_label()) == ("gelu", "relu")
    assert [to_hex(line.get_color()) for line in axis.lines] == list(plots.COLOURS[:2])
    band = axis.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1, 5)


def test_learning_curves_may_begin_later():
    (axis,) = plots.learning_curves({"dense": {"gelu": np.array([[3, 2, 1], [5, 4, 3]])}}, first_epoch=2).axes
    np.testing.assert_array_equal(axis.lines[0].get_xydata(), [[2, 3], [3, 2]])


def test_losses_stand_over_epochs_and_over_seconds():
    epochs, time = FIGURES["over_epochs_and_seconds"]().axes
    np.testing.assert_array_equal(epochs.lines[0].get_xydata(), [[1, 4], [2, 3]])
    np.testing.assert_array_equal(time.lines[0].get_xydata(), [[2, 4], [4, 3]])
    np.testing.assert_array_equal(time.lines[1].get_xydata(), [[4.5, 3], [9, 1]])
    assert [line.get_label() for line in epochs.lines] == ["N = 1", "N = 2"]
    assert epochs.lines[1].get_color() == time.lines[1].get_color()
    assert list(time.lines[2].get_xdata()) == [4, 4]
    assert epochs.get_ylim() == time.get_ylim()
    assert "seconds" in time.get_xlabel()


def test_arms_have_a_curve_and_an_interval_of_the_same_colour():
    curves, finals = FIGURES["arms"]().axes
    np.testing.assert_array_equal(curves.lines[0].get_xydata(), [[2, 6], [3, 5]])
    np.testing.assert_array_equal([line.get_xydata()[0] for line in finals.lines], [[5, 0], [1, 1], [0, 2]])
    ends = [collection.get_segments()[0] for collection in finals.collections]
    np.testing.assert_array_equal(ends[0], [[4, 0], [7, 0]])
    colours = [to_hex(line.get_color()) for line in curves.lines]
    assert colours == [to_hex(line.get_color()) for line in finals.lines]
    assert len(set(colours)) == 3
    assert colours[2] == to_hex(plots.GREY)
    assert [text.get_text() for text in finals.get_yticklabels()] == ["0.1", "1", "none"]
    assert finals.get_ylim()[0] > finals.get_ylim()[1]


def test_a_norm_that_is_not_finite_ends_its_line_with_a_cross():
    (axis,) = FIGURES["gradient_norms"]().axes
    broken, cross, whole = axis.lines
    np.testing.assert_array_equal(broken.get_xydata(), [[1, 10], [2, 1000]])
    np.testing.assert_array_equal(cross.get_xydata(), [[2, 1000]])
    assert (cross.get_marker(), cross.get_color()) == ("x", broken.get_color())
    np.testing.assert_array_equal(whole.get_xydata(), [[1, 10], [2, 20], [3, 5]])
    assert (axis.get_yscale(), axis.get_xscale()) == ("log", "linear")
    (rates,) = plots.gradient_norms({"none": [10, 20]}, x=[0.01, 0.1], xlabel="learning rate").axes
    np.testing.assert_array_equal(rates.lines[0].get_xydata(), [[0.01, 10], [0.1, 20]])
    assert (rates.get_xscale(), rates.get_xlabel()) == ("log", "learning rate")


def test_paired_differences_have_a_bar_at_their_mean():
    (axis,) = FIGURES["paired_differences"]().axes
    points, mean, others, other_mean, zero = axis.lines
    np.testing.assert_array_equal(points.get_xydata(), [[-2, 0], [-1, 0]])
    np.testing.assert_array_equal(mean.get_xdata(), [-1.5, -1.5])
    np.testing.assert_array_equal(others.get_xydata(), [[1, 1], [3, 1]])
    np.testing.assert_array_equal(other_mean.get_xdata(), [2, 2])
    np.testing.assert_array_equal(zero.get_xdata(), [0, 0])
    assert [text.get_text() for text in axis.get_yticklabels()] == ["gelu", "tanh"]
    assert "relu" in axis.get_xlabel()


def test_a_forest_is_cut_at_its_limits_and_says_so():
    rows = {"inside": (0, -1, 1), "long": (1, -3, 9), "far": (12, 11, 13)}
    (axis,) = plots.forest({"dense": {"digits": rows}}, xlabel="nats", limits=(-2, 4)).axes
    points, left, right = axis.lines[:3]
    np.testing.assert_array_equal(points.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(left.get_xydata(), [[-2, 1]])
    np.testing.assert_array_equal(right.get_xydata(), [[4, 1], [4, 2]])
    assert (left.get_marker(), right.get_marker()) == ("<", ">")
    ends = [segment[:, 0] for segment in axis.collections[0].get_segments()]
    np.testing.assert_array_equal(ends, [[-1, 1], [-2, 4], [4, 4]])


def test_a_forest_has_an_interval_for_each_row_of_each_series():
    figure = FIGURES["forest"]()
    dense, convolutional = figure.axes
    digits, _, _, fashion, _, _, zero = dense.lines[:7]
    np.testing.assert_allclose(digits.get_xydata(), [[-2, -0.12], [1, 0.88]])
    np.testing.assert_allclose(fashion.get_xydata(), [[-1, 1.12]])
    np.testing.assert_array_equal(zero.get_xdata(), [0, 0])
    ends = [collection.get_segments() for collection in dense.collections]
    np.testing.assert_allclose(ends[0], [[[-3, -0.12], [-1, -0.12]], [[0, 0.88], [3, 0.88]]])
    np.testing.assert_allclose(ends[1], [[[-2, 1.12], [5, 1.12]]])
    # What is missing leaves its place and its colour free.
    np.testing.assert_allclose(convolutional.lines[3].get_xydata(), [[4, 0.12]])
    assert convolutional.lines[3].get_color() == fashion.get_color() != digits.get_color()
    assert limits(dense) == limits(convolutional)
    assert dense.get_xlim()[0] < -3 < 5 < dense.get_xlim()[1]
    assert dense.get_ylim()[0] > dense.get_ylim()[1]
    assert [text.get_text() for text in dense.get_yticklabels()] == ["gelu", "tanh"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["digits", "fashion"]
    assert (dense.get_title(), dense.get_xlabel()) == ("dense", "nats less than relu")
