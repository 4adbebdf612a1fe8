"""likelihood: the ELBO and the importance-weighted bound, against a model whose log p(x) is known."""

import tracemalloc

import keras
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from vae_keras import VAE, data, likelihood, losses

SHAPE = (3, 4, 1)
PIXELS = 12
VARIANCE = 0.5  # that of losses.gaussian
# Orthogonal columns: the posterior of probabilistic PCA is then a diagonal normal, as the encoder's is.
LOADINGS = np.linalg.qr(np.random.default_rng(0).normal(size=(PIXELS, 2)))[0] * (1.5, 0.8)
CENTRE = np.random.default_rng(1).random(PIXELS)


def principal_components(mean_shift=0.0, log_var_shift=0.0, reconstruction_loss=losses.gaussian):
    """Build a VAE that is probabilistic PCA (Tipping and Bishop 1999), with the exact posterior or one beside it."""
    precision = (LOADINGS**2).sum(axis=0) + VARIANCE
    x = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(x)
    z_mean, z_log_var = keras.layers.Dense(2)(flat), keras.layers.Dense(2)(flat)
    encoder = keras.Model(x, [z_mean, z_log_var, keras.layers.Add()([z_mean, z_log_var])])
    projection = LOADINGS / precision
    encoder.layers[2].set_weights([projection, -CENTRE @ projection + mean_shift])
    encoder.layers[3].set_weights([np.zeros((PIXELS, 2)), np.log(VARIANCE / precision) + log_var_shift])
    z = keras.Input((2,))
    decoder = keras.Model(z, keras.layers.Reshape(SHAPE)(keras.layers.Dense(PIXELS)(z)))
    decoder.layers[1].set_weights([LOADINGS.T, CENTRE])
    return VAE(encoder, decoder, reconstruction_loss=reconstruction_loss)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).random((7, *SHAPE), dtype="float32")


@pytest.fixture(scope="module")
def exact(images):
    """log p(x) of probabilistic PCA: a normal distribution of the pixels."""
    covariance = LOADINGS @ LOADINGS.T + VARIANCE * np.eye(PIXELS)
    return multivariate_normal(CENTRE, covariance).logpdf(images.reshape(7, PIXELS))


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
    draws = np.array([elbo(principal_components(), images, samples=2000, seed=seed) for seed in range(5)])
    error = draws.std(axis=0, ddof=1) / np.sqrt(5)
    assert np.all(np.abs(draws.mean(axis=0) - exact) < 6 * error + 1e-3)
    assert error.max() < 0.03


def test_bound_meets_log_likelihood_within_its_standard_error(images, exact):
    vae = principal_components(mean_shift=0.3, log_var_shift=0.5)
    draws = np.array([bound(vae, images, samples=4000, seed=seed) for seed in range(12)])
    error = draws.std(axis=0, ddof=1) / np.sqrt(12)
    assert np.all(np.abs(draws.mean(axis=0) - exact) < 5 * error)
    assert error.max() < 0.01


def test_elbo_lies_below_log_likelihood_by_the_divergence_from_the_posterior(images, exact):
    vae = principal_components(mean_shift=0.3, log_var_shift=0.5)
    posterior = VARIANCE / ((LOADINGS**2).sum(axis=0) + VARIANCE)
    divergence = 0.5 * np.sum(np.exp(0.5) + 0.3**2 / posterior - 1 - 0.5)
    draws = np.array([elbo(vae, images, samples=4000, seed=seed) for seed in range(6)])
    assert draws.mean(axis=0) == pytest.approx(exact - divergence, abs=0.05)


def test_more_samples_never_loosen_the_bound(images, exact):
    vae = principal_components(mean_shift=0.5, log_var_shift=1.0)
    means, errors = [], []
    for samples in (1, 2, 5, 20, 100):
        draws = bound(vae, np.tile(images, (40, 1, 1, 1)), samples=samples).reshape(40, -1).mean(axis=1)
        means.append(np.mean(draws))
        errors.append(np.std(draws, ddof=1) / np.sqrt(40))
    assert np.all(np.diff(means) > -3 * np.hypot(errors[1:], errors[:-1]))
    assert means[0] < means[2] < means[4] <= exact.mean() + 3 * errors[4]


def test_one_sample_of_the_bound_has_the_elbo_as_its_mean(images):
    vae = principal_components(mean_shift=0.3, log_var_shift=0.5)
    draws = bound(vae, np.repeat(images, 4000, axis=0), samples=1).reshape(-1, 4000)
    error = draws.std(axis=1, ddof=1) / np.sqrt(4000)
    expected = elbo(vae, images, samples=20_000)
    assert np.all(np.abs(draws.mean(axis=1) - expected) < 5 * error)
    assert error.max() < 0.1


def test_pieces_make_no_difference(images, exact, monkeypatch):
    vae = principal_components(mean_shift=0.3, log_var_shift=0.5)
    for decoded in (1, 5, 64):
        monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", decoded * images[0].size)
        assert bound(vae, images, samples=200).mean() == pytest.approx(exact.mean(), abs=0.1)
        assert bound(principal_components(), images, samples=7) == pytest.approx(exact, abs=1e-4)


def test_no_piece_is_larger_than_its_bound(images, monkeypatch):
    sizes = []
    monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", 50 * images[0].size)

    def log_likelihood(x, reconstruction):
        sizes.append(len(x))
        return -losses.gaussian(x, reconstruction)

    bound(principal_components(), images, samples=320, log_likelihood=log_likelihood)
    assert max(sizes) <= 50
    assert sum(sizes) == 7 * 320


def test_memory_does_not_grow_with_the_samples(images, monkeypatch):
    monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", 4000 * images[0].size)
    vae = principal_components()
    peaks = []
    for samples in (8_000, 80_000):
        tracemalloc.start()
        bound(vae, images, samples=samples)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_the_same_seed_draws_the_same_noise(images):
    vae = principal_components(log_var_shift=0.5)
    for estimate in (bound, elbo):
        first, second, other = (estimate(vae, images, samples=10, seed=seed) for seed in (3, 3, 4))
        assert np.array_equal(first, second)
        assert not np.allclose(first, other)
        assert first.shape == (7,)
        assert first.dtype == np.float64


def test_a_very_improbable_image_gets_a_finite_bound(images):
    vae = principal_components()
    assert np.isfinite(bound(vae, images, samples=3, log_likelihood=lambda x, y: -1e4 * losses.gaussian(x, y))).all()


def test_bernoulli_likelihood_of_black_and_white_images(make_vae):
    x = data.binarise(np.random.default_rng(0).random((5, 8, 8, 1), dtype="float32"), seed=0)
    vae = make_vae()
    # The integral over both latents itself, on a fine grid.
    axis = np.linspace(-6, 6, 241)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype("float32")
    pixels = vae.decoder.predict(grid, verbose=0, batch_size=5000).reshape(-1, 64).astype("float64")
    flat = x.reshape(5, 64)
    log_p = flat @ np.log(pixels).T + (1 - flat) @ np.log(1 - pixels).T - (grid**2).sum(axis=1) / 2 - np.log(2 * np.pi)
    exact = np.logaddexp.reduce(log_p, axis=1) + 2 * np.log(axis[1] - axis[0])
    assert bound(vae, x, samples=20_000) == pytest.approx(exact, abs=0.05)
    assert np.all(elbo(vae, x, samples=2000) < exact + 0.05)


def test_beta_plays_no_part(make_vae):
    x = data.binarise(np.random.default_rng(0).random((5, 8, 8, 1), dtype="float32"))
    assert np.array_equal(elbo(make_vae(beta=0.1), x), elbo(make_vae(beta=1.0), x))


def test_elbo_is_what_evaluate_measures(make_vae):
    x = data.binarise(np.random.default_rng(0).random((5, 8, 8, 1), dtype="float32"))
    vae = make_vae()
    evaluated = vae.evaluate(np.repeat(x, 300, axis=0), verbose=0, return_dict=True)["loss"]
    assert elbo(vae, x, samples=2000).mean() == pytest.approx(-evaluated, abs=0.2)


def test_grey_images_are_refused(make_vae):
    grey = np.random.default_rng(0).random((5, 8, 8, 1), dtype="float32")
    for estimate in (bound, elbo):
        with pytest.raises(ValueError, match=r"grey.*data\.binarise"):
            estimate(make_vae(), grey)


@pytest.mark.parametrize("samples", [0, -1])
def test_no_samples_are_refused(images, samples):
    with pytest.raises(ValueError, match=f"samples is {samples}"):
        bound(principal_components(), images, samples=samples)


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
    likelihood.importance_weighted_bound(principal_components(), images, samples=30)
    assert "210/210" in capsys.readouterr().err
