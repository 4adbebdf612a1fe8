import keras
import numpy as np
import pytest
from derivatives import value_and_gradients as of_variables
from keras import ops
from scipy import stats
from scipy.special import xlog1py, xlogy
from seeding import rng

from vae_keras import losses

generator = rng()
IMAGES = generator.random((5, 4, 3, 2)).astype("float32")
RECONSTRUCTION = generator.uniform(0.1, 0.9, IMAGES.shape).astype("float32")
Z_MEAN = generator.normal(size=(5, 3)).astype("float32")
Z_LOG_VAR = generator.uniform(-3, 2, (5, 3)).astype("float32")


def kl_by_hand(z_mean, z_log_var):
    z_mean, z_log_var = np.float64(z_mean), np.float64(z_log_var)
    return 0.5 * (np.exp(z_log_var) + z_mean**2 - 1 - z_log_var).sum(axis=1)


def value_and_gradients(function, *arguments, dtype=None):
    variables = [keras.Variable(argument, dtype=dtype or argument.dtype.name) for argument in arguments]
    return of_variables(lambda: function(*(variable.value for variable in variables)), variables)


def test_bernoulli_is_the_cross_entropy_of_each_image():
    expected = -(xlogy(IMAGES, RECONSTRUCTION) + xlog1py(1 - IMAGES, -RECONSTRUCTION)).sum(axis=(1, 2, 3))
    found = ops.convert_to_numpy(losses.bernoulli(IMAGES, RECONSTRUCTION))
    assert found.shape == (5,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_bernoulli_is_the_negative_log_likelihood_of_black_and_white_images():
    black_and_white = (IMAGES > 0.5).astype("float32")
    expected = -stats.bernoulli.logpmf(black_and_white, RECONSTRUCTION).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.bernoulli(black_and_white, RECONSTRUCTION), expected, rtol=1e-5)


def test_bernoulli_of_grey_images_has_their_entropy_as_its_floor():
    floor = ops.convert_to_numpy(losses.bernoulli(IMAGES, IMAGES))
    np.testing.assert_allclose(floor, stats.bernoulli(IMAGES).entropy().sum(axis=(1, 2, 3)), rtol=1e-5)
    for shift in (-0.05, 0.05):
        assert np.all(ops.convert_to_numpy(losses.bernoulli(IMAGES, np.clip(IMAGES + shift, 0, 1))) > floor)


def test_gaussian_is_the_plain_sum_of_squared_errors_of_each_image():
    expected = ((np.float64(IMAGES) - RECONSTRUCTION) ** 2).sum(axis=(1, 2, 3))
    found = ops.convert_to_numpy(losses.gaussian(IMAGES, RECONSTRUCTION))
    assert found.shape == (5,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_gaussian_is_a_gaussian_likelihood_of_variance_one_half_less_its_constant():
    likelihood = stats.norm.logpdf(IMAGES, RECONSTRUCTION, np.sqrt(1 / 2)).sum(axis=(1, 2, 3))
    constant = IMAGES[0].size * np.log(np.pi) / 2
    np.testing.assert_allclose(losses.gaussian(IMAGES, RECONSTRUCTION), -likelihood - constant, rtol=1e-4)


def test_kl_divergence_has_its_closed_form_for_each_image():
    found = ops.convert_to_numpy(losses.kl_divergence(Z_MEAN, Z_LOG_VAR))
    assert found.shape == (5,)
    np.testing.assert_allclose(found, kl_by_hand(Z_MEAN, Z_LOG_VAR), rtol=1e-5)


def test_kl_divergence_is_the_sum_of_that_of_its_latents():
    found = ops.convert_to_numpy(losses.kl_by_latent(Z_MEAN, Z_LOG_VAR))
    alone = [kl_by_hand(Z_MEAN[:, [latent]], Z_LOG_VAR[:, [latent]]) for latent in range(3)]
    np.testing.assert_allclose(found, np.transpose(alone), rtol=1e-5)
    np.testing.assert_allclose(losses.kl_divergence(Z_MEAN, Z_LOG_VAR), found.sum(axis=1), rtol=1e-6)


def test_kl_divergence_is_what_monte_carlo_finds():
    deviation = np.exp(Z_LOG_VAR / 2)
    z = rng(1).normal(Z_MEAN, deviation, size=(100_000, *Z_MEAN.shape))
    ratio = stats.norm.logpdf(z, Z_MEAN, deviation) - stats.norm.logpdf(z)
    error = ratio.sum(axis=2).std(axis=0) / np.sqrt(len(z))
    apart = ratio.sum(axis=2).mean(axis=0) - ops.convert_to_numpy(losses.kl_divergence(Z_MEAN, Z_LOG_VAR))
    assert np.all(np.abs(apart) < 5 * error)
    assert error.max() < 0.05


def test_kl_divergence_is_zero_at_the_prior_and_positive_elsewhere():
    assert np.all(ops.convert_to_numpy(losses.kl_divergence(np.zeros((3, 2)), np.zeros((3, 2)))) == 0)
    z_mean, z_log_var = np.float32(np.meshgrid(np.linspace(-3, 3, 13), np.linspace(-4, 4, 17)))
    kl = ops.convert_to_numpy(losses.kl_divergence(z_mean.reshape(-1, 1), z_log_var.reshape(-1, 1))).reshape(17, 13)
    assert kl[8, 6] == 0
    assert np.all(np.delete(kl.ravel(), 8 * 13 + 6) > 0.01)


@pytest.mark.parametrize(
    ("loss", "first", "second"),
    [
        (losses.kl_divergence, Z_MEAN, Z_LOG_VAR),
        (losses.bernoulli, IMAGES, RECONSTRUCTION),
        (losses.gaussian, IMAGES, RECONSTRUCTION),
    ],
)
def test_gradients_are_those_of_finite_differences(loss, first, second):
    step = 0.01
    _, (_, gradient) = value_and_gradients(loss, first, second)
    for place in np.ndindex(second.shape[1:]):
        moved = np.zeros_like(second)
        moved[:, *place] = step
        slope = (loss(first, second + moved) - loss(first, second - moved)) / (2 * step)
        np.testing.assert_allclose(gradient[:, *place], slope, rtol=0.01, atol=0.01)


def test_gradient_of_kl_divergence_over_the_mean_is_the_mean():
    _, (gradient, _) = value_and_gradients(losses.kl_divergence, Z_MEAN, Z_LOG_VAR)
    np.testing.assert_allclose(gradient, Z_MEAN, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("log_var", [-100.0, 100.0])
def test_kl_divergence_and_its_gradients_stay_finite_at_extreme_variances(log_var, dtype):
    arguments = np.array([[1.0, -1.0]]), np.array([[log_var, 0.0]])
    value, gradients = value_and_gradients(losses.kl_divergence, *arguments, dtype=dtype)
    assert value.dtype == np.float32
    assert np.isfinite(value).all()
    if dtype != "float16":  # It cannot hold the slope at 100.
        assert all(np.isfinite(np.float32(gradient)).all() for gradient in gradients)
    # Towards the prior: a step against the gradient shrinks the variance at 100 and widens it at -100.
    assert np.sign(np.float32(gradients[1][0, 0])) == np.sign(log_var)


def test_kl_divergence_is_exact_up_to_its_limit_and_rises_beyond():
    z_log_var = np.float32([[10.0], [19.9], [30.0], [100.0]])
    kl = ops.convert_to_numpy(losses.kl_divergence(np.zeros((4, 1)), z_log_var))
    np.testing.assert_allclose(kl[:2], kl_by_hand(np.zeros((2, 1)), z_log_var[:2]), rtol=1e-4)
    assert np.all(np.diff(kl) > 0)


def test_gradients_of_kl_divergence_can_be_squared_and_summed():
    # Adam and clipping by norm do so, over as many weights as a network has.
    _, (_, gradient) = value_and_gradients(losses.kl_divergence, np.zeros((1, 1), "float32"), np.float32([[100.0]]))
    assert np.isfinite(1e6 * np.float32(gradient) ** 2)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("loss", [losses.bernoulli, losses.gaussian])
@pytest.mark.parametrize("pixel", [0.0, 1.0])
@pytest.mark.parametrize("reconstructed", [0.0, 1.0])
def test_reconstruction_losses_and_their_gradients_stay_finite_at_black_and_white(loss, pixel, reconstructed, dtype):
    arguments = np.full((2, 8, 8, 1), pixel), np.full((2, 8, 8, 1), reconstructed)
    value, gradients = value_and_gradients(loss, *arguments, dtype=dtype)
    assert value.dtype == np.float32
    assert all(np.isfinite(np.float32(gradient)).all() for gradient in gradients)
    if pixel == reconstructed:
        np.testing.assert_allclose(value, 0, atol=1e-3)
    else:
        worst = 16.1 if loss is losses.bernoulli else 1
        np.testing.assert_allclose(value, 64 * worst, rtol=0.02)


def test_losses_of_half_precision_are_summed_in_float32():
    white, black = np.ones((1, 300, 300, 1), "float16"), np.zeros((1, 300, 300, 1), "float16")
    assert float(losses.gaussian(white, black)[0]) == 90_000
    np.testing.assert_allclose(losses.bernoulli(white, np.float16(white / 2)), 90_000 * np.log(2), rtol=1e-4)
    np.testing.assert_allclose(
        losses.kl_divergence(np.zeros((1, 1), "float16"), np.full((1, 1), 12, "float16")),
        kl_by_hand([[0]], [[12]]),
        rtol=1e-5,
    )


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_a_learned_gaussian_is_the_whole_negative_log_likelihood(sigma):
    expected = -stats.norm.logpdf(IMAGES, RECONSTRUCTION, sigma).sum(axis=(1, 2, 3))
    found = ops.convert_to_numpy(losses.LearnedGaussian(sigma)(IMAGES, RECONSTRUCTION))
    assert found.shape == (5,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_learned_gaussian_begins_as_the_plain_one_with_its_constant():
    constant = IMAGES[0].size * np.log(np.pi) / 2
    found = losses.LearnedGaussian()(IMAGES, RECONSTRUCTION)
    np.testing.assert_allclose(found, losses.gaussian(IMAGES, RECONSTRUCTION) + constant, rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.2, 0.4, 1.0])
def test_the_gradient_by_log_sigma_has_its_closed_form(sigma):
    loss = losses.LearnedGaussian(sigma)
    _, (gradient,) = of_variables(lambda: ops.mean(loss(IMAGES, RECONSTRUCTION)), [loss.log_sigma])
    squared_error = ((np.float64(IMAGES) - RECONSTRUCTION) ** 2).sum(axis=(1, 2, 3)).mean()
    slope = IMAGES[0].size - squared_error / sigma**2
    assert float(gradient) == pytest.approx(slope, abs=1e-4)


def test_a_learned_gaussian_is_built_again_from_its_configuration():
    config = losses.LearnedGaussian(0.2).get_config()
    assert losses.LearnedGaussian.from_config(config).sigma == pytest.approx(0.2)


def test_the_log_likelihoods_are_those_of_scipy():
    black_and_white = (IMAGES > 0.5).astype("float32")
    by_scipy = {
        losses.bernoulli: stats.bernoulli.logpmf(black_and_white, RECONSTRUCTION),
        losses.gaussian: stats.norm.logpdf(black_and_white, RECONSTRUCTION, np.sqrt(1 / 2)),
        losses.LearnedGaussian(0.3): stats.norm.logpdf(black_and_white, RECONSTRUCTION, 0.3),
    }
    for loss, expected in by_scipy.items():
        for images in (black_and_white, black_and_white.astype("int64")):
            found = ops.convert_to_numpy(loss.log_likelihood(images, RECONSTRUCTION))
            assert found.shape == (5,)
            np.testing.assert_allclose(found, expected.sum(axis=(1, 2, 3)), rtol=1e-5)
    for loss in (losses.bernoulli, losses.gaussian):
        found = loss.log_likelihood(black_and_white.tolist(), RECONSTRUCTION.tolist())
        np.testing.assert_allclose(found, by_scipy[loss].sum(axis=(1, 2, 3)), rtol=1e-5)


def test_grey_images_have_no_bernoulli_likelihood():
    with pytest.raises(ValueError, match=r"grey pixels.*data\.binarise"):
        losses.bernoulli.log_likelihood(IMAGES, RECONSTRUCTION)


@pytest.mark.parametrize("loss", [losses.bernoulli, losses.gaussian, losses.LearnedGaussian()])
def test_images_and_reconstructions_of_two_shapes_are_refused(loss):
    for other in (RECONSTRUCTION[:1], RECONSTRUCTION[..., 0], RECONSTRUCTION[..., :1]):
        with pytest.raises(ValueError, match=r"images have shape \(5, 4, 3, 2\) but reconstruction .*the same shape"):
            loss(IMAGES, other)


@pytest.mark.parametrize("sigma", [0, -0.1, float("nan"), float("inf"), "0.1", None])
def test_a_sigma_that_is_not_positive_is_refused(sigma):
    with pytest.raises(ValueError, match=f"sigma is {sigma!r}"):
        losses.LearnedGaussian(sigma)
