"""losses.Perceptual: a squared error between the features that a fixed network sees."""

import re

import keras
import numpy as np
import pytest
from derivatives import value_and_gradients
from keras import layers
from seeding import SEED, rng

from vae_keras import VAE, losses, networks

SHAPE = (8, 8, 1)
NAMES = ("first", "second")


@keras.saving.register_keras_serializable(package="test_perceptual")
def darker(pixels):
    return pixels / 510


@keras.saving.register_keras_serializable(package="test_perceptual")
def enlarged(pixels):
    return keras.ops.image.resize(pixels / 255, (16, 16))


def start(number):
    return keras.initializers.GlorotUniform(seed=SEED + number)


def classifier(channels=1, side=8):
    """A network with batch normalisation, whose statistics are those of no batch, and dropout."""
    image = keras.Input((side, side, channels))
    x = layers.Conv2D(3, 3, activation="leaky_relu", kernel_initializer=start(0), name="first")(image)
    x = layers.BatchNormalization(
        moving_mean_initializer=keras.initializers.RandomUniform(0, 1, seed=SEED),
        moving_variance_initializer=keras.initializers.RandomUniform(1, 2, seed=SEED),
        name="normalised",
    )(x)
    x = layers.Dropout(0.5, seed=SEED)(x)
    x = layers.Conv2D(4, 3, strides=2, activation="leaky_relu", kernel_initializer=start(1), name="second")(x)
    x = layers.Flatten()(x)
    return keras.Model(image, layers.Dense(3, kernel_initializer=start(2), name="logits")(x), name="classifier")


def features(network, name, images):
    return np.float64(keras.Model(network.inputs[0], network.get_layer(name).output)(images))


def by_hand(network, images, reconstruction, weights=(1, 1), names=NAMES):
    """The loss of each image in float64, from the features that the network gives in inference."""
    differences = [features(network, name, images) - features(network, name, reconstruction) for name in names]
    return sum(weight * (each**2).sum(axis=(1, 2, 3)) / 2 for weight, each in zip(weights, differences))


def make_vae(loss, optimizer=None):
    encoder = networks.dense_encoder(SHAPE, hidden=(8,), seed=SEED)
    vae = VAE(encoder, networks.dense_decoder(SHAPE, hidden=(8,), seed=SEED), reconstruction_loss=loss)
    vae.compile(optimizer or keras.optimizers.Adam(0.01), run_eagerly=True)
    return vae


def fit(vae, images, epochs=1):
    return vae.fit(images, epochs=epochs, batch_size=8, shuffle=False, verbose=0).history


@pytest.fixture
def reconstruction():
    return rng(1).random((20, *SHAPE), dtype="float32")


@pytest.mark.parametrize(("layer_weights", "expected"), [(None, (1, 1)), ((0.5, 3), (0.5, 3)), ((0, 1.0), (0, 1))])
def test_it_is_half_the_sum_of_squared_differences_of_features(layer_weights, expected, images, reconstruction):
    network = classifier()
    found = losses.Perceptual(network, NAMES, layer_weights)(images, reconstruction)
    assert (tuple(found.shape), keras.backend.standardize_dtype(found.dtype)) == ((20,), "float32")
    np.testing.assert_allclose(found, by_hand(network, images, reconstruction, expected), rtol=1e-4)
    np.testing.assert_array_equal(losses.Perceptual(network, NAMES, layer_weights)(images, images), np.zeros(20))


def test_a_linear_network_has_its_closed_form_and_gradient(images, reconstruction):
    image = keras.Input(SHAPE)
    network = keras.Model(image, layers.Conv2D(1, 1, kernel_initializer="ones", name="scale")(image))
    network.get_layer("scale").kernel.assign([[[[3.0]]]])
    loss = losses.Perceptual(network, ["scale"], [0.5])
    made = keras.Variable(reconstruction)
    values, (gradient,) = value_and_gradients(lambda: loss(images, made.value), [made])
    difference = np.float64(reconstruction) - images
    np.testing.assert_allclose(values, 0.5 * 0.5 * 9 * (difference**2).sum(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(gradient, 0.5 * 9 * difference, rtol=1e-4, atol=1e-6)


def test_a_vae_learns_and_the_network_does_not(images):
    network = classifier()
    loss = losses.Perceptual(network, NAMES)
    vae = make_vae(loss, keras.optimizers.Adam(0.02))
    before = loss.get_weights()
    assert len(vae.trainable_weights) == 10
    assert not loss.trainable_weights
    history = fit(vae, images, epochs=16)
    assert history["reconstruction_loss"][-1] < 0.97 * history["reconstruction_loss"][0]
    # Nor when a VAE that was frozen is woken again, with all of its layers.
    vae.trainable = False
    vae.trainable = True
    assert len(vae.trainable_weights) == 10
    vae.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    fit(vae, images)
    for weight, other in zip(loss.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_the_loss_in_training_is_that_of_inference(images):
    network = classifier()
    vae = make_vae(losses.Perceptual(network, NAMES), keras.optimizers.SGD(0.0))
    head = vae.encoder.get_layer("z_log_var")
    head.set_weights([np.zeros_like(head.kernel), np.full_like(head.bias, -40)])  # No noise is left.
    expected = by_hand(network, images, vae(images)).mean()
    assert fit(vae, images)["reconstruction_loss"][0] == pytest.approx(expected, rel=1e-4)
    found = vae.reconstruction_loss(images, vae(images), training=True)
    np.testing.assert_allclose(found, by_hand(network, images, vae(images)), rtol=1e-4)


def test_the_network_itself_is_left_alone(images, reconstruction):
    network = classifier()
    loss = losses.Perceptual(network, NAMES)
    before = loss(images, reconstruction)
    assert network.trainable
    assert len(network.trainable_weights) == 8
    network.get_layer("first").kernel.assign(0 * network.get_layer("first").kernel)
    np.testing.assert_array_equal(loss(images, reconstruction), before)
    # What lies behind the last of the layers is not copied.
    assert [layer.name for layer in losses.Perceptual(network, ["first"]).network.layers[1:]] == ["first"]


def test_one_channel_is_shown_three_times_to_a_network_of_colours(images, reconstruction):
    network = classifier(channels=3)
    found = losses.Perceptual(network, NAMES)(images, reconstruction)
    threefold = [np.repeat(x, 3, axis=-1) for x in (images, reconstruction)]
    np.testing.assert_allclose(found, by_hand(network, *threefold), rtol=1e-4)
    np.testing.assert_allclose(losses.Perceptual(network, NAMES)(*threefold), found, rtol=1e-5)


def test_preprocessing_gets_pixels_up_to_255_and_may_resize(images, reconstruction):
    network = classifier()
    found = losses.Perceptual(network, NAMES, preprocess=darker)(images, reconstruction)
    np.testing.assert_allclose(found, by_hand(network, images / 2, reconstruction / 2), rtol=1e-4)
    large = classifier(side=16)
    found = losses.Perceptual(large, NAMES, preprocess=enlarged)(images, reconstruction)
    resized = [keras.ops.image.resize(x, (16, 16)) for x in (images, reconstruction)]
    np.testing.assert_allclose(found, by_hand(large, *resized), rtol=1e-4)


def test_a_network_of_keras_applications_takes_small_grey_images():
    vgg = keras.applications.VGG16(include_top=False, weights=None)
    generator, names = rng(), ("block1_conv1", "block2_conv1")
    images, reconstruction = (generator.random((2, 10, 10, 1), dtype="float32") for _ in range(2))
    loss = losses.Perceptual(vgg, names, (1.0, 0.1), keras.applications.vgg16.preprocess_input)
    # Blue, green, red, less the mean of ImageNet.
    seen = [255 * np.repeat(x, 3, axis=-1) - [103.939, 116.779, 123.68] for x in (images, reconstruction)]
    np.testing.assert_allclose(loss(images, reconstruction), by_hand(vgg, *seen, (1.0, 0.1), names), rtol=1e-3)
    with pytest.raises(ValueError, match=r"Of images of shape \(2, 10, 10, 3\) nothing is left after .*block5_pool"):
        losses.Perceptual(vgg, ("block1_conv1", "block5_pool"))(images, reconstruction)


@pytest.mark.parametrize("preprocess", [None, darker, keras.applications.vgg19.preprocess_input])
def test_it_is_saved_and_loaded_with_its_vae(preprocess, images, reconstruction, tmp_path):
    through, halted = (
        make_vae(losses.Perceptual(classifier(channels=3), NAMES, (0.01, 0.02), preprocess)) for _ in range(2)
    )
    # A saved network is known by its weights, and not by how they began.
    for vae in (through, halted):
        for weight in vae.reconstruction_loss.network.weights:
            weight.assign(1.1 * weight)
    fit(through, images, epochs=2)
    fit(halted, images)
    halted.save(tmp_path / "vae.keras")
    resumed = keras.models.load_model(tmp_path / "vae.keras")
    loss = resumed.reconstruction_loss
    assert type(loss) is losses.Perceptual
    assert (loss.layer_names, loss.layer_weights, loss.preprocess) == (NAMES, (0.01, 0.02), preprocess)
    np.testing.assert_array_equal(loss(images, reconstruction), halted.reconstruction_loss(images, reconstruction))
    assert not loss.trainable_weights
    fit(resumed, images)
    for weight, other in zip(through.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_the_loss_is_float32_for_features_of_half_precision(mixed_float16, images, reconstruction):
    network = classifier()
    assert network.get_layer("second").compute_dtype == "float16"
    found = losses.Perceptual(network, NAMES, preprocess=brighter)(images, reconstruction)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    keras.mixed_precision.set_dtype_policy("float32")
    single = classifier()
    single.set_weights(network.get_weights())
    expected = by_hand(single, 1020 * images, 1020 * reconstruction)
    # Half precision ends at 65,504.
    assert expected.max() > 70_000
    np.testing.assert_allclose(found, expected, rtol=0.01)


def brighter(pixels):
    return 4 * pixels


def test_it_works_compiled_and_for_a_sequential_model(images):
    network = keras.Sequential(
        [keras.Input(SHAPE), layers.Conv2D(2, 3, kernel_initializer=start(0), name="first"), layers.Flatten()]
    )
    loss = losses.Perceptual(network, ["first"])
    vae = make_vae(loss, keras.optimizers.SGD(0.0))
    head = vae.encoder.get_layer("z_log_var")
    head.set_weights([np.zeros_like(head.kernel), np.full_like(head.bias, -40)])
    vae.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    expected = by_hand(network, images, vae(images), names=["first"]).mean()
    assert fit(vae, images)["reconstruction_loss"][0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("wrong", [(), "first", ("first", "third"), None, ("FIRST",)])
def test_layers_that_the_network_does_not_have_are_refused(wrong):
    message = f"layers are {wrong!r}. Expected a list of names of layers of 'classifier', such as first, normalised, "
    with pytest.raises(ValueError, match=re.escape(message)):
        losses.Perceptual(classifier(), wrong)


@pytest.mark.parametrize("wrong", [(1,), (1, 1, 1), (1, -1), (1, np.nan), (1, "1"), 1.0])
def test_weights_that_are_none_or_not_one_for_each_layer_are_refused(wrong):
    message = f"layer_weights are {wrong!r}. Expected a number, 0 or more, for each of the 2 layers first, second."
    with pytest.raises(ValueError, match=re.escape(message)):
        losses.Perceptual(classifier(), NAMES, wrong)


def test_networks_that_take_no_images_are_refused():
    for wrong in (None, layers.Dense(2), keras.Sequential([layers.Dense(2, name="first")])):
        with pytest.raises(ValueError, match=r"network is .*Expected a functional or sequential Keras model"):
            losses.Perceptual(wrong, ["first"])
    vector, image = keras.Input((4,)), keras.Input(SHAPE)
    of_vectors = keras.Model(vector, layers.Dense(2, name="first")(vector))
    of_both = keras.Model([vector, image], layers.Concatenate(name="first")([vector, layers.Flatten()(image)]))
    for wrong, shapes in ((of_vectors, "[(None, 4)]"), (of_both, "[(None, 4), (None, 8, 8, 1)]")):
        with pytest.raises(ValueError, match=re.escape(f"network takes {shapes}. Expected images alone")):
            losses.Perceptual(wrong, ["first"])
    with pytest.raises(ValueError, match="preprocess is 'vgg19'"):
        losses.Perceptual(classifier(), NAMES, preprocess="vgg19")


def test_images_that_the_network_does_not_take_are_refused_before_training(images, reconstruction):
    for channels, side in ((1, 9), (2, 8), (3, 9)):
        network = classifier(channels=channels, side=side)
        with pytest.raises(ValueError, match=r"'classifier' takes .*but gets images of shape \(2, 8, 8, .*preprocess"):
            make_vae(losses.Perceptual(network, NAMES))
    small = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 9, name="first")])
    with pytest.raises(ValueError, match=r"Of images of shape \(2, 8, 8, 1\) nothing is left after the layers first"):
        make_vae(losses.Perceptual(small, ["first"]))
    with pytest.raises(ValueError, match=r"images have shape \(20, 8, 8, 1\) but reconstruction \(20, 8, 7, 1\)"):
        losses.Perceptual(classifier(), NAMES)(images, reconstruction[:, :, 1:])
