import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from derivatives import value_and_gradients
from keras import layers, ops
from seeding import SEED, rng

from vae_keras import VAE, Sampling, WarmUp, losses, networks

SHAPE = (8, 8, 1)
# Tracing a step takes longer than a few steps take as they stand. What is trained longer, or is about the compiled step
# itself, is compiled.
EAGERLY = {"run_eagerly": True}


def fit(model, *data, epochs=1, batch_size=8, **arguments):
    return model.fit(*data, epochs=epochs, batch_size=batch_size, verbose=0, **arguments).history


def evaluate(model, images, batch_size=8):
    return model.evaluate(images, batch_size=batch_size, verbose=0, return_dict=True)


def set_log_var(vae, value):
    """Give every image the same log variance."""
    head = vae.encoder.get_layer("z_log_var")
    head.set_weights([np.zeros_like(head.kernel), np.full_like(head.bias, value)])


def terms_by_hand(images, z_mean, z_log_var, reconstruction):
    """Both terms of the loss for each image, in float64 and without the package."""
    z_mean, z_log_var, p = (np.float64(values) for values in (z_mean, z_log_var, reconstruction))
    reconstruction_loss = -(images * np.log(p) + (1 - images) * np.log(1 - p)).sum(axis=(1, 2, 3))
    return reconstruction_loss, 0.5 * (np.exp(z_log_var) + z_mean**2 - 1 - z_log_var).sum(axis=1)


def first_loss_by_hand(vae, images):
    """The mean loss with the noise that a VAE, just made, draws first."""
    z_mean, z_log_var, z = vae.encoder(images)
    reconstruction_loss, kl_loss = terms_by_hand(images, z_mean, z_log_var, vae.decoder(z))
    return (reconstruction_loss + vae.beta * kl_loss).mean()


@pytest.mark.parametrize("shape", [(25, 25, 1), (50, 37, 3)])
def test_a_step_trains_on_images_whose_sides_cannot_be_halved(shape):
    sizes = {"latent_dim": 2, "hidden": (4,), "seed": SEED}
    encoder = networks.conv_encoder(shape, filters=(2, 3), **sizes)
    vae = VAE(encoder, networks.conv_decoder(shape, filters=(3, 2), **sizes))
    vae.compile(keras.optimizers.Adam(), run_eagerly=True, jit_compile=False)
    before = [weight.numpy() for weight in vae.trainable_weights]
    x = rng().random((4, *shape), dtype="float32")
    # Untrained, each pixel costs about log 2.
    assert fit(vae, x)["reconstruction_loss"][0] == pytest.approx(np.log(2) * np.prod(shape), rel=0.1)
    assert not any(np.array_equal(old, new) for old, new in zip(before, vae.trainable_weights))
    assert vae.predict(x, verbose=0).shape == x.shape


def test_history_has_the_three_metrics_and_their_validation(make_vae, images):
    history = fit(make_vae(compile_arguments=EAGERLY), images, validation_data=images)
    names = {"loss", "reconstruction_loss", "kl_loss"}
    assert set(history) == names | {f"val_{name}" for name in names}


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 4.0])
def test_the_loss_is_the_sum_of_its_terms(make_vae, images, beta):
    vae = make_vae(beta=beta, compile_arguments=EAGERLY)
    history = fit(vae, images, epochs=2, validation_data=images[3:])
    for prefix in ("", "val_"):
        loss, reconstruction_loss, kl_loss = (
            np.array(history[prefix + name]) for name in ("loss", "reconstruction_loss", "kl_loss")
        )
        np.testing.assert_allclose(loss, reconstruction_loss + beta * kl_loss, rtol=0, atol=1e-4)
    measured = evaluate(vae, images)
    assert measured["loss"] == pytest.approx(measured["reconstruction_loss"] + beta * measured["kl_loss"], abs=1e-4)
    assert measured["kl_loss"] > 0.01


def test_all_three_are_means_over_the_whole_set(make_vae, images):
    vae = make_vae(optimizer=keras.optimizers.SGD(0.0), beta=2.0)
    set_log_var(vae, -40)  # No noise is left, so that the values can be computed by hand.
    z_mean, z_log_var, _ = vae.encoder(images)
    reconstruction_loss, kl_loss = terms_by_hand(images, z_mean, z_log_var, vae.decoder(z_mean))
    by_hand = {
        "loss": reconstruction_loss + 2 * kl_loss,
        "reconstruction_loss": reconstruction_loss,
        "kl_loss": kl_loss,
    }
    # The last batch is smaller and unlike the others: a mean of batch means, or the last batch alone, would show.
    history = fit(vae, images, validation_data=images[::-1])
    measured = evaluate(vae, images)
    for name, values in by_hand.items():
        for value in (history[name][0], history[f"val_{name}"][0], measured[name]):
            assert value == pytest.approx(values.mean(), rel=1e-5), name
        # Ten times the tolerance apart, so that the one is told from the other.
        assert values[16:].mean() != pytest.approx(values.mean(), rel=1e-4), name


@pytest.mark.parametrize("beta", [0.0, 1.0, 5.0])
def test_one_step_follows_the_gradient_of_the_whole_loss(make_vae, images, beta):
    vae, twin = make_vae(beta=beta, optimizer=keras.optimizers.SGD(0.5)), make_vae()

    def loss_by_hand():
        x = ops.convert_to_tensor(images)
        z_mean, z_log_var, z = twin.encoder(x)  # The same seed: the same noise.
        p = twin.decoder(z)
        reconstruction_loss = -ops.sum(x * ops.log(p) + (1 - x) * ops.log(1 - p)) / len(x)
        kl_loss = ops.sum(ops.exp(z_log_var) + z_mean**2 - 1 - z_log_var) / 2 / len(x)
        return reconstruction_loss + beta * kl_loss

    loss, gradients = value_and_gradients(loss_by_hand, twin.trainable_weights)
    history = fit(vae, images, batch_size=20, shuffle=False)
    assert history["loss"][0] == pytest.approx(float(loss), rel=1e-5)
    assert len(vae.trainable_weights) == 10
    for weight, start, gradient in zip(vae.trainable_weights, twin.trainable_weights, gradients):
        # A step is told from none: it is ten times the tolerance and more.
        assert 0.5 * np.abs(gradient).max() > 10 * 2e-5
        np.testing.assert_allclose(weight.numpy(), start.numpy() - 0.5 * gradient, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("head", ["z_mean", "z_log_var"])
def test_one_step_follows_the_finite_differences_of_the_whole_loss(make_vae, images, head):
    def loss_at(shift):
        vae = make_vae(beta=5.0)
        vae.encoder.get_layer(head).bias.assign([shift, 0])
        return first_loss_by_hand(vae, images)

    slope = (loss_at(0.01) - loss_at(-0.01)) / 0.02
    vae = make_vae(beta=5.0, optimizer=keras.optimizers.SGD(1.0), compile_arguments=EAGERLY)
    fit(vae, images, batch_size=20, shuffle=False)
    assert float(vae.encoder.get_layer(head).bias[0]) == pytest.approx(-slope, rel=0.01)
    assert abs(slope) > 0.1


def test_the_terms_are_those_of_each_image(make_vae, images):
    vae, twin = make_vae(beta=3.0), make_vae()
    z_mean, z_log_var, z = twin.encoder(images)
    reconstruction_loss, kl_loss = terms_by_hand(images, z_mean, z_log_var, twin.decoder(z))
    terms = vae.loss_terms(images, training=True)
    np.testing.assert_allclose(terms["reconstruction_loss"], reconstruction_loss, rtol=1e-5)
    np.testing.assert_allclose(terms["kl_loss"], kl_loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(terms["loss"], reconstruction_loss + 3 * kl_loss, rtol=1e-5)


def test_beta_weighs_the_kl_term_and_not_the_reconstruction(make_vae, images):
    light, heavy = make_vae(beta=0.1), make_vae(beta=100.0)
    one, two = (vae.loss_terms(images, training=True) for vae in (light, heavy))
    for name in ("reconstruction_loss", "kl_loss"):
        np.testing.assert_array_equal(one[name], two[name])
        assert one[name].shape == (20,)
    np.testing.assert_allclose(two["loss"] - one["loss"], 99.9 * one["kl_loss"], rtol=1e-4)


def test_a_callback_changes_beta_while_fit_runs(make_vae, images):
    vae = make_vae(beta=1.0, optimizer=keras.optimizers.SGD(0.1))
    betas = [1.0, 3.0, 0.0]
    change = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: setattr(vae, "beta", betas[epoch]))
    history = fit(vae, images, epochs=3, validation_data=images, callbacks=[change])
    for prefix in ("", "val_"):
        excess = np.array(history[f"{prefix}loss"]) - np.array(history[f"{prefix}reconstruction_loss"])
        np.testing.assert_allclose(excess, np.array(betas) * history[f"{prefix}kl_loss"], atol=1e-4)


def test_beta_set_after_compiling_reaches_the_gradient(make_vae, images):
    changed, fresh = make_vae(beta=0.0), make_vae(beta=50.0)
    evaluate(changed, images)  # Compile the test step too, while beta is 0.
    fit(changed, images, batch_size=20, shuffle=False)
    changed.set_weights(fresh.get_weights())
    # A copy: a step on JAX uses up the values that it is given.
    noise, same_noise = (vae.encoder.get_layer("z").seed_generator.state for vae in (changed, fresh))
    noise.assign(same_noise.numpy())
    changed.beta = 50.0
    assert changed.beta == 50.0
    for vae in (changed, fresh):
        fit(vae, images, batch_size=20, shuffle=False)
    for weight, other in zip(changed.trainable_weights, fresh.trainable_weights):
        np.testing.assert_allclose(weight.numpy(), other.numpy(), atol=1e-5)
    measured = evaluate(changed, images)
    assert measured["loss"] - measured["reconstruction_loss"] == pytest.approx(50 * measured["kl_loss"], rel=1e-3)


def test_beta_is_no_trainable_weight(make_vae):
    vae = make_vae(beta=2.0)
    assert vae.beta == 2.0
    assert isinstance(vae.beta, float)
    assert not any("beta" in weight.path for weight in vae.trainable_weights)


@pytest.mark.parametrize("beta", [-1.0, float("nan"), float("inf"), float("-inf"), 1e39, "1", None])
def test_a_beta_that_is_no_weight_is_refused(make_vae, beta):
    with pytest.raises(ValueError, match=re.escape(f"beta is {beta!r}")):
        make_vae(beta=beta)
    vae = make_vae(beta=2.0)
    with pytest.raises(ValueError, match=re.escape(f"beta is {beta!r}")):
        vae.beta = beta
    assert vae.beta == 2.0


def test_training_decodes_a_sample_and_not_the_mean(make_vae, images):
    first, second, quiet = (make_vae(seed=seed, compile_arguments=EAGERLY) for seed in (0, 1, 0))
    second.set_weights(first.get_weights())  # All that differs is the noise.
    set_log_var(quiet, -40)
    one, two, without_noise = (
        fit(vae, images, batch_size=20, shuffle=False)["reconstruction_loss"][0] for vae in (first, second, quiet)
    )
    assert len({one, two, without_noise}) == 3
    assert not any(
        np.array_equal(weight, other)
        for weight, other in zip(first.decoder.get_weights(), second.decoder.get_weights())
    )


def test_the_decoder_is_given_z_in_training_and_evaluation_and_z_mean_in_prediction(images):
    given = []

    class Tap(layers.Layer):
        def call(self, z):
            given.append(z)
            return z

    encoder = networks.dense_encoder(SHAPE, hidden=(8,), seed=SEED)
    inner = networks.dense_decoder(SHAPE, hidden=(8,), seed=SEED)
    z = keras.Input((2,))
    vae = VAE(encoder, keras.Model(z, inner(Tap()(z))))
    vae.compile(optimizer=keras.optimizers.SGD(0.0), run_eagerly=True)
    z_mean, z_log_var, _ = map(np.asarray, encoder(images))
    state, start = encoder.get_layer("z").seed_generator.state, [SEED + 11, 0]
    expected = np.asarray(Sampling(seed=SEED + 11)(z_mean, z_log_var))
    for act, latents in (
        (lambda: fit(vae, images, batch_size=20, shuffle=False), expected),
        (lambda: evaluate(vae, images, batch_size=20), expected),
        (lambda: vae.predict(images, verbose=0), z_mean),
        (lambda: vae(images), z_mean),
        (lambda: vae(images, training=True), z_mean),
    ):
        state.assign(start)
        given.clear()
        act()
        np.testing.assert_allclose(given[-1], latents, rtol=1e-5)


def test_call_and_predict_are_the_decoded_mean_every_time(make_vae, images):
    vae = make_vae()
    expected = vae.decoder(vae.encoder(images)[0])
    for _ in range(2):
        np.testing.assert_array_equal(vae(images), expected)
        np.testing.assert_allclose(vae.predict(images, batch_size=8, verbose=0), expected, rtol=1e-5)


def test_training_and_evaluation_draw_new_noise_every_time(make_vae, images):
    vae = make_vae(optimizer=keras.optimizers.SGD(0.0))
    history = fit(vae, images, epochs=3)
    measured = [evaluate(vae, images) for _ in range(2)]
    assert len(set(history["reconstruction_loss"])) == 3
    assert measured[0]["reconstruction_loss"] != measured[1]["reconstruction_loss"]
    for kl_loss in (*history["kl_loss"], measured[1]["kl_loss"]):
        assert kl_loss == pytest.approx(measured[0]["kl_loss"], rel=1e-5)


def test_weight_penalties_are_part_of_the_loss_and_of_its_gradient(images):
    def make(strength):
        image, z = keras.Input(SHAPE), keras.Input((2,))
        flat = layers.Flatten()(image)
        heads = [
            layers.Dense(
                2, kernel_initializer=keras.initializers.GlorotUniform(SEED + seed), kernel_regularizer=penalty
            )(flat)
            for seed, penalty in ((0, keras.regularizers.L2(strength)), (1, None))
        ]
        pixels = layers.Dense(
            64,
            activation="sigmoid",
            kernel_initializer=keras.initializers.GlorotUniform(2),
            kernel_regularizer=keras.regularizers.L2(2 * strength),
        )(z)
        vae = VAE(
            keras.Model(image, [*heads, Sampling(seed=SEED)(*heads)]),
            keras.Model(z, layers.Reshape(SHAPE)(pixels)),
            beta=0.5,
        )
        vae.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
        return vae

    plain, penalised = make(0.0), make(0.3)
    before = penalised.get_weights()
    start = [weight.numpy() for weight in penalised.trainable_weights]
    by_hand = 0.3 * (start[0] ** 2).sum() + 0.6 * (start[4] ** 2).sum()
    histories = [fit(vae, images, batch_size=20, shuffle=False) for vae in (plain, penalised)]
    assert histories[1]["loss"][0] - histories[0]["loss"][0] == pytest.approx(by_hand, rel=1e-3)
    for index, strength in ((0, 0.3), (4, 0.6)):
        difference = plain.trainable_weights[index].numpy() - penalised.trainable_weights[index].numpy()
        np.testing.assert_allclose(difference, 0.1 * 2 * strength * start[index], atol=1e-5)
    penalised.set_weights(before)
    measured = evaluate(penalised, images)
    penalty = measured["loss"] - measured["reconstruction_loss"] - 0.5 * measured["kl_loss"]
    assert penalty == pytest.approx(by_hand, rel=1e-3)


def test_another_reconstruction_loss_can_be_given(make_vae, images):
    vae = make_vae(reconstruction_loss=losses.gaussian, compile_arguments=EAGERLY)
    set_log_var(vae, -40)
    expected = ((images - vae.predict(images, verbose=0)) ** 2).sum(axis=(1, 2, 3)).mean()
    assert evaluate(vae, images)["reconstruction_loss"] == pytest.approx(expected, rel=1e-5)


def test_any_number_of_latents_will_do(images):
    encoder, decoder = (
        build(SHAPE, latent_dim=5, hidden=(8,)) for build in (networks.dense_encoder, networks.dense_decoder)
    )
    vae = VAE(encoder, decoder)
    vae.compile(optimizer="sgd", run_eagerly=True)
    assert np.isfinite(fit(vae, images)["loss"][0])
    assert [output.shape for output in vae.encoder(images)] == [(20, 5)] * 3


def test_a_saved_vae_gives_the_same_reconstructions_and_keeps_beta_and_loss(make_vae, images, tmp_path):
    vae = make_vae(beta=1.0, reconstruction_loss=losses.gaussian, compile_arguments=EAGERLY)
    vae.beta = 2.5
    fit(vae, images)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert type(loaded) is VAE
    assert loaded.beta == 2.5
    assert loaded.reconstruction_loss is losses.gaussian
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), vae.predict(images, verbose=0))
    assert VAE.from_config(vae.get_config()).beta == 2.5


def test_a_saved_vae_goes_on_training_as_if_nothing_had_happened(make_vae, images, tmp_path):
    through, halted = (make_vae(optimizer=keras.optimizers.Adam(0.01)) for _ in range(2))
    fit(through, images, epochs=2, shuffle=False)
    fit(halted, images, shuffle=False)
    halted.save(tmp_path / "vae.keras")
    resumed = keras.models.load_model(tmp_path / "vae.keras")
    assert int(resumed.optimizer.iterations) == 3
    fit(resumed, images, shuffle=False)
    for weight, other in zip(through.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
    assert any(np.any(weight != other) for weight, other in zip(halted.get_weights(), resumed.get_weights()))


def test_checkpoints_and_early_stopping_watch_the_validation_loss(make_vae, images, tmp_path):
    vae = make_vae(optimizer=keras.optimizers.SGD(0.0))
    set_log_var(vae, -40)
    path = tmp_path / "best.keras"
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, min_delta=0.01),
        keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True),
    ]
    history = fit(vae, images, epochs=10, validation_data=images, callbacks=callbacks)
    assert len(history["val_loss"]) == 3
    np.testing.assert_array_equal(keras.models.load_model(path)(images), vae(images))


def test_xla_trains_with_new_noise_every_time(make_vae, images):
    vae = make_vae(optimizer=keras.optimizers.SGD(0.0), compile_arguments={"jit_compile": True})
    history = fit(vae, images[:16], epochs=3)
    assert np.isfinite(history["loss"]).all()
    assert len(set(history["reconstruction_loss"])) == 3
    np.testing.assert_allclose(history["kl_loss"], history["kl_loss"][0], rtol=1e-5)


def test_extreme_variances_do_not_break_training(make_vae, images):
    for log_var in (-100.0, 100.0):
        vae = make_vae(optimizer=keras.optimizers.Adam(0.01), compile_arguments=EAGERLY)
        set_log_var(vae, log_var)
        assert np.isfinite(fit(vae, images)["loss"]).all()
        assert all(np.isfinite(weight).all() for weight in vae.get_weights())


@pytest.mark.parametrize("samples", [2, 5])
def test_the_reconstruction_loss_is_the_mean_over_the_samples_of_each_image(make_vae, images, samples):
    vae, twin = make_vae(samples=samples, beta=2.0), make_vae()
    z_mean, z_log_var, _ = map(np.asarray, twin.encoder(images))
    draws = twin.encoder.get_layer("z")(np.repeat(z_mean, samples, axis=0), np.repeat(z_log_var, samples, axis=0))
    by_draw = []
    for draw in range(samples):
        reconstruction_loss, kl_loss = terms_by_hand(images, z_mean, z_log_var, twin.decoder(draws[draw::samples]))
        by_draw.append(reconstruction_loss)
    assert np.median(np.std(by_draw, axis=0)) > 0.01
    terms = vae.loss_terms(images, training=True)
    np.testing.assert_allclose(terms["reconstruction_loss"], np.mean(by_draw, axis=0), rtol=1e-5)
    np.testing.assert_allclose(terms["kl_loss"], kl_loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(terms["loss"], np.mean(by_draw, axis=0) + 2 * kl_loss, rtol=1e-5)


def gradients_of(vae, images, repeats):
    """Gradients of the mean loss by the decoder's first kernel, shape (repeats, ...): only the noise differs."""
    import tensorflow as tf

    kernel = vae.decoder.trainable_weights[0].value

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(vae.loss_terms(images, training=True)["loss"])
        return tape.gradient(loss, kernel)

    return np.array([gradient().numpy() for _ in range(repeats)], dtype="float64")


def test_any_number_of_samples_has_the_same_mean_gradient_and_more_have_less_variance(make_vae, images):
    repeats = 600
    gradients = {samples: gradients_of(make_vae(samples=samples), images, repeats) for samples in (1, 4, 16)}
    means = {samples: values.mean(axis=0) for samples, values in gradients.items()}
    variances = {samples: values.var(axis=0, ddof=1) for samples, values in gradients.items()}
    for samples in (4, 16):
        error = np.sqrt((variances[1] + variances[samples]) / repeats)
        assert np.abs((means[samples] - means[1]) / error).max() < 4.5
        assert variances[1].sum() / variances[samples].sum() == pytest.approx(samples, rel=0.25)


def test_evaluation_takes_the_samples_too(make_vae, images):
    def spread(samples):
        vae = make_vae(samples=samples)
        # Every batch is the same image, so that its means differ by the noise alone.
        means = []
        note = keras.callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: means.append(logs["loss"]))
        vae.evaluate(np.repeat(images[:1], 400, axis=0), batch_size=1, verbose=0, callbacks=[note])
        return np.std(np.diff(means * np.arange(1, 401)))

    # A standard deviation of 400 values is known to 4 %, and so their ratio, 4, to 5 %.
    assert 3 < spread(1) / spread(16) < 5


@pytest.mark.parametrize("samples", [0, -1, 1.5, None])
def test_samples_that_are_no_number_of_draws_are_refused(make_vae, samples):
    with pytest.raises(ValueError, match=re.escape(f"samples is {samples}")):
        make_vae(samples=samples)


def test_more_samples_need_a_sampling_layer():
    image = keras.Input(SHAPE)
    head = layers.Dense(2)(layers.Flatten()(image))
    encoder, decoder = keras.Model(image, [head, head, head]), networks.dense_decoder(SHAPE, hidden=(8,))
    VAE(encoder, decoder)
    with pytest.raises(ValueError, match=r"samples is 3.*no Sampling layer"):
        VAE(encoder, decoder, samples=3)


def test_a_saved_vae_keeps_its_samples(make_vae, images, tmp_path):
    vae = make_vae(samples=3, compile_arguments=EAGERLY)
    fit(vae, images)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert loaded.samples == 3
    assert fit(loaded, images, shuffle=False) == fit(vae, images, shuffle=False)


def test_sigma_alone_is_trained_to_the_root_of_the_mean_squared_error(make_vae, images):
    vae = make_vae(reconstruction_loss=losses.LearnedGaussian(), optimizer=keras.optimizers.SGD(0.004))
    assert vae.reconstruction_loss.sigma == pytest.approx(0.5**0.5)
    vae.encoder.trainable = vae.decoder.trainable = False
    assert vae.trainable_weights == [vae.reconstruction_loss.log_sigma]
    set_log_var(vae, -40)
    # The loss is convex in log sigma, with a slope of twice the 64 pixels at its lowest point.
    fit(vae, images, epochs=40, batch_size=20)
    root = np.sqrt(np.mean((images - np.asarray(vae(images))) ** 2))
    assert vae.reconstruction_loss.sigma == pytest.approx(root, rel=1e-3)
    assert abs(np.log(root / 0.5**0.5)) > 0.1


def test_sigma_is_trained_with_the_networks_towards_the_root_and_saved(make_vae, images, tmp_path):
    vae = make_vae(reconstruction_loss=losses.LearnedGaussian(2.0), optimizer=keras.optimizers.Adam(0.01))
    assert len(vae.trainable_weights) == 10 + 1

    def distance():
        root = np.sqrt(np.mean((images - np.asarray(vae(images))) ** 2))
        return abs(np.log(vae.reconstruction_loss.sigma / root))

    before = distance()
    fit(vae, images, epochs=50, batch_size=20)
    # Adam moves log sigma by about 0.01 a step.
    assert distance() < before - 0.3
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert loaded.reconstruction_loss.sigma == pytest.approx(vae.reconstruction_loss.sigma, rel=1e-6)
    assert loaded.trainable_weights[-1] is loaded.reconstruction_loss.log_sigma


def test_warm_up_raises_beta_in_equal_steps_from_its_start_and_leaves_it_full(make_vae, images):
    vae = make_vae(beta=2.0, compile_arguments=EAGERLY)
    betas, ended = [], []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: betas.append(vae.beta),
        on_epoch_end=lambda epoch, logs: ended.append(
            logs["loss"] - logs["reconstruction_loss"] - logs["kl_loss"] * vae.beta
        ),
    )
    fit(vae, images, epochs=6, batch_size=20, callbacks=[WarmUp(4, start=0.05), look])
    # In float32, in which beta is kept.
    assert betas == [float(np.float32(2 * share)) for share in (0.05, 0.3, 0.55, 0.8, 1.0, 1.0)]
    assert vae.beta == 2.0
    np.testing.assert_allclose(ended, 0, atol=1e-4)
    # It ends in the midst of the rise and begins again at the value that stands then.
    vae.beta = 0.5
    betas.clear()
    fit(vae, images, epochs=2, batch_size=20, callbacks=[WarmUp(4, start=0), look])
    assert betas == [0.0, 0.125]
    assert vae.beta == 0.5


def test_warm_up_begins_at_a_twentieth(make_vae, images):
    betas = []
    vae = make_vae(compile_arguments=EAGERLY)
    look = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: betas.append(vae.beta))
    fit(vae, images, batch_size=20, callbacks=[WarmUp(2), look])
    assert betas == [float(np.float32(0.05))]


@pytest.mark.parametrize(
    "arguments",
    [{"epochs": 0}, {"epochs": 1.5}, {"epochs": "3"}, {"epochs": None}, {"epochs": 3, "start": 2}]
    + [{"epochs": 3, "start": start} for start in (-0.1, float("nan"), "0", None)],
    ids=str,
)
def test_what_is_no_warm_up_is_refused(arguments):
    with pytest.raises(ValueError, match=re.escape(f"epochs is {arguments['epochs']!r} and start")):
        WarmUp(**arguments)


def test_a_model_without_beta_cannot_warm_up(make_autoencoder, images):
    model = make_autoencoder(compile_arguments=EAGERLY)
    with pytest.raises(ValueError, match=r"of type Autoencoder, without beta\. Expected a VAE"):
        fit(model, images, callbacks=[WarmUp(3)])
    assert int(model.optimizer.iterations) == 0


def test_without_weight_the_reconstruction_plays_no_part(make_vae, images):
    vae = make_vae(reconstruction_weight=0, beta=3.0, optimizer=keras.optimizers.SGD(0.05), compile_arguments=EAGERLY)
    before, encoder = vae.decoder.get_weights(), vae.encoder.get_weights()
    history = fit(vae, images, epochs=2)
    np.testing.assert_allclose(history["loss"], 3 * np.array(history["kl_loss"]), rtol=1e-5)
    assert min(history["reconstruction_loss"]) > 10
    for weight, other in zip(vae.decoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, other)
    assert any(np.any(weight != other) for weight, other in zip(vae.encoder.get_weights(), encoder))


def test_the_weight_of_the_reconstruction_multiplies_its_term_and_its_gradient(make_vae, images):
    # Without the KL term and with half the rate the same steps are taken.
    vaes = [
        make_vae(reconstruction_weight=weight, beta=0.0, optimizer=keras.optimizers.SGD(0.2 / weight))
        for weight in (1.0, 2.0)
    ]
    one, two = (fit(vae, images, shuffle=False) for vae in vaes)
    np.testing.assert_allclose(two["loss"], 2 * np.array(one["loss"]), rtol=1e-5)
    np.testing.assert_allclose(two["reconstruction_loss"], one["reconstruction_loss"], rtol=1e-5)
    for weight, other in zip(vaes[0].get_weights(), vaes[1].get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-5)
    terms = make_vae(reconstruction_weight=2.0, beta=3.0).loss_terms(images, training=True)
    np.testing.assert_allclose(terms["loss"], 2 * terms["reconstruction_loss"] + 3 * terms["kl_loss"], rtol=1e-5)


def test_a_saved_vae_keeps_the_weight_of_the_reconstruction(make_vae, images, tmp_path):
    vae = make_vae(reconstruction_weight=0.25)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert loaded.reconstruction_weight == 0.25
    np.testing.assert_array_equal(loaded.loss_terms(images, True)["loss"], vae.loss_terms(images, True)["loss"])


@pytest.mark.parametrize("weight", ["1", -1, float("nan"), float("inf"), None])
def test_a_reconstruction_weight_that_is_none_is_refused(make_vae, weight):
    with pytest.raises(ValueError, match=re.escape(f"reconstruction_weight is {weight!r}")):
        make_vae(reconstruction_weight=weight)


def one_latent_below(make_vae, **arguments):
    """Make a VAE of which the first latent has a KL of about 2 nats and the second one of less than 0.5 in the mean."""
    return with_heads(make_vae(**arguments), z_mean=[2.0, 0.1])


def with_heads(vae, z_mean):
    """Let the heads depend less on the image, and give z_mean a bias."""
    for name, bias in (("z_mean", z_mean), ("z_log_var", [0.0, 0.0])):
        head = vae.encoder.get_layer(name)
        head.set_weights([head.kernel.numpy() / 5, np.array(bias)])
    return vae


def kl_by_hand(vae, images):
    """The KL of each image and latent, in float64."""
    z_mean, z_log_var, _ = (np.float64(output) for output in vae.encoder(images))
    return 0.5 * (np.exp(z_log_var) + z_mean**2 - 1 - z_log_var)


def test_a_latent_is_charged_its_mean_kl_or_its_free_nats_where_that_is_more(make_vae, images):
    vae = one_latent_below(make_vae, free_nats=0.5, beta=3.0)
    kl = kl_by_hand(vae, images)
    assert kl[:, 1].mean() < 0.4 < 0.6 < kl[:, 0].mean()
    charge = max(kl[:, 0].mean(), 0.5) + max(kl[:, 1].mean(), 0.5)
    terms = {name: np.float64(term) for name, term in vae.loss_terms(images, training=True).items()}
    assert {term.shape for term in terms.values()} == {(20,)}
    np.testing.assert_allclose(terms["kl_loss"], kl.sum(axis=1), rtol=1e-4)
    assert np.mean(terms["loss"] - terms["reconstruction_loss"]) == pytest.approx(3 * charge, rel=1e-5)
    assert charge > kl.sum(axis=1).mean() + 0.1


def test_what_is_free_is_decided_by_the_mean_of_the_batch_and_not_by_image(make_vae, images):
    vae = make_vae()
    kl = kl_by_hand(vae, images)[:, 0]
    free_nats = float(np.sort(kl)[[9, 10]].mean())
    below, above = images[kl < free_nats], images[kl > free_nats]
    vae.free_nats = free_nats
    for batch, other in ((below, free_nats), (above, kl[kl > free_nats].mean()), (images, max(kl.mean(), free_nats))):
        second = max(kl_by_hand(vae, batch)[:, 1].mean(), free_nats)
        terms = {name: np.float64(term) for name, term in vae.loss_terms(batch, training=True).items()}
        assert np.mean(terms["loss"] - terms["reconstruction_loss"]) == pytest.approx(other + second, rel=1e-4)


def test_history_and_evaluation_tell_the_kl_itself_beside_a_loss_with_free_nats(make_vae, images):
    vae = one_latent_below(make_vae, free_nats=0.5, optimizer=keras.optimizers.SGD(0.0), compile_arguments=EAGERLY)
    kl = kl_by_hand(vae, images)
    batches = [kl[start : start + 8].mean(axis=0) for start in (0, 8, 16)]
    charge = np.average([np.maximum(mean, 0.5).sum() for mean in batches], weights=[8, 8, 4])
    history = fit(vae, images, shuffle=False, validation_data=images)
    measured = evaluate(vae, images)
    for found in ({name: values[0] for name, values in history.items()}, measured):
        for prefix in {name.removesuffix("kl_loss") for name in found if name.endswith("kl_loss")}:
            assert found[f"{prefix}kl_loss"] == pytest.approx(kl.sum(axis=1).mean(), rel=1e-5)
            assert found[f"{prefix}loss"] - found[f"{prefix}reconstruction_loss"] == pytest.approx(charge, rel=1e-3)


@pytest.mark.parametrize(("free_nats", "moves"), [(0.0, (True, True)), (0.5, (True, False)), (50.0, (False, False))])
def test_the_kl_of_a_latent_has_no_gradient_below_its_free_nats(make_vae, images, free_nats, moves):
    arguments = {"optimizer": keras.optimizers.SGD(0.1), "compile_arguments": EAGERLY}
    vae = one_latent_below(make_vae, free_nats=free_nats, reconstruction_weight=0, **arguments)
    heads = [vae.encoder.get_layer(name) for name in ("z_mean", "z_log_var")]
    before = [head.kernel.numpy() for head in heads]
    kl = kl_by_hand(vae, images)
    fit(vae, images, batch_size=20)
    for head, kernel in zip(heads, before):
        assert np.any(head.kernel.numpy() != kernel, axis=0).tolist() == list(moves)
    if not any(moves):
        np.testing.assert_array_equal(kl_by_hand(vae, images), kl)


def test_the_gradient_above_the_free_nats_is_that_without_them(make_vae, images):
    one, two = (
        make_vae(free_nats=free_nats, optimizer=keras.optimizers.SGD(0.1), compile_arguments=EAGERLY)
        for free_nats in (0.0, 1e-3)
    )
    assert kl_by_hand(two, images).mean(axis=0).min() > 1e-3
    two.encoder.get_layer("z").seed_generator.state.assign(one.encoder.get_layer("z").seed_generator.state)
    for vae in (one, two):
        fit(vae, images, batch_size=20, shuffle=False)
    for weight, other in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-6)


@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_without_free_nats_nothing_changes(make_vae, images, beta):
    arguments = {"beta": beta, "compile_arguments": EAGERLY}
    plain, vae = make_vae(**arguments), make_vae(**arguments, free_nats=0)
    for one, two in zip(plain.loss_terms(images, True).values(), vae.loss_terms(images, True).values()):
        np.testing.assert_array_equal(one, two)
    terms, _ = vae.loss_terms(images, True), plain.loss_terms(images, True)
    np.testing.assert_array_equal(terms["loss"], terms["reconstruction_loss"] + np.float32(beta) * terms["kl_loss"])
    one, two = (fit(model, images, epochs=2, shuffle=False) for model in (plain, vae))
    assert one == two
    for weight, other in zip(plain.get_weights(), vae.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_free_nats_keep_latents_in_use_that_would_collapse(make_vae):
    # Black and white images: to tell them apart is worth 44 nats.
    images, kl = np.repeat(np.float32([0, 1]), 8 * 64).reshape(16, *SHAPE), {}
    for free_nats in (0.0, 0.5):
        vae = make_vae(
            free_nats=free_nats, beta=200.0, optimizer=keras.optimizers.Adam(0.02), compile_arguments=EAGERLY
        )
        kl[free_nats] = fit(with_heads(vae, [0.0, 0.0]), images, epochs=60, batch_size=16)["kl_loss"][-1]
    assert kl[0.0] < 0.05
    assert 0.3 < kl[0.5] < 1.2


def test_nan_is_not_hidden_by_free_nats(make_vae, images):
    vae = make_vae(free_nats=1.0, reconstruction_weight=0)
    vae.encoder.get_layer("z_log_var").bias.assign([np.nan, 0])
    assert np.isnan(np.asarray(vae.loss_terms(images, training=True)["loss"])).all()


def test_a_saved_vae_keeps_its_free_nats(make_vae, images, tmp_path):
    vae = make_vae(free_nats=0.5, compile_arguments=EAGERLY)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert loaded.free_nats == 0.5
    assert fit(loaded, images, shuffle=False) == fit(vae, images, shuffle=False)
    config = make_vae().get_config()
    # A file from before there were free nats.
    del config["free_nats"]
    assert VAE.from_config(config).free_nats == 0


@pytest.mark.parametrize("free_nats", ["1", -1, float("nan"), float("inf"), None])
def test_free_nats_that_are_no_number_of_nats_are_refused(make_vae, free_nats):
    message = re.escape(f"free_nats is {free_nats!r}. Expected a number from 0") + ".*what each latent is charged"
    with pytest.raises(ValueError, match=message):
        make_vae(free_nats=free_nats)


IN_PARTS = """
import sys

import keras
import numpy as np
import tensorflow as tf

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_visible_devices([], "GPU")
tf.config.set_logical_device_configuration(cpus[0], 2 * [tf.config.LogicalDeviceConfiguration()])

from vae_keras import VAE, Autoencoder, networks

seed, shape = int(sys.argv[1]), (8, 8, 1)
images = np.random.default_rng(seed).random((16, *shape), dtype="float32")
images[8:] /= 2  # The two halves of a batch differ.


def train(kind, steps, strategy):
    with strategy.scope():
        encoder = networks.dense_encoder(shape, hidden=(8,), variational=kind is VAE, seed=seed)
        model = kind(encoder, networks.dense_decoder(shape, hidden=(8,), seed=seed))
        if kind is VAE:
            head = encoder.get_layer("z_log_var")
            head.set_weights([np.zeros_like(head.kernel.numpy()), np.full_like(head.bias.numpy(), -40)])
        model.compile(keras.optimizers.SGD(0.5), jit_compile=False)
    before = model.get_weights()
    history = model.fit(images, epochs=steps, batch_size=16, shuffle=False, verbose=0).history
    assert max(np.abs(weight - start).max() for weight, start in zip(model.get_weights(), before)) > 0.02
    return model.get_weights(), history


both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert both.num_replicas_in_sync == 2
for kind in (Autoencoder, VAE):
    for steps in (1, 2):
        (weights, history), (others, other_history) = (
            train(kind, steps, strategy) for strategy in (tf.distribute.get_strategy(), both)
        )
        for weight, other in zip(weights, others, strict=True):
            np.testing.assert_allclose(other, weight, atol=1e-5)
        assert sorted(history) == sorted(other_history)
        for name in history:
            np.testing.assert_allclose(other_history[name], history[name], rtol=1e-5, err_msg=name)

with both.scope():
    encoder = networks.dense_encoder(shape, hidden=(8,), seed=seed)
draw = tf.function(lambda: encoder(images[:1])[2])
(first, second), (third, fourth) = (both.experimental_local_results(both.run(draw)) for _ in range(2))
draws = np.concatenate([first, second, third, fourth])
assert len(np.unique(draws.round(4), axis=0)) == 4, draws
"""


def test_two_devices_take_the_same_steps_as_one():
    # In a process of its own: the processor can be split before TensorFlow starts alone.
    result = subprocess.run([sys.executable, "-c", IN_PARTS, str(SEED)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
