"""activity: active latents, and dead units."""

import keras
import numpy as np
import pytest
from seeding import SEED, rng

from vae_keras import activity, networks


@pytest.mark.parametrize(
    "z_mean", [np.full((3, 2), np.nan), np.zeros(4), np.zeros((2, 2, 2)), np.zeros((0, 2)), None, [["a", "b"]]]
)
def test_active_latents_are_asked_of_finite_rows(z_mean):
    with pytest.raises(ValueError, match="z_mean has shape"):
        activity.active_latents(z_mean)


def test_active_latents_are_those_that_vary():
    z_mean = rng().normal(size=(1000, 4)) * np.sqrt([1, 0.02, 0.005, 0]) + 5
    assert activity.active_latents(z_mean).tolist() == [True, True, False, False]
    assert activity.active_latents(z_mean, threshold=0.5).tolist() == [True, False, False, False]


@pytest.mark.parametrize("threshold", [-1, np.nan, "0.1", None])
def test_a_threshold_that_is_no_variance_is_refused(threshold):
    with pytest.raises(ValueError, match=f"threshold is {threshold!r}"):
        activity.active_latents(np.ones((3, 2)), threshold)


@pytest.mark.parametrize("activation", ["relu", keras.layers.PReLU, lambda: keras.layers.LeakyReLU(0.3)])
def test_dead_units_are_those_whose_activation_stays_the_same(activation):
    x = rng().random((40, 8, 8, 1), dtype="float32")
    encoder = networks.conv_encoder((8, 8, 1), filters=(3, 4), hidden=(5,), activation=activation, seed=SEED)
    with_kernel = [layer for layer in encoder.layers if hasattr(layer, "kernel")][:3]
    for layer in with_kernel:
        # No weight is negative, so that no rectifier shuts a unit by chance.
        layer.kernel.assign(np.abs(layer.kernel.numpy()))
    assert activity.dead_units(encoder, x).tolist() == [False] * 12
    for layer, unit in ((with_kernel[1], 2), (with_kernel[2], 4)):
        kernel, bias = layer.get_weights()
        kernel[..., unit], bias[unit] = 0, -1
        layer.set_weights([kernel, bias])
    assert np.flatnonzero(activity.dead_units(encoder, x)).tolist() == [3 + 2, 7 + 4]


def test_a_tied_decoder_has_hidden_units_that_can_be_dead():
    encoder = networks.dense_encoder((8, 8, 1), hidden=(9, 6), activation="relu", seed=SEED)
    decoder = networks.tied_decoder(encoder, activation="relu")
    decoder.layers[1].bias.assign([-100, 0, 0, 0, 0, 0])
    z = rng().normal(size=(500, 2)).astype("float32")
    dead = activity.dead_units(decoder, z)
    assert dead.shape == (15,)
    assert dead[0]
    assert not dead[1:].all()


def test_a_network_without_hidden_layers_has_no_units_that_could_be_dead():
    encoder = networks.dense_encoder((8, 8, 1), hidden=())
    assert activity.dead_units(encoder, np.zeros((3, 8, 8, 1), "float32")).shape == (0,)


def test_units_that_a_rectifier_shuts_are_dead_and_those_of_a_leaky_one_are_not():
    z = rng().normal(size=(200, 2)).astype("float32")
    dead = {}
    for name, activation in {"ReLU": "relu", "leaky": lambda: keras.layers.LeakyReLU(0.3)}.items():
        decoder = networks.dense_decoder((8, 8, 1), hidden=(6,), activation=activation, seed=SEED)
        kernel, bias = decoder.layers[1].get_weights()
        bias[3] = -100
        decoder.layers[1].set_weights([kernel, bias])
        dead[name] = activity.dead_units(decoder, z).tolist()
    assert dead == {"ReLU": [False] * 3 + [True] + [False] * 2, "leaky": [False] * 6}


def network_with_spreads(*hidden):
    """A network of one's own whose hidden units vary by so much, for inputs of spread 1; "other" is no hidden layer."""
    x = keras.Input((1,))
    outputs = []
    for name, spreads in (*((f"hidden_{number}", spreads) for number, spreads in enumerate(hidden, 1)), ("other", [0])):
        dense = keras.layers.Dense(len(spreads))
        outputs.append(keras.layers.Activation("linear", name=name)(dense(x)))
        dense.set_weights([np.array([spreads]), np.ones(len(spreads))])
    return keras.Model(x, outputs)


X = np.float32([[-1], [1]]).repeat(50, axis=0)


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        # The median is 1 and then 1000: beside the largest or the mean more units, beside another layer fewer are dead.
        ([[1, 2, 0.5, 0.009, 1000]], "---d-"),
        ([[1, 2, 0.5, 0.009, 1000], [1000, 1000, 20, 5]], "---d-" + "---d"),
    ],
    ids=["one layer", "two layers"],
)
def test_a_unit_is_dead_beside_the_median_of_its_layer(hidden, expected):
    network = network_with_spreads(*hidden)
    for x in (X, X.tolist()):
        assert activity.dead_units(network, x).tolist() == [unit == "d" for unit in expected]


def test_a_unit_at_the_share_itself_is_dead():
    assert activity.dead_units(network_with_spreads([8, 8, 8, 4]), X, share=0.5).tolist() == [False] * 3 + [True]


@pytest.mark.parametrize("share", [-0.1, 1, np.nan, "0.1", None])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=f"share is {share!r}"):
        activity.dead_units(network_with_spreads([1, 1]), X, share)


@pytest.mark.parametrize(
    "x", [None, "x", np.ones(3), np.ones((3, 2)), np.ones((0, 1)), np.full((3, 1), np.nan), [["a"]]], ids=repr
)
def test_inputs_that_the_network_does_not_take_are_refused(x):
    with pytest.raises(ValueError, match=r"x has shape .*Expected \(n, \.\.\.\) as .* \(None, 1\), all finite"):
        activity.dead_units(network_with_spreads([1, 1]), x)


@pytest.mark.parametrize("network", [None, "encoder", keras.layers.Dense(2)])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(ValueError, match=r"network is .*Expected a functional Keras model"):
        activity.dead_units(network, X)
