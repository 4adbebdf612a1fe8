import inspect
import io
import re
from functools import partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial.distance import pdist
from seeding import rng

from vae_keras import latent, plots
from vae_keras.plots import style

generator = rng()
IMAGES = generator.random((12, 4, 3, 1))
Z = generator.normal(size=(300, 2))
WIDE = Z * (5, 1) + (2, 0)
LABELS = np.arange(300) % 10
NAMES = [f"class {k}" for k in range(10)]
MARKED = np.arange(12) % 5 == 2
HISTORY = {
    prefix + name: [90.0, 50 - shift, 40 - shift, 35 - shift]
    for start, prefix in enumerate(("", "val_"))
    for shift, name in enumerate(("loss", "reconstruction_loss", "kl_loss"), 3 * start)
}
GRID = np.linspace(-5, 5, 60)
DENSITIES = np.stack(
    [
        np.exp(-((GRID[None, :] - 1) ** 2) - (GRID[:, None] + k) ** 2) / np.pi for k in range(2)
    ]  # Class k lies at (1, -k).
)

ARGUMENTS = {
    "image_rows": {"rows": {"input": IMAGES, "output": 1 - IMAGES}, "marked": {"output": MARKED}},
    "image_grid": {"images": IMAGES, "columns": 5, "titles": [f"no. {k}" for k in range(12)], "marked": MARKED},
    "latent_scatter": {"spaces": {"one": Z, "two": WIDE}, "labels": LABELS, "class_names": NAMES},
    "gaps": {"z": Z, "region": np.array([[-2, -2], [2, -2], [0, 2]]), "points": WIDE, "empty": np.arange(300) < 40},
    "numbered_points": {"z": Z, "points": Z[:12], "images": IMAGES, "marked": MARKED},
    "sides": {"spaces": {"one": Z, "two": WIDE}},
    "density_map": {"spaces": {"one": Z, "two": WIDE}},
    "class_map": {
        "x": GRID,
        "y": GRID,
        "densities": DENSITIES,
        "areas": np.array([0.2, 0.4]),
        "overlaps": np.array([[1, 0.3], [0.3, 1]]),
        "class_names": ["0", "1"],
    },
    "training": {"history": HISTORY},
    "ellipses": {
        "z_mean": Z,
        "z_log_var": np.log(np.tile([4.0, 0.25], (300, 1))),
        "z": Z[:2, None].repeat(5, axis=1),
        "labels": LABELS,
        "chosen": [3, 14],
        "images": IMAGES[:2],
    },
    "kl_term": {
        "closed_form": lambda m, v: (np.exp(v) + m**2 - 1 - v) / 2,
        "monte_carlo": lambda m, v: 0 * m,
    },
    "marginals": {"spaces": {"one": Z, "two": WIDE}},
    "posteriors": {
        "axis": GRID,
        "density": DENSITIES,
        "distributions": {"q": (np.array([[1, 0], [1, -1]]), np.log([[0.5, 0.5], [0.25, 0.5]]))},
        "images": IMAGES[:2],
        "log_likelihood": [-90, -80],
        "elbo": [-90, -80.15],
        "kl": [0, 0.15],
    },
    "decoded_grid": {"grids": {"one": IMAGES}, "first": np.array([-1, -0.01, 0.5, 1]), "second": np.array([2, 0, -2])},
    "beta_sweep": {"betas": [0.1, 1, 10], "reconstruction_loss": [130, 140, 180], "kl_loss": [9, 6, 2]},
    "rate_distortion": {
        "rates": {"dense": [[9, 8], [3, 2]]},
        "distortions": {"dense": [[80, 81], [95, 99]]},
        "betas": [0.1, 4],
    },
    "measures_over": {
        "x": {"pixels": [[9, 8], [3, 2]]},
        "measures": {"coverage": {"pixels": [[0.4, 0.5], [0.6, 0.6]]}, "recall": {"pixels": [[0.7, 0.8], [0.9, 0.9]]}},
        "xlabel": "kl_loss, nats per image",
        "levels": {"recall": 0.95},
    },
    "latents_over_epochs": {"kl_by_latent": {"beta = 1": [[0.1, 0.2], [0.0, 1.5], [0.0, 2.0]]}},
    "curves_over": {
        "x": [1, 10, 100],
        "curves": {"bound": np.array([-9, -7, -6]), "ELBO": np.array([-9, -9, -9])},
        "xlabel": "samples",
        "errors": {"bound": np.array([0.5, 0.25, 0.125])},
        "lines": {"exact": -5.5},
    },
    "activations": {
        "x": GRID,
        "values": {"ReLU": np.maximum(GRID, 0)},
        "derivatives": {"ReLU": np.float64(GRID > 0)},
    },
    "over_epochs_and_seconds": {
        "losses": {"N = 1": np.array([[3, 2], [5, 4]]), "N = 2": np.array([[3, 1], [3, 1]])},
        "seconds": {"N = 1": 2.0, "N = 2": 4.5},
    },
    "arms": {
        "curves": {"0.1": np.array([[9, 5, 4], [9, 7, 6]]), "1": np.ones((2, 3)), "none": np.zeros((2, 3))},
        "finals": {"0.1": (5, 4, 7), "1": (1, 0.5, 1.5), "none": (0, 0, 0)},
        "others": 1,
    },
    "gradient_norms": {"norms": {"none": [10, 1e3, np.nan], "value 1": [10, 20, 5]}},
    "learning_curves": {
        "curves": {"dense": {"gelu": np.array([[3, 2, 1], [5, 4, 3]]), "relu": np.ones((2, 3))}},
    },
    "seed_differences": {
        "differences": {"dense": {"gelu": np.array([-2, -1]), "tanh": np.array([1, 3])}},
        "reference": "relu",
    },
    "forest": {
        "panels": {
            "dense": {"digits": {"gelu": (-2, -3, -1), "tanh": (1, 0, 3)}, "fashion": {"tanh": (-1, -2, 5)}},
            "convolutional": {"fashion": {"gelu": (4, 3, 5)}},
        },
        "xlabel": "nats less than relu",
    },
}
FIGURES = {name: partial(getattr(plots, name), **arguments) for name, arguments in ARGUMENTS.items()}
SPACES = ("latent_scatter", "gaps", "numbered_points", "density_map", "class_map", "ellipses")


# What each module of the package may import of vae_keras.
IMPORTS = {
    "style": set(),
    "images": {"vae_keras.plots.style"},
    "posteriors": {"vae_keras.plots.style"},
    "spaces": {"vae_keras.plots.style"},
    "curves": {"vae_keras.plots.style"},
    "animation": {"vae_keras.plots.style"},
    "__init__": {
        f"vae_keras.plots.{module}" for module in ("style", "images", "posteriors", "spaces", "curves", "animation")
    },
}


def framed(axis):
    return any(spine.get_visible() for spine in axis.spines.values())


def pictures(figure):
    return [axis for axis in figure.axes if axis.images]


def limits(axis):
    return [*axis.get_xlim(), *axis.get_ylim()]


def test_every_public_function_is_tested_here():
    # The moving picture is no figure, and has tests of its own.
    functions = {name for name in plots.__all__ if inspect.isfunction(getattr(plots, name))}
    assert functions - {"training_animation"} == set(FIGURES)


def test_imports_point_one_way():
    folder = Path(plots.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} == set(IMPORTS)
    for module, allowed in IMPORTS.items():
        imports = re.findall(r"(?:from|import) (vae_keras[\w.]*|\.[\w.]*)", (folder / f"{module}.py").read_text())
        assert set(imports) == allowed


def test_every_name_that_is_exported_is_there():
    assert plots.__all__ == sorted(plots.__all__)
    assert {"COLOURS", "GREY", "MISSING", "STYLE", "styled"} <= set(plots.__all__) <= set(dir(plots))


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


def lab(linear):
    """CIELAB of linear sRGB (IEC 61966-2-1, white D65)."""
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = linear @ np.transpose(matrix) / (0.95047, 1, 1.08883)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


# How people without red or green cones see linear sRGB (Machado et al. 2009, table 1, severity 1).
SEEN = {
    "all cones": np.eye(3),
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}


@pytest.mark.parametrize(("eye", "least"), [("all cones", 51), ("no green", 30), ("no red", 30)])
def test_colours_are_ten_that_eyes_tell_apart(eye, least):
    colours = np.array([to_rgb(colour) for colour in plots.COLOURS])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = lab((linear @ np.transpose(SEEN[eye])).clip(0, 1))
    distances = np.linalg.norm(seen[:, None] - seen, axis=2)[np.triu_indices(10, 1)]
    assert len(distances) == 45
    assert distances.min() > least
    # On white paper none is too light.
    assert np.linalg.norm(seen - (100, 0, 0), axis=1).min() > 20


def test_a_scatter_names_each_class_at_its_median():
    (axis,) = plots.latent_scatter({"one": Z}, LABELS, NAMES).axes
    for label, text in enumerate(axis.texts):
        assert text.get_text() == str(NAMES[label])
        np.testing.assert_allclose(text.xy, np.median(Z[np.equal(LABELS, label)], axis=0))
        assert text.get_color() == plots.COLOURS[label]
    assert len(axis.texts) == len(np.unique(LABELS))


def test_names_of_classes_on_one_spot_are_moved_apart_and_others_stay():
    places = {
        "far": np.array([9.0, 9.0]),
        **{name: np.array([1.0, 1.0]) for name in "abcd"},
        "near": np.array([1.1, 1]),
    }
    _, axes = style.subplots(1, 1, width=4, height=4)
    axes[0, 0].set(xlim=(0, 10), ylim=(0, 10))
    style.name_classes(axes[0, 0], np.array(list(places.values())), np.arange(len(places)), list(places))
    assert [tuple(text.xy) for text in axes[0, 0].texts] == [tuple(place) for place in places.values()]
    written = np.array([text.get_position() for text in axes[0, 0].texts])
    assert pdist(written).min() > 0.95 * 0.07 * 10
    np.testing.assert_allclose(written[0], [9, 9], atol=0.01)
    # Near their places still, and around them.
    assert np.abs(written[1:] - 1).max() < 2
    np.testing.assert_allclose(written[1:].mean(axis=0), [1.02, 1], atol=0.02)


def moving(epochs=3, n=12, side=2, **changed):
    generator = rng(3)
    arguments = {
        "z_mean": generator.normal(size=(epochs, n, 2)),
        "z_log_var": np.full((epochs, n, 2), -2.0),
        "labels": np.arange(n) % 3,
        "class_names": ["a", "b", "c"],
        "decoded": generator.random((epochs, side**2, 4, 4, 1)),
    }
    return plots.training_animation(**{**arguments, **changed})


def test_a_training_moves_epoch_by_epoch():
    with Image.open(io.BytesIO(moving(milliseconds=100))) as picture:
        assert (picture.format, picture.n_frames, picture.info["loop"]) == ("GIF", 3, 0)
        frames, durations = [], []
        for number in range(3):
            picture.seek(number)
            frames.append(np.asarray(picture.convert("RGB")))
            durations.append(picture.info["duration"])
    assert durations == [100, 100, 400]
    assert not np.array_equal(frames[0], frames[1])
    assert frames[0].shape == frames[2].shape


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"z_mean": np.zeros((3, 12, 3))}, r"z_mean has shape \(3, 12, 3\)"),
        ({"z_log_var": np.zeros((3, 11, 2))}, r"z_log_var has shape \(3, 11, 2\)"),
        ({"labels": np.arange(12)}, "below 3"),
        ({"decoded": np.zeros((3, 5, 4, 4, 1))}, "square grid"),
        ({"decoded": np.zeros((2, 4, 4, 4, 1))}, "square grid"),
        ({"decoded": np.full((3, 4, 4, 4, 1), 2.0)}, "decoded holds values"),
    ],
)
def test_a_training_that_cannot_be_drawn_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        moving(**changed)


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


def test_numbered_points_may_lie_outside_of_the_latents():
    points = np.array([[50, 0], [0, -50]])
    space, *_ = plots.numbered_points(Z, points, IMAGES[:2], MARKED[:2]).axes
    left, right, low, high = limits(space)
    assert left < Z[:, 0].min() < 50 < right
    assert low < -50 < Z[:, 1].max() < high


def test_gaps_show_the_points_that_lie_in_gaps():
    (axis,) = FIGURES["gaps"]().axes
    in_gaps, images = axis.collections
    np.testing.assert_allclose(in_gaps.get_offsets(), WIDE[:40])
    np.testing.assert_allclose(images.get_offsets(), Z)
    np.testing.assert_array_equal(axis.lines[0].get_xydata(), [[-2, -2], [2, -2], [0, 2], [-2, -2]])


def test_sides_name_the_share_of_each():
    z = np.stack([np.linspace(-1, 3, 200), np.linspace(-4, 1, 200)], axis=1)
    first, second = plots.sides({"space": z}).axes
    for axis, left, right in ((first, "25%", "75%"), (second, "80%", "20%")):
        texts = {text.get_ha(): text.get_text() for text in axis.texts}
        assert texts == {"left": left, "right": right}
        assert axis.lines[0].get_xdata()[0] == 0
        # No bar reaches over 0, where the colours change.
        for bar in axis.patches:
            side = bar.get_x() + bar.get_width() / 2
            assert bar.get_height() == 0 or to_hex(bar.get_facecolor()) == plots.COLOURS[0 if side > 0 else 1]


def test_the_map_of_densities_is_relative_to_the_mean_of_the_cells_that_are_occupied():
    spaces = [axis for axis in FIGURES["density_map"]().axes if axis.get_xlabel() == "z1"]
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


def test_a_grid_names_its_axes():
    for names, given in ((("z1", "z2"), {}), (("slant", "thickness"), {"axis_names": ("slant", "thickness")})):
        (axis,) = FIGURES["decoded_grid"](**given).axes
        assert (axis.get_xlabel(), axis.get_ylabel()) == names


def test_each_decoder_has_a_grid_of_its_own():
    axes = plots.decoded_grid({"one": IMAGES, "two": 1 - IMAGES}, np.arange(4), np.arange(3)).axes
    assert [axis.get_title() for axis in axes] == ["one", "two"]
    first, second = (axis.images[0].get_array() for axis in axes)
    np.testing.assert_allclose(first, 1 - second)


def test_a_grid_of_coloured_images_stays_coloured():
    images = rng().random((6, 4, 3, 3))
    (axis,) = plots.decoded_grid({"one": images}, np.arange(3), np.arange(2)).axes
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
        assert line.get_linestyle() == {"training": "-", "held-out": "--"}[side]
        assert line.get_color() == lines[f"{name}, training"].get_color()
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


def test_ellipses_hold_their_samples_and_stand_beside_their_images():
    space, *others = FIGURES["ellipses"]().axes
    _, *samples = space.collections
    for k, (points, axis) in enumerate(zip(samples, others)):
        np.testing.assert_allclose(points.get_offsets(), Z[[k] * 5])
        assert to_hex(points.get_facecolor()[0]) == axis.title.get_color() == plots.COLOURS[3 + k]
        assert axis.get_title() == "std 2.00, 0.50"
        np.testing.assert_array_equal(axis.images[0].get_array(), IMAGES[k, ..., 0])
    assert (len(samples), len(pictures(space.figure.figure))) == (2, 2)


def test_the_kl_term_is_drawn_over_each_of_its_arguments():
    over_mean, over_log_var, *_ = FIGURES["kl_term"]().axes
    x, y = over_mean.lines[0].get_data()
    np.testing.assert_allclose(y, x**2 / 2)
    x, y = over_log_var.lines[0].get_data()
    np.testing.assert_allclose(y, (np.exp(x) - 1 - x) / 2, atol=1e-12)
    assert (over_mean.get_xlabel(), over_log_var.get_xlabel()) == ("z_mean", "z_log_var")
    for axis in (over_mean, over_log_var):
        np.testing.assert_allclose(axis.lines[1].get_xdata(), axis.lines[0].get_xdata()[::8])
        np.testing.assert_array_equal(axis.lines[1].get_ydata(), 0)


def test_the_map_of_the_kl_term_has_the_mean_from_left_to_right():
    axis = FIGURES["kl_term"]().axes[2]
    (filled,) = axis.collections
    for mean, log_var in ((2.2, 0.1), (0.1, 2.2), (-2.7, -5)):
        # The bands lie in one another; the innermost of those around the point is its own.
        level = next(k for k, path in enumerate(filled.get_paths()) if path.contains_point((mean, log_var)))
        assert filled.levels[level] <= (np.exp(log_var) + mean**2 - 1 - log_var) / 2 <= filled.levels[level + 1]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("z_mean", "z_log_var")


def test_marginals_are_densities_beside_that_of_the_prior():
    for axis in FIGURES["marginals"]().axes:
        assert sum(bar.get_height() * bar.get_width() for bar in axis.patches) == pytest.approx(1)
        x, y = axis.lines[0].get_data()
        np.testing.assert_allclose(y, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))


def test_marginals_hold_nearly_all_points_of_their_axis():
    for axis, values in zip(FIGURES["marginals"]().axes, (*Z.T, *WIDE.T)):
        edges = np.array(
            [bar.get_x() for bar in axis.patches] + [axis.patches[-1].get_x() + axis.patches[-1].get_width()]
        )
        heights, _ = np.histogram(values, edges, density=True)
        np.testing.assert_allclose([bar.get_height() for bar in axis.patches], heights)
        assert np.mean((values >= edges[0]) & (values <= edges[-1])) > 0.99
        assert -edges[0] == pytest.approx(edges[-1])
        assert edges[-1] == pytest.approx(4) or edges[-1] > 4


def test_the_sweep_over_beta_draws_both_terms():
    terms, plane, twin = FIGURES["beta_sweep"]().axes
    np.testing.assert_array_equal(terms.lines[0].get_xydata(), [[0.1, 130], [1, 140], [10, 180]])
    np.testing.assert_array_equal(twin.lines[0].get_xydata(), [[0.1, 9], [1, 6], [10, 2]])
    np.testing.assert_array_equal(plane.lines[0].get_xydata(), [[9, 130], [6, 140], [2, 180]])
    assert terms.get_xscale() == "log"
    assert [text.get_text().strip() for text in plane.texts] == ["beta 0.1", "beta 1", "beta 10"]
    np.testing.assert_array_equal([text.xy for text in plane.texts], plane.lines[0].get_xydata())
    np.testing.assert_array_equal([line.get_xydata()[0] for line in plane.lines[1:]], plane.lines[0].get_xydata())


def test_curves_have_bars_of_two_standard_errors_and_level_lines():
    (axis,) = FIGURES["curves_over"]().axes
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


def test_activations_keep_their_colour_and_their_dashes():
    curves = {name: GRID for name in "abcdefghij"}
    (*values, _), (*derivatives, _) = (axis.lines for axis in plots.activations(GRID, curves, curves).axes)
    assert [line.get_color() for line in values] == [line.get_color() for line in derivatives] == list(plots.COLOURS)
    assert [line.get_linestyle() for line in values] == [line.get_linestyle() for line in derivatives]
    assert {line.get_linestyle() for line in values} == {"-", "--", "-.", ":"}


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
    assert sum(to_rgb(colours[0])) < sum(to_rgb(colours[1]))
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


def test_seed_differences_have_a_bar_at_their_mean():
    (axis,) = FIGURES["seed_differences"]().axes
    points, mean, others, other_mean, zero = axis.lines
    np.testing.assert_array_equal(points.get_xydata(), [[-2, 0], [-1, 0]])
    np.testing.assert_array_equal(mean.get_xdata(), [-1.5, -1.5])
    np.testing.assert_array_equal(others.get_xydata(), [[1, 1], [3, 1]])
    np.testing.assert_array_equal(other_mean.get_xdata(), [2, 2])
    np.testing.assert_array_equal(zero.get_xdata(), [0, 0])
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
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


PLACE = np.tile([0.3, -0.2], (300, 1))
COLLAPSED = {
    "the origin": 0 * PLACE,
    "a place": PLACE,
    "a place up to rounding": PLACE + 1e-8 * Z,
    "a level line": Z * (1, 1e-8) + (0, 0.3),
    "an upright line": Z * (0, 1),
    "a tilted line": Z[:, :1] * (1, 3),
}


def arguments_of(name, z):
    """What a figure of a latent space is given where its latents are z."""
    region, changed = latent.occupied_region(z), {}
    if "spaces" in ARGUMENTS[name]:
        changed = {"spaces": {"one": z}}
    elif name == "gaps":
        points = latent.draw_points(z, 300)
        changed = {"z": z, "region": region.points[region.vertices], "points": points}
        changed["empty"] = latent.in_gap(points, z)
    elif name == "numbered_points":
        changed = {"z": z, "points": latent.largest_gaps(z, 12)}
    elif name == "ellipses":
        changed = {"z_mean": z, "z_log_var": 0 * z, "z": Z[:2, None] + z[[3, 14], None]}
    elif name == "class_map":
        x, y, densities = latent.class_densities(z, LABELS % 2, size=60)
        changed = {"x": x, "y": y, "densities": densities, "overlaps": latent.class_overlaps(z, LABELS % 2, size=60)}
        changed["areas"] = latent.class_areas(z, LABELS % 2, size=60) / region.volume
    return ARGUMENTS[name] | changed


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("space", COLLAPSED)
@pytest.mark.parametrize("name", [*SPACES, "sides", "marginals"])
def test_a_space_that_has_collapsed_is_drawn(name, space, tmp_path):
    z = COLLAPSED[space]
    figure = getattr(plots, name)(**arguments_of(name, z))
    figure.savefig(tmp_path / "figure.png")
    assert plt.imread(tmp_path / "figure.png").std() > 0.01
    for axis in figure.axes:
        if axis.get_xlabel() == "z1" and axis.get_ylabel() == "z2":
            left, right, low, high = limits(axis)
            assert right - left == pytest.approx(high - low)
            # As wide as the points are, or wide enough around a single place.
            assert 0.2 <= right - left < 30
            assert np.all((z >= (left, low)) & (z <= (right, high)))


@pytest.mark.parametrize("space", COLLAPSED)
def test_cells_of_a_space_that_has_collapsed_can_be_seen(space):
    z = COLLAPSED[space]
    axis = plots.density_map({"one": z}).axes[0]
    cells = axis.collections[0]
    left, right, *_ = limits(axis)
    # Hexagons that are no smaller than a hundredth of the panel, around the points.
    width, height = np.ptp(cells.get_paths()[0].vertices, axis=0)
    assert min(width, height) > (right - left) / 150
    distances = np.linalg.norm(z[:, None] - cells.get_offsets(), axis=2).min(axis=1)
    assert distances.max() < max(width, height)
    assert cells.get_array().mean() == pytest.approx(1)


@pytest.mark.parametrize("space", ["the origin", "a place up to rounding"])
def test_ellipses_around_one_place_are_in_sight(space):
    space, *_ = plots.ellipses(**arguments_of("ellipses", COLLAPSED[space])).axes
    left, right, low, high = limits(space)
    for ellipse in space.patches:
        (x, y), width, height = ellipse.center, ellipse.width, ellipse.height
        assert left < x - width / 2 < x + width / 2 < right
        assert low < y - height / 2 < y + height / 2 < high
    assert right - left < 6


def test_sides_of_a_constant_axis_are_one_bar_in_the_range_of_the_other():
    first, second = plots.sides({"one": np.abs(Z) * (-1, 1e-9)}).axes
    assert [bar.get_height() for bar in second.patches if bar.get_height()] == [300]
    low, high = second.get_xlim()
    assert low < first.get_xlim()[0] / 2 < 0 < high


def test_areas_that_are_unknown_have_no_bar():
    _, bars, *_ = plots.class_map(**ARGUMENTS["class_map"] | {"areas": [np.nan, 0.4]}).axes
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([0, 40])
    assert [text.get_text() for text in bars.get_yticklabels()] == ["0", "1"]
    with pytest.raises(ValueError, match="areas holds NaN or infinity"):
        plots.class_map(**ARGUMENTS["class_map"] | {"areas": [np.inf, 0.4]})


def test_a_training_that_collapses_shows_its_ellipses():
    # A VAE with the KL term alone: all means go to 0, all standard deviations to 1.
    gif = moving(epochs=1, z_mean=np.zeros((1, 12, 2)), z_log_var=np.zeros((1, 12, 2)))
    with Image.open(io.BytesIO(gif)) as picture:
        space = np.asarray(picture.convert("RGB"), int)[:, :360]
    coloured = np.ptp(space, axis=2) > 40
    # A circle, of the first class, that nearly fills its panel of about 290 pixels.
    assert np.ptp(np.flatnonzero(coloured.any(axis=0))) > 200
    assert np.ptp(np.flatnonzero(coloured.any(axis=1))) > 200


def test_sides_hold_a_space_that_lies_on_one_side():
    z = rng().uniform(5, 6, size=(200, 2)) * (1, -1)
    for axis, side in zip(plots.sides({"space": z}).axes, (1, -1)):
        assert sum(bar.get_height() for bar in axis.patches) >= 198
        assert sorted(text.get_text() for text in axis.texts) == ["0%", "100%"]
        low, high = axis.get_xlim()
        assert low < 0 < high
        assert all(side * (bar.get_x() + bar.get_width() / 2) > 0 for bar in axis.patches if bar.get_height())


def test_images_may_be_coloured():
    images = rng().random((2, 4, 3, 3))
    for axes in (plots.image_grid(images, columns=2).axes, plots.image_rows({"a": images}).axes):
        for axis, image in zip(axes, images):
            np.testing.assert_array_equal(axis.images[0].get_array(), image)


def test_images_may_be_one_pixel_high():
    images = rng().random((2, 1, 3, 1))
    first, second = plots.image_grid(images, columns=2).axes
    np.testing.assert_array_equal(first.images[0].get_array(), images[0, ..., 0])
    np.testing.assert_array_equal(second.images[0].get_array(), images[1, ..., 0])
    (axis,) = plots.decoded_grid({"one": images}, [0, 1], [0]).axes
    np.testing.assert_array_equal(axis.images[0].get_array(), images.reshape(1, 6))


def test_whole_numbers_in_coloured_images_are_not_taken_for_bytes(tmp_path):
    plots.image_grid(np.ones((1, 4, 3, 3), int), columns=1).savefig(tmp_path / "white.png")
    assert plt.imread(tmp_path / "white.png").min() == 1


@pytest.mark.filterwarnings("error")
def test_the_map_of_classes_may_hold_one_class_and_turns_long_names(tmp_path):
    figure = plots.class_map(GRID, GRID, DENSITIES[:1], [0.2], [[1]], ["Trouser"])
    figure.savefig(tmp_path / "figure.png")
    _, _, matrix, *_ = figure.axes
    assert [(text.get_text(), text.get_rotation()) for text in matrix.get_xticklabels()] == [("Trouser", 90)]
    _, _, matrix, *_ = FIGURES["class_map"]().axes
    assert [(text.get_text(), text.get_rotation()) for text in matrix.get_xticklabels()] == [("0", 0), ("1", 0)]


def test_names_keep_their_colour_whatever_their_order():
    one, two = np.ones((2, 3)), 2 * np.ones((2, 3))
    panels = plots.learning_curves({"p": {"a": one, "b": two}, "q": {"b": two, "a": one}}).axes
    for axis in panels:
        assert [(line.get_label(), *line.get_ydata()[:1]) for line in axis.lines] == [("a", 1), ("b", 2)]
        assert [to_hex(line.get_color()) for line in axis.lines] == list(plots.COLOURS[:2])
    pair = plots.activations([1, 2], {"a": [1, 1], "b": [2, 2]}, {"b": [2, 2], "a": [1, 1]}).axes
    for axis in pair:
        assert [line.get_ydata()[0] for line in axis.lines[:2]] == [1, 2]


def test_curves_take_lists_and_leave_gaps():
    (axis,) = plots.curves_over([1, 2], {"a": [3, None]}, "n", errors={"a": [0.5, 1]}).axes
    (bars,) = axis.containers[0].lines[2]
    np.testing.assert_array_equal(bars.get_segments()[0][:, 1], [2, 4])
    np.testing.assert_array_equal(axis.containers[0].lines[0].get_ydata(), [3, np.nan])
    (axis,) = plots.training({"loss": [3, 2, None, 1]}).axes
    np.testing.assert_array_equal(axis.lines[0].get_xydata(), [[2, 2], [3, np.nan], [4, 1]])


def test_a_forest_has_the_rows_of_all_its_panels_in_the_order_of_the_first_mention():
    panels = {"dense": {"digits": {"b": (1, 0, 2)}}, "convolutional": {"digits": {"a": (3, 2, 4), "b": (5, 4, 6)}}}
    dense, convolutional = plots.forest(panels, xlabel="nats").axes
    assert [text.get_text() for text in dense.get_yticklabels()] == ["b", "a"]
    np.testing.assert_array_equal(dense.lines[0].get_xydata(), [[1, 0]])
    np.testing.assert_array_equal(convolutional.lines[0].get_xydata(), [[3, 1], [5, 0]])


def test_a_forest_leaves_out_what_is_not_a_number():
    rows = {"few seeds": (1, np.nan, np.nan), "none": (np.nan, np.nan, np.nan), "many": (2, 1, 3)}
    (axis,) = plots.forest({"dense": {"digits": rows}}, xlabel="nats", limits=(-5, 5)).axes
    np.testing.assert_array_equal(axis.lines[0].get_xydata(), [[1, 0], [2, 2]])
    assert [text.get_text() for text in axis.get_yticklabels()] == list(rows)


BROKEN = np.where(np.arange(600).reshape(300, 2) == 5, np.nan, Z)
RUNS = {"a": np.ones((2, 3))}
ROWS = {"dense": {"digits": {"gelu": (0, -1, 1)}}}


def eleven(value):
    return {f"name {k}": value for k in range(11)}


# What is wrong with one argument, and how the message begins to say so.
ERRORS = [
    ("image_rows", {"rows": {}}, "rows is {}. Expected a dict, or another mapping, with at least one entry."),
    ("image_rows", {"rows": IMAGES}, "rows is array("),
    ("image_rows", {"rows": {"a": IMAGES, "b": IMAGES[:9]}, "marked": None}, "a: 12, b: 9. Expected as many in each"),
    ("image_rows", {"rows": {"a": IMAGES[..., 0]}}, "rows['a'] has shape (12, 4, 3). Expected (n, height, width,"),
    ("image_rows", {"rows": {"a": IMAGES[:0]}}, "rows['a'] has shape (0, 4, 3, 1). Expected (n, height"),
    ("image_rows", {"rows": {"a": IMAGES.repeat(2, axis=3)}}, "(12, 4, 3, 2). Expected 1 channel, grey, or 3"),
    ("image_rows", {"rows": {"a": 255 * np.ones((1, 2, 2, 1), int)}}, "from 255 to 255. Expected 0 to 1: divide bytes"),
    ("image_rows", {"rows": {"a": IMAGES - 0.5}}, "Expected 0 to 1"),
    ("image_rows", {"rows": {"a": IMAGES * np.nan}}, "rows['a'] holds NaN or infinity. Expected finite numbers"),
    ("image_rows", {"rows": {"a": "pictures"}}, "rows['a'] is array('pictures'"),
    ("image_rows", {"marked": MARKED}, "marked is array("),
    ("image_rows", {"marked": {"outputs": MARKED}}, "marked has entries for outputs. Expected some of these: input,"),
    ("image_rows", {"marked": {"input": MARKED[:3]}}, "marked['input'] has shape (3,). Expected (12,), True or"),
    ("image_rows", {"marked": {"input": np.arange(12)}}, "marked['input'] is of int64. Expected bool, True or"),
    ("image_grid", {"images": IMAGES[0]}, "images has shape (4, 3, 1). Expected (n, height, width, channels), a stack"),
    ("image_grid", {"columns": 0}, "columns is 0. Expected a whole number of 1 or more."),
    ("image_grid", {"columns": True}, "columns is True. Expected a whole number"),
    ("image_grid", {"columns": 2.5}, "columns is 2.5. Expected a whole number"),
    ("image_grid", {"titles": ["a", "b"]}, "titles has shape (2,). Expected (12,), a title for each image."),
    ("image_grid", {"marked": MARKED[:5]}, "marked has shape (5,). Expected (12,), True or False for each image."),
    ("decoded_grid", {"grids": {}}, "grids is {}. Expected"),
    ("decoded_grid", {"grids": {"a": IMAGES[:11]}}, "grids['a'] has shape (11, 4, 3, 1). Expected (12, height, width,"),
    ("decoded_grid", {"first": np.ones((2, 2))}, "first has shape (2, 2). Expected (columns,), the values of z1."),
    ("decoded_grid", {"second": [1, np.inf, 2]}, "second holds NaN or infinity"),
    ("decoded_grid", {"axis_names": ["slant"]}, "axis_names has shape (1,). Expected (2,), one for each axis."),
    ("latent_scatter", {"spaces": {}}, "spaces is {}. Expected"),
    ("latent_scatter", {"spaces": Z}, "spaces is array("),
    ("latent_scatter", {"spaces": {"a": np.ones((300, 3))}}, "spaces['a'] has shape (300, 3). Expected (n, 2), a"),
    ("latent_scatter", {"spaces": {"a": BROKEN}}, "spaces['a'] holds NaN or infinity. Expected finite numbers; has"),
    ("latent_scatter", {"labels": LABELS[:5]}, "labels has shape (5,). Expected (300,), the class of each point of"),
    ("latent_scatter", {"spaces": {"a": Z, "b": Z[:9]}}, "labels has shape (300,). Expected (9,), the class of each"),
    ("latent_scatter", {"labels": LABELS + 1}, "labels holds 10. Expected whole numbers, 0 or more and below 10, the"),
    ("latent_scatter", {"labels": LABELS - 1}, "labels holds -1. Expected whole numbers"),
    ("latent_scatter", {"labels": LABELS / 2}, "labels holds 0.5. Expected whole numbers"),
    ("latent_scatter", {"labels": [[1, 2], [3]]}, "labels is [[1, 2], [3]]. Expected numbers of shape (300,)"),
    ("latent_scatter", {"class_names": NAMES[:4]}, "labels holds 4. Expected whole numbers, 0 or more and below 4"),
    ("latent_scatter", {"class_names": None}, "class_names has shape (). Expected (classes,), a name for each class."),
    ("latent_scatter", {"enlarged": "three"}, "enlarged is 'three'. Expected the name of one of the spaces: one, two."),
    ("gaps", {"z": BROKEN}, "z holds NaN or infinity"),
    ("gaps", {"region": [-2, 2]}, "region has shape (2,). Expected (n, 2), a point"),
    ("gaps", {"points": Z[:, :1]}, "points has shape (300, 1). Expected (n, 2)"),
    ("gaps", {"empty": np.arange(40)}, "empty has shape (40,). Expected (300,), True or False for each of points."),
    ("gaps", {"empty": np.arange(300)}, "empty is of int64. Expected bool, True or False for each of points."),
    ("numbered_points", {"z": Z.T}, "z has shape (2, 300). Expected (n, 2)"),
    ("numbered_points", {"points": BROKEN[:12]}, "points holds NaN or infinity"),
    ("numbered_points", {"images": IMAGES[:5]}, "images has shape (5, 4, 3, 1). Expected (12, height, width,"),
    ("numbered_points", {"marked": MARKED[:5]}, "marked has shape (5,). Expected (12,), True or False"),
    ("numbered_points", {"columns": 0}, "columns is 0. Expected a whole number of 1 or more."),
    ("sides", {"spaces": {"a": Z[:, 0]}}, "spaces['a'] has shape (300,). Expected (n, 2)"),
    ("density_map", {"spaces": {"a": BROKEN}}, "spaces['a'] holds NaN or infinity"),
    ("marginals", {"spaces": {}}, "spaces is {}. Expected"),
    ("posteriors", {"distributions": {}}, "distributions is {}. Expected"),
    ("class_map", {"x": GRID[::-1]}, "Expected two or more evenly rising values, as of np.linspace."),
    ("class_map", {"y": GRID**3}, "y is array("),
    ("class_map", {"x": [1.0]}, "x is array([1.]). Expected two or more"),
    ("class_map", {"x": GRID[1:]}, "densities has shape (2, 60, 60). Expected (k, 60, 59), the classes, the rows y"),
    ("class_map", {"densities": DENSITIES / 2}, "densities sum to 0.5, 0.5, times the area of a cell. Expected 1 for"),
    ("class_map", {"areas": [0.1, 0.2, 0.3]}, "areas has shape (3,). Expected (2,), the share of each class."),
    ("class_map", {"overlaps": [1, 0.3]}, "overlaps has shape (2,). Expected (2, 2), the share of each two classes."),
    ("class_map", {"class_names": NAMES}, "class_names has shape (10,). Expected (2,), a name for each class."),
    ("ellipses", {"z_mean": BROKEN}, "z_mean holds NaN or infinity"),
    ("ellipses", {"z_log_var": Z[:5]}, "z_log_var has shape (5, 2). Expected (300, 2), as z_mean."),
    ("ellipses", {"z": Z[:2]}, "z has shape (2, 2). Expected (2, m, 2), samples for each of chosen."),
    ("ellipses", {"labels": LABELS[:5]}, "labels has shape (5,). Expected (300,), the class of each row of z_mean."),
    ("ellipses", {"labels": LABELS - 1}, "labels holds -1. Expected whole numbers, 0 or more, the class"),
    ("ellipses", {"chosen": [3, 300]}, "chosen holds 300. Expected whole numbers, 0 or more and below 300, places in"),
    ("ellipses", {"chosen": []}, "chosen has shape (0,). Expected (k,), places in z_mean."),
    ("ellipses", {"chosen": [3, 14, 15]}, "z has shape (2, 5, 2). Expected (3, m, 2)"),
    ("ellipses", {"images": IMAGES}, "images has shape (12, 4, 3, 1). Expected (2, height, width, channels), one for"),
    ("training", {"history": {}}, "history is {}. Expected"),
    ("training", {"history": {"mae": [1]}}, "history has entries for mae. Expected loss among them, as has"),
    ("training", {"history": {"loss": [1, 2], "kl_loss": [1, 2]}}, "Expected loss, reconstruction_loss, kl_loss among"),
    ("training", {"history": {"loss": [1, 2], "val_loss": [1]}}, "history['val_loss'] has shape (1,). Expected (2,),"),
    ("training", {"history": {"loss": 3}}, "history['loss'] has shape (). Expected (epochs,)"),
    ("training", {"first_epoch": 5}, "first_epoch is 5. Expected a whole number from 1 to 4, the number of epochs."),
    ("training", {"first_epoch": 0}, "first_epoch is 0. Expected a whole number from 1"),
    ("kl_term", {"closed_form": 3}, "closed_form is 3. Expected a function of z_mean and z_log_var."),
    ("kl_term", {"monte_carlo": lambda m, v: 0}, "What monte_carlo returns has shape (). Expected (16,), nats for"),
    ("kl_term", {"closed_form": lambda m, v: m / 0 * 0}, "What closed_form returns holds NaN or infinity"),
    ("beta_sweep", {"betas": [0, 1, 10]}, "betas holds 0. Expected numbers above 0."),
    ("beta_sweep", {"reconstruction_loss": [1]}, "reconstruction_loss has shape (1,). Expected (3,), a value for"),
    ("beta_sweep", {"kl_loss": [1, 2]}, "kl_loss has shape (2,). Expected (3,)"),
    ("rate_distortion", {"betas": [-1, 1]}, "betas hold -1. Expected weights of 0 or more."),
    ("rate_distortion", {"distortions": {"dense": [[1, 2]]}}, "distortions['dense'] has shape (1, 2). Expected (2, 2)"),
    ("measures_over", {"x": {}}, "x is {}. Expected a dict"),
    ("measures_over", {"x": {"pixels": [9, 3]}}, "x['pixels'] has shape (2,). Expected (settings, seeds), a row for"),
    ("measures_over", {"measures": {}}, "measures is {}. Expected a dict"),
    (
        "measures_over",
        {"levels": None, "measures": {"coverage": {"GAN": [[1]]}}},
        "measures['coverage'] has entries for GAN. Expected",
    ),
    (
        *("measures_over", {"levels": None, "measures": {"coverage": {"pixels": [[1, 2]]}}}),
        "measures['coverage']['pixels'] has shape (1, 2). Expected (2, 2), as x has.",
    ),
    ("measures_over", {"levels": {"kl_loss": 1}}, "levels has entries for kl_loss. Expected some of these: coverage,"),
    ("measures_over", {"levels": {"recall": np.nan}}, "levels['recall'] holds NaN or infinity"),
    ("latents_over_epochs", {"kl_by_latent": {"a": [1, 2]}}, "kl_by_latent['a'] has shape (2,). Expected (epochs,"),
    ("curves_over", {"x": [-1, 1, 2]}, "x holds -1. Expected numbers above 0."),
    ("curves_over", {"x": [1, 2]}, "curves['bound'] has shape (3,). Expected (2,), a value for each x."),
    ("curves_over", {"curves": {}}, "curves is {}. Expected"),
    ("curves_over", {"curves": eleven([1, 2, 3])}, "curves has 11 names. Expected 10 at most, a colour for each"),
    ("curves_over", {"errors": {"limit": [1, 2, 3]}}, "errors has entries for limit. Expected some of these: bound,"),
    ("curves_over", {"errors": {"bound": [1, 2]}}, "errors['bound'] has shape (2,). Expected (3,), a standard error"),
    ("curves_over", {"errors": {"bound": [1, -2, 3]}}, "errors['bound'] holds -2. Expected standard errors of 0 or"),
    ("curves_over", {"lines": {"exact": [1, 2]}}, "lines['exact'] has shape (2,). Expected (), one number."),
    ("curves_over", {"lines": {"exact": np.nan}}, "lines['exact'] holds NaN or infinity"),
    ("activations", {"x": GRID[:9]}, "values['ReLU'] has shape (60,). Expected (9,), a value for each x."),
    ("activations", {"values": eleven(GRID)}, "values has 11 names. Expected 10 at most"),
    ("activations", {"derivatives": {"GELU": GRID}}, "derivatives has entries for GELU. Expected all of these: ReLU."),
    ("activations", {"derivatives": {"ReLU": GRID[:9]}}, "derivatives['ReLU'] has shape (9,). Expected (60,)"),
    ("learning_curves", {"curves": {}}, "curves is {}. Expected"),
    ("learning_curves", {"curves": {"dense": {}}}, "curves['dense'] is {}. Expected"),
    ("learning_curves", {"curves": {"dense": {"a": [1, 2]}}}, "curves['dense']['a'] has shape (2,). Expected (seeds,"),
    ("learning_curves", {"curves": {"dense": {"a": [[1, 2], [3]]}}}, "curves['dense']['a'] is [[1, 2], [3]]."),
    ("learning_curves", {"curves": {"dense": eleven([[1, 2]])}}, "curves['dense'] has 11 names. Expected 10"),
    ("learning_curves", {"curves": {"p": RUNS, "q": {"b": [[1, 2]]}}}, "curves['q'] has entries for b. Expected all"),
    ("learning_curves", {"first_epoch": 4}, "first_epoch is 4. Expected a whole number from 1 to 3, the number of"),
    ("over_epochs_and_seconds", {"seconds": {"N = 1": 2}}, "seconds has entries for N = 1. Expected all of these: N"),
    ("over_epochs_and_seconds", {"seconds": [2, 4]}, "seconds is [2, 4]. Expected a dict, or another mapping, with"),
    ("over_epochs_and_seconds", {"seconds": {"N = 1": 2, "N = 2": 0}}, "seconds['N = 2'] holds 0. Expected numbers"),
    ("over_epochs_and_seconds", {"losses": {"a": [1, 2]}}, "losses['a'] has shape (2,). Expected (seeds, epochs), a"),
    ("over_epochs_and_seconds", {"losses": eleven([[1]])}, "losses has 11 names. Expected 10 at most"),
    ("arms", {"curves": {}}, "curves is {}. Expected"),
    ("arms", {"curves": {"a": [1, 2]}}, "curves['a'] has shape (2,). Expected (seeds, epochs)"),
    ("arms", {"finals": {"1": (1, 0, 2)}}, "finals has entries for 1. Expected all of these: 0.1, 1, none."),
    ("arms", {"curves": RUNS, "finals": {"a": (1, 2)}}, "finals['a'] has shape (2,). Expected (3,), a value and the"),
    ("arms", {"curves": RUNS, "finals": {"a": (1, 2, 0)}}, "finals['a'] is 1, 2, 0. Expected a value and the lower"),
    ("arms", {"curves": RUNS, "finals": {"a": (0, 1, 2)}}, "finals['a'] is 0, 1, 2. Expected a value and the lower"),
    ("arms", {"curves": RUNS, "finals": {"a": (3, 1, 2)}}, "finals['a'] is 3, 1, 2. Expected a value and the lower"),
    ("arms", {"curves": RUNS, "finals": {"a": (1, np.nan, 2)}}, "finals['a'] holds NaN or infinity"),
    ("arms", {"others": 4}, "others is 4. Expected a whole number from 0 to 3, the number of arms."),
    ("arms", {"first_epoch": 4}, "first_epoch is 4. Expected a whole number from 1 to 3, the number of epochs."),
    ("gradient_norms", {"norms": {}}, "norms is {}. Expected"),
    ("gradient_norms", {"norms": eleven([1])}, "norms has 11 names. Expected 10 at most"),
    ("gradient_norms", {"norms": {"a": [[1, 2]]}}, "norms['a'] has shape (1, 2). Expected (n,), a norm for each step."),
    ("gradient_norms", {"norms": {"a": [1, -2, np.nan]}}, "norms['a'] holds -2. Expected norms, which are 0 or more."),
    ("gradient_norms", {"x": [1, 2]}, "norms['none'] has shape (3,). Expected (2,), a norm for each x."),
    ("gradient_norms", {"x": [0, 1, 2]}, "x holds 0. Expected numbers above 0."),
    ("seed_differences", {"differences": {}}, "differences is {}. Expected"),
    ("seed_differences", {"differences": {"dense": {}}}, "differences['dense'] is {}. Expected"),
    ("seed_differences", {"differences": {"dense": {"a": [1, np.nan]}}}, "differences['dense']['a'] holds NaN or"),
    ("forest", {"panels": {}}, "panels is {}. Expected"),
    ("forest", {"panels": {"dense": {}}}, "panels['dense'] is {}. Expected"),
    ("forest", {"panels": {"dense": {"digits": {}}}}, "panels['dense']['digits'] is {}. Expected"),
    ("forest", {"panels": {"dense": {"digits": {"gelu": 1}}}}, "panels['dense']['digits']['gelu'] has shape ()."),
    ("forest", {"panels": {"dense": {"digits": {"gelu": (0, 1, -1)}}}}, "panels['dense']['digits']['gelu'] is 0, 1,"),
    ("forest", {"panels": {"dense": {"digits": {"gelu": (0, -np.inf, 1)}}}}, "['gelu'] is 0, -inf, 1. Expected a"),
    ("forest", {"panels": {"dense": eleven({"gelu": (0, -1, 1)})}}, "has 11 names. Expected 10 at most"),
    ("forest", {"panels": ROWS, "limits": (5, -5)}, "limits are 5 and -5. Expected the lower one first."),
    ("forest", {"panels": ROWS, "limits": (5,)}, "limits has shape (1,). Expected (2,), a lower and an upper limit."),
]


@pytest.mark.parametrize(("name", "wrong", "message"), ERRORS, ids=[f"{name}-{text}" for name, _, text in ERRORS])
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_bad_input_is_refused_with_its_name_and_what_was_expected(name, wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(plots, name)(**ARGUMENTS[name] | wrong)


def test_an_error_is_tested_for_each_function():
    assert {name for name, *_ in ERRORS} == set(FIGURES)


def test_a_rate_and_its_distortion_have_a_line_of_the_slope_minus_beta():
    betas = [0, 0.5, 1, 4]
    rates = np.array([9.0, 6.0, 4.0, 1.0])[:, None] + rng(31).normal(0, 0.1, (4, 3))
    distortions = np.array([80.0, 80.5, 82.0, 89.0])[:, None] + rng(32).normal(0, 0.1, (4, 3))
    figure = plots.rate_distortion(
        {"dense": rates, "other": 2 * rates}, {"dense": distortions, "other": distortions}, betas
    )
    assert [axis.get_title() for axis in figure.axes] == ["dense", "other"]
    axis = figure.axes[0]
    lines = [line for line in axis.lines if line.get_color() == plots.COLOURS[1]]
    assert len(lines) == 4
    for line, beta, rate, distortion in zip(lines, betas, rates.mean(axis=1), distortions.mean(axis=1), strict=True):
        (left, right), (first, last) = line.get_xdata(), line.get_ydata()
        assert (last - first) / (right - left) == pytest.approx(-beta)
        assert ((left + right) / 2, (first + last) / 2) == pytest.approx((rate, distortion))
    assert [text.get_text() for text in axis.texts] == ["0", "0.5", "1", "4"]
    dots = np.concatenate([line.get_xydata() for line in axis.lines if line.get_linestyle() == "None"])
    assert {tuple(dot) for dot in dots} == set(zip(rates.ravel(), distortions.ravel()))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"betas": [-1.0, 1.0]}, "betas hold -1"),
        ({"rates": {}}, "rates"),
        ({"rates": {"a": np.ones((3, 2))}}, r"rates\['a'\] has shape \(3, 2\). Expected \(2, seeds\)"),
        ({"distortions": {"b": np.ones((2, 2))}}, "distortions"),
        ({"distortions": {"a": np.ones((2, 3))}}, r"distortions\['a'\] has shape \(2, 3\)"),
        ({"distortions": {"a": np.full((2, 2), np.nan)}}, "NaN"),
    ],
)
def test_rates_and_distortions_that_do_not_fit_are_refused(changed, message):
    fits = {"rates": {"a": np.ones((2, 2))}, "distortions": {"a": np.ones((2, 2))}, "betas": [0.0, 1.0]}
    with pytest.raises(ValueError, match=message):
        plots.rate_distortion(**{**fits, **changed})


def test_measures_are_drawn_over_places_of_their_own():
    x = {"one": rng(35).random((4, 3)), "two": 1 + rng(36).random((2, 3))}
    measures = {title: {name: value * np.sqrt(x[name]) for name in x} for title, value in (("a", 2), ("b", 3))}
    figure = plots.measures_over(x, measures, "KL", levels={"b": 1.5}, level_name="limit")
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]
    for axis, curves in zip(figure.axes, measures.values(), strict=True):
        assert axis.get_xlabel() == "KL"
        for (name, values), colour in zip(curves.items(), plots.COLOURS):
            lines = [line for line in axis.lines if line.get_color() == colour]
            dots = np.concatenate([line.get_xydata() for line in lines if line.get_linestyle() == "None"])
            expected = np.stack([x[name], values], axis=-1).reshape(-1, 2)
            np.testing.assert_allclose(np.sort(dots, axis=0), np.sort(expected, axis=0))
            (mean,) = [line for line in lines if line.get_linestyle() == "-"]
            np.testing.assert_allclose(mean.get_xdata(), x[name].mean(axis=1))
            np.testing.assert_allclose(mean.get_ydata(), values.mean(axis=1))
    (level,) = [line for line in figure.axes[1].lines if line.get_linestyle() == "--"]
    np.testing.assert_array_equal(level.get_ydata(), 1.5)
    assert not [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two", "limit"]


def test_latents_are_drawn_over_the_epochs_on_the_same_axes():
    values = {"a": rng(33).random((5, 3)), "b": 2 * rng(34).random((4, 2))}
    figure = plots.latents_over_epochs(values)
    for axis, (name, drawn) in zip(figure.axes, values.items(), strict=True):
        assert axis.get_title() == name
        assert len(axis.lines) == drawn.shape[1]
        for line, expected in zip(axis.lines, drawn.T):
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(drawn) + 1))
            np.testing.assert_array_equal(line.get_ydata(), expected)
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    with pytest.raises(ValueError, match="kl_by_latent"):
        plots.latents_over_epochs({"a": np.ones(3)})
