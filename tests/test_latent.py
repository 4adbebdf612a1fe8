import numpy as np
import pytest
from scipy import integrate, stats
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
        lambda z: latent.measures(z, np.zeros(len(z), int), z, np.zeros(len(z), int)),
    ],
)
@pytest.mark.parametrize(
    "z",
    [np.ones((50, 2)), np.linspace(0, 1, 50)[:, None] * (1, 3), PLANE * (1, 0), PLANE[:2], PLANE[:1]],
    ids=["equal", "on a line", "on an axis", "two points", "one point"],
)
def test_latents_that_fill_no_area_are_refused(measure, z):
    with pytest.raises(ValueError, match=rf"{len(z)} points of spread .* fill no area.*collapsed"):
        measure(z)


def test_classes_that_fill_no_area_are_named():
    for size in (1, 2):
        labels = np.repeat([3, 8], [60 - size, size])
        for measure in (latent.class_densities, latent.class_areas, latent.class_overlaps):
            with pytest.raises(ValueError, match=f"z of class 8 holds {size} points.*fill no area"):
                measure(PLANE, labels)
    z = np.concatenate([PLANE, np.ones((20, 2))])
    with pytest.raises(ValueError, match=r"z of class 3 holds 20 points of spread 0 and 0"):
        latent.class_areas(z, np.repeat([0, 1, 2, 3], 20))


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
