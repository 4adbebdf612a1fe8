"""activity: active latents, and dead units."""

import keras
import numpy as np
import pytest

from vae_keras import activity, networks


@pytest.mark.parametrize("z_mean", [np.full((3, 2), np.nan), np.zeros(4), np.zeros((2, 2, 2))])
def test_active_latents_are_asked_of_finite_rows(z_mean):
    with pytest.raises(ValueError, match="z_mean has shape"):
        activity.active_latents(z_mean)


def test_active_latents_are_those_that_vary():
    z_mean = np.random.default_rng(0).normal(size=(1000, 4)) * np.sqrt([1, 0.02, 0.005, 0]) + 5
    assert activity.active_latents(z_mean).tolist() == [True, True, False, False]
    assert activity.active_latents(z_mean, threshold=0.5).tolist() == [True, False, False, False]


@pytest.mark.parametrize("activation", ["relu", keras.layers.PReLU, lambda: keras.layers.LeakyReLU(0.3)])
def test_dead_units_are_those_whose_activation_stays_the_same(activation):
    x = np.random.default_rng(0).random((40, 8, 8, 1), dtype="float32")
    encoder = networks.conv_encoder((8, 8, 1), filters=(3, 4), hidden=(5,), activation=activation, seed=0)
    before = activity.dead_units(encoder, x)
    assert before.shape == (12,)
    convolution, dense = [layer for layer in encoder.layers if hasattr(layer, "kernel")][1:3]
    for layer, unit in ((convolution, 2), (dense, 4)):
        kernel, bias = layer.get_weights()
        kernel[..., unit], bias[unit] = 0, -1
        layer.set_weights([kernel, bias])
    after = activity.dead_units(encoder, x)
    assert after[[3 + 2, 7 + 4]].all()
    assert np.array_equal(after[:5], before[:5])
    assert not after.all()


def test_a_tied_decoder_has_hidden_units_that_can_be_dead():
    encoder = networks.dense_encoder((8, 8, 1), hidden=(9, 6), activation="relu", seed=0)
    decoder = networks.tied_decoder(encoder, activation="relu")
    decoder.layers[1].bias.assign([-100, 0, 0, 0, 0, 0])
    z = np.random.default_rng(0).normal(size=(500, 2)).astype("float32")
    dead = activity.dead_units(decoder, z)
    assert dead.shape == (15,)
    assert dead[0]
    assert not dead[1:].all()


def test_a_network_without_hidden_layers_has_no_units_that_could_be_dead():
    encoder = networks.dense_encoder((8, 8, 1), hidden=())
    assert activity.dead_units(encoder, np.zeros((3, 8, 8, 1), "float32")).shape == (0,)


def test_units_that_a_rectifier_shuts_are_dead_and_those_of_a_leaky_one_are_not():
    z = np.random.default_rng(0).normal(size=(200, 2)).astype("float32")
    dead = {}
    for name, activation in {"ReLU": "relu", "leaky": lambda: keras.layers.LeakyReLU(0.3)}.items():
        decoder = networks.dense_decoder((8, 8, 1), hidden=(6,), activation=activation, seed=0)
        kernel, bias = decoder.layers[1].get_weights()
        bias[3] = -100
        decoder.layers[1].set_weights([kernel, bias])
        dead[name] = activity.dead_units(decoder, z).tolist()
    assert dead == {"ReLU": [False] * 3 + [True] + [False] * 2, "leaky": [False] * 6}
