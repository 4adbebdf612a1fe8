"""explorer: what is written for the browser, what is read back, and the widget."""

import base64
import json

import keras
import numpy as np
import pytest
from keras import layers
from seeding import SEED, rng

from vae_keras import VAE, Autoencoder, ConditionalVAE, data, explorer, latent, losses, networks

SHAPE = (12, 12, 1)
CODED = 40


def make(kind="dense", variational=True, shape=SHAPE, activation="gelu", latent_dim=2, beta=1.0):
    encoder, decoder = {
        "dense": (networks.dense_encoder, networks.dense_decoder),
        "conv": (networks.conv_encoder, networks.conv_decoder),
    }[kind]
    sizes = {"hidden": (7, 5)} if kind == "dense" else {"filters": (3, 4), "hidden": (6,)}
    common = {"latent_dim": latent_dim, "activation": activation, "seed": SEED, **sizes}
    networks_ = encoder(shape, variational=variational, **common), decoder(shape, **common)
    model = VAE(*networks_, beta) if variational else Autoencoder(*networks_)
    for weight in (*model.encoder.trainable_weights, *model.decoder.trainable_weights):
        # Biases begin at 0, where an offset that is wrong would not be seen.
        weight.assign(weight + 0.1 * rng(len(weight.shape)).standard_normal(weight.shape))
    return model


@pytest.fixture
def images():
    return rng().random((CODED, *SHAPE), dtype="float32")


def codes(model, x):
    encoded = model.encoder.predict(x, verbose=0)
    return np.stack(encoded[:2]) if isinstance(model, VAE) else encoded


@pytest.mark.parametrize("variational", [True, False])
@pytest.mark.parametrize("kind", ["dense", "conv"])
# 12 is divided by two twice; of 9 and 10 the decoder makes 12, and crops.
@pytest.mark.parametrize("shape", [SHAPE, (9, 10, 3)])
@pytest.mark.parametrize("activation", ["gelu", "relu", "tanh", lambda: layers.LeakyReLU(0.3)])
def test_what_is_read_computes_what_the_rounded_model_does(tmp_path, kind, variational, shape, activation):
    model = make(kind, variational, shape, activation, beta=0.3)
    read = explorer.read(explorer.write(model, tmp_path / "model"))
    rounded = explorer.rounded(model)
    z = rng().standard_normal((5, 2)).astype("float32")
    x = rng().random((5, *shape), dtype="float32")
    np.testing.assert_allclose(read.decoder(z), rounded.decoder(z), atol=1e-6)
    np.testing.assert_allclose(codes(read, x), codes(rounded, x), atol=1e-5)
    assert type(read) is type(model)
    assert not variational or read.beta == pytest.approx(0.3)
    assert explorer.describe(read)[1] == explorer.describe(model)[1]
    # The rounding is seen, and small.
    error = np.abs(np.asarray(model.decoder(z)) - np.asarray(rounded.decoder(z))).max()
    assert 0 < error < 1e-2


def test_a_model_that_is_written_stays_as_it_is(tmp_path, images):
    # Its next draws too, of which the seed generator of Sampling keeps the state.
    model = make()
    before = [np.array(variable) for variable in model.variables]
    assert len(before) > len(model.weights)
    explorer.write(model, tmp_path / "model", images, images)
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_rounding_twice_changes_nothing():
    once = explorer.rounded(make())
    for first, second in zip(once.weights, explorer.rounded(once).weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_json_says_what_the_model_is(tmp_path, images):
    path = explorer.write(make(beta=0.1), tmp_path / "new" / "a.b", images, seed=3, held_out={"loss": 1.5})
    assert path == tmp_path / "new" / "a.b.json"
    described = json.loads(path.read_text())
    expected = {"name": "a.b", "kind": "vae", "latent_dim": 2, "beta": 0.1, "seed": 3, "held_out": {"loss": 1.5}}
    assert expected.items() <= described.items()
    assert described["reconstruction_loss"] == "bernoulli"
    assert described["image"] == {"height": 12, "width": 12, "channels": 1}
    assert described["decoder"]["file"] == "a.b.bin" and described["encoder"]["file"] == "a.b.encoder.bin"
    # The hidden layers of both networks have 7 and 5 units.
    numbers = {
        "bin": 2 * 7 + 7 + 7 * 5 + 5 + 5 * 144 + 144,
        "encoder.bin": 144 * 7 + 7 + 7 * 5 + 5 + 2 * (5 * 2 + 2),
    }
    for suffix, count in numbers.items():
        assert (path.parent / f"a.b.{suffix}").stat().st_size == 2 * count
    activations = [layer["activation"] for layer in described["decoder"]["layers"]]
    assert activations == ["gelu", "gelu", "sigmoid"]
    assert described["encoder"]["z_mean"]["activation"] == described["encoder"]["z_log_var"]["activation"] == "linear"


def test_json_names_no_loss_that_the_browser_does_not_know(tmp_path):
    model = make()
    model.reconstruction_loss = losses.gaussian
    assert json.loads(explorer.write(model, tmp_path / "model").read_text())["reconstruction_loss"] is None


@pytest.mark.parametrize("variational", [True, False])
def test_codes_are_those_of_the_images(tmp_path, images, variational):
    model = make(variational=variational)
    described = json.loads(explorer.write(model, tmp_path / "model", images).read_text())
    z = codes(model, images)
    np.testing.assert_allclose(described["codes"], z[0] if variational else z, atol=6e-4)


@pytest.mark.parametrize("latent_dim", [2, 5])
def test_reference_pairs_are_what_the_rounded_decoder_gives(tmp_path, images, latent_dim):
    model = make(latent_dim=latent_dim)
    path = explorer.write(model, tmp_path / "model", images)
    pairs = json.loads(path.with_suffix(".reference.json").read_text())
    z = np.array(pairs["z"], "float32")
    assert z.shape == (20, latent_dim)
    decoded = explorer.read(path).decoder.predict(z, verbose=0).reshape(20, -1)
    np.testing.assert_allclose(pairs["pixels"], decoded, atol=2e-6)
    # They lie where the codes do.
    z_mean = codes(model, images)[0]
    assert (np.abs(z.mean(axis=0) - z_mean.mean(axis=0)) < 1.5 * z_mean.std(axis=0) + 1e-3).all()


@pytest.mark.parametrize("variational", [True, False])
def test_gaps_are_those_of_latent(tmp_path, variational):
    x = rng().random((300, *SHAPE), dtype="float32") * rng(1).random((300, 1, 1, 1), dtype="float32")
    model = make(variational=variational)
    if variational:
        # Small standard deviations, unlike their squares: gaps are left.
        model.encoder.get_layer("z_log_var").bias.assign([-3.0, -3.0])
    gaps = json.loads(explorer.write(model, tmp_path / "model", trained_on=x).read_text())["gaps"]
    size = gaps["size"]
    mask = np.unpackbits(np.frombuffer(base64.b64decode(gaps["bits"]), "uint8")).reshape(size, size)
    z = codes(model, x)
    if variational:
        z = z[0] + np.exp(z[1] / 2) * rng(7).standard_normal((10, 300, 2))
    points = latent.draw_points(z, 5000, seed=SEED)
    low, high = np.array(gaps["low"]), np.array(gaps["high"])
    column, row = np.clip((points - low) / (high - low) * size, 0, size - 1).astype(int).T
    agreement = (mask[row, column] == latent.in_gap(points, z)).mean()
    assert agreement > (0.9 if variational else 0.95)
    assert gaps["share"] == pytest.approx(latent.gap_share(z, seed=SEED), abs=0.03)
    assert 0 < gaps["share"] < 1
    assert mask.any() and not mask.all()


def test_gaps_are_of_planes_alone(tmp_path, images):
    path = explorer.write(make(latent_dim=3), tmp_path / "model", images, trained_on=images)
    assert "gaps" not in json.loads(path.read_text())


def test_a_file_that_was_cut_short_is_refused(tmp_path):
    path = explorer.write(make(), tmp_path / "model")
    blob = path.with_suffix(".bin")
    blob.write_bytes(blob.read_bytes()[:-2])
    with pytest.raises(ValueError, match=r"model\.bin has \d+ bytes\. Expected \d+.*cut short"):
        explorer.read(path)


def test_another_format_is_refused(tmp_path):
    path = explorer.write(make(), tmp_path / "model")
    path.write_text(path.read_text().replace('"format":1', '"format":2'))
    with pytest.raises(ValueError, match=r"has the format 2\. Expected 1: write it again"):
        explorer.read(path)


def test_models_that_the_browser_cannot_compute_are_refused(tmp_path):
    def refused(match, model):
        with pytest.raises(ValueError, match=match):
            explorer.write(model, tmp_path / "model")
        assert not list(tmp_path.iterdir())

    refused("type Functional. Expected a vae_keras.Autoencoder", networks.dense_decoder(SHAPE))
    conditional = ConditionalVAE(
        networks.dense_encoder(SHAPE, hidden=(4,), classes=3), networks.dense_decoder(SHAPE, hidden=(4,), classes=3)
    )
    refused("ConditionalVAE takes labels", conditional)
    refused("activation 'softplus', which explorer.js does not know", make(activation="softplus"))
    refused("is a PReLU, which explorer.js does not know", make(activation=layers.PReLU))

    def decoder(*chain):
        z = x = keras.Input((2,))
        for layer in chain:
            x = layer(x)
        return VAE(networks.dense_encoder(SHAPE, hidden=(4,)), keras.Model(z, layers.Reshape(SHAPE)(x)))

    refused("is a BatchNormalization", decoder(layers.Dense(144), layers.BatchNormalization()))
    refused("is an activation that follows no layer", decoder(layers.Activation("relu"), layers.Dense(144)))
    refused("follows no layer", decoder(layers.Dense(144, "relu"), layers.Activation("sigmoid")))
    z = keras.Input((2,))
    skip = layers.Concatenate()([layers.Dense(100)(z), layers.Dense(44)(z)])
    split = VAE(networks.dense_encoder(SHAPE, hidden=(4,)), keras.Model(z, layers.Reshape(SHAPE)(skip)))
    refused("does not follow the one before it", split)
    valid = keras.Sequential(
        [keras.Input((2,)), layers.Dense(14 * 14), layers.Reshape((14, 14, 1)), layers.Conv2D(1, 3)]
    )
    refused("padding 'valid'", VAE(networks.dense_encoder(SHAPE, hidden=(4,)), valid))


@pytest.mark.parametrize("value", [1e6, np.nan, -np.inf])
def test_weights_beyond_float16_are_refused(tmp_path, value):
    model = make()
    kernel = np.array(model.decoder.weights[0])
    kernel[0, 0] = value
    model.decoder.weights[0].assign(kernel)
    with pytest.raises(ValueError, match="not all finite and within 65504"):
        explorer.write(model, tmp_path / "model")


def test_an_activation_inside_a_layer_counts(tmp_path):
    z = keras.Input((2,))
    x = layers.Dense(5, "tanh")(z)
    x = layers.Dense(144, "sigmoid", use_bias=False)(x)
    model = VAE(networks.dense_encoder(SHAPE, hidden=(4,)), keras.Model(z, layers.Reshape(SHAPE)(x)))
    read = explorer.read(explorer.write(model, tmp_path / "model"))
    point = np.array([[0.5, -1.0]], "float32")
    np.testing.assert_allclose(read.decoder(point), explorer.rounded(model).decoder(point), atol=1e-6)


def test_tied_weights_are_written_too(tmp_path):
    encoder = networks.dense_encoder(SHAPE, hidden=(6,), seed=SEED)
    model = VAE(encoder, networks.tied_decoder(encoder))
    read = explorer.read(explorer.write(model, tmp_path / "model"))
    z = rng().standard_normal((4, 2)).astype("float32")
    np.testing.assert_allclose(read.decoder(z), model.decoder(z), atol=2e-3)


def test_images_are_packed_into_sixteen_greys():
    x = np.array([0, 1, 0.5, 1 / 30 + 1e-3, 1 / 30 - 1e-3], "float32").reshape(1, 5, 1, 1)
    assert list(explorer.pack_images(x)) == [0, 255, 136, 17, 0]
    with pytest.raises(ValueError, match=r"Expected .* in \[0, 1\]"):
        explorer.pack_images(255 * x)


@pytest.fixture
def widget(images):
    pytest.importorskip("anywidget")
    labels = rng().integers(0, 3, CODED)
    held = data.Images(images, labels, images[:30], labels[:30], ("a", "b", "c"))
    return explorer.Explorer(make(), held, count=20)


def test_widget_holds_what_is_written(widget, images, tmp_path):
    path = explorer.write(make(), tmp_path / "model", images[:20], images)
    written = json.loads(path.read_text())
    model = widget.widget._model
    assert widget.widget._decoder == path.with_suffix(".bin").read_bytes()
    assert widget.widget._encoder == path.with_suffix(".encoder.bin").read_bytes()
    for part in ("decoder", "encoder"):
        written[part].pop("file")
    written.pop("name"), written["gaps"].pop("share")
    model["gaps"].pop("share")
    assert written.items() <= model.items()
    assert widget.widget._images["count"] == 20 == len(widget.widget._images["labels"])
    assert widget.widget._pixels == explorer.pack_images(images[:20])


def test_widget_prints_the_same_every_time(widget):
    assert repr(widget) == "Explorer of a VAE: 2 latents, 20 images"
    bundle = widget._repr_mimebundle_()
    assert bundle["text/plain"] == repr(widget)
    assert bundle["text/html"].startswith('<div data-explorer="">')
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "0x" not in bundle["text/plain"] + bundle["text/html"]


def test_widget_refuses_what_is_no_data_set(images):
    pytest.importorskip("anywidget")
    with pytest.raises(ValueError, match=r"images are of type ndarray\. Expected data\.Images"):
        explorer.Explorer(make(), images)
    held = data.Images(images, np.zeros(CODED, int), images, np.zeros(CODED, int), ("a",))
    with pytest.raises(ValueError, match=r"count is 0\. Expected how many"):
        explorer.Explorer(make(), held, count=0)


def test_widget_without_anywidget_says_what_to_install(monkeypatch, images):
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    with pytest.raises(ImportError, match=r"pip install 'vae-keras\[explorer\]'"):
        explorer.Explorer(make(), images)
