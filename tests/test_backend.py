"""The package on TensorFlow, JAX and PyTorch; the other files of tests run on each of the three, too."""

import importlib
import importlib.util
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from environments import ENVIRONMENTS, ROOT, python_of
from quick import SHAPE
from seeding import SEED, rng

import vae_keras
from vae_keras import VAE, VAEGAN, networks
from vae_keras.steps import mean

BACKEND = keras.backend.backend()


def test_tensorflow_is_chosen_where_nothing_is(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    importlib.reload(vae_keras)
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


@pytest.mark.parametrize("backend", ENVIRONMENTS)
def test_the_choice_of_a_backend_is_respected_without_a_warning(monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(vae_keras)
    assert os.environ["KERAS_BACKEND"] == backend


def test_a_backend_without_gradients_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(RuntimeError, match=r"on numpy, but models train on .*Set KERAS_BACKEND to tensorflow, jax or"):
        importlib.reload(vae_keras.steps)


def test_a_vaegan_on_another_backend_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RuntimeError, match=r"on torch, but VAEGAN has its .* on TensorFlow alone\. Set KERAS_BACKEND="):
        VAEGAN(networks.dense_encoder(SHAPE), networks.dense_decoder(SHAPE), networks.conv_discriminator(SHAPE))


def run(python, *arguments, backend=BACKEND):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run([python, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_package_loads_its_own_backend_and_step_alone():
    names = "[name for name in ('tensorflow', 'jax', 'torch') if name in sys.modules]"
    steps = "sorted(name[16:] for name in sys.modules if name.startswith('vae_keras.steps.'))"
    found = run(sys.executable, "-c", f"import sys, vae_keras, vae_keras.studies; print({names}, {steps})")
    own = {"tensorflow": ["tensorflow"], "jax": ["jax", "mean"], "torch": ["mean", "pytorch"]}[BACKEND]
    assert found.strip() == f"{[BACKEND]} {own}"


@pytest.fixture(scope="module")
def on_backend(tmp_path_factory):
    # Each backend in a process of its own, from the same weights, noise and images.
    folder, results = tmp_path_factory.mktemp("backends"), {}
    vae = VAE(
        networks.conv_encoder((6, 6, 1), filters=(3,), activation="gelu", seed=SEED),
        networks.conv_decoder((6, 6, 1), filters=(3,), activation="gelu", seed=SEED),
    )
    vae.save(folder / "vae.keras")

    def train(backend):
        python, out = python_of(backend), folder / f"{backend}.npz"
        if backend not in results:
            run(python, ROOT / "tests" / "on_one_backend.py", out, str(SEED), folder / "vae.keras", backend=backend)
            results[backend] = dict(np.load(out))
        return results[backend]

    return train


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_backend_takes_the_same_steps(on_backend, backend):
    found, expected = on_backend(backend), on_backend("tensorflow")
    assert found.keys() == expected.keys()
    kinds = {name.split("/")[1] for name in expected if "/" in name}
    assert kinds == {"loss", "gradient", "weights", "measured"}
    for name, values in expected.items():
        tolerance = 1e-3 if "/weights/" in name or "/measured/" in name else 1e-4
        np.testing.assert_allclose(found[name], values, rtol=tolerance, atol=tolerance, err_msg=name)
    # Each gradient is far from nothing.
    assert min(np.abs(values).max() for name, values in expected.items() if "/gradient/" in name) > 1e-3


def test_a_mean_in_float32_is_nearly_as_exact_as_in_float64():
    values = rng().gamma(4.0, 37.0, size=60_000).astype("float32")
    exact, plain = mean.Mean(name="loss"), keras.metrics.Mean(dtype="float32")
    for metric in (exact, plain):
        for batch in np.split(values, 600):
            metric.update_state(batch)
    expected = values.mean(dtype="float64")
    assert float(exact.result()) == pytest.approx(expected, abs=1e-5)
    assert float(plain.result()) != pytest.approx(expected, abs=1e-5)
    exact.reset_state()
    exact.update_state(np.float32([1, 2, 6]))
    assert float(exact.result()) == 3


def test_measured_means_over_60_000_images_are_exact(make_autoencoder):
    images = np.zeros((60_000, *SHAPE), "float32")
    images[:, 0, 0, 0] = rng().random(60_000)
    model = make_autoencoder(reconstruction_loss=lambda x, _: 300 * x[:, 0, 0, 0])
    measured = model.evaluate(images, batch_size=100, verbose=0, return_dict=True)
    expected = 300 * images[:, 0, 0, 0].mean(dtype="float64")
    assert measured["reconstruction_loss"] == pytest.approx(expected, abs=1e-4)
    assert measured["loss"] == pytest.approx(expected, abs=1e-4)


def test_beta_set_between_two_batches_weighs_the_next_one(make_vae, images):
    vae, seen = make_vae(beta=0.5, optimizer=keras.optimizers.SGD(0.0)), []

    def double(batch, logs):
        vae.beta = 2 * vae.beta

    def note(batch, logs):
        seen.append([float(logs[name]) for name in ("loss", "reconstruction_loss", "kl_loss")])

    callback = keras.callbacks.LambdaCallback(on_train_batch_begin=double, on_train_batch_end=note)
    vae.fit(images[:16], batch_size=4, epochs=1, verbose=0, callbacks=[callback])
    # Of means since the epoch began those of each batch.
    loss, reconstruction_loss, kl_loss = np.diff(np.arange(5) * np.insert(np.transpose(seen), 0, 0, axis=1))
    np.testing.assert_allclose((loss - reconstruction_loss) / kl_loss, [1, 2, 4, 8], rtol=1e-2)
    assert vae.beta == 8


def test_averaged_weights_are_the_average_of_all_steps(make_autoencoder, images):
    def train(**settings):
        model = make_autoencoder(optimizer=keras.optimizers.SGD(0.1, **settings))
        steps = [model.get_weights()]
        note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: steps.append(model.get_weights()))
        model.fit(images, batch_size=20, epochs=4, shuffle=False, verbose=0, callbacks=[note])
        return model.get_weights(), steps

    averaged, _ = train(use_ema=True, ema_momentum=0.5)
    # Of the start nothing is left after the first step.
    _, (_, average, *steps) = train()
    for step in steps:
        average = [0.5 * old + 0.5 * new for old, new in zip(average, step)]
    for weight, by_hand, last in zip(averaged, average, steps[-1]):
        np.testing.assert_allclose(weight, by_hand, atol=1e-5)
        assert np.abs(weight - last).max() > 1e-4


def test_several_steps_a_call_are_those_of_single_calls_or_refused(make_vae, images):
    one, three = make_vae(), make_vae(compile_arguments={"steps_per_execution": 3})
    if BACKEND == "torch":
        with pytest.raises(ValueError, match="`steps_per_execution` must be 1 with the PyTorch backend"):
            three.fit(images, verbose=0)
        return
    histories = [model.fit(images, batch_size=4, epochs=2, shuffle=False, verbose=0).history for model in (one, three)]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-5)
    for weight, other in zip(one.get_weights(), three.get_weights()):
        np.testing.assert_allclose(weight, other, atol=1e-5)


def test_every_epoch_and_every_batch_has_noise_of_its_own_and_a_seed_repeats_it(make_vae, images):
    def train():
        vae = make_vae(optimizer=keras.optimizers.SGD(0.0))
        seen = []
        note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(float(logs["loss"])))
        # One image over and over: only the noise differs.
        vae.fit(np.repeat(images[:1], 8, axis=0), batch_size=1, epochs=2, verbose=0, callbacks=[note])
        return seen

    first = train()
    alone = [*np.diff(np.arange(9) * [0, *first[:8]]), *np.diff(np.arange(9) * [0, *first[8:]])]
    assert len(np.unique(np.round(alone, 3))) == 16
    assert train() == first
