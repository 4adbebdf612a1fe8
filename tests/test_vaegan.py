"""VAEGAN: each of three networks learns from its own loss, with its own optimizer."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from seeding import SEED

from vae_keras import VAE, VAEGAN, WarmUp, losses, networks

SHAPE = (8, 8, 1)
NAMES = ("encoder", "decoder", "discriminator")
METRICS = {*(f"{name}_loss" for name in NAMES), "feature_loss", "kl_loss", "reconstruction_loss"}
FEATURES = 4 * 4 * 3
# Tracing a step takes longer than a few steps take as they stand.
EAGERLY = {"run_eagerly": True}


def parts():
    return (
        networks.dense_encoder(SHAPE, hidden=(8,), seed=SEED),
        networks.dense_decoder(SHAPE, hidden=(8,), seed=SEED),
        networks.conv_discriminator(SHAPE, filters=(3,), hidden=(5,), seed=SEED),
    )


def make(kind=VAEGAN, optimizer=lambda: keras.optimizers.SGD(0.05), compile_arguments=EAGERLY, **arguments):
    model = kind(*parts(), **{"beta": 3.0, "feature_weight": 7.0, "seed": SEED, **arguments})
    model.compile(*(optimizer() for _ in NAMES), jit_compile=False, **compile_arguments)
    return model


def fit(model, *source, epochs=1, batch_size=20, **arguments):
    return model.fit(
        *source, epochs=epochs, batch_size=batch_size, **{"shuffle": False, "verbose": 0, **arguments}
    ).history


def smooth_adam():
    # With the usual epsilon a gradient that is next to nothing becomes a whole step, up or down.
    return keras.optimizers.Adam(0.05, beta_1=0.5, epsilon=1e-2)


def step_by_hand(model, images, optimizers, beta=3.0, feature_weight=7.0):
    """One step of each network: its loss written out, its gradient alone, and its own optimizer."""
    batch = tf.constant(images)
    sampling = model.encoder.get_layer("z")
    noise = [draw(tf.zeros((20, 2)), tf.zeros((20, 2))) for draw in (sampling, model.prior)]
    state = sampling.seed_generator.state.numpy()

    def encode():
        z_mean, z_log_var, _ = model.encoder(batch)
        return z_mean, z_log_var, z_mean + tf.exp(z_log_var / 2) * noise[0]

    def squared_feature_errors(reconstruction):
        return tf.square(model.discriminator(batch)[0] - model.discriminator(reconstruction)[0])

    weights = {name: [weight.value for weight in getattr(model, name).trainable_weights] for name in NAMES}
    found, gradients = {}, {}
    z_mean, z_log_var, z = encode()
    reconstruction, drawn = (model.decoder(latents).numpy() for latents in (z, noise[1]))
    variance = float(tf.reduce_mean(squared_feature_errors(reconstruction)))

    with tf.GradientTape() as tape:
        z_mean, z_log_var, z = encode()
        kl = tf.reduce_sum(tf.exp(z_log_var) + z_mean**2 - 1 - z_log_var, axis=1) / 2
        errors = tf.reduce_sum(squared_feature_errors(model.decoder(z)), axis=(1, 2, 3))
        loss = tf.reduce_mean(errors / (2 * variance) + beta * kl)
    gradients["encoder"] = tape.gradient(loss, weights["encoder"])
    found |= {"encoder_loss": loss, "kl_loss": tf.reduce_mean(kl), "feature_loss": tf.reduce_mean(errors) / 2}

    z = encode()[2].numpy()
    with tf.GradientTape() as tape:
        made = model.decoder(z)
        of_features = tf.reduce_mean(squared_feature_errors(made)) / (2 * variance)
        logits = [model.discriminator(fake)[1] for fake in (made, model.decoder(noise[1]))]
        gan = sum(tf.reduce_mean(-tf.math.log(tf.sigmoid(logit))) for logit in logits)
        loss = feature_weight * of_features + gan
    gradients["decoder"] = tape.gradient(loss, weights["decoder"])
    p = np.float64(made)
    cross_entropy = -(images * np.log(p) + (1 - images) * np.log(1 - p)).sum(axis=(1, 2, 3))
    found |= {"decoder_loss": loss, "reconstruction_loss": cross_entropy.mean()}

    with tf.GradientTape() as tape:
        # All at once: each pass in training normalises the kernels anew.
        logits = model.discriminator(np.concatenate([images, reconstruction, drawn]), training=True)[1][:, 0]
        on_images = tf.reduce_mean(-tf.math.log(tf.sigmoid(logits[:20])))
        loss = on_images + tf.reduce_mean(-tf.math.log(1 - tf.sigmoid(logits[20:])))
    gradients["discriminator"] = tape.gradient(loss, weights["discriminator"])
    found["discriminator_loss"] = loss
    # Encoding twice has drawn more noise than a step does.
    sampling.seed_generator.state.assign(state)
    for name in NAMES:
        optimizers[name].apply(gradients[name], getattr(model, name).trainable_weights)
    return {name: float(value) for name, value in found.items()}, gradients


def check_steps(kind, images, optimizer, steps=1, compile_arguments=EAGERLY, shared=False, by_hand=None):
    """Compare the steps that `fit` takes with those by hand: the values of all metrics, and all weights."""
    model, twin = (make(kind, optimizer, compile_arguments) for _ in range(2))
    optimizers = {name: (by_hand or optimizer)() for name in NAMES}
    if shared:
        one = optimizer()
        one.build(model.trainable_weights)
        for name in NAMES:
            setattr(model, f"{name}_optimizer", one)
    for _ in range(steps):
        history = fit(model, images)
        expected, gradients = step_by_hand(twin, images, optimizers)
        assert set(history) == METRICS
        for name, value in expected.items():
            assert history[name][0] == pytest.approx(value, rel=1e-4), name
    for name in NAMES:
        for weight, expected, gradient in zip(
            getattr(model, name).trainable_weights, getattr(twin, name).trainable_weights, gradients[name], strict=True
        ):
            # A step is told from none.
            assert 0.05 * np.abs(gradient).max() > 5e-5, weight.path
            np.testing.assert_allclose(
                weight.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5, err_msg=f"{name} {weight.path}"
            )


@pytest.mark.parametrize("compile_arguments", [EAGERLY, {}], ids=["eager", "compiled"])
def test_each_network_steps_down_the_gradient_of_its_own_loss(compile_arguments, images):
    check_steps(VAEGAN, images, lambda: keras.optimizers.SGD(0.05), compile_arguments=compile_arguments)


def test_the_losses_are_scaled_as_the_optimizers_want_it(images):
    def scaled():
        return keras.optimizers.SGD(0.05, loss_scale_factor=8.0)

    check_steps(VAEGAN, images, scaled, by_hand=lambda: keras.optimizers.SGD(0.05))


def test_each_network_has_an_optimizer_of_its_own(images):
    check_steps(VAEGAN, images, smooth_adam, steps=2)


class Helpful(VAEGAN):
    """The decoder follows the discriminator's loss, too: harmless only as long as its fakes are cut off there."""

    def train_step(self, data):
        steps = [(getattr(self, f"{name}_optimizer"), getattr(self, name).trainable_weights) for name in NAMES]
        with tf.GradientTape(persistent=True) as tape:
            terms = self.loss_terms(data, training=True)
            followed = [terms["encoder_loss"], terms["decoder_loss"] + terms["discriminator_loss"]]
            followed = [tf.reduce_mean(loss) for loss in (*followed, terms["discriminator_loss"])]
        gradients = [tape.gradient(loss, weights) for loss, (_, weights) in zip(followed, steps)]
        for (optimizer, weights), gradient in zip(steps, gradients):
            optimizer.apply(gradient, weights)
        return self.track(**terms)


class OneLoss(VAEGAN):
    """All three follow the sum of the losses: the discriminator that of the features, the encoder that of the GAN."""

    def train_step(self, data):
        with tf.GradientTape(persistent=True) as tape:
            terms = self.loss_terms(data, training=True)
            total = tf.reduce_mean(terms["encoder_loss"] + terms["decoder_loss"] + terms["discriminator_loss"])
        for name in NAMES:
            weights = getattr(self, name).trainable_weights
            getattr(self, f"{name}_optimizer").apply(tape.gradient(total, weights), weights)
        return self.track(**terms)


def test_fakes_are_cut_off_where_the_discriminator_learns(images, monkeypatch):
    check_steps(Helpful, images, lambda: keras.optimizers.SGD(0.05))
    cut = ops.stop_gradient
    monkeypatch.setattr(ops, "stop_gradient", lambda x: x if len(x.shape) == 4 else cut(x))
    with pytest.raises(AssertionError, match="decoder"):
        check_steps(Helpful, images, lambda: keras.optimizers.SGD(0.05))


def test_one_loss_or_one_optimizer_for_all_would_be_found_out(images):
    with pytest.raises(AssertionError, match="encoder"):
        check_steps(OneLoss, images, lambda: keras.optimizers.SGD(0.05))
    with pytest.raises(AssertionError):
        check_steps(VAEGAN, images, smooth_adam, steps=2, shared=True)


def test_no_loss_reaches_a_network_that_it_is_not_for(images):
    model = make()
    with tf.GradientTape(persistent=True) as tape:
        terms = model.loss_terms(images, training=True)
    for name in ("encoder", "decoder"):
        for gradient in tape.gradient(terms["discriminator_loss"], getattr(model, name).trainable_weights):
            assert gradient is None
    gradients = tape.gradient(terms["discriminator_loss"], model.discriminator.trainable_weights)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def with_batch_normalisation():
    image = keras.Input(SHAPE)
    x = layers.BatchNormalization(momentum=0.5)(image)
    features = layers.Flatten()(layers.Dropout(0.5, seed=SEED)(x))
    return keras.Model(image, [features, layers.Dense(1)(features)])


def test_the_discriminator_moves_in_its_own_pass_alone(images):
    model, twin = (VAEGAN(*parts()[:2], with_batch_normalisation(), seed=SEED) for _ in range(2))
    for each in (model, twin):
        each.loss_terms(images, training=False)
        np.testing.assert_array_equal(each.discriminator.layers[1].moving_mean, [0])
    z = twin.encoder(images)[2]
    fakes = [twin.decoder(latents).numpy() for latents in (z, twin.prior(tf.zeros((20, 2)), tf.zeros((20, 2))))]
    feature_loss = model.loss_terms(images, training=True)["feature_loss"]
    mean = np.mean([images.mean(), *(fake.mean() for fake in fakes)])
    np.testing.assert_allclose(model.discriminator.layers[1].moving_mean, [0.5 * mean], rtol=1e-5)
    # Neither dropout nor the mean of the batch plays a part where encoder and decoder look through it.
    expected = np.square(images - fakes[0]).sum(axis=(1, 2, 3)) / 2 / (1 + 1e-3)
    np.testing.assert_allclose(feature_loss, expected, rtol=1e-4)


def test_the_variance_of_the_features_is_their_mean_squared_error(images):
    model = make(beta=0.0)
    terms = model.loss_terms(images, training=True)
    assert all(values.shape == (20,) for values in terms.values())
    assert np.mean(terms["encoder_loss"]) == pytest.approx(FEATURES / 2, rel=1e-5)
    like = FEATURES / 2 * terms["feature_loss"] / np.mean(terms["feature_loss"])
    np.testing.assert_allclose(terms["encoder_loss"], like, rtol=1e-4)


def test_features_without_any_error_do_not_break_training(images):
    model = make()
    for weight in model.discriminator.weights:
        weight.assign(np.zeros(weight.shape))
    history = fit(model, images)
    assert all(np.isfinite(values).all() for values in history.values())
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_weight_penalties_count_in_the_loss_of_their_network(images):
    def make_with(strength):
        image = keras.Input(SHAPE)
        features = layers.Dense(
            2,
            kernel_initializer=keras.initializers.GlorotUniform(SEED),
            kernel_regularizer=keras.regularizers.L2(strength),
        )(layers.Flatten()(image))
        logit = layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(SEED + 1))(features)
        return VAEGAN(*parts()[:2], keras.Model(image, [features, logit]), seed=SEED)

    plain, penalised = make_with(0.0), make_with(3.0)
    terms, others = (model.loss_terms(images, training=True) for model in (plain, penalised))
    penalty = 3 * np.square(penalised.discriminator.layers[2].kernel.numpy()).sum()
    for name in METRICS:
        added = penalty if name == "discriminator_loss" else 0
        np.testing.assert_allclose(others[name] - terms[name], added, rtol=1e-4, atol=1e-4, err_msg=name)


def test_metrics_are_means_over_all_images_in_training_validation_and_evaluation(images):
    model = make(optimizer=lambda: keras.optimizers.SGD(0.0))
    head = model.encoder.get_layer("z_log_var")
    head.set_weights([np.zeros_like(head.kernel), np.full_like(head.bias, -40)])  # No noise is left.
    vae = VAE(model.encoder, model.decoder)
    by_hand = vae.loss_terms(images, training=False)
    history = fit(model, images, batch_size=8, validation_data=(images[::-1], np.arange(20)))
    assert set(history) == METRICS | {f"val_{name}" for name in METRICS}
    measured = model.evaluate(images, batch_size=8, verbose=0, return_dict=True)
    assert set(measured) == METRICS
    for name in ("kl_loss", "reconstruction_loss"):
        expected = np.mean(by_hand[name])
        # The last batch is smaller and unlike the others.
        assert np.mean(by_hand[name][16:]) != pytest.approx(expected, rel=1e-3)
        for value in (history[name][0], history[f"val_{name}"][0], measured[name]):
            assert value == pytest.approx(expected, rel=1e-5), name


def test_call_and_predict_are_the_decoded_mean(images):
    model = make()
    expected = model.decoder(model.encoder(images)[0])
    np.testing.assert_array_equal(model(images), expected)
    np.testing.assert_allclose(model.predict(images, batch_size=8, verbose=0), expected, rtol=1e-5)


def test_evaluation_changes_no_weight(images):
    model = make()
    before = model.get_weights()
    model.evaluate(images, batch_size=20, verbose=0)
    for weight, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_short_training_stays_finite_changes_all_three_and_mends_the_reconstruction(images):
    model = make(
        optimizer=lambda: keras.optimizers.Adam(0.01, beta_1=0.5), compile_arguments={}, beta=1.0, feature_weight=10.0
    )
    before = {name: getattr(model, name).get_weights() for name in NAMES}
    history = fit(model, images, epochs=40, batch_size=10, callbacks=[WarmUp(5)])
    assert all(np.isfinite(values).all() for values in history.values())
    for name in NAMES:
        changes = [np.abs(now - start).max() for now, start in zip(getattr(model, name).get_weights(), before[name])]
        assert np.isfinite(changes).all()
        assert max(changes) > 1e-2, name
    assert history["reconstruction_loss"][-1] < history["reconstruction_loss"][0] - 1
    assert model.beta == 1.0


def test_the_same_seeds_give_the_same_weights_and_another_other_ones(images):
    one, same, other = (make(seed=seed) for seed in (SEED, SEED, SEED + 1))
    for model in (one, same, other):
        fit(model, images)
    for weight, twin in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, twin)
    # All that differs is the draws of the prior, from which the encoder does not learn.
    for name, differ in zip(NAMES, (False, True, True)):
        pairs = zip(getattr(one, name).get_weights(), getattr(other, name).get_weights())
        assert any(np.any(weight != twin) for weight, twin in pairs) == differ, name


def test_without_a_seed_the_global_one_fixes_all(images):
    trained = []
    for seed in (SEED, SEED, SEED + 1):
        keras.utils.set_random_seed(seed)
        built = (networks.dense_encoder, networks.dense_decoder)
        both = [build(SHAPE, hidden=(8,)) for build in built]
        model = VAEGAN(*both, networks.conv_discriminator(SHAPE, filters=(3,), hidden=()))
        model.compile(*(keras.optimizers.SGD(0.05) for _ in NAMES), run_eagerly=True)
        fit(model, images)
        trained.append(model.get_weights())
    for weight, same in zip(*trained[:2], strict=True):
        np.testing.assert_array_equal(weight, same)
    assert any(np.any(weight != other) for weight, other in zip(trained[0], trained[2]))


def test_a_saved_model_goes_on_training_as_if_nothing_had_happened(images, tmp_path):
    rates = iter((0.01, 0.02, 0.03) * 2)

    def adam():
        return keras.optimizers.Adam(next(rates), beta_1=0.5)

    through, halted = (make(optimizer=adam, reconstruction_loss=losses.gaussian) for _ in range(2))
    fit(through, images, epochs=4, batch_size=8)
    fit(halted, images, epochs=2, batch_size=8)
    halted.save(tmp_path / "vaegan.keras")
    loaded, resumed = (keras.models.load_model(tmp_path / "vaegan.keras") for _ in range(2))
    assert type(resumed) is VAEGAN
    assert (resumed.beta, resumed.feature_weight, resumed.reconstruction_loss) == (3.0, 7.0, losses.gaussian)
    assert resumed.prior.seed == SEED
    assert resumed.run_eagerly
    for number, name in enumerate(NAMES, start=1):
        optimizer, other = (getattr(model, f"{name}_optimizer") for model in (resumed, halted))
        assert float(optimizer.learning_rate) == pytest.approx(number / 100)
        assert int(optimizer.iterations) == 6
        for variable, expected in zip(optimizer.variables, other.variables, strict=True):
            np.testing.assert_array_equal(variable, expected)
    np.testing.assert_array_equal(loaded(images), halted(images))
    fit(resumed, images, epochs=2, batch_size=8)
    for weight, other in zip(through.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_model_that_is_not_compiled_is_saved_too(images, tmp_path):
    model = VAEGAN(*parts(), seed=SEED)
    model.save(tmp_path / "vaegan.keras")
    loaded = keras.models.load_model(tmp_path / "vaegan.keras")
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded(images), model(images))


def test_mixed_precision_trains_without_rounding_the_discriminator(mixed_float16, images, tmp_path):
    model = make(optimizer=lambda: keras.optimizers.Adam(0.01))
    before = {name: getattr(model, name).get_weights() for name in NAMES}
    # The first steps are left out, until the scale of the loss fits.
    history = fit(model, images, epochs=6, batch_size=5)
    assert all(np.isfinite(values).all() for values in history.values())
    for name in NAMES:
        assert type(getattr(model, f"{name}_optimizer")) is keras.optimizers.LossScaleOptimizer
        after = getattr(model, name).get_weights()
        assert max(np.abs(now - start).max() for now, start in zip(after, before[name])) > 1e-3, name
    spectral = [layer for layer in model.discriminator.layers if isinstance(layer, layers.SpectralNormalization)]
    assert [layer.layer.compute_dtype for layer in spectral] == 3 * ["float32"]
    for weight in model.discriminator.trainable_weights:
        if "kernel" in weight.path:
            assert np.abs(weight.numpy() - np.float16(weight.numpy())).max() > 0
    model.save(tmp_path / "vaegan.keras")
    loaded = keras.models.load_model(tmp_path / "vaegan.keras")
    assert type(loaded.encoder_optimizer.inner_optimizer) is keras.optimizers.Adam


def test_one_optimizer_for_two_networks_is_refused():
    model = VAEGAN(*parts(), seed=SEED)
    adams = [keras.optimizers.Adam() for _ in NAMES]
    for given in ((0, 0, 1), (0, 1, 0), (1, 0, 0)):
        with pytest.raises(ValueError, match=r"is given twice.*Expected three: compile\("):
            model.compile(*(adams[number] for number in given))
    for given, keywords in ((adams[:2], {}), ((), {"optimizer": "adam"})):
        with pytest.raises(TypeError, match="discriminator_optimizer"):
            model.compile(*given, **keywords)
    assert not model.compiled
    model.compile("adam", "adam", "adam")
    assert len({id(getattr(model, f"{name}_optimizer")) for name in NAMES}) == 3


def test_a_loss_in_compile_and_bad_images_are_refused_before_training(images):
    model = make()
    for wrong, message in ((255 * images, "Expected pixels in"), (images[..., 0], "Expected .n, height, width")):
        with pytest.raises(ValueError, match=message):
            fit(model, wrong)
        with pytest.raises(ValueError, match=message):
            model.evaluate(wrong, verbose=0)
    model.compile("sgd", "sgd", "sgd", loss="mse")
    with pytest.raises(ValueError, match="compile got loss='mse', but VAEGAN has its loss built in"):
        fit(model, images)


def one_output(image, x):
    return keras.Model(image, layers.Dense(1)(x))


def two_logits(image, x):
    return keras.Model(image, [x, layers.Dense(2)(x)])


def logit_first(image, x):
    return keras.Model(image, [layers.Dense(1)(x), x])


@pytest.mark.parametrize("build", [one_output, two_logits, logit_first])
def test_discriminators_with_other_outputs_are_refused(build):
    image = keras.Input(SHAPE)
    with pytest.raises(ValueError, match=r"discriminator takes .* and gives .*Expected images \(None, 8, 8, 1\)"):
        VAEGAN(*parts()[:2], build(image, layers.Flatten()(image)))


def test_networks_and_settings_that_do_not_fit_are_refused():
    encoder, decoder, discriminator = parts()
    with pytest.raises(ValueError, match=r"discriminator takes \[\(None, 8, 9, 1\)\].*Expected images \(None, 8, 8, 1"):
        VAEGAN(encoder, decoder, networks.conv_discriminator((8, 9, 1), filters=(3,)))
    for wrong in ("discriminator", layers.Dense(1), keras.Sequential([layers.Flatten(), layers.Dense(1)])):
        with pytest.raises(ValueError, match=r"discriminator is .*as networks\.conv_discriminator makes"):
            VAEGAN(encoder, decoder, wrong)
    for name in ("beta", "feature_weight"):
        for weight in (-1, np.nan, "1"):
            with pytest.raises(ValueError, match=re.escape(f"{name} is {weight!r}")):
                VAEGAN(encoder, decoder, discriminator, **{name: weight})
    for name in ("samples", "reconstruction_weight", "free_nats"):
        with pytest.raises(ValueError, match=rf"{name} is 2(\.0)?, but a VAEGAN has none\. Leave it at"):
            VAEGAN(encoder, decoder, discriminator, **{name: 2})
    with pytest.raises(ValueError, match="share weights"):
        VAEGAN(encoder, networks.tied_decoder(encoder), discriminator)
