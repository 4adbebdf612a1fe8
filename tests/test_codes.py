"""codes: paths between latents, and vectors of attributes."""

import numpy as np
import pandas as pd
import pytest
from seeding import rng

from vae_keras.codes import attribute_vectors, spherical_path, straight_path

PATHS = pytest.mark.parametrize("path", [straight_path, spherical_path])


def ends(n=6, latents=5):
    generator = rng(1)
    return generator.normal(size=(n, latents)).astype("float32"), 3 * generator.normal(size=(n, latents))


@PATHS
def test_a_path_has_its_ends_and_steps(path):
    start, end = ends()
    found = path(start, end, steps=7)
    assert (found.shape, found.dtype) == ((6, 7, 5), np.float32)
    np.testing.assert_allclose(found[:, 0], start, rtol=1e-6)
    np.testing.assert_allclose(found[:, -1], end, rtol=1e-6)
    np.testing.assert_array_equal(path(start, end, steps=2), found[:, [0, -1]])


@PATHS
def test_a_path_back_is_the_same_path(path):
    start, end = ends()
    np.testing.assert_allclose(path(end, start, 5)[:, ::-1], path(start, end, 5), rtol=1e-5, atol=1e-6)


@PATHS
def test_every_path_is_its_own(path):
    start, end = ends()
    np.testing.assert_array_equal(path(start, end, 5)[2:3], path(start[2:3], end[2:3], 5))


@PATHS
def test_a_path_to_where_it_begins_stays_there(path):
    start, _ = ends()
    np.testing.assert_allclose(path(start, start, 4), np.repeat(start[:, None], 4, axis=1), rtol=1e-6)


def test_a_straight_path_goes_in_even_steps():
    found = straight_path([[0, 4]], [[3, -2]], steps=4)
    np.testing.assert_allclose(found, [[[0, 4], [1, 2], [2, 0], [3, -2]]], atol=1e-6)


@pytest.mark.parametrize("degrees", [[30, 70, 110, 150], [-5, 5, 15, 25]])
def test_a_spherical_path_turns_evenly_and_grows_evenly(degrees):
    angles, lengths = np.deg2rad(degrees), np.array([1, 2, 3, 4])
    expected = lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(spherical_path(expected[:1], expected[-1:], 4)[0], expected, atol=1e-6)


def test_a_spherical_path_keeps_to_the_sphere_and_to_the_plane_of_its_ends():
    start, end = ends()
    start, end = (2 * z / np.linalg.norm(z, axis=1, keepdims=True) for z in (start, end))
    found = spherical_path(start, end, 9)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 2, rtol=1e-6)
    turns = np.einsum("nsd,nsd->ns", found[:, 1:], found[:, :-1]) / 4
    np.testing.assert_allclose(turns, np.repeat(turns[:, :1], 8, axis=1), atol=1e-6)
    for path in found:
        assert np.linalg.matrix_rank(path, tol=1e-5) == 2
    # White's formula, for ends of one length.
    omega = np.arccos((start * end).sum(axis=1) / 4)[:, None]
    share = 3 / 8
    white = (np.sin((1 - share) * omega) * start + np.sin(share * omega) * end) / np.sin(omega)
    np.testing.assert_allclose(found[:, 3], white, rtol=1e-4, atol=1e-6)


def test_where_the_directions_agree_a_spherical_path_is_straight():
    # The second pair differs by less than numbers can tell in the sine of its angle, the third hardly.
    start = np.array([[1, 2, 0], [1, 0, 0], [1, 0, 0]])
    end = np.array([[3, 6, 0], [2, 1e-9, 0], [2, 4e-6, 0]])
    np.testing.assert_allclose(spherical_path(start, end, 5), straight_path(start, end, 5), rtol=1e-6, atol=1e-6)


def test_a_spherical_path_goes_nearly_half_around():
    found = spherical_path([[1, 0]], [[-1, 1e-4]], 3)
    np.testing.assert_allclose(found[0, 1], [0, 1], atol=1e-3)


def test_a_spherical_path_has_no_way_from_the_origin_or_to_the_other_side():
    start, end = ends()
    opposite, origin = end.copy(), start.copy()
    opposite[[1, 4]] = -2 * start[[1, 4]]
    origin[3] = 0
    with pytest.raises(ValueError, match=r"2 of the 6 paths have ends in opposite directions.*rows 1, 4\. Leave"):
        spherical_path(start, opposite, 5)
    for pair in ((origin, end), (start, origin)):
        with pytest.raises(ValueError, match=r"1 of the 6 paths have one end at the origin.*rows 3\..*straight_path"):
            spherical_path(*pair, 5)
    with pytest.raises(ValueError, match=r"rows 0, 1, 2, 3, 4 \.\.\."):
        spherical_path(start, -start, 5)
    # On a line there are two directions only.
    np.testing.assert_allclose(spherical_path([[1.0]], [[3.0]], 3), [[[1], [2], [3]]])


@PATHS
@pytest.mark.parametrize(
    ("start", "end", "steps", "message"),
    [
        (np.ones((3, 2)), np.ones((4, 2)), 5, r"start has shape \(3, 2\) and end \(4, 2\)"),
        (np.ones((3, 2)), np.ones((1, 2)), 5, r"start has shape \(3, 2\) and end \(1, 2\)"),
        (np.ones(2), np.ones((1, 2)), 5, r"start has shape \(2,\).*z\[None\]"),
        (np.ones((1, 2)), np.ones((1, 2, 2)), 5, r"end has shape \(1, 2, 2\)"),
        (np.ones((0, 2)), np.ones((0, 2)), 5, r"start has shape \(0, 2\)"),
        (np.full((1, 2), np.nan), np.ones((1, 2)), 5, "start holds NaN"),
        (np.ones((1, 2)), np.full((1, 2), np.inf), 5, "end holds NaN or infinity"),
        ([["a", "b"]], np.ones((1, 2)), 5, "start is of type list and holds no numbers"),
        (np.ones((1, 2)), None, 5, "end has shape|end is of type NoneType"),
        *((np.ones((1, 2)), np.ones((1, 2)), steps, f"steps is {steps!r}") for steps in (1, 0, -3, 2.0, "5", None)),
    ],
)
def test_ends_and_steps_that_make_no_path_are_refused(path, start, end, steps, message):
    with pytest.raises(ValueError, match=message):
        path(start, end, steps)


def correlated(n=20_000):
    """Attributes that go together (correlation 0.8), of unlike mean and spread."""
    slant = rng(2).normal(size=n)
    thickness = 0.8 * slant + 0.6 * rng(3).normal(size=n)
    return {"slant": 5 + 0.2 * slant, "thickness": -1 + 3 * thickness}


def standardised(attributes):
    return np.stack([(values - values.mean()) / values.std() for values in attributes.values()], axis=1)


# How three latents come about: the two attributes move the mean of the first two, and every latent has its own spread.
MOVED = np.array([[1.0, 0.5, 0.0], [-0.5, 2.0, 0.0]])
SPREADS = np.array([1.0, 0.1, 5.0])


def test_regressing_the_codes_finds_how_an_attribute_moves_them_whatever_their_noise():
    attributes = correlated()
    z = 7 + standardised(attributes) @ MOVED + SPREADS * rng(4).normal(size=(20_000, 3))
    found = attribute_vectors(z, attributes)
    assert list(found) == ["slant", "thickness"]
    # Five standard errors of a coefficient; the correlation of 0.8 makes them larger by 1 / 0.6.
    error = 5 * SPREADS / np.sqrt(20_000) / 0.6
    for vector, moved in zip(found.values(), MOVED):
        assert (vector.shape, vector.dtype) == ((3,), np.float32)
        assert (np.abs(vector - moved) < error).all()
    # The other regression looks for what predicts best, and that is the latent with little noise.
    other = attribute_vectors(z, attributes, regress="attributes")["slant"]
    assert other @ MOVED[0] / np.linalg.norm(other) / np.linalg.norm(MOVED[0]) < 0.9


def test_regressing_the_attributes_finds_the_shortest_step_after_which_the_prediction_is_higher_by_one_spread():
    # The attributes follow from the codes, but for noise.
    z = SPREADS * rng(5).normal(size=(20_000, 3)) + 4
    slopes = np.array([[1.0, 0, 0.2], [0.5, 3.0, 0]])
    first, second = (z @ slopes.T + 0.1 * rng(6).normal(size=(20_000, 2))).T
    found = attribute_vectors(z, {"first": first, "second": second}, regress="attributes")
    for vector, slope, values in zip(found.values(), slopes, (first, second)):
        np.testing.assert_allclose(vector, slope * values.std() / (slope @ slope), rtol=0.05, atol=0.02)
        assert vector @ slope == pytest.approx(values.std(), rel=0.02)
    # Each for itself: another attribute beside it changes nothing.
    np.testing.assert_array_equal(attribute_vectors(z, {"first": first}, "attributes")["first"], found["first"])


def test_only_the_regression_of_the_codes_holds_the_other_attribute_still():
    z = SPREADS * rng(5).normal(size=(5000, 3))
    slopes = np.array([[1.0, 0, 0.2], [0.5, 3.0, 0]])
    attributes = dict(zip(("first", "second"), (z @ slopes.T).T))
    spreads = np.array([values.std() for values in attributes.values()])
    changes = {
        regress: np.array(list(attribute_vectors(z, attributes, regress).values())) @ slopes.T / spreads
        for regress in ("codes", "attributes")
    }
    np.testing.assert_allclose(changes["codes"], np.eye(2), atol=1e-5)
    np.testing.assert_allclose(np.diag(changes["attributes"]), 1, atol=1e-5)
    assert changes["attributes"][0, 1] > 0.3


def test_a_latent_that_hardly_varies_takes_no_part_in_the_step_of_the_codes():
    slant = rng(2).normal(size=1000)
    z = np.stack([slant + 0.5 * rng(3).normal(size=1000), 1e-4 * rng(4).normal(size=1000)], axis=1)
    first, unused = attribute_vectors(z, {"slant": slant})["slant"]
    assert first == pytest.approx(1, abs=0.1)
    assert abs(unused) < 1e-4
    # The other one leaves the codes: in units of their spread it goes much farther in the unused latent.
    first, unused = np.abs(attribute_vectors(z, {"slant": slant}, regress="attributes")["slant"]) / z.std(axis=0)
    assert unused > 10 * first


def test_for_an_attribute_alone_the_prediction_rises_by_the_share_that_is_explained():
    slant = rng(2).normal(size=500)
    z = slant[:, None] * [1.0, 0.5] + rng(3).normal(size=(500, 2))
    vector = attribute_vectors(z, {"slant": slant})["slant"]
    offsets = z - z.mean(axis=0)
    slopes, residual, *_ = np.linalg.lstsq(offsets, slant - slant.mean())
    explained = 1 - residual[0] / np.square(slant - slant.mean()).sum()
    assert 0.3 < explained < 0.8
    assert vector @ slopes == pytest.approx(explained * slant.std(), rel=1e-5)


@pytest.mark.parametrize("regress", ["codes", "attributes"])
def test_units_and_zeros_of_attributes_do_not_matter_and_those_of_codes_do(regress):
    attributes = correlated(500)
    z = standardised(attributes) @ MOVED + rng(4).normal(size=(500, 3))
    found = attribute_vectors(z, attributes, regress)
    in_degrees = {name: np.rad2deg(values) - 40 for name, values in attributes.items()}
    for name, vector in attribute_vectors(2 * z + 9, in_degrees, regress).items():
        np.testing.assert_allclose(vector, 2 * found[name], rtol=1e-4)
    turned = attribute_vectors(z, {"slant": -attributes["slant"], "thickness": attributes["thickness"]}, regress)
    np.testing.assert_allclose(turned["slant"], -found["slant"], rtol=1e-4)
    np.testing.assert_allclose(turned["thickness"], found["thickness"], rtol=1e-4)


def test_a_table_is_as_good_as_a_dict_whatever_its_index():
    attributes = correlated(50)
    z = rng(4).normal(size=(50, 3))
    table = pd.DataFrame(attributes, index=np.arange(50)[::-1])
    for found, expected in zip(attribute_vectors(z, table).items(), attribute_vectors(z, attributes).items()):
        assert found[0] == expected[0]
        np.testing.assert_array_equal(found[1], expected[1])


Z, GREY = rng(7).normal(size=(12, 3)), rng(8).normal(size=12)
# A code that is the same for even and odd images says nothing of what is odd.
ODD, EVEN = np.arange(12) % 2, np.repeat(rng(9).normal(size=(6, 1)), 2, axis=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"z": Z[0]}, r"z has shape \(3,\)"),
        ({"z": np.full((12, 3), np.nan)}, "z holds NaN"),
        ({"z": "codes"}, "z is of type str and holds no numbers"),
        ({"attributes": {}}, r"attributes are \{\}"),
        ({"attributes": pd.DataFrame(index=range(12))}, "Expected a dict or a table"),
        ({"attributes": GREY}, "Expected a dict or a table"),
        ({"attributes": {"grey": GREY[:-1]}}, r"'grey' has shape \(11,\), but z holds 12 images.*\(12,\)"),
        ({"attributes": {"grey": GREY[:, None]}}, r"'grey' has shape \(12, 1\)"),
        ({"attributes": {"grey": ["a"] * 12}}, "'grey' holds no numbers"),
        ({"attributes": {"grey": np.where(np.arange(12) < 2, np.nan, GREY)}}, "'grey' holds NaN .* 2 of 12 images"),
        ({"attributes": {"grey": np.full(12, 0.1)}}, r"'grey' is 0\.1 for all images"),
        ({"attributes": {"grey": GREY, "dark": -2 * GREY}}, "'grey', 'dark' one follows from the others"),
        ({"z": Z[:2], "attributes": {"grey": GREY[:2]}}, "z holds 2 images, .*'codes' fits 2 .*Expected 3 images"),
        ({"z": Z[:4], "attributes": {"grey": GREY[:4]}, "regress": "attributes"}, "fits 4 .*Expected 5 images"),
        ({"z": np.full((12, 3), 0.1)}, "z is the same for all images.*collapsed"),
        ({"z": np.full((12, 3), 0.1), "regress": "attributes"}, "z is the same for all images"),
        ({"z": EVEN, "attributes": {"grey": GREY, "odd": ODD}, "regress": "attributes"}, "nothing about .* 'odd'"),
        ({"regress": "both"}, "regress is 'both'"),
        ({"regress": None}, "regress is None"),
    ],
)
def test_what_gives_no_vector_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        attribute_vectors(**{"z": Z, "attributes": {"grey": GREY}, **changed})


def test_as_few_images_as_can_be_regressed_on_are_enough():
    assert set(attribute_vectors(Z[:3], {"grey": GREY[:3]})) == {"grey"}
    assert set(attribute_vectors(Z[:5], {"grey": GREY[:5]}, "attributes")) == {"grey"}
