import importlib
import os
import warnings

import keras
import pytest

import vae_keras


@pytest.fixture
def on_torch(monkeypatch):
    # No other backend is installed, so Keras is made to say that it runs on one.
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")


def test_another_backend_is_warned_of_on_import(on_torch):
    with pytest.warns(
        UserWarning, match=r"Keras runs on torch\..*Set KERAS_BACKEND=tensorflow before keras is imported"
    ):
        importlib.reload(vae_keras)


def test_tensorflow_is_chosen_where_nothing_is_and_not_warned_of(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(vae_keras)
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_the_choice_of_a_backend_is_respected(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    importlib.reload(vae_keras)
    assert os.environ["KERAS_BACKEND"] == "torch"


@pytest.mark.parametrize(("model", "variational"), [(vae_keras.Autoencoder, False), (vae_keras.VAE, True)])
def test_training_on_another_backend_is_refused_with_the_way_out(on_torch, model, variational):
    encoder = vae_keras.networks.dense_encoder((4, 4, 1), hidden=(3,), variational=variational)
    decoder = vae_keras.networks.dense_decoder((4, 4, 1), hidden=(3,))
    message = rf"on torch, but {model.__name__} trains on TensorFlow\. Set KERAS_BACKEND=tensorflow"
    with pytest.raises(RuntimeError, match=message):
        model(encoder, decoder)
