import numpy as np
import pytest
from scipy import integrate, stats
from scipy.spatial.distance import pdist
from scipy.stats import qmc
from seeding import SEED, rng

from vae_keras import latent


def square(n, seed=0):
    return rng(seed).uniform(-1, 1, (n, 2))


def disc(n, centre=(0, 0), radius=1.0, seed=0):
    generator = rng(seed)
    angle, distance = generator.uniform(0, 2 * np.pi, n), radius * np.sqrt(generator.random(n))
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1) + centre


def normal(n, seed=0, mean=(0, 0), spread=1.0):
    return rng(seed).normal(mean, spread, (n, 2))


def two_classes(distance, n=1500):
    z = np.concatenate([normal(n, seed=1), normal(n, seed=2, mean=(distance, 0))])
    return z, np.repeat([0, 1], n)


def test_the_occupied_region_leaves_out_stray_points():
    z = np.concatenate([disc(2000), [[100, 100], [-50, 80]]])
    area = latent.occupied_region(z).volume
    assert area == pytest.approx(0.95 * np.pi, rel=0.1)
    assert latent.occupied_region(z, coverage=1).volume > 1000


def test_the_occupied_region_of_a_normal_space_is_its_95_percent_disc():
    assert latent.occupied_region(normal(50_000)).volume == pytest.approx(-2 * np.pi * np.log(0.05), rel=0.03)


def test_the_occupied_region_follows_the_shape_of_the_cloud():
    z = normal(20_000) * (1, 10)
    corners = latent.occupied_region(z).points
    assert np.abs(corners[:, 1]).max() == pytest.approx(10 * np.abs(corners[:, 0]).max(), rel=0.1)


@pytest.mark.parametrize("coverage", [0, -0.1, 1.1, float("nan")])
def test_a_coverage_that_is_no_share_is_refused(coverage):
    with pytest.raises(ValueError, match=f"coverage is {coverage}"):
        latent.occupied_region(square(100), coverage)


def test_points_are_drawn_evenly_from_the_region():
    z = rng().uniform((0, -3), (1, 1), (5000, 2))  # A rectangle, 1 by 4.
    points = latent.draw_points(z, 80_000, seed=SEED, coverage=1)
    assert points.shape == (80_000, 2)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points.mean(axis=0), (0.5, -1), atol=0.03)
    np.testing.assert_allclose(points.std(axis=0), np.array([1, 4]) / np.sqrt(12), rtol=0.02)
    for axis, (low, high) in enumerate([(0.005, 0.99), (-2.99, 3.98)]):
        counts, _ = np.histogram(points[:, axis], np.linspace(low, low + high, 9))
        assert np.ptp(counts) < 0.08 * counts.mean()


def test_a_part_of_the_region_gets_its_share_of_the_points():
    # A kite: its triangles differ in area, and a choice among them that is not weighted would show.
    corners = np.array([[0.0, 1], [1, 0], [0, -5], [-1, 0]])
    inside = rng().dirichlet(np.ones(4), 3000) @ corners
    points = latent.draw_points(np.concatenate([inside, corners]), 40_000, seed=SEED, coverage=1)
    assert (points[:, 1] > 0).mean() == pytest.approx(1 / 6, abs=0.01)


def test_drawn_points_lie_inside_the_region_and_follow_the_seed():
    z = normal(3000)
    points = latent.draw_points(z, 5000, seed=SEED + 3)
    region = latent.occupied_region(z)
    heights = points @ region.equations[:, :2].T + region.equations[:, 2]
    assert heights.max() < 1e-5
    np.testing.assert_array_equal(points, latent.draw_points(z, 5000, seed=SEED + 3))
    assert np.all(points != latent.draw_points(z, 5000, seed=SEED + 4))


def test_a_point_on_an_image_is_in_no_gap_and_one_far_away_is():
    z = square(500)
    assert not latent.in_gap(z[:50], z).any()
    assert latent.in_gap(z[:50] + 10, z).all()


def test_near_means_within_the_radius_that_holds_four_images():
    z = square(1000)
    area = latent.occupied_region(z).volume
    radius = np.sqrt(4 * area / (np.pi * 0.95 * 1000))
    corner = z[np.argmax(z.sum(axis=1))]
    points = corner + np.array([[0.99], [1.01]]) * radius / np.sqrt(2)
    assert latent.in_gap(points, z).tolist() == [False, True]


@pytest.mark.parametrize("neighbours", [2.0, 4.0])
def test_an_even_space_has_the_gaps_of_chance(neighbours):
    shares = [latent.gap_share(square(20_000, seed), SEED, neighbours=neighbours) for seed in range(3)]
    # At the edges a part of the neighbourhood lies outside, so that a little more is empty.
    assert np.exp(-neighbours) * 0.85 < np.mean(shares) < np.exp(-neighbours) * 1.3


def test_the_gap_between_two_discs_is_found():
    n, distance = 3000, 6.0
    z = np.concatenate([disc(n, (-distance / 2, 0), seed=0), disc(n, (distance / 2, 0), seed=1)])
    # The hull is two half discs and the rectangle between them; images reach one radius beyond their discs.
    area = np.pi + 2 * distance
    radius = np.sqrt(4 * area / (np.pi * 2 * n))
    expected = (area - 2 * np.pi - 2 * radius * np.pi / 2) / area
    assert latent.gap_share(z, SEED, coverage=1) == pytest.approx(expected, abs=0.03)


def test_gaps_depend_neither_on_the_scale_nor_on_the_place_of_the_space():
    z = np.concatenate([disc(1000, (-2, 0)), disc(1000, (2, 0), seed=1)])
    share = latent.gap_share(z, SEED)
    assert share > 0.2
    assert latent.gap_share(1000 * z + 5, SEED) == pytest.approx(share, abs=0.01)
    assert latent.gap_share(z / 1000, SEED) == pytest.approx(share, abs=0.01)


def test_gaps_do_not_depend_on_the_number_of_images():
    few, many = (
        np.mean([latent.gap_share(square(n, seed), SEED) for seed in range(spaces)])
        for n, spaces in ((4000, 8), (16_000, 4))
    )
    assert few == pytest.approx(many, abs=0.006)


def test_draws_of_the_same_images_fill_gaps_and_leave_the_radius_alone():
    # Four draws of each of 1,000 images, all even: as many places as 4,000 images have, and the radius of 1,000.
    draws = disc(4000, seed=SEED).reshape(4, 1000, 2)
    assert latent.gap_share(draws[:1]) == pytest.approx(np.exp(-4), abs=0.015)
    assert latent.gap_share(draws) < 0.001
    assert latent.gap_share(draws, neighbours=0.5) == pytest.approx(np.exp(-2), abs=0.03)
    # The same draw four times is one draw.
    again = np.repeat(draws[:1], 4, axis=0)
    points = latent.draw_points(draws[0], 500, seed=SEED)
    np.testing.assert_array_equal(latent.in_gap(points, again), latent.in_gap(points, draws[0]))


def test_one_draw_of_each_image_is_the_latents_themselves():
    z = normal(500)
    points = latent.draw_points(z, 300, seed=SEED)
    np.testing.assert_array_equal(points, latent.draw_points(z[np.newaxis], 300, seed=SEED))
    np.testing.assert_array_equal(latent.in_gap(points, z), latent.in_gap(points, z[np.newaxis]))
    np.testing.assert_array_equal(latent.largest_gaps(z, 3), latent.largest_gaps(z[np.newaxis], 3))


@pytest.mark.parametrize("shape", [(0, 5, 2), (3, 0, 2), (3, 5, 3), (2, 3, 5, 2)])
def test_draws_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="Expected"):
        latent.gap_share(np.ones(shape))


def test_the_relative_density_of_an_even_space_is_one():
    z = disc(20_000)
    inside = disc(500, radius=0.9, seed=1)
    assert latent.relative_density(inside, z, neighbours=50).mean() == pytest.approx(1, abs=0.05)


def test_the_relative_density_is_that_of_the_normal_distribution():
    z, radii = normal(50_000), np.array([0.0, 0.5, 1.0, 2.0])
    points = np.stack([radii, np.zeros(4)], axis=1)
    # The mean over the disc of 95 % of N(0, I), of the area -2 pi ln 0.05.
    mean = 0.95 / (-2 * np.pi * np.log(0.05))
    expected = np.exp(-(radii**2) / 2) / (2 * np.pi) / mean
    np.testing.assert_allclose(latent.relative_density(points, z, neighbours=400), expected, rtol=0.25)


def test_the_relative_density_does_not_depend_on_scale_and_place():
    z, points = normal(500), normal(20, seed=1)
    np.testing.assert_allclose(
        latent.relative_density(100 * points + 7, 100 * z + 7), latent.relative_density(points, z), rtol=1e-6
    )


def test_the_ways_to_draw_are_what_they_say():
    z = np.concatenate([normal(3000, seed=1, mean=(4, 0), spread=0.5), normal(1000, seed=2, mean=(-4, 2), spread=0.2)])
    draws = latent.ways_to_draw(z, 20_000, seed=SEED)
    assert list(draws) == ["prior", "box", "normal", "mixture"]
    assert all((drawn.shape, drawn.dtype) == ((20_000, 2), np.float32) for drawn in draws.values())
    np.testing.assert_allclose(draws["prior"].mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(draws["prior"].T), np.eye(2), atol=0.05)
    assert (draws["box"] >= z.min(axis=0) - 1e-5).all() and (draws["box"] <= z.max(axis=0) + 1e-5).all()
    np.testing.assert_allclose(draws["box"].mean(axis=0), (z.min(axis=0) + z.max(axis=0)) / 2, atol=0.1)
    for source in ("normal", "mixture"):
        np.testing.assert_allclose(draws[source].mean(axis=0), z.mean(axis=0), atol=0.15)
        np.testing.assert_allclose(np.cov(draws[source].T), np.cov(z.T), rtol=0.06, atol=0.1)
    # Between the two clouds a normal distribution draws a lot, a mixture nothing.
    between = {source: (np.abs(drawn[:, 0]) < 1.5).mean() for source, drawn in draws.items()}
    assert between["normal"] > 0.1
    assert between["mixture"] < 0.01
    # Mixed, so that the first hundred are not of one component.
    assert 0.6 < (draws["mixture"][:200, 0] > 0).mean() < 0.9


def test_the_ways_to_draw_follow_their_seed_and_take_any_number_of_latents():
    z = rng().normal(size=(60, 5))
    first, again, other = (latent.ways_to_draw(z, 10, seed=seed, components=2) for seed in (SEED, SEED, SEED + 1))
    for source, drawn in first.items():
        assert drawn.shape == (10, 5)
        np.testing.assert_array_equal(drawn, again[source])
        assert not np.array_equal(drawn, other[source])
    assert latent.ways_to_draw(z[:, :1], 4, components=1)["normal"].shape == (4, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: latent.ways_to_draw(z, 0), "count is 0"),
        (lambda z: latent.ways_to_draw(z, 5, seed=-1), "seed is -1"),
        (lambda z: latent.ways_to_draw(z, 5, components=0), "components is 0"),
        (lambda z: latent.ways_to_draw(z[:5], 5), "z holds 5 latents.*10"),
        (lambda z: latent.ways_to_draw(z[:, 0], 5), r"shape \(50,\)"),
        (lambda z: latent.relative_density(z, z, neighbours=1), "neighbours is 1"),
        (lambda z: latent.relative_density(z, z, neighbours=51), "neighbours is 51.*50 points"),
        (lambda z: latent.relative_density(z[:, :1], z), r"points has shape \(50, 1\)"),
    ],
)
def test_draws_and_densities_refuse_what_they_cannot_use(call, message):
    with pytest.raises(ValueError, match=message):
        call(normal(50))


def test_measures_count_gaps_over_the_inputs_of_the_decoder():
    z, labels = normal(400), np.arange(400) % 2
    inputs = np.stack([normal(400, seed=seed) for seed in range(5)])
    measured = latent.measures(z, labels, z, labels, decoder_inputs=inputs, seed=SEED)
    plain = latent.measures(z, labels, z, labels, seed=SEED)
    name = "gaps, share of the occupied region"
    assert measured.pop(name) == latent.gap_share(inputs, SEED)
    assert plain.pop(name) == latent.gap_share(z, SEED)
    assert measured == plain


def test_the_gap_share_follows_its_seed():
    z = normal(500)
    assert latent.gap_share(z, seed=SEED + 1) == latent.gap_share(z, seed=SEED + 1)
    assert latent.gap_share(z, seed=SEED + 1) != latent.gap_share(z, seed=SEED + 2)


def test_the_largest_gaps_are_found_in_order_and_apart():
    holes = np.array([[-0.5, -0.5], [0.4, 0.5], [0.5, -0.4]])
    radii = np.array([0.4, 0.3, 0.2])
    z = square(20_000)
    z = z[np.all(np.linalg.norm(z[:, None] - holes, axis=2) > radii, axis=1)]
    centres = latent.largest_gaps(z, 3, SEED)
    assert centres.shape == (3, 2)
    np.testing.assert_allclose(centres, holes, atol=0.05)
    np.testing.assert_array_equal(latent.largest_gaps(z, 2, SEED), centres[:2])
    np.testing.assert_array_equal(latent.largest_gaps(z, 3, SEED), centres)


def test_symmetry_is_exact():
    sides = latent.symmetry(np.array([[1.0, -2], [2, -2], [3, -2], [-2, 10]]))
    np.testing.assert_array_equal(sides["share_positive"], [0.75, 0.25])
    np.testing.assert_array_equal(sides["mean"], [1, 1])
    np.testing.assert_allclose(sides["spread"], [np.sqrt(3.5), np.sqrt(27)])
    assert sides["offset"] == pytest.approx(np.sqrt(2))


def test_points_on_an_axis_are_not_above_it():
    np.testing.assert_array_equal(latent.symmetry(np.zeros((4, 2)))["share_positive"], [0, 0])


def test_an_even_disc_is_not_crowded():
    assert np.mean([latent.crowding(disc(60_000, seed=seed)) for seed in range(4)]) == pytest.approx(1, abs=0.1)


def test_a_normal_space_is_three_times_as_dense_at_the_origin():
    expected = (1 - 0.05**0.01) / (0.01 * 0.95)
    assert expected == pytest.approx(3.1, abs=0.05)
    assert latent.crowding(normal(200_000)) == pytest.approx(expected, rel=0.06)


def test_crowding_looks_at_the_origin_and_not_at_the_mean():
    assert latent.crowding(normal(5000, mean=(10, 0))) == 0


def test_densities_of_classes_are_densities():
    z, labels = two_classes(4.0, n=400)
    x, y, densities = latent.class_densities(z, labels, size=80)
    assert (x.shape, y.shape, densities.shape) == ((80,), (80,), (2, 80, 80))
    for axis, values in zip((x, y), z.T):
        margin = 0.1 * np.ptp(values)
        np.testing.assert_allclose(axis, np.linspace(values.min() - margin, values.max() + margin, 80))
    np.testing.assert_allclose(densities.sum(axis=(1, 2)) * (x[1] - x[0]) * (y[1] - y[0]), 1)
    # Rows run along the second latent. The mean of a density is that of its class, but for what the grid cuts off.
    for density, members in zip(densities, (z[:400], z[400:])):
        mean = np.array([density.sum(axis=0) @ x, density.sum(axis=1) @ y]) / density.sum()
        np.testing.assert_allclose(mean, members.mean(axis=0), atol=0.02)


def test_the_area_of_a_normal_class_has_its_closed_form():
    classes = [normal(4000, seed=1), normal(4000, seed=2, mean=(8, 0)) * (1, 2)]
    areas = latent.class_areas(np.concatenate(classes), np.repeat([3, 7], 4000), size=100)
    # That of the covariance which the class has, widened by the kernel.
    spreads = np.array([np.sqrt(np.linalg.det(np.cov(members.T))) for members in classes])
    np.testing.assert_allclose(areas, -2 * np.pi * np.log(0.1) * spreads * (1 + 4000 ** (-1 / 3)), rtol=0.04)
    assert areas[1] > 1.8 * areas[0]


def test_the_area_grows_with_its_mass():
    z, labels = normal(1000), np.zeros(1000, int)
    half, most = (latent.class_areas(z, labels, mass=mass, size=100)[0] for mass in (0.5, 0.9))
    assert most / half == pytest.approx(np.log(0.1) / np.log(0.5), rel=0.1)


@pytest.mark.parametrize("distance", [1.0, 2.0, 4.0])
def test_the_overlap_of_two_normal_classes_has_its_closed_form(distance):
    overlaps = latent.class_overlaps(*two_classes(distance), size=100)
    np.testing.assert_allclose(np.diag(overlaps), 1)
    np.testing.assert_array_equal(overlaps, overlaps.T)
    assert overlaps[0, 1] == pytest.approx(2 * stats.norm.cdf(-distance / 2), abs=0.04)


def test_neighbours_tell_separate_classes_and_not_identical_ones():
    z, labels = two_classes(20.0)
    assert latent.neighbour_accuracy(z[::2], labels[::2], z[1::2], labels[1::2]) == 1
    z, labels = two_classes(0.0, n=4000)
    assert latent.neighbour_accuracy(z[::2], labels[::2], z[1::2], labels[1::2]) == pytest.approx(0.5, abs=0.05)


def test_neighbours_are_ten():
    # The nearest six are of one class, the fourteen beyond them of the other.
    z, labels = np.arange(20.0)[:, None] * (1, 0), np.repeat([0, 1], [6, 14])
    assert latent.neighbour_accuracy(z, labels, np.array([[-5.0, 0]]), np.array([0])) == 1
    assert latent.neighbour_accuracy(z, labels, np.array([[-5.0, 0]]), np.array([1]), neighbours=20) == 1


def test_measures_of_a_normal_space_are_those_of_theory():
    # The test images lie more evenly than by chance, for what depends on the few of a class.
    even = [qmc.MultivariateNormalQMC((0, 0), rng=rng(seed)).random(512) for seed in (1, 2, 3)]
    z_train, z_test = normal(80_000), np.concatenate(even)
    y_train, y_test = np.arange(80_000) % 3, np.repeat([0, 1, 2], 512)
    found = latent.measures(z_train, y_train, z_test, y_test, SEED + 1)
    assert all(isinstance(value, float) and np.isfinite(value) for value in found.values())
    edge = -2 * np.log(0.05)  # The squared radius of the disc that holds 95 %.
    # The number of images near a point falls with the density, exp(-r^2 / 2); the points are spread evenly over r^2.
    empty, _ = integrate.quad(lambda r2: np.exp(-4 * edge / (2 * 0.95) * np.exp(-r2 / 2)) / edge, 0, edge)
    # The kernel widens a class of n images by n^(-1/3), and so its area: an eighth for 512. The region is a hull of
    # 1,536, whose corners lie within the ellipse: the share is larger by some 8 %.
    area = 1.08 * 1.125 * np.log(0.1) / np.log(0.05)
    expected = {
        # Over spaces of so many images the share has a standard deviation of 0.004, and a mean that is 0.002 too low.
        "gaps, share of the occupied region": (empty, 0.02),
        "points above 0, first axis": (0.5, 0.015),
        "points above 0, second axis": (0.5, 0.015),
        "distance of the mean from the origin, in spreads": (0, 0.03),
        "spread of the wider axis over the narrower": (1, 0.03),
        "density at the origin over the mean density": (3.1, 0.4),
        "area of the smallest class, share of the region": (area, 0.06),
        "area of the largest class, share of the region": (area, 0.06),
        "mean overlap of two classes": (1, 0.03),
        "largest overlap of two classes": (1, 0.03),
        "10-nearest-neighbour accuracy": (1 / 3, 0.05),
    }
    assert list(found) == list(expected)
    # What counts points is taken from the many training images.
    assert found["gaps, share of the occupied region"] == latent.gap_share(z_train, SEED + 1)
    assert found["density at the origin over the mean density"] == latent.crowding(z_train)
    for name, (value, tolerance) in expected.items():
        assert found[name] == pytest.approx(value, abs=tolerance), name


def test_measures_do_not_depend_on_the_scale():
    z_train, z_test = normal(1000), normal(300, seed=1)
    y_train, y_test = (z_train[:, 0] > 0).astype(int), (z_test[:, 0] > 0).astype(int)
    small = latent.measures(z_train, y_train, z_test, y_test, SEED)
    large = latent.measures(100 * z_train, y_train, 100 * z_test, y_test, SEED)
    for name, value in small.items():
        assert large[name] == pytest.approx(value, abs=0.01), name


def test_measures_of_classes_are_those_of_the_smallest_the_largest_and_of_all_pairs():
    z = np.concatenate([normal(100, seed=k, mean=(x, 0), spread=k) for k, x in ((1, 0), (2, 3), (3, 9))])
    y = np.repeat([0, 1, 2], 100)
    found = latent.measures(normal(300, seed=4), y, z, y, SEED)
    areas, overlaps = latent.class_areas(z, y), latent.class_overlaps(z, y)
    pairs = [overlaps[0, 1], overlaps[0, 2], overlaps[1, 2]]
    assert min(pairs) < 0.5 * max(pairs)
    volume = latent.occupied_region(z).volume
    assert found["area of the smallest class, share of the region"] == pytest.approx(areas.min() / volume)
    assert found["area of the largest class, share of the region"] == pytest.approx(areas.max() / volume)
    assert found["mean overlap of two classes"] == pytest.approx(np.mean(pairs))
    assert found["largest overlap of two classes"] == pytest.approx(max(pairs))
    alone = latent.measures(z, y, z, np.zeros(300, int), SEED)
    assert (alone["mean overlap of two classes"], alone["largest overlap of two classes"]) == (0, 0)


def test_measures_see_a_space_that_is_shifted_stretched_and_split():
    z = np.concatenate([disc(1000, (3, 0)), disc(1000, (9, 0), seed=1)])
    y = np.repeat([0, 1], 1000)
    found = latent.measures(z[::2], y[::2], z[1::2], y[1::2], SEED)
    spread = np.array([np.sqrt(9 + 0.25), 0.5])
    assert found["points above 0, first axis"] == 1
    assert found["points above 0, second axis"] == pytest.approx((z[::2, 1] > 0).mean())
    assert found["distance of the mean from the origin, in spreads"] == pytest.approx(6 / spread.mean(), rel=0.05)
    assert found["spread of the wider axis over the narrower"] == pytest.approx(spread[0] / spread[1], rel=0.05)
    assert found["largest overlap of two classes"] < 0.01
    assert found["10-nearest-neighbour accuracy"] == 1


@pytest.mark.parametrize(
    "measure",
    [
        latent.occupied_region,
        lambda z: latent.draw_points(z, 10),
        lambda z: latent.in_gap(np.zeros((1, 2)), z),
        lambda z: latent.in_gap(z, square(100)),
        latent.gap_share,
        latent.symmetry,
        latent.crowding,
        lambda z: latent.class_densities(z, np.zeros(len(z), int)),
        lambda z: latent.class_areas(z, np.zeros(len(z), int)),
        lambda z: latent.class_overlaps(z, np.zeros(len(z), int)),
    ],
)
@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.zeros((50, 3)), r"has shape \(50, 3\)"),
        (np.zeros(50), r"has shape \(50,\)"),
        (np.zeros((0, 2)), r"has shape \(0, 2\)"),
        (np.where(np.arange(100).reshape(50, 2) == 7, np.nan, square(50)), "holds NaN"),
        (np.where(np.arange(100).reshape(50, 2) == 7, np.inf, square(50)), "holds NaN or infinity"),
    ],
)
def test_latents_that_are_no_points_of_a_plane_are_refused(measure, z, message):
    with pytest.raises(ValueError, match=message):
        measure(z)


PLANE = square(60)
CLASSES = np.repeat([0, 1, 2], 20)


@pytest.mark.parametrize(
    "measure",
    [
        latent.occupied_region,
        lambda z: latent.draw_points(z, 10),
        lambda z: latent.in_gap(np.zeros((1, 2)), z),
        latent.gap_share,
        lambda z: latent.largest_gaps(z, 2),
        latent.crowding,
        lambda z: latent.class_densities(z, np.zeros(len(z), int)),
        lambda z: latent.class_areas(z, np.zeros(len(z), int)),
        lambda z: latent.class_overlaps(z, np.zeros(len(z), int)),
        lambda z: latent.measures(PLANE, CLASSES, z, np.zeros(len(z), int)),
    ],
)
@pytest.mark.parametrize("z", [PLANE[:2], PLANE[:1]], ids=["two points", "one point"])
def test_fewer_than_three_latents_are_refused(measure, z):
    with pytest.raises(ValueError, match=rf"z holds {len(z)} points\. Expected three or more"):
        measure(z)


def test_classes_of_fewer_than_three_images_are_named():
    for size in (1, 2):
        labels = np.repeat([3, 8], [60 - size, size])
        for measure in (latent.class_densities, latent.class_areas, latent.class_overlaps):
            with pytest.raises(ValueError, match=f"z of class 8 holds {size} points. Expected three or more"):
                measure(PLANE, labels)


PLACE = np.array([0.3, -0.2])


def along(positions, noise=1e-8, seed=9):
    """Put positions on a level line, constant up to rounding."""
    return np.stack([positions, 0.3 + noise * rng(seed).normal(size=len(positions))], axis=1)


def tilted(positions):
    """Put positions on a line to the north-west, through no origin."""
    return np.outer(positions, (-0.6, 0.8)) + 1


# Spaces that are one point, up to rounding.
POINTS = {
    "the origin": np.zeros((60, 2)),
    "a place": np.tile(PLACE, (60, 1)),
    "a place in float32": np.tile(PLACE, (60, 1)).astype("float32"),
    "a place up to rounding": PLACE + 1e-8 * PLANE,
}
LINES = pytest.mark.parametrize("line", [along, tilted, lambda positions: along(positions).astype("float32")])


@pytest.mark.parametrize("name", POINTS)
def test_measures_of_one_point(name):
    z = POINTS[name]
    region = latent.occupied_region(z)
    assert 0 < region.volume < 1e-11
    np.testing.assert_allclose(region.points - z[0], 0, atol=2e-6)
    np.testing.assert_allclose(latent.draw_points(z, 5) - z[0], 0, atol=2e-6)
    np.testing.assert_allclose(latent.largest_gaps(z, 2) - z[0], 0, atol=2e-6)
    # The decoder was trained for this place, and for no other.
    assert latent.gap_share(z, SEED) == latent.gap_share(z[np.newaxis], SEED) == 0
    assert latent.in_gap(np.array([z[0], z[0] + 0.01]), z).tolist() == [False, True]
    assert latent.crowding(z, coverage=0.8, area_share=0.05) == pytest.approx(25 * (name == "the origin"))
    # No class is told from another.
    x, y, densities = latent.class_densities(z, CLASSES, size=50)
    np.testing.assert_allclose(densities.sum(axis=(1, 2)) * (x[1] - x[0]) * (y[1] - y[0]), 1)
    np.testing.assert_allclose((x[[0, -1]] - z[0, 0], y[[0, -1]] - z[0, 1]), 2 * [[-0.1, 0.1]], atol=1e-6)
    np.testing.assert_allclose(latent.class_overlaps(z, CLASSES, size=50), 1, atol=1e-4)
    np.testing.assert_array_equal(latent.class_areas(z, CLASSES, size=50), 3 * [np.nan])


@pytest.mark.parametrize(
    ("name", "positive", "distance", "crowding"),
    [
        ("the origin", (0, 0), np.nan, 1 / 0.0095),
        ("a place", (1, 0), np.inf, 0),
        ("a place up to rounding", (1, 0), np.inf, 0),
    ],
)
def test_all_measures_of_one_point_at_once(name, positive, distance, crowding):
    z = POINTS[name]
    found = latent.measures(z, CLASSES, z, CLASSES, SEED)
    assert all(isinstance(value, float) for value in found.values())
    # The class of a test image is a guess.
    accuracy = found.pop("10-nearest-neighbour accuracy")
    assert accuracy == pytest.approx(1 / 3, abs=0.2 if "rounding" in name else 1e-9)
    expected = [0, *positive, distance, np.nan, crowding, np.nan, np.nan, 1, 1]
    assert list(found.values()) == pytest.approx(expected, nan_ok=True, abs=1e-4)


def test_rounding_grows_with_the_distance_from_the_origin():
    z = (100 + 1e-5 * PLANE).astype("float32")
    assert len(np.unique(z, axis=0)) > 1
    found = latent.measures(z, CLASSES, z, CLASSES, SEED)
    assert found["gaps, share of the occupied region"] == 0
    assert found["distance of the mean from the origin, in spreads"] == np.inf
    assert found["mean overlap of two classes"] > 0.99


def test_neighbours_of_one_point_are_right_by_chance():
    z, labels = np.tile(PLACE, (60, 1)), np.repeat([0, 1], [45, 15])
    assert latent.neighbour_accuracy(z, labels, z, labels) in (0.75, 0.25)


@LINES
def test_the_region_of_a_line_is_its_central_part(line):
    z = line(np.concatenate([np.linspace(-1, 1, 97), [30, 40, -35]]))
    start, end = line(np.array([-1, 1.0]))
    region = latent.occupied_region(z)
    assert region.volume < 1e-4
    assert pdist(region.points).max() == pytest.approx(2, abs=0.1)
    assert pdist(latent.occupied_region(z, coverage=1).points).max() == pytest.approx(75, abs=0.1)
    # The draws lie on the line, evenly.
    places = latent.draw_points(z, 20_000, seed=SEED)
    assert places.dtype == np.float32
    shares = (places - start) @ (end - start) / 4
    np.testing.assert_allclose(np.quantile(shares, np.linspace(0, 1, 11)), np.linspace(0, 1, 11), atol=0.04)
    np.testing.assert_allclose(start + shares[:, None] * (end - start), places, atol=2e-5)


@LINES
@pytest.mark.parametrize("neighbours", [2.0, 4.0])
def test_a_line_that_is_even_has_the_gaps_of_chance(line, neighbours):
    shares = [
        latent.gap_share(line(rng(seed).uniform(-1, 1, 50_000)), SEED, neighbours=neighbours) for seed in range(3)
    ]
    assert np.mean(shares) == pytest.approx(np.exp(-neighbours), rel=0.2)


@LINES
def test_a_gap_of_a_line_is_found(line):
    positions = rng().uniform(-1, 1, 4000)
    z = line(positions[np.abs(positions - 0.5) > 0.2])
    assert latent.gap_share(z, SEED, coverage=1) == pytest.approx(0.2, abs=0.03)
    (centre,) = latent.largest_gaps(z, 1, SEED)
    np.testing.assert_allclose(centre, line(np.array([0.5]))[0], atol=0.01)
    in_gap = latent.in_gap(line(np.array([0.5, 0.0])), z)
    assert in_gap.tolist() == [True, False]
    assert latent.in_gap(z[:3] + 0.5, z).all()


def test_densities_of_a_line_are_those_over_its_length():
    positions = rng().normal(size=50_000)
    z = along(positions) - (0, 0.3)
    # The mean is that of the 95 % between -1.96 and 1.96.
    mean = 0.95 / (2 * 1.96)
    assert latent.crowding(z) == pytest.approx(stats.norm.pdf(0) / mean, rel=0.1)
    assert latent.crowding(z + np.array([0, 1])) == 0
    points = along(np.array([0.0, 1.0, 2.0])) - (0, 0.3)
    found = latent.relative_density(points, z, neighbours=400)
    np.testing.assert_allclose(found, stats.norm.pdf([0, 1, 2]) / mean, rtol=0.2)


@pytest.mark.parametrize("noise", [1e-9, 1e-5, 1e-4])
def test_a_narrow_space_is_measured_as_the_line_that_it_nearly_is(noise):
    positions = rng().uniform(-1, 1, 3000)
    line, narrow = along(positions, noise=0) - (0, 0.3), along(positions, noise=noise) - (0, 0.3)
    assert latent.gap_share(narrow, SEED) == pytest.approx(latent.gap_share(line, SEED), abs=0.015)
    assert latent.crowding(narrow) == pytest.approx(latent.crowding(line), rel=0.15)
    measured = [latent.relative_density(line[:200], z, neighbours=50).mean() for z in (line, narrow)]
    assert measured[0] == pytest.approx(1, abs=0.05)
    assert measured[1] == pytest.approx(measured[0], rel=0.15)


@LINES
@pytest.mark.parametrize("distance", [0.0, 2.0, 8.0])
def test_classes_on_a_line_overlap_by_what_they_share_of_it(line, distance):
    normal = stats.norm.ppf((np.arange(150) + 0.5) / 150)
    z, labels = line(np.concatenate([normal, normal + distance])), np.repeat([0, 1], 150)
    overlaps = latent.class_overlaps(z, labels, size=80)
    np.testing.assert_allclose(np.diag(overlaps), 1)
    assert overlaps[0, 1] == pytest.approx(2 * stats.norm.cdf(-distance / 2), abs=0.06)
    np.testing.assert_array_equal(latent.class_areas(z, labels, size=20), 2 * [np.nan])


@pytest.mark.parametrize(("line", "elongation"), [(along, np.inf), (tilted, 4 / 3)])
def test_all_measures_of_a_line_at_once(line, elongation):
    z, labels = line(rng().normal(size=90)), np.arange(90) % 3
    found = latent.measures(z, labels, z, labels, SEED)
    sides, overlaps = latent.symmetry(z), latent.class_overlaps(z, labels)[np.triu_indices(3, 1)]
    assert list(found.values()) == pytest.approx(
        [
            latent.gap_share(z, SEED),
            *sides["share_positive"],
            sides["offset"] / sides["spread"].mean(),
            elongation,
            latent.crowding(z),
            np.nan,
            np.nan,
            overlaps.mean(),
            overlaps.max(),
            latent.neighbour_accuracy(z, labels, z, labels),
        ],
        nan_ok=True,
    )
    assert min(overlaps) > 0.6


def test_symmetry_holds_for_collapsed_spaces():
    sides = latent.symmetry(POINTS["a place"])
    np.testing.assert_array_equal(sides["share_positive"], [1, 0])
    np.testing.assert_allclose(sides["mean"], PLACE)
    np.testing.assert_allclose(sides["spread"], 0, atol=1e-15)
    assert sides["offset"] == pytest.approx(np.sqrt(0.13))
    sides = latent.symmetry(along(np.array([-1.0, 1, 2])))
    np.testing.assert_allclose(sides["share_positive"], [2 / 3, 1])
    np.testing.assert_allclose(sides["spread"], [np.std([-1, 1, 2]), 0], atol=1e-7)


def test_a_collapsed_class_is_measured_beside_others():
    # One class is a point within another one, and one is a line outside of both.
    z = np.concatenate([disc(150), np.tile([0.3, 0.3], (20, 1)), along(rng().uniform(2, 3, 30))])
    labels = np.repeat([0, 1, 2], [150, 20, 30])
    x, y, densities = latent.class_densities(z, labels)
    cell = (x[1] - x[0]) * (y[1] - y[0])
    np.testing.assert_allclose(densities.sum(axis=(1, 2)) * cell, 1)
    mean = np.array([densities[1].sum(axis=0) @ x, densities[1].sum(axis=1) @ y]) / densities[1].sum()
    np.testing.assert_allclose(mean, [0.3, 0.3], atol=0.01)
    areas = latent.class_areas(z, labels)
    assert areas[0] > 2
    # No area is smaller than some cells, or a row of them.
    assert 0 < areas[1] < 30 * cell
    assert 0 < areas[2] < 5 * (y[1] - y[0])
    overlaps = latent.class_overlaps(z, labels)
    np.testing.assert_allclose(np.diag(overlaps), 1)
    assert overlaps[0, 1] < 0.01
    assert max(overlaps[2, :2]) < 1e-3
    found = latent.measures(z, labels, z, labels, SEED)
    assert np.isfinite(list(found.values())).all()
    assert found["area of the smallest class, share of the region"] < 1e-3


@pytest.mark.parametrize("spread", [1e-3, 1e-5])
def test_a_class_that_is_smaller_than_a_cell_of_the_grid_keeps_its_density(spread):
    # Between the points of the grid a kernel so narrow would be 0 at all of them.
    z = np.concatenate([square(200), (0.3, -0.2) + spread * normal(5, seed=4)])
    labels = np.repeat([0, 1], [200, 5])
    x, y, densities = latent.class_densities(z, labels, size=40)
    cell = (x[1] - x[0]) * (y[1] - y[0])
    assert densities[1].sum() * cell == pytest.approx(1)
    assert 0 < latent.class_areas(z, labels, size=40)[1] < 30 * cell
    assert 0 < latent.class_overlaps(z, labels, size=40)[0, 1] < 0.1


def test_few_stray_points_do_not_hide_that_the_others_are_one_point_or_a_line():
    for central in (np.zeros((97, 2)), along(np.linspace(-1, 1, 97))):
        z = np.concatenate([central, [[30, 10], [-5, 20], [8, -9]]])
        region = latent.occupied_region(z)
        assert region.volume < 1e-4
        # The coverage counts once: 95 of 100 points, of which these are 97.
        assert np.ptp(region.points, axis=0).max() == pytest.approx(np.ptp(central[:95], axis=0).max(), abs=1e-4)
        assert latent.occupied_region(z, coverage=1).volume > 100


@pytest.mark.parametrize("name", POINTS)
def test_draws_around_one_point_are_near_that_point(name):
    z = POINTS[name]
    draws = latent.ways_to_draw(z, 2000, seed=SEED)
    np.testing.assert_allclose(draws["prior"].std(axis=0), 1, rtol=0.1)
    for source in ("box", "normal", "mixture"):
        np.testing.assert_allclose(draws[source] - z[0], 0, atol=0.01)


def test_draws_keep_the_spread_of_a_line():
    for z in (tilted(rng().normal(size=500)), normal(500) * (1, 1e-8)):
        draws = latent.ways_to_draw(z, 20_000, seed=SEED, components=3)
        for source in ("normal", "mixture"):
            covariance = np.cov(draws[source].T.astype("float64"))
            np.testing.assert_allclose(covariance, np.cov(z.T), rtol=0.1, atol=0.06)


def test_a_mixture_has_no_more_components_than_there_are_different_latents():
    z = np.repeat([[0.0, 0], [4, 4]], 20, axis=0)
    drawn = latent.ways_to_draw(z, 400, seed=SEED)["mixture"]
    assert np.abs(drawn[:, None] - z[[0, -1]]).max(axis=2).min(axis=1).max() < 0.01
    assert 0.4 < (drawn[:, 0] > 2).mean() < 0.6


@pytest.mark.parametrize("labels", [CLASSES[:-1], np.append(CLASSES, 0), CLASSES[:, None], None, "a"])
def test_labels_that_are_not_one_for_each_latent_are_refused(labels):
    for measure in (
        latent.class_densities,
        latent.class_areas,
        latent.class_overlaps,
        lambda z, y: latent.neighbour_accuracy(z, y, PLANE, CLASSES),
        lambda z, y: latent.neighbour_accuracy(PLANE, CLASSES, z, y),
        lambda z, y: latent.measures(z, y, PLANE, CLASSES),
        lambda z, y: latent.measures(PLANE, CLASSES, z, y),
    ):
        with pytest.raises(ValueError, match="has 60 latents, but the labels have shape"):
            measure(PLANE, labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: latent.draw_points(PLANE, 0), "count is 0"),
        (lambda: latent.draw_points(PLANE, 1.5), r"count is 1\.5"),
        (lambda: latent.draw_points(PLANE, 5, seed=-1), "seed is -1"),
        (lambda: latent.gap_share(PLANE, seed=None), "seed is None"),
        (lambda: latent.largest_gaps(PLANE, 0), "count is 0"),
        (lambda: latent.largest_gaps(PLANE, 2, seed="a"), "seed is 'a'"),
        (lambda: latent.in_gap(PLANE, PLANE, neighbours=0), "neighbours is 0. Expected a number above 0"),
        (lambda: latent.in_gap(PLANE, PLANE, neighbours="4"), "neighbours is '4'"),
        (lambda: latent.in_gap(PLANE[:, :1], PLANE), r"points has shape \(60, 1\)"),
        (lambda: latent.in_gap("abc", PLANE), "points is of type str and holds no numbers"),
        (lambda: latent.symmetry({}), "z is of type dict and holds no numbers"),
        (lambda: latent.crowding(PLANE, area_share=0), "area_share is 0"),
        (lambda: latent.crowding(PLANE, area_share=1.5), r"area_share is 1\.5"),
        (lambda: latent.crowding(PLANE, coverage=None), "coverage is None"),
        (lambda: latent.class_densities(PLANE, CLASSES, size=1), "size is 1. Expected a whole number, 2 or more"),
        (lambda: latent.class_areas(PLANE, CLASSES, mass=1), "mass is 1"),
        (lambda: latent.class_areas(PLANE, CLASSES, mass=0), "mass is 0"),
        (lambda: latent.class_areas(PLANE, CLASSES, mass="most"), "mass is 'most'"),
        (lambda: latent.neighbour_accuracy(PLANE, CLASSES, PLANE, CLASSES, neighbours=0), "neighbours is 0"),
        (lambda: latent.neighbour_accuracy(PLANE, CLASSES, PLANE, CLASSES, neighbours=61), "there are 60 training"),
        (lambda: latent.neighbour_accuracy(None, CLASSES, PLANE, CLASSES), "z_train has shape|z_train is of type"),
        (lambda: latent.neighbour_accuracy(PLANE, CLASSES, PLANE * np.nan, CLASSES), "z_test holds NaN"),
        (lambda: latent.neighbour_accuracy(PLANE, CLASSES, PLANE[:, :1], CLASSES), "2 latents and z_test 1"),
    ],
)
def test_arguments_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_neighbours_take_any_number_of_latents():
    z = rng().normal(size=(60, 5)) + 20 * CLASSES[:, None]
    assert latent.neighbour_accuracy(z[::2], CLASSES[::2], z[1::2], CLASSES[1::2], neighbours=3) == 1
    assert latent.neighbour_accuracy(z[:, :1], CLASSES, z[:, :1], CLASSES, neighbours=3) == 1
