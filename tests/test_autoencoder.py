import keras
import numpy as np
import pytest
import tensorflow as tf
from batches import Batches
from derivatives import value_and_gradients
from keras import layers, ops

from vae_keras import VAE, Autoencoder, losses, networks

SHAPE = (8, 8, 1)
LABELS = np.arange(20) % 3


class Flag(layers.Layer):
    """Note which training flag arrives."""

    def __init__(self, seen):
        super().__init__()
        self.note = seen.append

    def call(self, x, training=None):
        self.note(bool(training))
        return x


# Tracing a step takes longer than a few steps take as they stand. What is trained longer, or is about the compiled step
# itself, is compiled.
EAGERLY = {"run_eagerly": True}


def cross_entropy(images, reconstruction):
    images, p = np.float64(images), np.clip(np.float64(reconstruction), 1e-7, 1 - 1e-7)
    return -(images * np.log(p) + (1 - images) * np.log(1 - p)).sum(axis=(1, 2, 3))


def fit(model, *data, epochs=1, batch_size=8, **arguments):
    return model.fit(*data, epochs=epochs, batch_size=batch_size, verbose=0, **arguments).history


def evaluate(model, *data, batch_size=8):
    return model.evaluate(*data, batch_size=batch_size, verbose=0, return_dict=True)


def quieten(model):
    """Leave a VAE no noise, so that what it gives can be computed by hand."""
    if isinstance(model, VAE):
        head = model.encoder.get_layer("z_log_var")
        head.set_weights([np.zeros_like(head.kernel), np.full_like(head.bias, -40)])
    return model


@pytest.fixture(params=["make_autoencoder", "make_vae"])
def make(request):
    return request.getfixturevalue(request.param)


def test_history_has_the_two_metrics_and_their_validation(make_autoencoder, images):
    history = fit(make_autoencoder(compile_arguments=EAGERLY), images, validation_data=images)
    assert set(history) == {"loss", "reconstruction_loss", "val_loss", "val_reconstruction_loss"}
    assert history["loss"] == history["reconstruction_loss"]


@pytest.mark.parametrize("name", ["bernoulli", "gaussian"])
def test_losses_are_means_over_the_whole_set(make_autoencoder, images, name):
    model = make_autoencoder(optimizer=keras.optimizers.SGD(0.0), reconstruction_loss=getattr(losses, name))
    reconstruction = model.predict(images, verbose=0)
    by_hand = {
        "bernoulli": cross_entropy(images, reconstruction),
        "gaussian": ((images - reconstruction) ** 2).sum(axis=(1, 2, 3)),
    }
    # The last batch is smaller and unlike the others: a mean of batch means, or the last batch alone, would show.
    history = fit(model, images, validation_data=images[::-1])
    for measured in (history["loss"][0], history["val_loss"][0], evaluate(model, images)["loss"]):
        assert measured == pytest.approx(by_hand[name].mean(), rel=1e-5)
    assert by_hand[name][16:].mean() != pytest.approx(by_hand[name].mean(), rel=0.01)


def test_means_lose_nothing_over_many_images(make):
    model = make()
    # In float32 the sum would stop at 2^24, and over 60,000 images the loss would part from its terms.
    for value in (2.0**24, 1.0, 1.0):
        means = model.track(**{name: np.float32([value]) for name in ("loss", "reconstruction_loss", "kl_loss")})
    for name in means:
        assert float(means[name]) * 3 == 2**24 + 2, name


def test_one_step_follows_the_gradient_of_the_mean_loss(make_autoencoder, images):
    model, twin = make_autoencoder(optimizer=keras.optimizers.SGD(0.5)), make_autoencoder()

    def loss():
        x = ops.convert_to_tensor(images)
        p = twin.decoder(twin.encoder(x))
        return -ops.sum(x * ops.log(p) + (1 - x) * ops.log(1 - p)) / len(x)

    _, gradients = value_and_gradients(loss, twin.trainable_weights)
    fit(model, images, batch_size=20)
    for weight, start, gradient in zip(model.trainable_weights, twin.trainable_weights, gradients):
        assert np.abs(gradient).max() > 0.01
        np.testing.assert_allclose(weight.numpy(), start.numpy() - 0.5 * gradient, rtol=1e-4, atol=1e-5)


def test_call_and_predict_decode_what_the_encoder_gives(make_autoencoder, images):
    model = make_autoencoder()
    expected = model.decoder(model.encoder(images))
    np.testing.assert_allclose(model(images), expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict(images, batch_size=8, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize(("variational", "arguments"), [(False, {}), (True, {}), (True, {"samples": 2})])
def test_the_training_flag_reaches_encoder_and_decoder_in_training_alone(images, variational, arguments):
    seen = {"encoder": [], "decoder": []}
    encoder = networks.dense_encoder(
        SHAPE, hidden=(8,), variational=variational, activation=lambda: Flag(seen["encoder"])
    )
    decoder = networks.dense_decoder(SHAPE, hidden=(8,), activation=lambda: Flag(seen["decoder"]))
    model = (VAE if variational else Autoencoder)(encoder, decoder, **arguments)
    model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)
    for act, expected in (
        (lambda: fit(model, images), True),
        (lambda: evaluate(model, images), False),
        (lambda: model.predict(images, verbose=0), False),
        (lambda: model(images), False),
        (lambda: model(images, training=True), True),
    ):
        for flags in seen.values():
            flags.clear()
        act()
        assert set(seen["encoder"]) == {expected}
        assert set(seen["decoder"]) == {expected}


@pytest.mark.parametrize("variational", [False, True])
def test_batch_normalisation_learns_its_statistics_in_training_alone(images, variational):
    activation = layers.BatchNormalization
    encoder = networks.dense_encoder(SHAPE, hidden=(8,), variational=variational, activation=activation)
    decoder = networks.dense_decoder(SHAPE, hidden=(8,), activation=activation)
    model = (VAE if variational else Autoencoder)(encoder, decoder)
    model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)

    def statistics():
        return [
            layer.moving_mean.numpy()
            for network in (encoder, decoder)
            for layer in network.layers
            if isinstance(layer, activation)
        ]

    untrained = statistics()
    fit(model, images)
    trained = statistics()
    assert all(np.any(before != after) for before, after in zip(untrained, trained))
    evaluate(model, images)
    model.predict(images, verbose=0)
    for before, after in zip(trained, statistics()):
        np.testing.assert_array_equal(before, after)


def test_weight_penalties_are_part_of_the_loss_and_of_its_gradient(images):
    penalty = keras.regularizers.L2(0.5)
    encoder = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2, kernel_regularizer=penalty)])
    decoder = networks.dense_decoder(SHAPE, hidden=(8,))
    model = Autoencoder(encoder, decoder)
    model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    kernel = encoder.layers[-1].kernel.numpy()
    by_hand = 0.5 * (kernel**2).sum()
    measured = evaluate(model, images)
    assert measured["loss"] - measured["reconstruction_loss"] == pytest.approx(by_hand, rel=1e-3)

    without_penalty = Autoencoder(keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2)]), decoder)
    without_penalty.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    without_penalty.encoder.set_weights(encoder.get_weights())
    before = decoder.get_weights()
    history = fit(model, images, batch_size=20)
    assert history["loss"][0] - history["reconstruction_loss"][0] == pytest.approx(by_hand, rel=1e-3)
    decoder.set_weights(before)
    fit(without_penalty, images, batch_size=20)
    difference = without_penalty.encoder.layers[-1].kernel.numpy() - encoder.layers[-1].kernel.numpy()
    np.testing.assert_allclose(difference, 0.1 * kernel, atol=1e-5)


def test_two_models_side_by_side_do_not_touch_each_other(make, images):
    alone, first, second = (make(seed=seed, compile_arguments=EAGERLY) for seed in (0, 0, 1))
    for _ in range(2):
        fit(alone, images, shuffle=False)
    untouched = second.get_weights()
    fit(first, images, shuffle=False)
    assert all(np.array_equal(before, after) for before, after in zip(untouched, second.get_weights()))
    fit(second, images, shuffle=False)
    fit(first, images, shuffle=False)
    for weight, other in zip(alone.get_weights(), first.get_weights()):
        np.testing.assert_array_equal(weight, other)
    assert float(alone.loss_tracker.result()) == float(first.loss_tracker.result())
    assert float(second.loss_tracker.result()) != float(first.loss_tracker.result())


def test_the_loss_falls(make, images):
    losses_seen = fit(make(optimizer=keras.optimizers.Adam(0.02)), images, epochs=10)["loss"]
    assert losses_seen[-1] < losses_seen[0] - 1


SOURCES = {
    "array": lambda x, y: ((x,), x),
    "array and labels": lambda x, y: ((x, y), (x, y)),
    "list of array and labels": lambda x, y: ((x, y), [x, y]),
    "tensor": lambda x, y: ((ops.convert_to_tensor(x),), ops.convert_to_tensor(x)),
    "float64": lambda x, y: ((np.float64(x),), np.float64(x)),
    "tf.data": lambda x, y: [tf.data.Dataset.from_tensor_slices(x).batch(8)] * 2,
    "tf.data with labels": lambda x, y: [tf.data.Dataset.from_tensor_slices((x, y)).batch(8)] * 2,
    "PyDataset": lambda x, y: [Batches(x)] * 2,
    "PyDataset with labels": lambda x, y: [Batches(x, y)] * 2,
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_of_images_is_trained_on_and_validated(make_vae, images, source):
    model = quieten(
        make_vae(
            optimizer=keras.optimizers.SGD(0.0), beta=0.5, compile_arguments={} if "tf.data" in source else EAGERLY
        )
    )
    z_mean, z_log_var, _ = model.encoder(images)
    expected = cross_entropy(images, model(images)) + 0.5 * np.array(losses.kl_divergence(z_mean, z_log_var))
    train, validation = SOURCES[source](images, LABELS)
    arguments = {"batch_size": 8} if isinstance(train, tuple) else {}
    train = train if isinstance(train, tuple) else (train,)
    history = model.fit(*train, validation_data=validation, shuffle=False, verbose=0, **arguments).history
    measured = model.evaluate(*train, verbose=0, return_dict=True, **arguments)
    for value in (history["loss"][0], history["val_loss"][0], measured["loss"]):
        assert value == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize("labelled", [False, True])
def test_autoencoders_train_on_pairs_and_on_part_of_them(make_autoencoder, images, labelled):
    model = make_autoencoder(optimizer=keras.optimizers.SGD(0.0), compile_arguments=EAGERLY)
    by_hand = cross_entropy(images, model(images))
    history = fit(model, images, *([LABELS] * labelled), validation_split=0.2)
    assert history["loss"][0] == pytest.approx(by_hand[:16].mean(), rel=1e-5)
    assert history["val_loss"][0] == pytest.approx(by_hand[16:].mean(), rel=1e-5)


def test_generators_are_trained_on_unseen(make_autoencoder, images):
    model = make_autoencoder(optimizer=keras.optimizers.SGD(0.0), compile_arguments=EAGERLY)
    history = model.fit(
        ((images[start : start + 10],) for start in (0, 10)), steps_per_epoch=2, shuffle=False, verbose=0
    ).history
    assert history["loss"][0] == pytest.approx(cross_entropy(images, model(images)).mean(), rel=1e-5)


def test_early_stopping_and_checkpoints_watch_the_validation_loss(make_autoencoder, images, tmp_path):
    model = make_autoencoder(optimizer=keras.optimizers.SGD(0.02))
    path = tmp_path / "best.keras"
    callbacks = [
        # The rate of learning turns so large that the loss rises again.
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.02 if epoch < 3 else 50.0),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=2),
        keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True),
    ]
    history = fit(model, images, epochs=20, validation_data=images, callbacks=callbacks)
    best = int(np.argmin(history["val_loss"]))
    assert len(history["val_loss"]) == best + 3 < 20
    loaded = evaluate(keras.models.load_model(path), images)["loss"]
    assert loaded == pytest.approx(history["val_loss"][best], rel=1e-6)
    assert loaded < evaluate(model, images)["loss"]


def test_a_saved_model_gives_the_same_reconstructions_and_keeps_its_name(make_autoencoder, images, tmp_path):
    model = make_autoencoder(reconstruction_loss=losses.gaussian, name="digits", compile_arguments=EAGERLY)
    fit(model, images)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is Autoencoder
    assert loaded.reconstruction_loss is losses.gaussian
    assert loaded.name == "digits"
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))


def test_saved_weights_load_into_another_model(make, images, tmp_path):
    model, other = make(seed=0), make(seed=1)
    model.save_weights(tmp_path / "model.weights.h5")
    assert np.any(np.array(model(images)) != np.array(other(images)))
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model(images), other(images))


def test_convolutional_networks_train_save_and_load(images, tmp_path):
    shape = (6, 5, 1)
    model = Autoencoder(
        networks.conv_encoder(shape, filters=(3,), hidden=(4,), activation=layers.PReLU, variational=False),
        networks.conv_decoder(shape, filters=(3,), hidden=(4,), activation=layers.PReLU),
    )
    model.compile(optimizer="adam", run_eagerly=True)
    fit(model, images[:, :6, :5])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images[:, :6, :5]), model(images[:, :6, :5]))


def test_eager_and_compiled_training_agree(make, images):
    compiled, eager = make(), make(compile_arguments={"run_eagerly": True})
    one, two = (fit(model, images, epochs=2, shuffle=False) for model in (compiled, eager))
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-5)
    for weight, other in zip(compiled.trainable_weights, eager.trainable_weights):
        np.testing.assert_allclose(weight.numpy(), other.numpy(), atol=1e-5)


def test_mixed_precision_takes_the_same_step(make, images, mixed_float16):
    half = make(optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=64.0))
    assert "float16" in {layer.compute_dtype for layer in half.encoder.layers}
    keras.mixed_precision.set_dtype_policy("float32")
    full = make(optimizer=keras.optimizers.SGD(0.1))
    start = [weight.numpy() for weight in full.trainable_weights]
    for model in (half, full):
        history = fit(model, images, batch_size=20, shuffle=False)
        assert np.isfinite(history["loss"]).all()
    for before, one, two in zip(start, half.trainable_weights, full.trainable_weights):
        step = np.abs(two.numpy() - before).max()
        np.testing.assert_allclose(one.numpy(), two.numpy(), atol=0.02 * step)


def test_mixed_precision_trains_with_a_scaled_loss_of_its_own(make, images, mixed_float16):
    model = make(optimizer=keras.optimizers.Adam(0.02))
    history = fit(model, images, epochs=10)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0] - 1
    assert model.predict(images, verbose=0).dtype == np.float32
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.fixture(scope="module")
def untrained():
    """A VAE that is never trained: what it is given is refused."""
    model = VAE(networks.dense_encoder(SHAPE, hidden=(8,)), networks.dense_decoder(SHAPE, hidden=(8,)))
    model.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    return model


BAD_IMAGES = {
    "pixels from 0 to 255": (lambda x: 255 * x, r"runs from .* to 25\d.* Expected pixels in \[0, 1\].*to_images"),
    "negative": (lambda x: x - 0.5, r"runs from -0\.4"),
    "NaN": (lambda x: np.where(x == x[3, 3, 3, 0], np.nan, x), "holds NaN"),
    "no channel axis": (lambda x: x[..., 0], r"has shape \(\d+, 8, 8\)\. Expected \(n, height, width, channels\)"),
}


@pytest.mark.parametrize("bad", BAD_IMAGES)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: {"x": x},
        lambda x: {"x": tf.data.Dataset.from_tensor_slices(x).batch(8)},
        lambda x: {"x": tf.data.Dataset.from_tensor_slices((x, LABELS)).batch(8)},
        lambda x: {"x": Batches(x)},
        lambda x: {"x": Batches(x, LABELS)},
        lambda x: {"x": np.zeros((20, *SHAPE)), "validation_data": x},
        lambda x: {"x": np.zeros((20, *SHAPE)), "validation_data": (x, LABELS)},
        lambda x: {"x": np.zeros((20, *SHAPE)), "validation_data": tf.data.Dataset.from_tensors(x)},
        lambda x: {"x": np.zeros((20, *SHAPE)), "validation_data": Batches(x, LABELS)},
    ],
    ids=["array", "tf", "tf pair", "PyDataset", "PyDataset pair", "val", "val pair", "val tf", "val PyDataset"],
)
def test_what_are_no_images_is_refused_before_training(untrained, images, wrap, bad):
    spoil, message = BAD_IMAGES[bad]
    model = untrained
    arguments = wrap(spoil(images))
    name = "validation_data" if "validation_data" in arguments else "x"
    with pytest.raises(ValueError, match=f"^{name} {message}"):
        model.fit(**arguments, verbose=0)
    assert int(model.optimizer.iterations) == 0
    if name == "x":
        with pytest.raises(ValueError, match=message):
            model.evaluate(**arguments, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": np.zeros(19)}, "^x has 20 images but 19 labels"),
        ({"validation_data": (np.zeros((20, *SHAPE)), np.zeros(3))}, "^validation_data has 20 images but 3 labels"),
        ({"x": np.zeros((0, *SHAPE))}, r"^x is empty: shape \(0, 8, 8, 1\)"),
        ({"x": tf.data.Dataset.from_tensor_slices(np.zeros((0, *SHAPE)))}, r"^x is an empty tf\.data\.Dataset"),
        ({"validation_data": np.zeros((0, *SHAPE))}, "^validation_data is empty"),
        ({"sample_weight": np.ones(20)}, "sample_weight is given"),
        ({"class_weight": {0: 1.0}}, "class_weight is given"),
        ({"x": tf.data.Dataset.from_tensors((np.zeros((20, *SHAPE)), LABELS, LABELS))}, "sample_weight is given"),
        ({"validation_data": (np.zeros((20, *SHAPE)), LABELS, np.ones(20))}, "sample_weight is given"),
        ({"x": None}, r"^x has shape \(\)"),
    ],
)
def test_data_that_do_not_fit_together_are_refused_before_training(untrained, images, arguments, message):
    model = untrained
    with pytest.raises(ValueError, match=message):
        model.fit(**{"x": images, **arguments}, verbose=0)
    assert int(model.optimizer.iterations) == 0


def test_evaluate_refuses_what_fit_refuses(untrained, images):
    with pytest.raises(ValueError, match="20 images but 19 labels"):
        untrained.evaluate(images, LABELS[:19], verbose=0)
    with pytest.raises(ValueError, match="sample_weight is given"):
        untrained.evaluate(images, sample_weight=np.ones(20), verbose=0)


def test_a_loss_given_to_compile_is_refused(make, images):
    model = make(compile_arguments={"loss": "mse"})
    with pytest.raises(ValueError, match=r"loss='mse'.*reconstruction_loss"):
        fit(model, images)


@pytest.mark.parametrize("kind", ["metrics", "weighted_metrics"])
def test_metrics_given_to_compile_are_refused(make, images, kind, tmp_path):
    model = make(compile_arguments={kind: ["mse"]})
    model.save(tmp_path / "model.keras")
    for refusing in (model, keras.models.load_model(tmp_path / "model.keras")):
        with pytest.raises(ValueError, match=r"compile got metrics.*loss, reconstruction_loss"):
            fit(refusing, images)


@pytest.mark.parametrize("reconstruction_loss", ["mse", None, 0.5])
def test_a_reconstruction_loss_that_cannot_be_called_is_refused(make, reconstruction_loss):
    with pytest.raises(ValueError, match=f"reconstruction_loss is {reconstruction_loss!r}.*losses.bernoulli"):
        make(reconstruction_loss=reconstruction_loss)


@pytest.mark.parametrize(
    "reconstruction_loss",
    [keras.losses.mean_squared_error, keras.losses.MeanSquaredError(), lambda images, reconstruction: 3.0],
    ids=["per row", "one number", "no tensor"],
)
def test_a_reconstruction_loss_that_is_not_per_image_is_refused(make, reconstruction_loss):
    with pytest.raises(ValueError, match=r"reconstruction_loss .* gives shape .*Expected nats per image, \(n,\)"):
        make(reconstruction_loss=reconstruction_loss)


def test_the_wrong_encoder_is_refused():
    decoder = networks.dense_decoder(SHAPE, hidden=(8,))
    with pytest.raises(ValueError, match=r"encoder has 3 outputs.*Expected z, each.*variational=False"):
        Autoencoder(networks.dense_encoder(SHAPE, hidden=(8,)), decoder)
    with pytest.raises(ValueError, match=r"encoder has 1 outputs.*Expected z_mean, z_log_var, z, each"):
        VAE(networks.dense_encoder(SHAPE, hidden=(8,), variational=False), decoder)


def test_latents_that_are_no_vectors_or_differ_among_themselves_are_refused():
    decoder = networks.dense_decoder(SHAPE, latent_dim=8, hidden=(8,))
    image = keras.Input(SHAPE)
    with pytest.raises(ValueError, match=r"shapes \[\(None, 8, 8, 1\)\]"):
        Autoencoder(keras.Model(image, layers.Activation("relu")(image)), decoder)
    flat = layers.Flatten()(image)
    two, eight = layers.Dense(2)(flat), layers.Dense(8)(flat)
    with pytest.raises(ValueError, match=r"shapes \[\(None, 2\), \(None, 8\), \(None, 8\)\]"):
        VAE(keras.Model(image, [two, eight, eight]), decoder)


@pytest.mark.parametrize(("model", "variational"), [(Autoencoder, False), (VAE, True)])
def test_networks_that_do_not_fit_together_are_refused(model, variational):
    encoder = networks.dense_encoder(SHAPE, latent_dim=3, hidden=(8,), variational=variational)
    with pytest.raises(ValueError, match=r"encoder gives 3 latents but decoder takes \(None, 2\)"):
        model(encoder, networks.dense_decoder(SHAPE, latent_dim=2, hidden=(8,)))
    with pytest.raises(ValueError, match=r"encoder takes images \(None, 8, 8, 1\) but decoder gives \(None, 8, 9, 1\)"):
        model(encoder, networks.dense_decoder((8, 9, 1), latent_dim=3, hidden=(8,)))


@pytest.mark.parametrize("network", [None, layers.Dense(2), keras.Sequential([layers.Flatten(), layers.Dense(2)])])
def test_what_is_no_functional_model_is_refused(network):
    encoder = networks.dense_encoder(SHAPE, hidden=(8,), variational=False)
    with pytest.raises(ValueError, match=r"^encoder is .*Expected a functional Keras model"):
        Autoencoder(network, networks.dense_decoder(SHAPE, hidden=(8,)))
    with pytest.raises(ValueError, match=r"^decoder is .*Expected a functional Keras model"):
        Autoencoder(encoder, network)
