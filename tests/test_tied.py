import keras
import numpy as np
import pytest
from keras import layers

from vae_keras import VAE, Autoencoder, networks
from vae_keras.tied import TiedDense

SHAPE = (8, 8, 1)


def make(model=VAE, hidden=(7, 5), optimizer=None, **arguments):
    encoder = networks.dense_encoder(SHAPE, hidden=hidden, variational=model is VAE, seed=0)
    autoencoder = model(encoder, networks.tied_decoder(encoder), **arguments)
    autoencoder.compile(optimizer or keras.optimizers.SGD(1.0), jit_compile=False)
    return autoencoder


def kernels(network):
    return {layer.name: layer.kernel for layer in network.layers if isinstance(layer, layers.Dense)}


def draw_weights(model, seed=1):
    # Biases begin at zero, where a bias that is missing does not show.
    generator = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(generator.normal(0, 0.3, weight.shape))


@pytest.mark.parametrize("model", [Autoencoder, VAE])
def test_a_tied_decoder_computes_what_numpy_computes_from_the_encoders_kernels(model):
    autoencoder = make(model)
    draw_weights(autoencoder)
    z = np.random.default_rng(0).normal(size=(3, 2))
    x = z
    *hidden, last = [layer for layer in autoencoder.decoder.layers if isinstance(layer, TiedDense)]
    first, second, head, *_ = kernels(autoencoder.encoder).values()
    for layer, kernel in zip(hidden, (head, second)):
        x = x @ kernel.numpy().T + layer.bias.numpy()
        x = keras.ops.convert_to_numpy(keras.activations.gelu(x))
    x = 1 / (1 + np.exp(-(x @ first.numpy().T + last.bias.numpy())))
    np.testing.assert_allclose(autoencoder.decoder(z), x.reshape(3, *SHAPE), rtol=1e-5)


def test_the_kernels_are_counted_once():
    vae = make()
    # Kernels and biases of 64-7-5 and two heads of 2, and the biases of 5-7-64.
    by_hand = (64 * 7 + 7) + (7 * 5 + 5) + 2 * (5 * 2 + 2) + 5 + 7 + 64
    assert sum(weight.numpy().size for weight in vae.trainable_weights) == by_hand
    assert len(vae.trainable_weights) == 8 + 3


@pytest.mark.parametrize("name", ["first", "z_mean"])
def test_one_step_follows_the_finite_differences_through_both_uses(images, name):
    def kernel_of(vae):
        return next(iter(kernels(vae.encoder).values())) if name == "first" else kernels(vae.encoder)[name]

    def loss_at(shift, part):
        vae, other = (make() for _ in range(2))
        for model in (vae, other):
            draw_weights(model)
        shifted = kernel_of(vae).numpy()
        shifted[2, 1] += shift
        kernel_of(vae).assign(shifted)
        # Which of the two uses is shifted.
        encoder = other.encoder if part == "decoder" else vae.encoder
        decoder = other.decoder if part == "encoder" else vae.decoder
        terms = VAE(encoder, decoder).loss_terms(images, training=True)
        return float(np.mean(terms["loss"]))

    slopes = {part: (loss_at(0.01, part) - loss_at(-0.01, part)) / 0.02 for part in ("both", "encoder", "decoder")}
    vae = make()
    draw_weights(vae)
    before = kernel_of(vae).numpy()
    vae.fit(images, batch_size=20, shuffle=False, verbose=0)
    assert before[2, 1] - kernel_of(vae).numpy()[2, 1] == pytest.approx(slopes["both"], rel=0.01)
    assert slopes["encoder"] + slopes["decoder"] == pytest.approx(slopes["both"], rel=0.01)
    assert min(abs(slopes["encoder"]), abs(slopes["decoder"])) > 0.05 * abs(slopes["both"])


@pytest.mark.parametrize("model", [Autoencoder, VAE])
def test_a_saved_model_is_tied_again_and_goes_on_training(images, model, tmp_path):
    through, halted = (make(model, optimizer=keras.optimizers.Adam(0.01)) for _ in range(2))
    through.fit(images, epochs=2, shuffle=False, verbose=0)
    halted.fit(images, shuffle=False, verbose=0)
    halted.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    z = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    np.testing.assert_array_equal(loaded.decoder(z), halted.decoder(z))
    loaded.fit(images, shuffle=False, verbose=0)
    assert len(loaded.trainable_weights) == len(through.trainable_weights)
    for weight, other in zip(through.trainable_weights, loaded.trainable_weights, strict=True):
        np.testing.assert_array_equal(weight, other)
    for layer in loaded.decoder.layers:
        if isinstance(layer, TiedDense):
            assert layer.source is loaded.encoder.get_layer(layer.source.name)


def test_a_tied_decoder_that_is_saved_alone_keeps_its_kernels(images, tmp_path):
    vae = make()
    vae.fit(images, verbose=0)
    vae.decoder.save(tmp_path / "decoder.keras")
    loaded = keras.models.load_model(tmp_path / "decoder.keras")
    z = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    np.testing.assert_array_equal(loaded(z), vae.decoder(z))


def test_two_tied_models_side_by_side_do_not_touch_each_other(images):
    alone, first, second = make(), make(), make()
    for vae in (alone, first):
        vae.fit(images, shuffle=False, verbose=0)
        if vae is first:
            second.fit(images, epochs=3, verbose=0)
    for weight, other in zip(alone.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_an_activation_reaches_every_hidden_layer_of_a_tied_decoder():
    encoder = networks.dense_encoder(SHAPE, hidden=(7, 5))
    decoder = networks.tied_decoder(encoder, activation=lambda: layers.LeakyReLU(0.3))
    assert sum(isinstance(layer, layers.LeakyReLU) for layer in decoder.layers) == 2


def test_an_encoder_that_is_not_dense_cannot_be_tied():
    with pytest.raises(ValueError, match=r"conv2d.*Expected dense layers alone"):
        networks.tied_decoder(networks.conv_encoder(SHAPE))


def test_shapes_that_do_not_match_are_refused():
    encoder = networks.dense_encoder(SHAPE, hidden=(7, 5))
    first, second, *_ = (layer for layer in encoder.layers if isinstance(layer, layers.Dense))
    z = keras.Input((5,))
    with pytest.raises(ValueError, match=r"takes 7 values.*gets 5.*reverse order"):
        TiedDense(first)(z)
    assert TiedDense(second)(z).shape == (None, 7)


@pytest.mark.parametrize("source", [layers.Dense(3), layers.Flatten(), None])
def test_what_is_no_dense_layer_of_a_network_cannot_be_tied(source):
    with pytest.raises(ValueError, match=r"source is .*Expected a Dense layer"):
        TiedDense(source)
