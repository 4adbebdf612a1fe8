import keras
import numpy as np
from derivatives import value_and_gradients
from scipy import stats
from seeding import SEED

from vae_keras import Sampling

ZEROS = np.zeros((6, 2), "float32")


def draw(layer, z_mean=ZEROS, z_log_var=ZEROS):
    return keras.ops.convert_to_numpy(layer(z_mean, z_log_var))


def test_draws_have_the_mean_and_the_variance_that_they_are_asked_for():
    n = 100_000
    z_mean = np.tile(np.float32([1, -2, 0]), (n, 1))
    z_log_var = np.tile(np.log(np.float32([4, 0.25, 1])), (n, 1))
    z = draw(Sampling(seed=SEED), z_mean, z_log_var)
    np.testing.assert_allclose(z.mean(axis=0), [1, -2, 0], atol=0.03)
    np.testing.assert_allclose(z.std(axis=0), [2, 0.5, 1], rtol=0.01)
    assert stats.kstest((z[:, 0] - 1) / 2, "norm").pvalue > 1e-6


def test_every_image_and_every_latent_has_noise_of_its_own():
    z = draw(Sampling(seed=SEED), np.zeros((10_000, 2)), np.zeros((10_000, 2)))
    assert len(np.unique(z)) > 19_900
    assert abs(np.corrcoef(z.T)[0, 1]) < 0.05
    assert abs(np.corrcoef(z[:-1, 0], z[1:, 0])[0, 1]) < 0.05


def test_no_variance_leaves_the_mean():
    z_mean = np.float32([[1, -2]])
    np.testing.assert_array_equal(draw(Sampling(seed=SEED), z_mean, np.full((1, 2), -100.0)), z_mean)


def test_two_calls_differ_and_the_same_seed_repeats_them():
    first, again, other = Sampling(seed=SEED + 3), Sampling(seed=SEED + 3), Sampling(seed=SEED + 4)
    one, two = draw(first), draw(first)
    assert np.all(one != two)
    np.testing.assert_array_equal(draw(again), one)
    np.testing.assert_array_equal(draw(again), two)
    assert np.all(draw(other) != one)


def test_without_a_seed_the_global_one_governs():
    def draw_after(seed):
        keras.utils.set_random_seed(seed)
        return draw(Sampling())

    np.testing.assert_array_equal(draw_after(SEED + 1), draw_after(SEED + 1))
    assert np.all(draw_after(SEED + 1) != draw_after(SEED + 2))


def test_layers_without_a_seed_differ_from_each_other():
    assert np.all(draw(Sampling()) != draw(Sampling()))


def test_a_seeded_layer_ignores_the_global_seed():
    keras.utils.set_random_seed(SEED + 1)
    first = draw(Sampling(seed=SEED + 3))
    keras.utils.set_random_seed(SEED + 2)
    np.testing.assert_array_equal(draw(Sampling(seed=SEED + 3)), first)


def test_a_layer_survives_serialisation():
    config = keras.saving.serialize_keras_object(Sampling(seed=SEED + 3, name="z"))
    copy = keras.saving.deserialize_keras_object(config)
    assert isinstance(copy, Sampling)
    assert (copy.seed, copy.name) == (SEED + 3, "z")
    np.testing.assert_array_equal(draw(copy), draw(Sampling(seed=SEED + 3)))


def test_computes_in_float32_under_mixed_precision(mixed_float16):
    z_log_var = np.full((6, 2), 30, "float16")  # exp(15) is fifty times the largest float16.
    z = draw(Sampling(seed=SEED), np.float16(ZEROS), z_log_var)
    assert z.dtype == np.float32
    assert np.isfinite(z).all()


def test_a_saved_layer_goes_on_with_its_noise(tmp_path):
    z_mean = keras.Input((2,))
    model = keras.Model(z_mean, Sampling(seed=SEED)(z_mean, z_mean))
    first = np.asarray(model(ZEROS))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    second = np.asarray(model(ZEROS))
    assert np.all(first != second)
    np.testing.assert_array_equal(loaded(ZEROS), second)


def test_noise_is_not_frozen_into_a_compiled_function():
    layer = Sampling(seed=SEED)
    import tensorflow as tf

    compiled = tf.function(lambda: layer(ZEROS, ZEROS))
    assert np.all(compiled().numpy() != compiled().numpy())


def test_gradients_flow_to_mean_and_log_variance():
    z_mean, z_log_var = keras.Variable([[0.5, -1.0]]), keras.Variable([[1.0, -2.0]])
    sampling = Sampling(seed=SEED)
    z, (over_mean, over_log_var) = value_and_gradients(
        lambda: sampling(z_mean.value, z_log_var.value), [z_mean, z_log_var]
    )
    np.testing.assert_array_equal(over_mean, np.ones((1, 2)))
    np.testing.assert_allclose(over_log_var, (z - z_mean.numpy()) / 2, rtol=1e-5)
    assert np.all(over_log_var != 0)


def test_shape_is_that_of_the_mean():
    z_mean = keras.Input((5,))
    assert Sampling()(z_mean, z_mean).shape == (None, 5)
    assert Sampling().compute_output_shape((7, 5), (7, 5)) == (7, 5)
