"""Small images and networks that the tests share, and the seed of each test."""

import functools
import os
import random

import matplotlib
import numpy as np
import pytest
from quick import SHAPE, quickly
from seeding import SEED, rng

matplotlib.use("Agg")

if os.environ.get("KERAS_BACKEND") == "torch":
    import torch

    # The tests compare what models give with NumPy, which takes no tensor that could have gradients.
    torch.Tensor.__array__ = lambda self, dtype=None, copy=None: np.asarray(self.detach().numpy(), dtype)

# Tests of what is TensorFlow's own, by the backend that has no such thing.
ON_TENSORFLOW_ALONE = {
    "test_two_devices_take_the_same_steps_as_one": "MirroredStrategy is TensorFlow's",
    "test_any_number_of_samples_has_the_same_mean_gradient_and_more_have_less_variance": "it needs tf.function",
    "test_noise_is_not_frozen_into_a_compiled_function": "tf.function is TensorFlow's",
}
NOT_ON_JAX = {
    "test_the_decoder_is_given_z_in_training_and_evaluation_and_z_mean_in_prediction": "jax.grad shows no values",
}
# Keras asks torch.compile only where it is told to, and that needs a compiler of C++.
NOT_COMPILED = "torch.compile is not tested"
NOT_ON_TORCH = {"test_xla_trains_with_new_noise_every_time": NOT_COMPILED}


def pytest_collection_modifyitems(items):
    import keras

    backend = keras.backend.backend()
    reasons = (
        {} if backend == "tensorflow" else ON_TENSORFLOW_ALONE | {"jax": NOT_ON_JAX, "torch": NOT_ON_TORCH}[backend]
    )
    for item in items:
        name = getattr(item, "originalname", None)
        if backend == "torch" and "'jit_compile': True" in item.name:
            item.add_marker(pytest.mark.skip(reason=NOT_COMPILED))
        if name in reasons:
            item.add_marker(pytest.mark.skip(reason=f"{reasons[name]}, and Keras runs on {backend}"))
    # Under another seed the tests of a file come in another order too; a shuffled notebook would be another notebook.
    if SEED:
        by_file = {}
        for item in items:
            by_file.setdefault(item.path, []).append(item)
        for path, tests in by_file.items():
            if path.suffix == ".py":
                random.Random(SEED).shuffle(tests)
        items[:] = [item for tests in by_file.values() for item in tests]


@pytest.fixture(autouse=True)
def seeded():
    """Begin every test at the same global random state."""
    import keras

    keras.utils.set_random_seed(SEED)


@pytest.fixture
def images():
    """Twenty grey images; the last four, which are the last batch of eight, are white and unlike the others."""
    x = rng().random((20, *SHAPE), dtype="float32")
    x[16:] = 1
    return x


def make(model, variational, seed=0, optimizer=None, compile_arguments=None, **arguments):
    import keras

    from vae_keras import networks

    seed += SEED
    encoder = networks.dense_encoder(SHAPE, hidden=(8,), variational=variational, seed=seed)
    decoder = networks.dense_decoder(SHAPE, hidden=(8,), seed=seed)
    # A bright decoder: white images cost less than the others, so that it shows which images a mean is over.
    decoder.weights[-1].assign(np.ones(64))
    model = model(encoder, decoder, **arguments)
    model.compile(optimizer=optimizer or keras.optimizers.SGD(0.01), **quickly(**(compile_arguments or {})))
    return model


@pytest.fixture
def make_autoencoder():
    from vae_keras import Autoencoder

    return functools.partial(make, Autoencoder, False)


@pytest.fixture
def make_vae():
    from vae_keras import VAE

    return functools.partial(make, VAE, True)


@pytest.fixture
def mixed_float16():
    import keras

    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    yield
    keras.mixed_precision.set_dtype_policy(before)
