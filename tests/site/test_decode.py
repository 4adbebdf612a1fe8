"""What explorer.js computes is what Keras computes."""

import base64
import json
import math

import keras
import numpy as np
import pytest
from scipy import special

from vae_keras import VAE, Autoencoder, data, explorer, likelihood, networks

TOLERANCE = 1e-5
UNPACK = """
  const weights = (text) => module.readFloat16(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
  const model = value.model;
  for (const half of ["decoder", "encoder"]) model[half].weights = weights(value.blobs[half]);
"""
DECODE = UNPACK + "return value.z.map((z) => [...module.decode(model, z)]);"
ENCODE = (
    UNPACK
    + """return value.images.map((image) => {
      const { zMean, zLogVar } = module.encode(model.encoder, image);
      return [[...zMean], zLogVar && [...zLogVar]];
    });"""
)


def described(model):
    about, blobs = explorer.describe(model)
    return {"model": about, "blobs": {name: base64.b64encode(blob).decode() for name, blob in blobs.items()}}


def published(path):
    about = json.loads(path.read_text())
    blobs = {half: (path.parent / about[half]["file"]).read_bytes() for half in ("decoder", "encoder")}
    return {"model": about, "blobs": {name: base64.b64encode(blob).decode() for name, blob in blobs.items()}}


def check(call, model, seed=0):
    """Decode and encode random input in both, with the rounded weights."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        # Biases begin at 0, where a wrong offset would not show.
        if weight.path.endswith("bias"):
            weight.assign(generator.normal(0, 0.3, weight.shape))
    rounded = explorer.rounded(model)
    z = generator.normal(0, 1.5, (5, model.decoder.input_shape[-1])).astype("float32")
    images = generator.random((3, *model.decoder.output_shape[1:])).astype("float32")
    images[0] = 0
    value = described(model) | {"z": z.tolist(), "images": images.reshape(len(images), -1).tolist()}
    pixels = np.array(call(DECODE, value))
    expected = rounded.decoder.predict_on_batch(z).reshape(len(z), -1)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(pixels, expected, atol=TOLERANCE, rtol=0)
    encoded = rounded.encoder.predict_on_batch(images)
    encoded = [encoded] if isinstance(encoded, np.ndarray) else encoded[:2]
    found = call(ENCODE, value)
    for part, expected in enumerate(encoded):
        np.testing.assert_allclose([each[part] for each in found], expected, atol=TOLERANCE, rtol=TOLERANCE)
    if len(encoded) == 1:
        assert found[0][1] is None


def leaky():
    return keras.layers.LeakyReLU(0.3)


@pytest.mark.parametrize(
    "activation", ["gelu", "relu", "elu", "silu", "tanh", "sigmoid", "leaky_relu", leaky, "linear"], ids=str
)
@pytest.mark.parametrize("model", [VAE, Autoencoder])
def test_dense_networks_with_every_activation(call, model, activation):
    same = {"activation": activation, "seed": 1}
    encoder = networks.dense_encoder((8, 6, 1), 3, hidden=(12, 9), variational=model is VAE, **same)
    check(call, model(encoder, networks.dense_decoder((8, 6, 1), 3, hidden=(9, 12), **same)))


@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 7, 3), (6, 10, 1)], ids=str)
def test_convolutional_networks_also_where_sides_are_odd_and_cropped(call, shape):
    encoder = networks.conv_encoder(shape, 2, filters=(4, 6), hidden=(10,), seed=1)
    check(call, VAE(encoder, networks.conv_decoder(shape, 2, filters=(6, 4), hidden=(10,), seed=1)))


@pytest.mark.parametrize("size, strides", [(1, 1), (2, 2), (3, 1), (3, 2), (3, 3), (4, 2), (5, 2), (5, 3), (2, 3)])
def test_convolutions_of_every_size_and_stride_pad_as_keras_pads(call, size, strides):
    image = keras.Input((7, 8, 2))
    x = keras.layers.Conv2D(3, size, strides=strides, padding="same", activation="relu")(image)
    encoder = keras.Model(image, keras.layers.Dense(2, name="z")(keras.layers.Flatten()(x)))
    z = keras.Input((2,))
    x = keras.layers.Reshape((3, 4, 3))(keras.layers.Dense(36)(z))
    x = keras.layers.Conv2DTranspose(2, size, strides=strides, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(2, 3, padding="same", activation="sigmoid")(x)
    height, width = x.shape[1:3]
    if (height, width) != (7, 8):
        grown = keras.Input((height, width, 2))
        y = keras.layers.Conv2D(3, size, strides=strides, padding="same", activation="relu")(grown)
        encoder = keras.Model(grown, keras.layers.Dense(2, name="z")(keras.layers.Flatten()(y)))
    check(call, Autoencoder(encoder, keras.Model(z, x)))


def test_erf_and_the_approximate_gelu(call):
    x = np.linspace(-7, 7, 2001)
    np.testing.assert_allclose(call("return value.map(module.erf);", x.tolist()), special.erf(x), atol=1e-7, rtol=0)
    code = "return [...module.activate(Float64Array.from(value), { activation: 'gelu_tanh' })];"
    expected = keras.ops.convert_to_numpy(keras.activations.gelu(x.astype("float32"), approximate=True))
    np.testing.assert_allclose(call(code, x.tolist()), expected, atol=1e-6)


def test_float16_numbers_are_read_to_the_last_bit(call):
    every = np.arange(2**16, dtype="<u2").view("<f2")
    finite = every[np.isfinite(every)]
    text = base64.b64encode(finite.tobytes()).decode()
    read = call("return [...module.readFloat16(Uint8Array.from(atob(value), (c) => c.charCodeAt(0)))];", text)
    np.testing.assert_array_equal(read, finite.astype("float64"))


@pytest.mark.parametrize("shift", [0, 5])
def test_ink_becomes_an_image_as_mnist_was_made(call, shift):
    """A digit that is enlarged and moved comes back as it was: it fills a box of 20 pixels and is centred by mass."""
    digits = data.load("mnist_5k").x_test[:12, ..., 0]
    pads = np.pad(digits.repeat(4, axis=1).repeat(4, axis=2), ((0, 0), (shift, 0), (0, shift)))
    code = "return value.ink.map((ink) => [...module.drawnToImage(ink, value.side, value.side)]);"
    made = call(code, {"ink": pads.reshape(len(pads), -1).tolist(), "side": pads.shape[1]})
    np.testing.assert_allclose(np.reshape(made, digits.shape), digits, atol=1e-6)


def test_ink_is_scaled_by_area_and_keeps_its_proportions(call):
    ink = np.zeros((100, 100))
    ink[10:90, 40:60] = 0.5
    made = np.reshape(call("return [...module.drawnToImage(value, 100, 100)];", ink.ravel().tolist()), (28, 28))
    rows, columns = np.nonzero(made)
    assert np.ptp(rows) + 1 == 20 and np.ptp(columns) + 1 == 5
    np.testing.assert_allclose(made[made > 0], 0.5)
    assert call("return module.drawnToImage(new Float32Array(100), 10, 10);") is None


LIKELIHOOD = (
    UNPACK
    + """
  const { layers, weights: decoder } = model.decoder;
  const results = [];
  for (const image of value.images) {
    const { zMean, zLogVar } = module.encode(model.encoder, image);
    const job = { layers, weights: decoder, image: Float32Array.from(image), zMean, zLogVar };
    const { elbo, logP, error, cells } = await module.likelihoodInWorker(job).promise;
    const kl = module.klDivergence(zMean, zLogVar);
    results.push({ elbo, logP, error, kl, cells: cells && [...cells] });
  }
  return results;"""
)


def black_and_white(count):
    return (data.load("mnist_5k").x_test[:count] >= 0.5).astype("float32")


@pytest.mark.parametrize("name", ["vae", "vae-epoch0"])
def test_likelihoods_of_two_latents_are_those_of_keras(call, explorer_folder, name):
    path = explorer_folder / "models" / f"{name}.json"
    vae, images = explorer.read(path), black_and_white(3)
    value = published(path) | {"images": images.reshape(len(images), -1).tolist()}
    found = call(LIKELIHOOD, value)
    exact = likelihood.posterior(vae, images, progress=False)
    np.testing.assert_allclose([each["logP"] for each in found], exact.log_likelihood, atol=0.05, rtol=0)
    np.testing.assert_allclose([each["elbo"] for each in found], likelihood.exact_elbo(vae, images), atol=0.05, rtol=0)
    z_mean, z_log_var, _ = vae.encoder.predict_on_batch(images)
    kl = 0.5 * (z_mean**2 + np.exp(z_log_var) - z_log_var - 1).sum(axis=1)
    np.testing.assert_allclose([each["kl"] for each in found], kl, atol=1e-4)
    for each, density in zip(found, exact.density):
        assert each["error"] < 0.05
        x, y, side, log_density = np.reshape(each["cells"], (-1, 4)).T
        mass = np.exp(log_density) * side**2
        assert mass.sum() == pytest.approx(1, abs=1e-3)
        cell = (exact.axis[1] - exact.axis[0]) ** 2
        mean = [(density.sum(axis=axis) * exact.axis).sum() * cell for axis in (0, 1)]
        # Both sum over cells, and where a posterior is narrow theirs are not much smaller than it.
        np.testing.assert_allclose([(mass * x).sum(), (mass * y).sum()], mean, atol=0.05)


def test_the_elbo_of_many_latents_is_that_of_keras(call, explorer_folder):
    path = explorer_folder / "models" / "vae-16d.json"
    vae, images = explorer.read(path), black_and_white(3)
    found = call(LIKELIHOOD, published(path) | {"images": images.reshape(len(images), -1).tolist()})
    assert found[0]["logP"] is None
    expected = likelihood.elbo(vae, images, samples=2000, progress=False)
    # The mean of 400 draws varies by about the twentieth part of what one draw does.
    np.testing.assert_allclose([each["elbo"] for each in found], expected, atol=1.5, rtol=0)


def test_gaps_are_those_of_the_package(call, explorer_folder):
    about = json.loads((explorer_folder / "models" / "autoencoder.json").read_text())["gaps"]
    found = call("return module.readGaps(value);", about)
    assert found["share"] == about["share"] > 0
    cells = np.unpackbits(np.frombuffer(base64.b64decode(about["bits"]), "uint8"))[: about["size"] ** 2]
    assert len(found["cells"]) == cells.sum() > 0
    row, column = divmod(int(np.flatnonzero(cells)[0]), about["size"])
    expected = [
        low + (place + 0.5) * (high - low) / about["size"]
        for low, high, place in zip(about["low"], about["high"], (column, row))
    ]
    np.testing.assert_allclose(found["cells"][0], expected)
    assert math.isclose(found["width"] * about["size"], about["high"][0] - about["low"][0])


def test_the_module_is_small():
    assert explorer.SCRIPT.stat().st_size <= 70 * 1024
