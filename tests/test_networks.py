import functools

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import erf, expit
from seeding import SEED, rng

from vae_keras import networks

ENCODERS = (networks.dense_encoder, networks.conv_encoder)
DECODERS = (networks.dense_decoder, networks.conv_decoder)
SHAPES = ((28, 28, 1), (32, 32, 3), (30, 17, 3), (25, 25, 1), (50, 37, 3))

small_dense_encoder = functools.partial(networks.dense_encoder, (8, 8, 1), 2, (8, 6))
small_dense_decoder = functools.partial(networks.dense_decoder, (8, 8, 1), 2, (6, 8))
small_conv_encoder = functools.partial(networks.conv_encoder, (9, 6, 1), 2, (3, 4), (5,))
small_conv_decoder = functools.partial(networks.conv_decoder, (9, 6, 1), 2, (4, 3), (5,))
# The shape of what each hidden layer gives, in order.
SMALL = {
    small_dense_encoder: [(8,), (6,)],
    small_dense_decoder: [(6,), (8,)],
    small_conv_encoder: [(5, 3, 3), (3, 2, 4), (5,)],
    small_conv_decoder: [(5,), (3 * 2 * 4,), (6, 4, 4), (12, 8, 3)],
}
BUILDERS = pytest.mark.parametrize("build", SMALL, ids=lambda build: build.func.__name__)


def kernels(network):
    return [layer.get_weights()[0] for layer in network.layers if hasattr(layer, "kernel")]


def arrays(network, x):
    outputs = network(x)
    return [ops.convert_to_numpy(output) for output in (outputs if isinstance(outputs, list) else [outputs])]


def some_input(network, n=3, seed=0):
    return rng(seed).normal(size=(n, *network.input_shape[1:])).astype("float32")


def draw_weights_and_biases(network, seed=1):
    # Biases begin at zero, where an activation that is missing may not show.
    generator = rng(seed)
    network.set_weights([generator.normal(0, 0.5, weight.shape) for weight in network.get_weights()])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("build", ENCODERS)
def test_a_variational_encoder_gives_mean_log_variance_and_sample(build, shape):
    encoder = build(shape, latent_dim=3)
    assert encoder.input_shape == (None, *shape)
    assert encoder.output_names == ["z_mean", "z_log_var", "z"]
    outputs = arrays(encoder, some_input(encoder, n=4))
    assert [(output.shape, output.dtype) for output in outputs] == [((4, 3), np.float32)] * 3


@pytest.mark.parametrize("build", ENCODERS)
@pytest.mark.parametrize(("log_var", "spread"), [(-100, 0), (np.log(9), 3)])
def test_the_sample_is_drawn_around_the_mean_with_the_log_variance(build, log_var, spread):
    encoder = build((8, 8, 1), seed=SEED)
    head = encoder.get_layer("z_log_var")
    head.set_weights([np.zeros_like(head.kernel), np.full_like(head.bias, log_var)])
    z_mean, z_log_var, z = arrays(encoder, some_input(encoder, n=2000))
    np.testing.assert_allclose(z_log_var, log_var, rtol=1e-6)
    np.testing.assert_allclose((z - z_mean).std(axis=0), spread, rtol=0.1)


@pytest.mark.parametrize("build", ENCODERS)
def test_latents_stay_in_float32_under_mixed_precision(build, mixed_float16):
    encoder = build((8, 8, 1))
    assert {output.dtype for output in encoder.outputs} == {"float32"}
    assert build((8, 8, 1), variational=False).outputs[0].dtype == "float32"
    # As log variances of float16, those above 11 would give an infinite variance.
    assert {encoder.get_layer(name).compute_dtype for name in ("z_mean", "z_log_var", "z")} == {"float32"}
    assert "float16" in {layer.compute_dtype for layer in encoder.layers}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("build", ENCODERS)
def test_a_plain_encoder_gives_one_latent(build, shape):
    encoder = build(shape, latent_dim=3, variational=False)
    assert encoder.output_names == ["z"]
    assert encoder(np.zeros((4, *shape))).shape == (4, 3)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("build", DECODERS)
def test_a_decoder_gives_images(build, shape):
    decoder = build(shape, latent_dim=3, seed=SEED)
    assert decoder.input_shape == (None, 3)
    assert decoder.output_shape == (None, *shape)
    (images,) = arrays(decoder, 10_000 * some_input(decoder, n=4))
    assert (images.shape, images.dtype) == ((4, *shape), np.float32)
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.ptp(images) > 0.9


def test_parameter_counts_are_those_computed_by_hand():
    assert networks.dense_encoder((28, 28, 1), 2, (512, 256)).count_params() == (
        (784 * 512 + 512) + (512 * 256 + 256) + 2 * (256 * 2 + 2)
    )
    assert networks.dense_decoder((28, 28, 1), 2, (256, 512)).count_params() == (
        (2 * 256 + 256) + (256 * 512 + 512) + (512 * 784 + 784)
    )
    assert networks.conv_encoder((28, 28, 1), 2, (32, 64), (128,), variational=False).count_params() == (
        (9 * 1 * 32 + 32) + (9 * 32 * 64 + 64) + (7 * 7 * 64 * 128 + 128) + (128 * 2 + 2)
    )
    assert networks.conv_decoder((28, 28, 1), 2, (64, 32), (128,)).count_params() == (
        (2 * 128 + 128) + (128 * 3136 + 3136) + (9 * 64 * 64 + 64) + (9 * 64 * 32 + 32) + (9 * 32 * 1 + 1)
    )
    assert networks.conv_decoder((30, 17, 3), 2, (64, 32), (128,)).count_params() == (
        (2 * 128 + 128) + (128 * 8 * 5 * 64 + 8 * 5 * 64) + (9 * 64 * 64 + 64) + (9 * 64 * 32 + 32) + (9 * 32 * 3 + 3)
    )


@pytest.mark.parametrize(
    ("shape", "crop"),
    [
        # Two transposed convolutions double to multiples of four.
        ((9, 6, 1), ((1, 2), (1, 1))),
        ((8, 7, 2), ((0, 0), (0, 1))),
        ((5, 12, 1), ((1, 2), (0, 0))),
    ],
)
def test_a_decoder_crops_evenly_what_the_doubling_gives_too_much(shape, crop):
    decoder = networks.conv_decoder(shape, 2, (4, 3), (5,), seed=SEED)
    uncropped = keras.Model(decoder.input, [layer for layer in decoder.layers if hasattr(layer, "kernel")][-1].output)
    z = some_input(decoder)
    (above, below), (left, right) = crop
    whole = arrays(uncropped, z)[0]
    assert whole.shape[1:3] == (shape[0] + above + below, shape[1] + left + right)
    part = whole[:, above : whole.shape[1] - below, left : whole.shape[2] - right]
    np.testing.assert_allclose(arrays(decoder, z)[0], expit(part), rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (networks.dense_encoder, [(512,), (256,)]),
        (networks.dense_decoder, [(256,), (512,)]),
        (networks.conv_encoder, [(4, 4, 16), (2, 2, 32), (128,)]),
        (networks.conv_decoder, [(128,), (2 * 2 * 32,), (4, 4, 32), (8, 8, 16)]),
    ],
)
def test_what_is_not_given_is_small_and_uses_gelu(build, shapes):
    network = build((8, 8, 1))
    hidden = [layer for layer in network.layers if layer.name.startswith("hidden")]
    assert [tuple(layer.output.shape)[1:] for layer in hidden] == shapes
    assert {layer.activation for layer in hidden} == {keras.activations.gelu}
    assert 2 in (network.input_shape[-1], network.outputs[0].shape[-1])
    assert not any("noise" in layer.name for layer in network.layers)


@BUILDERS
def test_hidden_layers_are_named_in_order(build):
    network = build(activation="relu")
    hidden = [layer for layer in network.layers if layer.name.startswith("hidden")]
    assert [layer.name for layer in hidden] == [f"hidden_{number}" for number in range(1, len(SMALL[build]) + 1)]
    assert [tuple(layer.output.shape)[1:] for layer in hidden] == SMALL[build]
    assert all(isinstance(layer, keras.layers.Activation) for layer in hidden)


@pytest.mark.parametrize("build", [small_dense_decoder, small_conv_decoder])
@pytest.mark.parametrize("output", ["tanh", keras.activations.tanh, lambda: keras.layers.Activation("tanh")])
def test_an_output_activation_is_given_in_every_way_that_an_activation_is(build, output):
    decoder, linear = (build(output_activation=activation, seed=SEED) for activation in (output, "linear"))
    z = some_input(decoder)
    np.testing.assert_allclose(arrays(decoder, z)[0], np.tanh(arrays(linear, z)[0]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("build", [small_dense_decoder, small_conv_decoder])
@pytest.mark.parametrize("output", ["sigmod", None, 3, keras.layers.ReLU()])
def test_what_is_no_output_activation_is_refused(build, output):
    with pytest.raises(ValueError, match=r"activation (is )?.*Expected a name"):
        build(output_activation=output)


@pytest.mark.parametrize("build", [small_dense_decoder, small_conv_decoder])
@pytest.mark.parametrize("output", ["sigmoid", lambda: keras.layers.Activation("sigmoid")])
def test_pixels_stay_in_float32_under_mixed_precision(build, output, mixed_float16, tmp_path):
    decoder = build(output_activation=output)
    assert "float16" in {layer.compute_dtype for layer in decoder.layers}
    decoder.save(tmp_path / "decoder.keras")
    for network in (decoder, keras.models.load_model(tmp_path / "decoder.keras")):
        assert network.output.dtype == "float32"
        assert network.get_layer("pixels").compute_dtype == "float32"


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def leaky_relu(slope):
    return lambda x: np.where(x > 0, x, slope * x)


@pytest.mark.parametrize(
    ("activation", "by_hand"),
    [
        ("gelu", gelu),
        ("tanh", np.tanh),
        (keras.activations.tanh, np.tanh),
        (lambda x: 3 * ops.sin(x), lambda x: 3 * np.sin(x)),
        (keras.layers.ReLU, leaky_relu(0)),
        (lambda: keras.layers.LeakyReLU(0.3), leaky_relu(0.3)),
        (functools.partial(keras.activations.leaky_relu, negative_slope=0.1), leaky_relu(0.1)),
    ],
)
def test_dense_networks_compute_what_numpy_computes(activation, by_hand):
    encoder, decoder = small_dense_encoder(activation=activation), small_dense_decoder(activation=activation)
    for network in (encoder, decoder):
        draw_weights_and_biases(network)
    images, z = some_input(encoder), some_input(decoder)

    w1, b1, w2, b2, w_mean, b_mean, w_log_var, b_log_var = encoder.get_weights()
    x = by_hand(by_hand(images.reshape(len(images), -1) @ w1 + b1) @ w2 + b2)
    z_mean, z_log_var, _ = arrays(encoder, images)
    np.testing.assert_allclose(z_mean, x @ w_mean + b_mean, atol=1e-4)
    np.testing.assert_allclose(z_log_var, x @ w_log_var + b_log_var, atol=1e-4)

    w1, b1, w2, b2, w3, b3 = decoder.get_weights()
    pixels = expit(by_hand(by_hand(z @ w1 + b1) @ w2 + b2) @ w3 + b3)
    np.testing.assert_allclose(arrays(decoder, z)[0], pixels.reshape(-1, 8, 8, 1), atol=1e-4)


@BUILDERS
def test_a_function_reaches_every_hidden_layer(build):
    shapes = []

    def spy(x):
        shapes.append(tuple(x.shape)[1:])
        return x

    network = build(activation=spy)
    network(some_input(network))
    assert shapes == SMALL[build]


@BUILDERS
def test_a_layer_class_reaches_every_hidden_layer_with_weights_of_its_own(build):
    network = build(activation=keras.layers.PReLU)
    found = [layer for layer in network.layers if isinstance(layer, keras.layers.PReLU)]
    assert [tuple(layer.alpha.shape) for layer in found] == SMALL[build]
    assert len({id(layer.alpha) for layer in found}) == len(found)
    plain = build(activation="relu")
    assert network.count_params() == plain.count_params() + sum(int(np.prod(shape)) for shape in SMALL[build])


@BUILDERS
def test_a_callable_that_makes_a_layer_reaches_every_hidden_layer(build):
    network = build(activation=lambda: keras.layers.LeakyReLU(0.3))
    found = [layer for layer in network.layers if isinstance(layer, keras.layers.LeakyReLU)]
    assert [tuple(layer.output.shape)[1:] for layer in found] == SMALL[build]
    assert {layer.negative_slope for layer in found} == {0.3}


@BUILDERS
def test_a_name_reaches_every_hidden_layer(build):
    network = build(activation="softsign")
    found = [layer for layer in network.layers if getattr(layer, "activation", None) is keras.activations.softsign]
    assert [tuple(layer.output.shape)[1:] for layer in found] == SMALL[build]


@BUILDERS
def test_nothing_else_bends_the_network(build):
    network = build(activation="linear")
    draw_weights_and_biases(network)
    affine = network
    if network.name.endswith("decoder"):
        affine = keras.Model(network.input, network.get_layer("pixels").input)
    a, b = some_input(network, seed=1), some_input(network, seed=2)
    for at_a, at_b, at_both, at_0 in zip(*(arrays(affine, x)[:2] for x in (a, b, a + b, 0 * a))):
        np.testing.assert_allclose(at_both, at_a + at_b - at_0, atol=1e-3)
        assert np.ptp(at_a) > 0.1


def test_a_decoder_ends_in_a_sigmoid():
    for build in (small_dense_decoder, small_conv_decoder):
        decoder = build()
        before = keras.Model(decoder.input, decoder.get_layer("pixels").input)
        z = some_input(decoder)
        np.testing.assert_allclose(arrays(decoder, z)[0], expit(arrays(before, z)[0]), rtol=1e-5)


@pytest.mark.parametrize("build", [small_dense_decoder, small_conv_decoder])
def test_a_decoder_with_a_linear_output_gives_what_came_before_the_sigmoid(build):
    linear, bounded = build(output_activation="linear"), build()
    linear.set_weights(bounded.get_weights())
    draw_weights_and_biases(linear)
    bounded.set_weights(linear.get_weights())
    z = some_input(linear)
    values = arrays(linear, z)[0]
    assert values.min() < 0 or values.max() > 1
    np.testing.assert_allclose(arrays(bounded, z)[0], expit(values), rtol=1e-4)


@pytest.mark.parametrize("build", ENCODERS)
def test_noise_is_added_in_training_and_not_in_use(build):
    images = np.full((2000, 8, 8, 1), 0.5, "float32")
    noisy, clean = build((8, 8, 1), noise=0.3, seed=SEED), build((8, 8, 1), seed=SEED)
    for weight, other in zip(noisy.get_weights(), clean.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
    np.testing.assert_array_equal(noisy(images)[0], clean(images)[0])
    inside = keras.Model(noisy.input, next(layer for layer in noisy.layers if "noise" in layer.name).output)
    added = np.asarray(inside(images, training=True)) - images
    assert added.std() == pytest.approx(0.3, rel=0.02)
    assert abs(added.mean()) < 0.005
    assert not np.array_equal(added, np.asarray(inside(images, training=True)) - images)
    for seed, repeats in ((SEED, True), (SEED + 1, False)):
        again = build((8, 8, 1), noise=0.3, seed=seed)
        inside = keras.Model(again.input, next(layer for layer in again.layers if "noise" in layer.name).output)
        assert np.array_equal(added, np.asarray(inside(images, training=True)) - images) is repeats


@pytest.mark.parametrize("build", ENCODERS)
@pytest.mark.parametrize("noise", [-0.1, 1.5, float("nan"), "0.1", None])
def test_noise_that_is_no_standard_deviation_is_refused(build, noise):
    with pytest.raises(ValueError, match=f"noise is {noise!r}"):
        build((8, 8, 1), noise=noise)


def test_keras_has_two_leaky_relus_which_agree_where_the_slope_is_given():
    below = np.float32([[-1.0]])
    assert float(keras.layers.LeakyReLU()(below)[0, 0]) == pytest.approx(-0.3)
    assert float(networks.activation_layer("leaky_relu")(below)[0, 0]) == pytest.approx(-0.2)
    for slope in (0.2, 0.3):
        as_layer = small_conv_decoder(activation=lambda slope=slope: keras.layers.LeakyReLU(slope), seed=SEED)
        as_function = small_conv_decoder(
            activation=functools.partial(keras.activations.leaky_relu, negative_slope=slope), seed=SEED
        )
        z = some_input(as_layer)
        np.testing.assert_allclose(as_layer(z), as_function(z), rtol=1e-6)


@BUILDERS
def test_the_same_seed_gives_the_same_weights_whatever_the_activation(build):
    drawn = [
        kernels(build(activation=activation, seed=SEED + 3))
        for activation in ("gelu", lambda: keras.layers.LeakyReLU(0.3), keras.layers.PReLU)
    ]
    for others in drawn[1:]:
        assert len(others) == len(drawn[0])
        for kernel, other in zip(drawn[0], others):
            np.testing.assert_array_equal(kernel, other)


@BUILDERS
def test_another_seed_gives_other_weights(build):
    for kernel, other in zip(kernels(build(seed=SEED)), kernels(build(seed=SEED + 1))):
        assert np.all(kernel != other)


@BUILDERS
def test_without_a_seed_the_global_one_governs(build):
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(SEED + seed)
        drawn.append(kernels(build()))
    for kernel, again, other in zip(*drawn):
        np.testing.assert_array_equal(kernel, again)
        assert np.all(kernel != other)


def test_no_two_kernels_of_one_seed_are_the_same():
    square = kernels(networks.dense_encoder((4, 2, 1), 8, (8, 8), seed=SEED))
    square += kernels(networks.dense_decoder((4, 2, 1), 8, (8, 8), seed=SEED))
    assert [kernel.shape for kernel in square] == [(8, 8)] * 7
    assert len({kernel.tobytes() for kernel in square}) == 7
    assert len(np.unique(square)) > 0.99 * 7 * 64


@pytest.mark.parametrize("build", [small_dense_encoder, small_conv_encoder])
def test_the_seed_of_an_encoder_fixes_its_sampling_noise(build):
    def noise(seed):
        encoder = build(seed=seed)
        encoder.set_weights([np.zeros_like(weight) for weight in encoder.get_weights()])
        return arrays(encoder, some_input(encoder))[2]

    np.testing.assert_array_equal(noise(SEED), noise(SEED))
    assert np.all(noise(SEED) != noise(SEED + 1))


def test_a_parameter_comparison_changes_nothing_but_the_activation():
    with_gelu, with_relu = small_conv_encoder(activation="gelu"), small_conv_encoder(activation="relu")
    assert [type(layer) for layer in with_gelu.layers] == [type(layer) for layer in with_relu.layers]
    assert with_gelu.count_params() == with_relu.count_params()


@BUILDERS
@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("gellu", "Unknown activation 'gellu'"),
        (keras.layers.ReLU(name="shared_one"), "shared_one"),
        (None, "activation is None"),
        (0.3, r"activation is 0\.3"),
        (lambda: 17, "made 17"),
    ],
)
def test_what_is_no_activation_is_refused(build, activation, message):
    with pytest.raises(ValueError, match=message):
        build(activation=activation)


@pytest.mark.parametrize("build", [networks.dense_encoder, networks.conv_decoder])
def test_one_layer_for_every_place_is_refused(build):
    layer = keras.layers.PReLU(name="only_one")
    with pytest.raises(ValueError, match=r"PReLU.*new Keras layer"):
        build((8, 8, 1), hidden=(6, 6), activation=lambda: layer)


@pytest.mark.parametrize("build", ENCODERS + DECODERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (28, 28)}, r"shape is \(28, 28\)"),
        ({"shape": (28, 0, 1)}, r"shape is \(28, 0, 1\)"),
        ({"shape": (None, 28, 1)}, r"shape is \(None, 28, 1\)"),
        ({"latent_dim": 0}, "latent_dim is 0"),
        ({"latent_dim": -3}, "latent_dim is -3"),
        ({"hidden": (8, 0)}, r"hidden is \(8, 0\)"),
        ({"hidden": 8}, "hidden is 8"),
        ({"hidden": "8"}, "hidden is '8'"),
        ({"latent_dim": 2.0}, r"latent_dim is 2\.0"),
        ({"latent_dim": None}, "latent_dim is None"),
        ({"shape": None}, "shape is None"),
        ({"seed": "0"}, "seed is '0'"),
        ({"seed": 1.5}, r"seed is 1\.5"),
    ],
)
def test_sizes_that_make_no_network_are_refused(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**{"shape": (8, 8, 1), **arguments})


@pytest.mark.parametrize("build", [networks.conv_encoder, networks.conv_decoder])
@pytest.mark.parametrize("filters", [(), (8, -1), 8, None])
def test_filters_that_make_no_network_are_refused(build, filters):
    with pytest.raises(ValueError, match="filters is"):
        build((8, 8, 1), filters=filters)


@pytest.mark.parametrize(
    ("arguments", "shape", "features"),
    [
        ({}, (28, 28, 1), (7, 7, 32)),
        ({"filters": (3, 4, 5), "hidden": ()}, (9, 13, 3), (2, 2, 5)),
        ({"activation": lambda: keras.layers.LeakyReLU(0.3)}, (8, 8, 1), (2, 2, 32)),
    ],
)
def test_a_discriminator_gives_the_features_of_its_last_convolution_and_a_logit(arguments, shape, features):
    network = networks.conv_discriminator(shape, **arguments, seed=SEED)
    x = rng().random((5, *shape), dtype="float32")
    seen, logit = network(x)
    assert (seen.shape, logit.shape) == ((5, *features), (5, 1))
    last = f"hidden_{len(arguments.get('filters', (16, 32)))}"
    np.testing.assert_array_equal(seen, keras.Model(network.input, network.get_layer(last).output)(x))
    # No image plays a part in the logit of another.
    np.testing.assert_allclose(network(x, training=True)[1][0] / network(x[:1])[1][0], 1, rtol=1e-4)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)


def test_passes_in_training_bring_the_largest_singular_value_of_every_kernel_to_one():
    network = networks.conv_discriminator((8, 8, 1), filters=(3, 4), hidden=(5,), seed=SEED)
    x = rng().random((5, 8, 8, 1), dtype="float32")
    kernels = [weight for weight in network.trainable_weights if "kernel" in weight.path]
    assert len(kernels) == 4
    for kernel in kernels:
        kernel.assign(3 * kernel)
    before = network.get_weights()
    network(x, training=False)
    for weight, start in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, start)
    for _ in range(100):
        network(x, training=True)
    for kernel in kernels:
        largest = np.linalg.svd(kernel.numpy().reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
        assert largest == pytest.approx(1, abs=0.02), kernel.path


def test_the_seed_of_a_discriminator_fixes_all_of_its_weights():
    one, same, other = (
        networks.conv_discriminator((8, 8, 1), filters=(3,), seed=seed) for seed in (SEED, SEED, SEED + 1)
    )
    for weight, twin, unlike in zip(one.weights, same.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight, twin)
        assert "bias" in weight.path or np.any(weight.numpy() != unlike.numpy()), weight.path


def test_discriminators_that_make_no_sense_are_refused():
    for arguments, message in (
        ({"filters": ()}, r"filters is \(\)"),
        ({"hidden": (0,)}, r"hidden is \(0,\)"),
        ({"activation": "gelo"}, "Unknown activation 'gelo'"),
        ({"seed": "1"}, "seed is '1'"),
        ({"shape": (8, 8)}, r"shape is \(8, 8\)"),
    ):
        with pytest.raises(ValueError, match=message):
            networks.conv_discriminator(**{"shape": (8, 8, 1), **arguments})
