"""ConditionalVAE: the class reaches encoder and decoder, and all else is as in a VAE."""

import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from batches import Batches
from derivatives import value_and_gradients
from keras import layers, ops
from quick import quickly
from seeding import SEED, rng

from vae_keras import VAE, ConditionalVAE, Sampling, WarmUp, likelihood, losses, networks

SHAPE = (8, 8, 1)
CLASSES = 3
LABELS = np.arange(20) % CLASSES
# Tracing a step takes longer than a few steps take as they stand.
EAGERLY = {"run_eagerly": True}
BUILDERS = {
    "dense": (
        functools.partial(networks.dense_encoder, SHAPE, hidden=(8,)),
        functools.partial(networks.dense_decoder, SHAPE, hidden=(8,)),
    ),
    "convolutional": (
        functools.partial(networks.conv_encoder, SHAPE, filters=(3,), hidden=(8,)),
        functools.partial(networks.conv_decoder, SHAPE, filters=(3,), hidden=(8,)),
    ),
}


def make(kind="dense", model=ConditionalVAE, optimizer=None, compile_arguments=EAGERLY, latent_dim=2, **arguments):
    classes = CLASSES if model is ConditionalVAE else None
    encoder, decoder = (build(latent_dim=latent_dim, classes=classes, seed=SEED) for build in BUILDERS[kind])
    model = model(encoder, decoder, **arguments)
    model.compile(optimizer or keras.optimizers.SGD(0.01), **quickly(**compile_arguments))
    return model


def quieten(model):
    """Leave a model no noise, so that what it gives can be computed by hand."""
    head = model.encoder.get_layer("z_log_var")
    head.set_weights([np.zeros_like(head.kernel), np.full_like(head.bias, -40)])
    return model


def fit(model, *data, epochs=1, batch_size=8, **arguments):
    return model.fit(*data, epochs=epochs, batch_size=batch_size, verbose=0, **arguments).history


def evaluate(model, *data, **arguments):
    return model.evaluate(*data, verbose=0, return_dict=True, **arguments)


def terms_by_hand(images, z_mean, z_log_var, reconstruction):
    """Both terms of the loss for each image, in float64 and without the package."""
    z_mean, z_log_var, p = (np.float64(values) for values in (z_mean, z_log_var, reconstruction))
    p = np.clip(p, 1e-7, 1 - 1e-7)
    reconstruction_loss = -(images * np.log(p) + (1 - images) * np.log(1 - p)).sum(axis=(1, 2, 3))
    return reconstruction_loss, 0.5 * (np.exp(z_log_var) + z_mean**2 - 1 - z_log_var).sum(axis=1)


@pytest.mark.parametrize("kind", BUILDERS)
def test_networks_take_classes_and_give_the_shapes_of_a_vae(kind, images):
    cvae = make(kind)
    assert (cvae.classes, make(kind, VAE).classes) == (CLASSES, None)
    assert [output.shape for output in cvae.encoder([images, LABELS])] == [(20, 2)] * 3
    assert cvae.decoder([np.zeros((5, 2)), np.zeros(5, int)]).shape == (5, *SHAPE)
    assert cvae([images, LABELS]).shape == cvae.predict([images, LABELS], verbose=0).shape == (20, *SHAPE)
    terms = cvae.loss_terms([images, LABELS], training=False)
    assert {name: term.shape for name, term in terms.items()} == dict.fromkeys(
        ("loss", "reconstruction_loss", "kl_loss"), (20,)
    )
    np.testing.assert_array_equal(cvae([images, LABELS]), cvae([images, LABELS]))


@pytest.mark.parametrize("kind", BUILDERS)
def test_the_class_is_one_of_the_inputs_of_encoder_and_decoder(kind, images):
    cvae, z = make(kind), np.zeros((CLASSES, 2), "float32")
    decoded = np.asarray(cvae.decoder([z, np.arange(CLASSES)]))
    z_mean = [np.asarray(cvae.encoder([images, np.full(20, label)])[0]) for label in range(CLASSES)]
    for one in range(CLASSES):
        for other in range(one):
            assert np.abs(decoded[one] - decoded[other]).max() > 1e-4
            assert np.abs(z_mean[one] - z_mean[other]).max(axis=1).min() > 1e-5
    reconstruction = cvae.decoder([cvae.encoder([images, LABELS])[0], ops.convert_to_tensor(LABELS)])
    np.testing.assert_allclose(cvae.predict([images, LABELS], verbose=0), reconstruction, atol=1e-6)
    # The same image, in another class, comes back as another one.
    back = [cvae.predict([images, (LABELS + shift) % CLASSES], verbose=0) for shift in (0, 1)]
    assert np.abs(back[0] - back[1]).max(axis=(1, 2, 3)).min() > 1e-4


def test_a_class_adds_its_row_of_the_first_kernel():
    encoder, decoder = (build(classes=CLASSES, activation="linear", seed=SEED) for build in BUILDERS["dense"])
    assert encoder.count_params() == (64 + CLASSES) * 8 + 8 + 2 * (8 * 2 + 2)
    assert decoder.count_params() == (2 + CLASSES) * 8 + 8 + 8 * 64 + 64
    x = rng().random((CLASSES, *SHAPE), dtype="float32")
    kernel, bias, head, head_bias = encoder.get_weights()[:4]
    expected = (x.reshape(CLASSES, -1) @ kernel[:64] + kernel[64:] + bias) @ head + head_bias
    np.testing.assert_allclose(encoder([x, np.arange(CLASSES)])[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", BUILDERS)
def test_networks_without_classes_are_what_they_were(kind):
    for build in BUILDERS[kind]:
        network = build(seed=SEED)
        assert len(network.inputs) == 1
        assert not any(isinstance(layer, (layers.CategoryEncoding, layers.Concatenate)) for layer in network.layers)
        with_classes = build(seed=SEED, classes=CLASSES)
        # The layers after the first one begin with the same weights.
        for weight, other in zip(network.get_weights()[-2:], with_classes.get_weights()[-2:], strict=True):
            np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize("kind", BUILDERS)
@pytest.mark.parametrize("arguments", [{}, {"beta": 3.0, "free_nats": 0.2}, {"samples": 3}], ids=str)
def test_networks_that_ignore_the_class_give_the_loss_of_a_vae(kind, arguments, images):
    vae, cvae = make(kind, VAE, **arguments), make(kind, **arguments)
    for network, conditional in ((vae.encoder, cvae.encoder), (vae.decoder, cvae.decoder)):
        weights = []
        for weight, wider in zip(network.get_weights(), conditional.get_weights(), strict=True):
            # Where the kernel has rows for the classes too, they are 0.
            rows = len(wider) - len(weight)
            weights.append(np.concatenate([weight, np.zeros((rows, *weight.shape[1:]))]) if rows else weight)
        conditional.set_weights(weights)
    for _ in range(2):
        # Two layers with the same seed draw the same noise.
        plain, given = vae.loss_terms(images, True), cvae.loss_terms([images, LABELS], True)
        for name, term in plain.items():
            np.testing.assert_allclose(given[name], term, rtol=1e-5, atol=1e-6, err_msg=name)
    assert np.std(np.asarray(plain["kl_loss"])) > 1e-4


@pytest.mark.parametrize("samples", [1, 4])
def test_the_terms_are_those_of_each_image_in_its_class(samples, images):
    cvae = quieten(make(beta=3.0, samples=samples))
    z_mean, z_log_var, _ = cvae.encoder([images, LABELS])
    expected = terms_by_hand(images, z_mean, z_log_var, cvae.decoder([z_mean, ops.convert_to_tensor(LABELS)]))
    terms = cvae.loss_terms([images, LABELS], training=True)
    np.testing.assert_allclose(terms["reconstruction_loss"], expected[0], rtol=1e-5)
    np.testing.assert_allclose(terms["kl_loss"], expected[1], rtol=1e-4)
    np.testing.assert_allclose(terms["loss"], expected[0] + 3 * expected[1], rtol=1e-5)
    others = cvae.loss_terms([images, (LABELS + 1) % CLASSES], training=True)
    assert np.median(np.abs(np.asarray(others["reconstruction_loss"]) - expected[0])) > 1e-3


def of_class(cvae, label, **arguments):
    """The VAE that a dense ConditionalVAE is for one class: what the class adds stands in the biases."""
    vae = make(model=VAE, **arguments)
    for network, conditional in ((vae.encoder, cvae.encoder), (vae.decoder, cvae.decoder)):
        kernel, bias, *others = conditional.get_weights()
        network.set_weights([kernel[:-CLASSES], bias + kernel[-CLASSES + label], *others])
    return vae


def binary():
    return (rng(4).random((20, *SHAPE)) > 0.5).astype("float32")


@pytest.mark.parametrize("images_at_a_time", [1, 7, 4000])
@pytest.mark.parametrize("estimate", [likelihood.elbo, likelihood.importance_weighted_bound])
def test_bounds_on_the_likelihood_are_those_of_each_class(estimate, images_at_a_time, monkeypatch):
    monkeypatch.setattr(likelihood, "DECODED_AT_A_TIME", images_at_a_time * 64)
    cvae, x = make(beta=3.0), binary()
    estimate = functools.partial(estimate, samples=5, seed=SEED, progress=False)
    found = estimate(cvae, x, labels=LABELS.tolist())
    for label in range(CLASSES):
        # The same seed draws the same noise for every image.
        expected = estimate(of_class(cvae, label), x)
        np.testing.assert_allclose(found[label == LABELS], expected[label == LABELS], rtol=1e-5)
        assert np.median(np.abs(found[label != LABELS] - expected[label != LABELS])) > 1e-3


def test_bounds_say_what_they_need():
    cvae, vae, x = make(), make(model=VAE), binary()
    with pytest.raises(ValueError, match=r"ConditionalVAE, but labels are missing.*log p\(x\|y\)"):
        likelihood.elbo(cvae, x)
    with pytest.raises(ValueError, match="labels are given, but the model, a VAE, takes none"):
        likelihood.importance_weighted_bound(vae, x, labels=LABELS)
    with pytest.raises(ValueError, match="labels runs from 1 to 3, but there are 3 classes"):
        likelihood.elbo(cvae, x, labels=LABELS + 1)
    with pytest.raises(ValueError, match="20 images but 19 labels"):
        likelihood.elbo(cvae, x, labels=LABELS[:-1])
    for exact in (likelihood.exact_log_likelihood, likelihood.exact_elbo, likelihood.posterior):
        with pytest.raises(ValueError, match=r"labels are missing.*elbo and importance_weighted_bound"):
            exact(cvae, x)


SOURCES = {
    "arrays": lambda x, y: ((x, y), (x, y)),
    "list to validate on": lambda x, y: ((x, y), [x, y]),
    "bytes": lambda x, y: ((x, y.astype("uint8")), (x, y.astype("uint8"))),
    "tensors": lambda x, y: [(ops.convert_to_tensor(x), ops.convert_to_tensor(y))] * 2,
    "tf.data": lambda x, y: [tf.data.Dataset.from_tensor_slices((x, y)).batch(8)] * 2,
    "tf.data of bytes": lambda x, y: [tf.data.Dataset.from_tensor_slices((x, y.astype("uint8"))).batch(8)] * 2,
    "PyDataset": lambda x, y: [Batches(x, y)] * 2,
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_of_images_and_labels_is_trained_on_and_validated(source, images):
    compiled = {} if source in ("tf.data of bytes", "bytes") else EAGERLY
    cvae = quieten(make(optimizer=keras.optimizers.SGD(0.0), beta=0.5, compile_arguments=compiled))
    z_mean, z_log_var, _ = cvae.encoder([images, LABELS])
    reconstruction_loss, kl_loss = terms_by_hand(
        images, z_mean, z_log_var, cvae.decoder([z_mean, ops.convert_to_tensor(LABELS)])
    )
    train, validation = SOURCES[source](images, LABELS)
    arguments = {"batch_size": 8} if isinstance(train, tuple) else {}
    train = train if isinstance(train, tuple) else (train,)
    history = cvae.fit(*train, validation_data=validation, shuffle=False, verbose=0, **arguments).history
    assert set(history) == {p + n for p in ("", "val_") for n in ("loss", "reconstruction_loss", "kl_loss")}
    measured = evaluate(cvae, *train, **arguments)
    for value in (history["loss"][0], history["val_loss"][0], measured["loss"]):
        assert value == pytest.approx((reconstruction_loss + 0.5 * kl_loss).mean(), rel=1e-5)
    assert measured["kl_loss"] == pytest.approx(kl_loss.mean(), rel=1e-4)


@pytest.mark.parametrize("beta", [0.0, 4.0])
def test_one_step_follows_the_gradient_of_the_whole_loss(beta, images):
    cvae, twin = make(beta=beta, optimizer=keras.optimizers.SGD(0.5)), make()

    def loss_by_hand():
        x, y = ops.convert_to_tensor(images), ops.convert_to_tensor(LABELS)
        z_mean, z_log_var, z = twin.encoder([x, y])  # The same seed: the same noise.
        p = twin.decoder([z, y])
        reconstruction_loss = -ops.sum(x * ops.log(p) + (1 - x) * ops.log(1 - p)) / len(x)
        kl_loss = ops.sum(ops.exp(z_log_var) + z_mean**2 - 1 - z_log_var) / 2 / len(x)
        return reconstruction_loss + beta * kl_loss

    loss, gradients = value_and_gradients(loss_by_hand, twin.trainable_weights)
    history = fit(cvae, images, LABELS, batch_size=20, shuffle=False)
    assert history["loss"][0] == pytest.approx(float(loss), rel=1e-5)
    for weight, start, gradient in zip(cvae.trainable_weights, twin.trainable_weights, gradients, strict=True):
        np.testing.assert_allclose(weight.numpy(), start.numpy() - 0.5 * gradient, rtol=1e-4, atol=2e-5)
    # Every class has moved its row of both first kernels.
    for network, other, rows in ((cvae.encoder, twin.encoder, 64), (cvae.decoder, twin.decoder, 2)):
        step = np.abs(network.get_weights()[0] - other.get_weights()[0])[rows:]
        assert step.max(axis=1).min() > 1e-4


@pytest.mark.parametrize("kind", BUILDERS)
@pytest.mark.parametrize("compile_arguments", [EAGERLY, {}, {"jit_compile": True}], ids=str)
def test_the_loss_falls(kind, compile_arguments, images):
    cvae = make(kind, optimizer=keras.optimizers.Adam(0.02), compile_arguments=compile_arguments)
    history = fit(cvae, images[:16], LABELS[:16], epochs=12, batch_size=16)
    assert history["loss"][-1] < history["loss"][0] - 0.2


def test_mixed_precision_trains(mixed_float16, images):
    cvae = make(optimizer=keras.optimizers.Adam(0.02), compile_arguments={})
    history = fit(cvae, images, LABELS, epochs=10)
    assert history["loss"][-1] < history["loss"][0] - 1
    assert cvae.predict([images, LABELS], verbose=0).dtype == np.float32


def halves(n=96, classes=6):
    """Images of which the upper half shows the class, and the lower half one of two styles."""
    generator = rng(3)
    upper, lower = ((generator.random((count, 4, 8, 1)) > 0.5).astype("float32") for count in (classes, 2))
    labels, styles = np.arange(n) % classes, generator.integers(0, 2, n)
    return np.concatenate([upper[labels], lower[styles]], axis=1), labels


@pytest.fixture(scope="module")
def trained():
    """A VAE and a ConditionalVAE that know six classes in two styles."""
    keras.utils.set_random_seed(SEED)
    x, y = halves()
    models = {}
    for model, classes in ((VAE, None), (ConditionalVAE, 6)):
        encoder, decoder = (
            build(SHAPE, latent_dim=2, hidden=(32,), classes=classes, seed=SEED)
            for build in (networks.dense_encoder, networks.dense_decoder)
        )
        models[model] = model(encoder, decoder)
        models[model].compile(keras.optimizers.Adam(0.01), **quickly())
        # The labels play no part in the VAE.
        fit(models[model], x, y, epochs=150, batch_size=32)
    return models


def test_z_need_not_say_what_the_class_says(trained):
    x, y = (np.repeat(part, 10, axis=0) for part in halves())
    vae, cvae = (evaluate(model, x, y, batch_size=960) for model in trained.values())
    # To tell six classes costs 1.8 nats or more, and two styles 0.7.
    assert vae["kl_loss"] > 2.4
    assert 0.6 < cvae["kl_loss"] < vae["kl_loss"] - 1
    assert cvae["loss"] < vae["loss"] - 1


def test_a_trained_model_draws_the_class_that_it_is_asked_for(trained):
    x, y = halves()
    z = rng().normal(size=(50, 2))
    for label in range(6):
        drawn = trained[ConditionalVAE].decoder.predict([z, np.full(50, label)], verbose=0)
        upper = x[np.argmax(y == label), :4]
        assert np.mean((drawn[:, :4] > 0.5) == (upper > 0.5)) > 0.97


def test_beta_can_be_changed_and_warmed_up(images):
    cvae, betas = make(beta=2.0), []
    look = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: betas.append(cvae.beta))
    fit(cvae, images, LABELS, epochs=3, batch_size=20, callbacks=[WarmUp(2, start=0), look])
    assert betas == [0, 1, 2]


def test_two_models_train_side_by_side_as_they_do_alone(images):
    alone = make(optimizer=keras.optimizers.Adam(0.01))
    fit(alone, images, LABELS, epochs=2, shuffle=False)
    one, other = make(optimizer=keras.optimizers.Adam(0.01)), make(beta=9.0, optimizer=keras.optimizers.Adam(0.1))
    for _ in range(2):
        fit(one, images, LABELS, shuffle=False)
        fit(other, images, (LABELS + 1) % CLASSES, shuffle=False)
    # The same seed of the networks gives the same weights and noise.
    for weight, expected in zip(one.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert np.abs(one.get_weights()[0] - other.get_weights()[0]).max() > 1e-3


def test_validation_split_takes_labels_too(images):
    cvae = quieten(make(optimizer=keras.optimizers.SGD(0.0)))
    by_hand = np.float64(cvae.loss_terms([images, LABELS], False)["loss"])
    history = fit(cvae, images, LABELS, validation_split=0.2)
    assert history["loss"][0] == pytest.approx(by_hand[:16].mean(), rel=1e-5)
    assert history["val_loss"][0] == pytest.approx(by_hand[16:].mean(), rel=1e-5)


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_saved_model_gives_the_same_and_goes_on_training(kind, images, tmp_path):
    through, halted = (
        make(kind, optimizer=keras.optimizers.Adam(0.01), reconstruction_loss=losses.gaussian, samples=2, free_nats=0.1)
        for _ in range(2)
    )
    through.beta = halted.beta = 2.5
    fit(through, images, LABELS, epochs=2, shuffle=False)
    fit(halted, images, LABELS, shuffle=False)
    halted.save(tmp_path / "cvae.keras")
    loaded = keras.models.load_model(tmp_path / "cvae.keras")
    assert type(loaded) is ConditionalVAE
    assert (loaded.classes, loaded.beta, loaded.samples, loaded.free_nats) == (CLASSES, 2.5, 2, 0.1)
    assert loaded.reconstruction_loss is losses.gaussian
    np.testing.assert_array_equal(
        loaded.predict([images, LABELS], verbose=0), halted.predict([images, LABELS], verbose=0)
    )
    # To predict draws noise too.
    resumed = keras.models.load_model(tmp_path / "cvae.keras")
    fit(resumed, images, LABELS, shuffle=False)
    for weight, other in zip(through.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.fixture(scope="module")
def untrained():
    """A model that is never trained: what it is given is refused."""
    return make()


MISSING = "comes without labels. Expected the class of each image.*fit(x, y)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, f"x {MISSING}"),
        ({"x": "tf"}, f"x {MISSING}"),
        ({"x": "PyDataset"}, f"x {MISSING}"),
        ({"y": LABELS, "validation_data": "array"}, f"validation_data {MISSING}"),
        ({"y": LABELS, "validation_data": "tf"}, f"validation_data {MISSING}"),
        ({"y": LABELS[:-1]}, "x has 20 images but 19 labels"),
        (
            {"y": LABELS + 1},
            "y of x runs from 1 to 3, but there are 3 classes. Expected labels 0 to 2",
        ),
        ({"y": LABELS - 1}, "y of x runs from -1 to 1"),
        ({"y": LABELS / 2}, "y of x has shape (20,) and type float64. Expected whole numbers"),
        ({"y": np.eye(3, dtype=int)[LABELS]}, "y of x has shape (20, 3).*one_hot.argmax(axis=1)"),
        ({"y": LABELS.astype(str)}, "y of x has shape (20,) and type <U21"),
        ({"y": LABELS, "validation_data": "shifted"}, "y of validation_data runs from 1 to 3"),
        ({"x": "tf shifted"}, "y of x runs from 1 to 3"),
        ({"y": LABELS, "sample_weight": np.ones(20)}, "sample_weight is given"),
        ({"y": LABELS, "class_weight": {0: 1.0}}, "class_weight is given, but every image counts the same"),
    ],
    ids=str,
)
def test_labels_that_are_missing_or_none_are_refused_before_training(untrained, images, arguments, message):
    sources = {
        "array": images,
        "tf": tf.data.Dataset.from_tensors(images),
        "PyDataset": Batches(images),
        "shifted": (images, LABELS + 1),
        "tf shifted": tf.data.Dataset.from_tensors((images, LABELS + 1)),
    }
    found = {name: sources.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()}
    message = "^" + ".*".join(map(re.escape, message.split(".*")))
    with pytest.raises(ValueError, match=message):
        untrained.fit(**{"x": images, **found}, verbose=0)
    assert int(untrained.optimizer.iterations) == 0
    if "validation_data" not in found and "class_weight" not in found:
        with pytest.raises(ValueError, match=message):
            untrained.evaluate(**{"x": images, **found}, verbose=0)


def test_pixels_are_looked_at_as_in_a_vae(untrained, images):
    with pytest.raises(ValueError, match=r"^x runs from .* Expected pixels in \[0, 1\]"):
        untrained.fit(255 * images, LABELS, verbose=0)


def test_a_generator_without_labels_is_refused(images):
    with pytest.raises(ValueError, match="batch comes without labels"):
        make().fit(((images,) for _ in range(1)), steps_per_epoch=1, shuffle=False, verbose=0)


def test_networks_that_do_not_fit_are_refused():
    (encoder, decoder), (plain_encoder, plain_decoder) = (
        [build(classes=classes) for build in BUILDERS["dense"]] for classes in (CLASSES, None)
    )
    other = BUILDERS["dense"][1](classes=4)
    with pytest.raises(ValueError, match=r"encoder has 1 inputs\. Expected images and labels: .*classes=10"):
        ConditionalVAE(plain_encoder, decoder)
    with pytest.raises(ValueError, match=r"decoder has 1 inputs\. Expected z and labels"):
        ConditionalVAE(encoder, plain_decoder)
    with pytest.raises(ValueError, match=r"encoder has 2 inputs\. Expected images: .*for a ConditionalVAE"):
        VAE(encoder, decoder)
    with pytest.raises(ValueError, match=r"decoder has 2 inputs\. Expected z: "):
        VAE(plain_encoder, decoder)
    with pytest.raises(ValueError, match=r"encoder takes 3 classes but decoder 4\. Expected the same"):
        ConditionalVAE(encoder, other)
    with pytest.raises(ValueError, match="encoder gives 3 latents but decoder takes"):
        ConditionalVAE(networks.dense_encoder(SHAPE, 3, (8,), classes=CLASSES), decoder)
    image, label = keras.Input(SHAPE), keras.Input((), dtype="int32")
    x = layers.Concatenate()([layers.Flatten()(image), layers.Embedding(CLASSES, 2)(label)])
    heads = [layers.Dense(2)(x), layers.Dense(2)(x)]
    embedding = keras.Model([image, label], [*heads, Sampling()(*heads)])
    with pytest.raises(ValueError, match=r"encoder has no CategoryEncoding layer.*classes=10"):
        ConditionalVAE(embedding, decoder)


@pytest.mark.parametrize("classes", [1, 0, -1, 2.5, "10", (3,)])
def test_classes_that_are_no_number_of_them_are_refused(classes):
    for build in (*BUILDERS["dense"], *BUILDERS["convolutional"]):
        with pytest.raises(ValueError, match=re.escape(f"classes is {classes!r}. Expected how many there are")):
            build(classes=classes)


def test_an_encoder_that_sees_classes_cannot_be_tied():
    with pytest.raises(ValueError, match=r"encoder has the layers .*'one_hot'.*Expected dense layers alone"):
        networks.tied_decoder(BUILDERS["dense"][0](classes=CLASSES))
