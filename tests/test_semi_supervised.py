"""SemiSupervisedVAE: a label counts where there is one, and every class where there is none."""

import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from derivatives import value_and_gradients
from keras import layers, ops
from quick import quickly
from scipy.special import log_softmax, logsumexp
from seeding import SEED, rng

from vae_keras import ConditionalVAE, SemiSupervisedVAE, data, losses, networks

SHAPE = (8, 8, 1)
CLASSES = 3
# Every third image has no label.
LABELS = np.arange(20) % 4 % CLASSES
LABELS[::3] = -1
TERMS = ("loss", "reconstruction_loss", "kl_loss", "class_loss")


def parts(classes=CLASSES, hidden=(8,), shape=SHAPE):
    same = {"latent_dim": 2, "hidden": hidden, "classes": classes, "seed": SEED}
    start = keras.initializers.GlorotUniform(seed=SEED)
    classifier = keras.Sequential(
        [keras.Input(shape), layers.Flatten(), layers.Dense(classes, kernel_initializer=start)]
    )
    return networks.dense_encoder(shape, **same), networks.dense_decoder(shape, **same), classifier


def make(optimizer=None, compile_arguments=None, **arguments):
    model = SemiSupervisedVAE(*parts(), **arguments)
    # Tracing a step takes longer than a few steps take as they stand.
    compile_arguments = {"run_eagerly": True} if compile_arguments is None else compile_arguments
    model.compile(optimizer or keras.optimizers.SGD(0.01), **quickly(**compile_arguments))
    return model


def quieten(model):
    """Leave a model no noise, so that what it gives can be computed by hand."""
    head = model.encoder.get_layer("z_log_var")
    head.set_weights([np.zeros_like(head.kernel), np.full_like(head.bias, -40)])
    return model


def fit(model, *source, epochs=1, batch_size=8, **arguments):
    return model.fit(*source, epochs=epochs, batch_size=batch_size, verbose=0, **arguments).history


def in_each_class(model, images, term="loss"):
    """A term of the ConditionalVAE of the same networks, in every class, (n, classes)."""
    conditional = ConditionalVAE(model.encoder, model.decoder, beta=model.beta)
    return np.stack(
        [
            np.float64(conditional.loss_terms([images, np.full(len(images), label)], False)[term])
            for label in range(CLASSES)
        ],
        axis=1,
    )


def terms_by_hand(model, images, labels):
    """All terms for each image, in float64, image by image."""
    log_q = log_softmax(np.float64(model.classifier(images)), axis=1)
    terms = {name: [] for name in TERMS}
    by_class = {name: in_each_class(model, images, name) for name in TERMS[:3]}
    for row, label in enumerate(labels):
        q = np.eye(CLASSES)[label] if label >= 0 else np.exp(log_q[row])
        entropy = 0 if label >= 0 else -np.sum(q * log_q[row])
        for name in TERMS[:3]:
            terms[name].append(np.sum(q * by_class[name][row]))
        terms["class_loss"].append(np.log(CLASSES) - entropy)
        terms["loss"][-1] += terms["class_loss"][-1]
        if label >= 0:
            terms["loss"][-1] -= model.classifier_weight * log_q[row, label]
    return {name: np.array(values) for name, values in terms.items()}


@pytest.mark.parametrize("arguments", [{}, {"beta": 3.0, "classifier_weight": 5.0}, {"samples": 3}], ids=str)
def test_the_terms_are_those_of_the_paper(arguments, images):
    model = quieten(make(**arguments))
    model.classifier.layers[-1].bias.assign([1.0, 0.0, -1.0])
    expected = terms_by_hand(model, images, LABELS)
    terms = model.loss_terms([images, LABELS], training=True)
    assert tuple(sorted(terms)) == tuple(sorted(TERMS))
    for name, values in terms.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, err_msg=name)
    assert np.std(expected["class_loss"][LABELS == -1]) > 1e-3


def test_an_image_without_a_label_costs_its_bound_on_log_p_where_the_classifier_is_right(images):
    # The best guess is Bayes' rule: then the sum over the classes is exact, and any other guess costs more.
    model = quieten(make())
    one = np.repeat(images[:1], 5, axis=0)
    in_classes = in_each_class(model, one)[0]
    classifier = model.classifier.layers[-1]
    classifier.set_weights([np.zeros_like(classifier.kernel), -in_classes])
    exact = -logsumexp(-in_classes - np.log(CLASSES))
    unlabelled = np.full(5, -1)
    np.testing.assert_allclose(model.loss_terms([one, unlabelled], False)["loss"], exact, rtol=1e-5)
    for logits in rng().normal(size=(5, CLASSES)):
        classifier.set_weights([np.zeros_like(classifier.kernel), logits - in_classes])
        assert np.asarray(model.loss_terms([one, unlabelled], False)["loss"]).min() > exact + 1e-3


def test_with_all_labels_it_is_a_conditional_vae_beside_a_classifier(images):
    labels = np.arange(20) % CLASSES
    model = quieten(make(classifier_weight=2.0))
    conditional = ConditionalVAE(model.encoder, model.decoder).loss_terms([images, labels], True)
    cross_entropy = keras.losses.sparse_categorical_crossentropy(labels, model.classifier(images), from_logits=True)
    terms = model.loss_terms([images, labels], True)
    expected = conditional["loss"] + np.log(CLASSES) + 2 * cross_entropy
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(terms["kl_loss"], conditional["kl_loss"], rtol=1e-4)


def test_one_step_follows_the_gradient_of_the_whole_loss(images):
    model = quieten(make(beta=2.0, classifier_weight=3.0, optimizer=keras.optimizers.SGD(0.05)))
    twin = quieten(make())

    def mean_loss():
        x, labels = ops.convert_to_tensor(images), ops.convert_to_tensor(LABELS)
        log_q = ops.log_softmax(twin.classifier(x))
        total = 0.0
        for label in range(CLASSES):
            of_all = ops.full((20,), label, dtype="int32")
            z_mean, z_log_var, z = twin.encoder([x, of_all])
            p = twin.decoder([z, of_all])
            reconstruction = -ops.sum(x * ops.log(p) + (1 - x) * ops.log(1 - p), axis=(1, 2, 3))
            kl = ops.sum(ops.exp(z_log_var) + z_mean**2 - 1 - z_log_var, axis=1) / 2
            loss = reconstruction + 2 * kl
            q = ops.exp(log_q[:, label])
            guessed = q * (loss + log_q[:, label])
            given = loss - 3 * log_q[:, label]
            total += ops.where(labels == -1, guessed, ops.where(labels == label, given, 0.0))
        return ops.mean(total)

    _, gradients = value_and_gradients(mean_loss, twin.trainable_weights)
    fit(model, images, LABELS, batch_size=20, shuffle=False)
    for weight, start, gradient in zip(model.trainable_weights, twin.trainable_weights, gradients, strict=True):
        np.testing.assert_allclose(weight.numpy(), start.numpy() - 0.05 * gradient, rtol=1e-3, atol=2e-5)
    # Images without a label teach the classifier, too: by how well each class explains them.
    kernel = model.classifier.layers[-1].kernel
    assert np.abs(kernel.numpy() - twin.classifier.layers[-1].kernel.numpy()).max() > 1e-4


def test_noise_of_the_networks_is_for_training_alone(images):
    _, decoder, classifier = parts()
    encoder = networks.dense_encoder(SHAPE, hidden=(8,), classes=CLASSES, noise=0.5, seed=SEED)
    noisy = keras.Sequential([keras.Input(SHAPE), layers.GaussianNoise(0.5, seed=SEED), classifier])
    model = SemiSupervisedVAE(encoder, decoder, noisy)
    unlabelled = np.full(20, -1)
    quiet, again, loud = (model.loss_terms([images, unlabelled], training) for training in (False, False, True))
    np.testing.assert_array_equal(quiet["kl_loss"], again["kl_loss"])
    for name in ("kl_loss", "class_loss"):
        assert np.abs(np.asarray(quiet[name]) - np.asarray(loud[name])).max() > 1e-3


def halves(n=96, classes=6):
    """Images of which the upper half shows the class, with some pixels wrong, and the lower half one of two styles."""
    generator = rng(3)
    upper, lower = ((generator.random((count, 4, 8, 1)) > 0.5).astype("float32") for count in (classes, 2))
    labels, styles = np.arange(n) % classes, generator.integers(0, 2, n)
    x = np.concatenate([upper[labels], lower[styles]], axis=1)
    return np.abs(x - (generator.random(x.shape) < 0.2)).astype("float32"), labels


def test_images_without_labels_teach_the_classes_and_each_can_be_drawn():
    x, y = halves(n=360)
    chosen = data.draw_labelled(y, 12, seed=SEED)
    model = SemiSupervisedVAE(*parts(classes=6, hidden=(32,)), classifier_weight=20.0)
    model.compile(keras.optimizers.Adam(0.01), **quickly())
    alone = keras.models.clone_model(model.classifier)
    alone.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    alone.fit(x[chosen], y[chosen], epochs=100, verbose=0)
    model.fit(data.PartlyLabelled(x, y, chosen, batch_size=48, labelled=12, seed=SEED), epochs=40, verbose=0)
    shares = [(each.predict(x, verbose=0).argmax(axis=1) == y).mean() for each in (alone, model.classifier)]
    assert shares[1] > shares[0] + 0.1
    for label in range(6):
        drawn = model.decoder.predict([rng().normal(size=(50, 2)), np.full(50, label)], verbose=0)
        upper = x[y == label, :4].mean(axis=0) > 0.5
        assert np.mean((drawn[:, :4] > 0.5) == upper) > 0.65


@pytest.mark.parametrize("source", ["arrays", "tf.data", "PyDataset"])
def test_every_source_of_images_and_labels_is_trained_on_and_validated(source, images):
    model = quieten(make(optimizer=keras.optimizers.SGD(0.0), compile_arguments={}))
    chosen = np.flatnonzero(LABELS >= 0)[:4]
    train, batch_size = {
        "arrays": ((images, LABELS), 8),
        "tf.data": ((tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(8),), None),
        "PyDataset": ((data.PartlyLabelled(images, np.maximum(LABELS, 0), chosen, 8, 2),), None),
    }[source]
    expected = terms_by_hand(model, images, np.full(20, -1))
    arguments = {"batch_size": batch_size} if batch_size else {}
    history = model.fit(
        *train, validation_data=(images, np.full(20, -1)), shuffle=False, verbose=0, **arguments
    ).history
    assert set(history) == {prefix + name for prefix in ("", "val_") for name in TERMS}
    for name in TERMS:
        assert history[f"val_{name}"][0] == pytest.approx(expected[name].mean(), rel=1e-4)
    measured = model.evaluate(images, LABELS, verbose=0, return_dict=True)
    by_hand = terms_by_hand(model, images, LABELS)
    assert measured == pytest.approx({name: values.mean() for name, values in by_hand.items()}, rel=1e-4)


@pytest.mark.parametrize("compile_arguments", [{}, {"jit_compile": True}], ids=str)
def test_the_loss_falls(compile_arguments, images):
    model = make(optimizer=keras.optimizers.Adam(0.02), compile_arguments=compile_arguments)
    history = fit(model, images[:16], LABELS[:16], epochs=12, batch_size=16)
    assert history["loss"][-1] < history["loss"][0] - 0.2


def test_mixed_precision_trains(mixed_float16, images):
    model = make(optimizer=keras.optimizers.Adam(0.02), compile_arguments={})
    history = fit(model, images, LABELS, epochs=10)
    assert history["loss"][-1] < history["loss"][0] - 1


def test_two_models_train_side_by_side_as_they_do_alone(images):
    alone, one = (make(optimizer=keras.optimizers.Adam(0.01)) for _ in range(2))
    other = make(beta=9.0, optimizer=keras.optimizers.Adam(0.1))
    fit(alone, images, LABELS, epochs=2, shuffle=False)
    for _ in range(2):
        fit(one, images, LABELS, shuffle=False)
        fit(other, images, np.where(LABELS < 0, 0, -1), shuffle=False)
    for weight, expected in zip(one.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert np.abs(one.get_weights()[0] - other.get_weights()[0]).max() > 1e-3


def test_a_saved_model_gives_the_same_and_goes_on_training(images, tmp_path):
    arguments = {"reconstruction_loss": losses.gaussian, "beta": 2.5, "classifier_weight": 7.0}
    through, halted = (make(optimizer=keras.optimizers.Adam(0.01), **arguments) for _ in range(2))
    fit(through, images, LABELS, epochs=2, shuffle=False)
    fit(halted, images, LABELS, shuffle=False)
    halted.save(tmp_path / "m2.keras")
    loaded, resumed = (keras.models.load_model(tmp_path / "m2.keras") for _ in range(2))
    assert type(loaded) is SemiSupervisedVAE
    assert (loaded.classes, loaded.beta, loaded.classifier_weight) == (CLASSES, 2.5, 7.0)
    np.testing.assert_array_equal(loaded.classifier(images), halted.classifier(images))
    fit(resumed, images, LABELS, shuffle=False)
    for weight, other in zip(through.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_labels_that_are_none_are_refused_before_training(images):
    model = make()
    for labels, message in (
        (None, "x comes without labels"),
        (LABELS - 1, "runs from -2 to 1, but there are 3 classes. Expected labels -1 to 2"),
        (np.where(LABELS == 2, 3, LABELS), "runs from -1 to 3"),
        (LABELS / 2, "Expected whole numbers"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            model.fit(images, labels, verbose=0)
        with pytest.raises(ValueError, match=re.escape(message)):
            model.evaluate(images, labels, verbose=0)
    with pytest.raises(ValueError, match="y of validation_data runs from -2"):
        model.fit(images, LABELS, validation_data=(images, LABELS - 1), verbose=0)
    assert int(model.optimizer.iterations) == 0


def test_classifiers_and_settings_that_do_not_fit_are_refused():
    *both, classifier = parts()
    make = functools.partial(SemiSupervisedVAE, *both)
    for wrong in (parts(classes=4)[2], parts(shape=(8, 9, 1))[2]):
        with pytest.raises(ValueError, match=r"classifier takes .* and gives .*Expected images .*\(None, 3\)"):
            make(wrong)
    for wrong in ("classifier", layers.Dense(3), keras.Sequential([layers.Flatten(), layers.Dense(3)])):
        with pytest.raises(ValueError, match=r"classifier is .*begin it with keras\.Input\(\(8, 8, 1\)\)"):
            make(wrong)
    for weight in (-1, np.nan, "1"):
        with pytest.raises(ValueError, match=f"classifier_weight is {weight!r}"):
            make(classifier, classifier_weight=weight)
    with pytest.raises(ValueError, match=r"free_nats is 0.5, but a SemiSupervisedVAE has none"):
        make(classifier, free_nats=0.5)
