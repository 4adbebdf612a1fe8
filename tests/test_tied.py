import keras
import numpy as np
import pytest
from keras import layers
from seeding import SEED, rng

from vae_keras import VAE, Autoencoder, networks
from vae_keras.tied import TiedDense

SHAPE = (8, 8, 1)


def make(model=VAE, hidden=(7, 5), optimizer=None, **arguments):
    encoder = networks.dense_encoder(SHAPE, hidden=hidden, variational=model is VAE, seed=SEED)
    autoencoder = model(encoder, networks.tied_decoder(encoder), **arguments)
    autoencoder.compile(optimizer or keras.optimizers.SGD(1.0), run_eagerly=True)
    return autoencoder


def kernels(network):
    return {layer.name: layer.kernel for layer in network.layers if isinstance(layer, layers.Dense)}


def draw_weights(model, seed=1):
    # Biases begin at zero, where a bias that is missing does not show.
    generator = rng(seed)
    for weight in model.trainable_weights:
        weight.assign(generator.normal(0, 0.3, weight.shape))


@pytest.mark.parametrize("model", [Autoencoder, VAE])
def test_a_tied_decoder_computes_what_numpy_computes_from_the_encoders_kernels(model):
    autoencoder = make(model)
    draw_weights(autoencoder)
    z = rng().normal(size=(3, 2))
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


# Where the encoder moves alone, the biases of the decoder's sources are in no loss.
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
@pytest.mark.parametrize("name", ["first", "z_mean"])
def test_one_step_follows_the_finite_differences_through_both_uses(images, name):
    def kernel_of(vae):
        return next(iter(kernels(vae.encoder).values())) if name == "first" else kernels(vae.encoder)[name]

    shifted, other, stepping, one, two = models = [make() for _ in range(5)]
    for model in models:
        draw_weights(model)
    # Which of the two uses is shifted.
    parts = {
        "both": shifted,
        "encoder": VAE(shifted.encoder, other.decoder),
        "decoder": VAE(other.encoder, shifted.decoder),
    }
    start, noise = kernel_of(shifted).numpy(), shifted.encoder.get_layer("z").seed_generator.state.numpy()
    stepping.fit(images, batch_size=20, shuffle=False, verbose=0)
    steps = start - kernel_of(stepping).numpy()
    # Where the encoder alone would step far, its share is no small one.
    alone = VAE(one.encoder, two.decoder)
    alone.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    alone.fit(images, batch_size=20, shuffle=False, verbose=0)
    far = np.argsort(-np.abs(start - kernel_of(alone).numpy()), axis=None)[:3]

    def loss_at(shift, place, vae):
        kernel = start.copy()
        kernel[place] += shift
        kernel_of(shifted).assign(kernel)
        vae.encoder.get_layer("z").seed_generator.state.assign(noise)
        return np.mean(np.float64(vae.loss_terms(images, training=True)["loss"]))

    shares = []
    for place in zip(*np.unravel_index(far, steps.shape)):
        slopes = {part: (loss_at(0.01, place, vae) - loss_at(-0.01, place, vae)) / 0.02 for part, vae in parts.items()}
        assert steps[place] == pytest.approx(slopes["both"], rel=0.01, abs=1e-3)
        assert slopes["encoder"] + slopes["decoder"] == pytest.approx(slopes["both"], rel=0.01, abs=1e-3)
        shares.append(min(abs(slopes["encoder"]), abs(slopes["decoder"])) / abs(slopes["both"]))
    assert max(shares) > 0.05


@pytest.mark.parametrize("model", [Autoencoder, VAE])
def test_a_saved_model_is_tied_again_and_goes_on_training(images, model, tmp_path):
    through, halted = (make(model, optimizer=keras.optimizers.Adam(0.01)) for _ in range(2))
    through.fit(images, epochs=2, shuffle=False, verbose=0)
    halted.fit(images, shuffle=False, verbose=0)
    halted.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    z = rng().normal(size=(3, 2)).astype("float32")
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
    z = rng().normal(size=(3, 2)).astype("float32")
    np.testing.assert_array_equal(loaded(z), vae.decoder(z))


def test_a_loaded_model_keeps_the_precision_and_the_names_of_its_tied_layers(tmp_path, mixed_float16):
    encoder = networks.dense_encoder(SHAPE, hidden=(7, 5))
    vae = VAE(encoder, networks.tied_decoder(encoder))
    vae.save(tmp_path / "vae.keras")
    keras.mixed_precision.set_dtype_policy("float32")
    loaded = keras.models.load_model(tmp_path / "vae.keras")

    def tied(model):
        return [(layer.name, layer.compute_dtype) for layer in model.decoder.layers if isinstance(layer, TiedDense)]

    assert tied(loaded) == tied(vae)
    assert {dtype for _, dtype in tied(vae)} == {"float16"}


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
    for encoder in (None, "encoder", layers.Dense(2)):
        with pytest.raises(ValueError, match=r"encoder is .*Expected a network"):
            networks.tied_decoder(encoder)


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
