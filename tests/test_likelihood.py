"""likelihood: bounds on log p(x), log p(x) and the posterior, against a model of which both are known."""

import gc
import math
import tracemalloc

import keras
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from seeding import SEED, rng

from vae_keras import VAE, data, likelihood, losses, networks

SHAPE = (3, 4, 1)
PIXELS = 12
VARIANCE = 0.5  # that of losses.gaussian
# Orthogonal columns: the posterior of probabilistic PCA is then a diagonal normal, as the encoder's is.
LOADINGS = np.linalg.qr(rng().normal(size=(PIXELS, 2)))[0] * (1.5, 0.8)
CENTRE = rng(1).random(PIXELS)


def principal_components(
    mean_shift=0.0, log_var_shift=0.0, reconstruction_loss=losses.gaussian, loadings=LOADINGS, centre=CENTRE
):
    """Build a VAE that is probabilistic PCA (Tipping and Bishop 1999); q has the exact means and variances, or others.

    Where the columns of the loadings are orthogonal, that is the exact posterior.
    """
    latent_dim = loadings.shape[1]
    inverse = np.linalg.inv(loadings.T @ loadings + VARIANCE * np.eye(latent_dim))
    x = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(x)
    z_mean, z_log_var = keras.layers.Dense(latent_dim)(flat), keras.layers.Dense(latent_dim)(flat)
    encoder = keras.Model(x, [z_mean, z_log_var, keras.layers.Add()([z_mean, z_log_var])])
    projection = loadings @ inverse
    encoder.layers[2].set_weights([projection, -centre @ projection + mean_shift])
    encoder.layers[3].set_weights([np.zeros((PIXELS, latent_dim)), np.log(VARIANCE * np.diag(inverse)) + log_var_shift])
    z = keras.Input((latent_dim,))
    decoder = keras.Model(z, keras.layers.Reshape(SHAPE)(keras.layers.Dense(PIXELS)(z)))
    decoder.layers[1].set_weights([loadings.T, centre])
    # A function for predict takes longer to compile than a handful of images to encode.
    encoder.compile(run_eagerly=True)
    return VAE(encoder, decoder, reconstruction_loss=reconstruction_loss)


def marginal(images, loadings, centre=CENTRE):
    """log p(x) of probabilistic PCA: a normal distribution of the pixels."""
    covariance = loadings @ loadings.T + VARIANCE * np.eye(PIXELS)
    return multivariate_normal(centre, covariance).logpdf(images.reshape(len(images), PIXELS))


MEAN_SHIFT, LOG_VAR_SHIFT = 0.3, 0.5
POSTERIOR = VARIANCE / ((LOADINGS**2).sum(axis=0) + VARIANCE)  # the exact variances


def beside_the_posterior():
    return principal_components(mean_shift=MEAN_SHIFT, log_var_shift=LOG_VAR_SHIFT)


def divergence_from_the_posterior():
    return 0.5 * np.sum(np.exp(LOG_VAR_SHIFT) + MEAN_SHIFT**2 / POSTERIOR - 1 - LOG_VAR_SHIFT)


def binary_images(n=5):
    return data.binarise(rng().random((n, 8, 8, 1), dtype="float32"), seed=SEED)


@pytest.fixture(scope="module")
def images():
    return rng(2).random((7, *SHAPE), dtype="float32")


@pytest.fixture(scope="module")
def exact(images):
    return marginal(images, LOADINGS)


def bound(vae, images, **arguments):
    return likelihood.importance_weighted_bound(vae, images, progress=False, **arguments)


def elbo(vae, images, **arguments):
    return likelihood.elbo(vae, images, progress=False, **arguments)


@pytest.mark.parametrize("samples", [1, 3])
def test_bound_is_exact_for_every_sample_where_the_posterior_is(images, exact, samples):
    assert bound(principal_components(), images, samples=samples) == pytest.approx(exact, abs=1e-4)


def test_a_learned_sigma_brings_its_constants(images, exact):
    vae = principal_components(reconstruction_loss=losses.LearnedGaussian(VARIANCE**0.5))
    assert bound(vae, images, samples=3) == pytest.approx(exact, abs=1e-3)
    vae.reconstruction_loss.log_sigma.assign(0.0)
    assert np.all(np.abs(bound(vae, images, samples=3) - exact) > 1)


def test_elbo_is_log_likelihood_where_the_posterior_is_exact(images, exact):
    vae = principal_components()
    # There log p(x|z) = log p(x) + log q(z|x) - log p(z), whose variance over z ~ q(z|x) is that of two normals.
    z_mean = np.asarray(vae.encoder(images)[0])
    error = np.sqrt((0.5 * (POSTERIOR - 1) ** 2 + z_mean**2 * POSTERIOR).sum(axis=1) / 10_000)
    assert np.all(np.abs(elbo(vae, images, samples=10_000, seed=SEED) - exact) < 5 * error + 1e-4)
    assert error.max() < 0.02


def test_bound_meets_log_likelihood_within_its_standard_error(images, exact):
    draws = bound(beside_the_posterior(), np.repeat(images, 100, axis=0), samples=500, seed=SEED).reshape(-1, 100)
    error = draws.std(axis=1, ddof=1) / np.sqrt(100)
    assert np.all(np.abs(draws.mean(axis=1) - exact) < 5 * error)
    assert error.max() < 0.01


def test_elbo_lies_below_log_likelihood_by_the_divergence_from_the_posterior(images, exact):
    found = elbo(beside_the_posterior(), images, samples=24_000, seed=SEED)
    assert found == pytest.approx(exact - divergence_from_the_posterior(), abs=0.05)


def test_more_samples_tighten_the_bound(images, exact):
    vae = principal_components(mean_shift=0.5, log_var_shift=1.0)
    # Over so many images each step, and the last one up to log p(x), is about five standard errors or more.
    many = np.repeat(images, 200, axis=0)
    means = [bound(vae, many, samples=samples, seed=SEED).mean() for samples in (1, 2, 5, 20)]
    assert np.all(np.diff([*means, exact.mean()]) > 0)


def test_one_sample_of_the_bound_has_the_elbo_as_its_mean(images, exact):
    draws = bound(beside_the_posterior(), np.repeat(images, 1000, axis=0), samples=1, seed=SEED).reshape(-1, 1000)
    error = draws.std(axis=1, ddof=1) / np.sqrt(1000)
    assert np.all(np.abs(draws.mean(axis=1) - (exact - divergence_from_the_posterior())) < 5 * error)
    assert error.max() < 0.1


def test_pieces_make_no_difference(images, exact, monkeypatch):
    for decoded in (1, 5, 64):
        monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", decoded * images[0].size)
        assert bound(principal_components(), images, samples=7, seed=SEED) == pytest.approx(exact, abs=1e-4)
    for decoded in (20, 100, 64):
        monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", decoded * images[0].size)
        found = bound(beside_the_posterior(), images, samples=200, seed=SEED)
        assert found.mean() == pytest.approx(exact.mean(), abs=0.1)


def test_no_piece_is_larger_than_its_bound(images, monkeypatch):
    sizes = []
    monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", 50 * images[0].size)

    def log_likelihood(x, reconstruction):
        sizes.append(len(x))
        return -losses.gaussian(x, reconstruction)

    bound(principal_components(), images, samples=320, log_likelihood=log_likelihood)
    assert max(sizes) <= 50
    assert sum(sizes) == 7 * 320


def test_no_layer_gives_more_at_a_time_than_its_bound(monkeypatch):
    shape, sizes = (8, 8, 1), []
    encoder = networks.conv_encoder(shape, filters=(4, 8), hidden=(), seed=SEED)
    decoder = networks.conv_decoder(shape, filters=(8, 4), hidden=(), seed=SEED)
    vae, x = VAE(encoder, decoder, reconstruction_loss=losses.gaussian), rng().random((5, *shape), dtype="float32")
    whole, call = likelihood.exact_elbo(vae, x, nodes=6), decoder.call

    def watched(z, *arguments, **named):
        sizes.append(len(z))
        return call(z, *arguments, **named)

    monkeypatch.setattr(decoder, "call", watched)
    # The layer before the pixels gives 8 x 8 x 4 values, four times as many as they are.
    monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", 40 * 64)
    np.testing.assert_allclose(likelihood.exact_elbo(vae, x, nodes=6), whole, rtol=1e-5)
    assert max(sizes) == 10
    sizes.clear()
    likelihood.importance_weighted_bound(vae, x, samples=30, seed=SEED)
    assert max(sizes) == 10


def test_memory_does_not_grow_with_the_samples(images, monkeypatch):
    monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", 4000 * images[0].size)
    vae = principal_components()
    peaks = []
    bound(vae, images, samples=8_000)  # What only the first call needs is left out.
    for samples in (8_000, 40_000):
        # What earlier tests left behind may be collected at any moment, and Keras keeps some of it in cycles.
        gc.collect()
        tracemalloc.start()
        bound(vae, images, samples=samples)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_the_same_seed_draws_the_same_noise(images):
    vae = principal_components(log_var_shift=LOG_VAR_SHIFT)
    for estimate in (bound, elbo):
        first, second, other = (estimate(vae, images, samples=10, seed=SEED + seed) for seed in (3, 3, 4))
        assert np.array_equal(first, second)
        assert not np.allclose(first, other)
        assert first.shape == (7,)
        assert first.dtype == np.float64


def test_a_very_improbable_image_gets_a_finite_bound(images):
    vae = principal_components()
    assert np.isfinite(bound(vae, images, samples=3, log_likelihood=lambda x, y: -1e4 * losses.gaussian(x, y))).all()


def test_bernoulli_likelihood_of_black_and_white_images(make_vae):
    x = binary_images()
    vae = make_vae()
    # Near the prior and as wide, the encoder draws from all of the posterior, and no draw outweighs the others.
    for name, share in (("z_mean", 0.2), ("z_log_var", 0)):
        head = vae.encoder.get_layer(name)
        head.set_weights([share * weight for weight in head.get_weights()])
    # The integral over both latents itself, on a fine grid.
    axis = np.linspace(-6, 6, 241)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype("float32")
    pixels = np.float64(vae.decoder(grid)).reshape(-1, 64)
    flat = x.reshape(5, 64)
    log_p = flat @ np.log(pixels).T + (1 - flat) @ np.log(1 - pixels).T - (grid**2).sum(axis=1) / 2 - np.log(2 * np.pi)
    exact = np.logaddexp.reduce(log_p, axis=1) + 2 * np.log(axis[1] - axis[0])
    assert likelihood.exact_log_likelihood(vae, x, progress=False)[0] == pytest.approx(exact, abs=1e-4)
    draws = bound(vae, np.repeat(x, 20, axis=0), samples=2000, seed=SEED).reshape(5, 20)
    error = draws.std(axis=1, ddof=1) / np.sqrt(20)
    assert np.all(np.abs(draws.mean(axis=1) - exact) < 6 * error)
    assert error.max() < 0.02
    assert np.all(elbo(vae, x, samples=2000, seed=SEED) < exact + 0.05)


def test_beta_plays_no_part(make_vae):
    x = binary_images()
    assert np.array_equal(elbo(make_vae(beta=0.1), x), elbo(make_vae(beta=1.0), x))


def test_elbo_is_what_evaluate_measures(make_vae):
    x = binary_images()
    vae = make_vae()
    evaluated = vae.evaluate(np.repeat(x, 1000, axis=0), batch_size=1000, verbose=0, return_dict=True)["loss"]
    assert elbo(vae, x, samples=2000, seed=SEED).mean() == pytest.approx(-evaluated, abs=0.2)


def test_grey_images_are_refused(make_vae):
    grey = rng().random((5, 8, 8, 1), dtype="float32")
    for estimate in (bound, elbo):
        with pytest.raises(ValueError, match=r"grey.*data\.binarise"):
            estimate(make_vae(), grey)


@pytest.mark.parametrize("estimate", [elbo, bound])
def test_a_model_without_a_distribution_of_z_is_refused(make_autoencoder, estimate):
    for model, name in ((make_autoencoder(), "Autoencoder"), (None, "NoneType")):
        with pytest.raises(ValueError, match=f"of type {name}.*Expected a VAE"):
            estimate(model, binary_images())


@pytest.mark.parametrize("estimate", [elbo, bound])
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (None, r"images has shape \(\)"),
        (np.zeros((3, 4, 1)), r"images has shape \(3, 4, 1\)"),
        (np.zeros((0, *SHAPE)), "images is empty"),
        (np.full((2, *SHAPE), np.nan), "images holds NaN"),
    ],
)
def test_what_are_no_images_is_refused(estimate, images, message):
    with pytest.raises(ValueError, match=message):
        estimate(principal_components(), images)


def test_images_may_be_a_list_and_whole_numbers():
    vae = principal_components(reconstruction_loss=losses.LearnedGaussian())
    x = rng(3).integers(0, 2, (4, *SHAPE))
    expected = elbo(vae, np.float32(x), samples=3)
    for images in (x, x.tolist()):
        np.testing.assert_allclose(elbo(vae, images, samples=3), expected, rtol=1e-6)


@pytest.mark.parametrize("estimate", [elbo, bound])
@pytest.mark.parametrize(
    ("log_likelihood", "message"),
    [
        ("mse", "log_likelihood is 'mse'"),
        (lambda x, reconstruction: 0.0, r"gives shape \(\) for 7 images.*Expected nats per image"),
        (lambda x, reconstruction: x - reconstruction, r"gives shape \(7, 3, 4, 1\) for 7 images"),
    ],
)
def test_what_is_no_log_likelihood_of_each_image_is_refused(images, estimate, log_likelihood, message):
    with pytest.raises(ValueError, match=message):
        estimate(principal_components(), images, samples=1, log_likelihood=log_likelihood)


def test_the_log_likelihood_of_a_loss_of_ones_own_is_its_attribute(images):
    def absolute_error(x, reconstruction):
        return keras.ops.sum(keras.ops.abs(x - reconstruction), axis=(1, 2, 3))

    absolute_error.log_likelihood = lambda x, reconstruction: -7 - absolute_error(x, reconstruction)
    vae = principal_components(reconstruction_loss=absolute_error)
    for estimate in (elbo, bound):
        by_attribute = estimate(vae, images, samples=3, seed=SEED)
        given = {"log_likelihood": lambda x, reconstruction: -absolute_error(x, reconstruction)}
        np.testing.assert_allclose(by_attribute, estimate(vae, images, samples=3, seed=SEED, **given) - 7, rtol=1e-5)


@pytest.mark.parametrize("samples", [0, -1, 1.5, None])
def test_no_samples_are_refused(images, samples):
    with pytest.raises(ValueError, match=f"samples is {samples}"):
        bound(principal_components(), images, samples=samples)
    with pytest.raises(ValueError, match=f"samples is {samples}"):
        elbo(principal_components(), images, samples=samples)


def test_another_loss_needs_its_likelihood(images):
    def half_squared_error(x, reconstruction):
        return 0.5 * losses.gaussian(x, reconstruction)

    vae = principal_components(reconstruction_loss=half_squared_error)
    with pytest.raises(ValueError, match=r"constant.*log_likelihood"):
        bound(vae, images)
    constant = PIXELS * np.log(2 * np.pi) / 2
    with_likelihood = bound(vae, images, samples=5, log_likelihood=lambda x, y: -half_squared_error(x, y) - constant)
    assert np.isfinite(with_likelihood).all()


def test_images_are_checked(images):
    with pytest.raises(ValueError, match=r"0 \.\.\. 255"):
        bound(principal_components(), images * 255)


def test_progress_bar_counts_the_draws(images, capsys):
    vae = principal_components()
    likelihood.importance_weighted_bound(vae, images, samples=30)
    assert "210/210" in capsys.readouterr().err
    likelihood.importance_weighted_bound(vae, images[:2])
    assert "10.0k/10.0k" in capsys.readouterr().err
    likelihood.elbo(vae, images)
    assert "7.00/7.00" in capsys.readouterr().err
    elbo(vae, images)
    assert not capsys.readouterr().err


# Columns that are not orthogonal: the latents of the posterior are correlated.
OBLIQUE = rng(4).normal(size=(PIXELS, 2))


def exact_log_likelihood(vae, images, **arguments):
    return likelihood.exact_log_likelihood(vae, images, progress=False, **arguments)


def posterior(vae, images, **arguments):
    return likelihood.posterior(vae, images, progress=False, **arguments)


@pytest.mark.parametrize("loadings", [OBLIQUE[:, :1], OBLIQUE], ids=["one latent", "two latents"])
def test_log_likelihood_and_posterior_of_probabilistic_pca(images, loadings):
    vae = principal_components(loadings=loadings)
    log_p, error = exact_log_likelihood(vae, images)
    assert log_p == pytest.approx(marginal(images, loadings), abs=1e-4)
    assert error.max() < 0.03
    found = posterior(vae, images)
    assert found.log_likelihood == pytest.approx(marginal(images, loadings), abs=1e-4)
    inverse = np.linalg.inv(loadings.T @ loadings + VARIANCE * np.eye(loadings.shape[1]))
    means = (images.reshape(7, PIXELS) - CENTRE) @ loadings @ inverse
    cell = (found.axis[1] - found.axis[0]) ** loadings.shape[1]
    z = np.stack(np.meshgrid(*[found.axis] * loadings.shape[1]), axis=-1)
    for density, mean in zip(found.density.astype("float64"), means):
        assert density.sum() * cell == pytest.approx(1, abs=1e-4)
        away = z.reshape(-1, len(mean)) - mean
        shares = density.reshape(-1, 1) * cell
        assert (shares * away).sum(axis=0) == pytest.approx(np.zeros(len(mean)), abs=1e-3)
        assert (shares * away).T @ away == pytest.approx(VARIANCE * inverse, abs=1e-3)


def test_a_learned_sigma_gives_the_same_integral(images, exact):
    vae = principal_components(reconstruction_loss=losses.LearnedGaussian(VARIANCE**0.5))
    assert exact_log_likelihood(vae, images)[0] == pytest.approx(exact, abs=1e-3)


def test_one_product_for_all_images_gives_what_each_image_gives(make_vae):
    x, vae = binary_images(), make_vae()
    one_by_one = exact_log_likelihood(vae, x, log_likelihood=lambda x, y: losses.bernoulli.log_likelihood(x, y))
    for product, single in zip(exact_log_likelihood(vae, x), one_by_one):
        assert product == pytest.approx(single, abs=1e-4)


@pytest.mark.parametrize("log_var_shift", [LOG_VAR_SHIFT, 0.0, -5.0])
def test_log_likelihood_is_elbo_plus_divergence_from_the_posterior(images, log_var_shift):
    vae = principal_components(MEAN_SHIFT, log_var_shift, loadings=OBLIQUE)
    z_mean, z_log_var, _ = vae.encoder.predict(images, verbose=0)
    found = posterior(vae, images)
    divergence = found.kl_divergence(z_mean, z_log_var)
    assert likelihood.exact_elbo(vae, images) + divergence == pytest.approx(marginal(images, OBLIQUE), abs=1e-3)
    # KL of two normal distributions: every q is as far from its posterior as the others.
    precision = (OBLIQUE.T @ OBLIQUE + VARIANCE * np.eye(2)) / VARIANCE
    covariance = np.diag(np.exp(z_log_var[0]))
    shift = np.full(2, MEAN_SHIFT)
    expected = np.trace(precision @ covariance) + shift @ precision @ shift - 2
    expected = 0.5 * (expected - np.linalg.slogdet(precision @ covariance)[1])
    assert divergence == pytest.approx(np.full(7, expected), abs=1e-3)


def test_exact_elbo_is_the_mean_of_its_estimate(images):
    vae = beside_the_posterior()
    exact = likelihood.exact_elbo(vae, images)
    assert elbo(vae, images, samples=24_000, seed=SEED) == pytest.approx(exact, abs=0.05)
    # log p(x|z) is a polynomial of degree 2, which two nodes integrate.
    assert likelihood.exact_elbo(vae, images, nodes=2) == pytest.approx(exact, abs=1e-4)
    assert np.all(likelihood.exact_elbo(vae, images, nodes=1) > exact + 0.1)


def test_exact_elbo_of_other_distributions(images, exact):
    z_mean, z_log_var, _ = principal_components().encoder.predict(images, verbose=0)
    vae = beside_the_posterior()
    assert likelihood.exact_elbo(vae, images, q=(z_mean, z_log_var)) == pytest.approx(exact, abs=1e-3)
    assert likelihood.exact_elbo(vae, images) == pytest.approx(exact - divergence_from_the_posterior(), abs=1e-3)


def test_exact_elbo_in_pieces(images, monkeypatch):
    expected = likelihood.exact_elbo(beside_the_posterior(), images)
    for decoded in (1, 900, 2000):
        monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", decoded * PIXELS)
        assert likelihood.exact_elbo(beside_the_posterior(), images) == pytest.approx(expected, abs=1e-4)


def test_the_grid_widens_until_it_holds_the_posterior(images):
    # The decoder's best z lies at 7, and the encoder knows nothing of it.
    loadings, centre = LOADINGS[:, :1], CENTRE - 10 * LOADINGS[:, 0]
    vae = principal_components(loadings=loadings, centre=centre)
    vae.encoder.layers[2].set_weights([np.zeros((PIXELS, 1)), np.zeros(1)])
    found = posterior(vae, images)
    assert found.axis[-1] > 9
    assert found.axis[found.density.argmax(axis=1)] == pytest.approx(8.2, abs=1)
    assert found.log_likelihood == pytest.approx(marginal(images, loadings, centre), abs=1e-3)
    assert exact_log_likelihood(vae, images)[0] == pytest.approx(found.log_likelihood, abs=1e-3)


def test_the_grid_begins_as_wide_as_the_encoder_reaches(images, monkeypatch):
    monkeypatch.setattr(likelihood, "NEGLIGIBLE", 1.0)
    assert posterior(principal_components(mean_shift=8.0), images).axis[-1] > 9
    assert posterior(principal_components(), images).axis[-1] == pytest.approx(5, abs=0.1)


def test_the_grid_becomes_finer_until_it_meets_the_tolerance(images):
    # Standard deviations of 0.023 and 0.012, and an encoder that thinks them wide.
    vae = principal_components(log_var_shift=9.0, loadings=20 * LOADINGS * (1, 2))
    expected = marginal(images, 20 * LOADINGS * (1, 2))
    coarse, finer = (posterior(vae, images, tolerance=tolerance) for tolerance in (1e6, 0.01))
    assert len(coarse.axis) < len(finer.axis)
    assert coarse.error.max() > 0.1
    assert finer.error.max() < 0.01
    assert np.all(np.abs(finer.log_likelihood - expected) < finer.error + 1e-3)
    assert finer.log_likelihood == pytest.approx(expected, abs=1e-3)
    assert exact_log_likelihood(vae, images, tolerance=0.01)[0] == pytest.approx(expected, abs=1e-3)
    assert exact_log_likelihood(vae, images)[0] == pytest.approx(expected, abs=0.03)


def test_the_grid_is_no_coarser_than_the_encoder_is_narrow(images):
    vae = principal_components(log_var_shift=-7.0)
    narrow = np.exp(vae.encoder.predict(images, verbose=0)[1].min() / 2)
    axis = posterior(vae, images).axis
    assert axis[1] - axis[0] <= narrow < 10 / 257


def test_the_error_is_told_where_the_points_do_not_suffice(images, monkeypatch):
    monkeypatch.setattr(likelihood, "MOST_POINTS", {2: 65})
    vae = principal_components(loadings=5 * LOADINGS)
    log_p, error = exact_log_likelihood(vae, images)
    assert len(posterior(vae, images).axis) == 65
    assert error.max() > 0.01
    assert np.all(np.abs(log_p - marginal(images, 5 * LOADINGS)) < error)


def test_only_the_images_that_need_it_go_on_to_a_finer_grid():
    # Always the same images: which grid another image needs is a matter of the image.
    images, grids = np.random.default_rng(2).random((7, *SHAPE), dtype="float32"), []

    def log_likelihood(x, reconstruction):
        grids.append(tuple(x[0, 0, 0]))
        # Far more sure of the first image.
        factor = 3000 if np.array_equal(x[0], images[0]) else 1
        return factor * losses.gaussian.log_likelihood(x, reconstruction)

    exact_log_likelihood(principal_components(loadings=1.5 * LOADINGS), images, log_likelihood=log_likelihood)
    first, *others = (grids.count(tuple(x[0, 0])) for x in images)
    assert first > 2 * max(others)


def test_the_grid_in_pieces(images, monkeypatch):
    sizes = []
    vae = principal_components(loadings=OBLIQUE[:, :1])
    expected = posterior(vae, images)

    def log_likelihood(x, reconstruction):
        sizes.append(len(x))
        return losses.gaussian.log_likelihood(x, reconstruction)

    for decoded, values in ((100 * PIXELS, 10**6), (10**6, 7 * 100)):
        sizes.clear()
        monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", decoded)
        monkeypatch.setattr(likelihood, "VALUES_AT_A_TIME", values)
        for part, whole in zip(posterior(vae, images, log_likelihood=log_likelihood), expected):
            np.testing.assert_allclose(part, whole, atol=1e-4)
        assert max(sizes) == 100


def test_memory_does_not_grow_with_the_grid(images):
    peaks = []
    for scale in (1, 20):
        vae = principal_components(loadings=scale * LOADINGS[:, :1])
        exact_log_likelihood(vae, images)
        tracemalloc.start()
        exact_log_likelihood(vae, images, tolerance=1e-3)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 3 * peaks[0]


def test_densities_that_take_too_much_are_refused(images, monkeypatch):
    monkeypatch.setattr(likelihood, "MOST_DENSITIES", 3 * 257**2)
    vae = principal_components()
    assert posterior(vae, images[:3]).log_density.shape == (3, 257, 257)
    with pytest.raises(ValueError, match=r"7 images are given\. Expected 3 or fewer.*exact_log_likelihood"):
        posterior(vae, images)


@pytest.mark.parametrize("compute", [exact_log_likelihood, posterior, likelihood.exact_elbo])
def test_more_than_two_latents_are_refused(images, compute):
    vae = principal_components(loadings=rng(5).normal(size=(PIXELS, 3)))
    with pytest.raises(ValueError, match=r"has 3 latents\. Expected one or two.*importance_weighted_bound"):
        compute(vae, images)


@pytest.mark.parametrize("compute", [exact_log_likelihood, posterior, likelihood.exact_elbo])
def test_what_no_grid_is_made_for_is_refused(images, compute, make_vae, make_autoencoder):
    vae = principal_components(mean_shift=np.nan)
    with pytest.raises(ValueError, match=r"NaN or infinity.*diverged"):
        compute(vae, images)
    with pytest.raises(ValueError, match=r"grey.*data\.binarise"):
        compute(make_vae(), rng().random((5, 8, 8, 1), dtype="float32"))
    with pytest.raises(ValueError, match="Expected a VAE"):
        compute(make_autoencoder(), binary_images())
    with pytest.raises(ValueError, match=r"0 \.\.\. 255"):
        compute(principal_components(), images * 255)
    with pytest.raises(ValueError, match=r"gives shape \(\) for"):
        compute(principal_components(), images, log_likelihood=lambda x, y: 0.0)


@pytest.mark.parametrize("tolerance", [0, -1, np.nan, np.inf, None])
def test_a_tolerance_is_positive(images, tolerance):
    for compute in (exact_log_likelihood, posterior):
        with pytest.raises(ValueError, match=f"tolerance is {tolerance}"):
            compute(principal_components(), images, tolerance=tolerance)


def test_a_posterior_that_never_ends_is_refused(images):
    def improper(x, reconstruction):
        # It rises faster along z, by 2.25 z^2, than the prior falls.
        return keras.ops.sum(reconstruction**2, axis=(1, 2, 3))

    with pytest.raises(ValueError, match=r"image 0 reaches beyond \|z\| = 100"):
        exact_log_likelihood(principal_components(loadings=LOADINGS[:, :1]), images, log_likelihood=improper)


@pytest.mark.parametrize("loadings", [OBLIQUE[:, :1], OBLIQUE], ids=["one latent", "two latents"])
def test_the_closest_normal_of_a_normal_posterior(images, loadings):
    vae = principal_components(MEAN_SHIFT, LOG_VAR_SHIFT, loadings=loadings)
    found = posterior(vae, images)
    z_mean, z_log_var = found.closest_normal()
    # It has the mean of the posterior and the diagonal of its precision.
    precision = (loadings.T @ loadings + VARIANCE * np.eye(loadings.shape[1])) / VARIANCE
    assert z_mean == pytest.approx(vae.encoder.predict(images, verbose=0)[0] - MEAN_SHIFT, abs=1e-3)
    assert z_log_var == pytest.approx(np.tile(-np.log(np.diag(precision)), (7, 1)), abs=1e-2)
    least = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    assert found.kl_divergence(z_mean, z_log_var) == pytest.approx(np.full(7, least), abs=1e-3)
    elbo_of_it = likelihood.exact_elbo(vae, images, q=(z_mean, z_log_var))
    assert elbo_of_it == pytest.approx(marginal(images, loadings) - least, abs=1e-3)


@pytest.mark.parametrize("shape", [(41,), (41, 41)])
def test_the_closest_normal_of_a_posterior_narrower_than_a_step_of_the_grid(shape):
    axis = np.linspace(-2, 2, 41)
    log_density = np.full((1, *shape), -300.0, "float32")
    log_density[(0, *[30] * len(shape))] = -len(shape) * math.log(0.1)
    found = likelihood.Posterior(axis, log_density, np.zeros(1), np.zeros(1))
    z_mean, z_log_var = found.closest_normal()
    np.testing.assert_allclose(z_mean, 1, atol=0.05)
    assert (z_log_var > 2 * math.log(0.001)).all() and (z_log_var < 2 * math.log(0.1)).all()


def test_the_closest_normal_is_no_wider_than_a_grid_on_which_the_posterior_is_level():
    axis = np.linspace(-2, 2, 41)
    level = likelihood.Posterior(axis, np.full((1, 41), -math.log(4.1), "float32"), np.zeros(1), np.zeros(1))
    z_mean, z_log_var = level.closest_normal()
    assert np.abs(z_mean).max() <= 2
    assert 2 * math.log(0.5) < z_log_var.max() < 2 * math.log(4.2)


def test_the_closest_normal_takes_the_heavier_of_two_modes(images):
    def two_modes(x, reconstruction):
        # The first pixel is z1 and the second z2. The mode at (2, -1) has a tenth of the mass of the other.
        z1, z2 = reconstruction[:, 0, 0, 0], reconstruction[:, 0, 1, 0]
        light = -50 * ((z1 - 2) ** 2 + (z2 + 1) ** 2)
        heavy = -50 * ((z1 + 1) ** 2 + (z2 + 2) ** 2) + np.log(10)
        return keras.ops.logaddexp(light, heavy)

    vae = principal_components(loadings=np.eye(PIXELS)[:, :2], centre=np.zeros(PIXELS))
    found = posterior(vae, images[:2], log_likelihood=two_modes)
    z_mean, z_log_var = found.closest_normal()
    assert z_mean == pytest.approx(np.tile([-100 / 101, -200 / 101], (2, 1)), abs=1e-2)
    assert np.exp(z_log_var) == pytest.approx(np.full((2, 2), 1 / 101), rel=0.03)
    # A q that is at one of two modes alone lacks the mass of the other.
    mass = found.density[0, :, found.axis < 0.5].sum() / found.density[0].sum()
    assert found.kl_divergence(z_mean, z_log_var) == pytest.approx(np.full(2, -np.log(mass)), abs=1e-2)


def test_a_distribution_off_the_grid_has_no_divergence(images):
    found = posterior(principal_components(), images[:2])
    beside, narrow = np.array([[0.0, 0.0], [0.0, 6.0]]), np.array([[0.0, 0.0], [-16.0, 0.0]])
    for z_mean, z_log_var in ((beside, np.zeros((2, 2))), (np.zeros((2, 2)), narrow)):
        with pytest.raises(ValueError, match=r"q of image 1 .*sums to .*Expected 1"):
            found.kl_divergence(z_mean, z_log_var)
    for z_mean, z_log_var in ((np.zeros((2, 1)), np.zeros((2, 2))), (np.zeros((2, 2)), np.zeros(2))):
        with pytest.raises(ValueError, match=r"Expected \(2, 2\)"):
            found.kl_divergence(z_mean, z_log_var)


def test_bad_arguments_of_the_exact_elbo_are_refused(images):
    vae = principal_components()
    for nodes in (0, 1.5, None):
        with pytest.raises(ValueError, match=f"nodes is {nodes}"):
            likelihood.exact_elbo(vae, images, nodes=nodes)
    with pytest.raises(ValueError, match=r"means of shape \(7, 1\).*Expected \(7, 2\)"):
        likelihood.exact_elbo(vae, images, q=(np.zeros((7, 1)), np.zeros((7, 2))))


def test_progress_bar_counts_the_points(images, capsys):
    likelihood.exact_log_likelihood(principal_components(), images)
    assert "grid of 257 x 257: 100%" in capsys.readouterr().err
    exact_log_likelihood(principal_components(), images)
    assert not capsys.readouterr().err
