"""Small images and networks that the tests share, and the seed of each test."""

import functools
import random

import matplotlib
import numpy as np
import pytest
from seeding import SEED, rng

matplotlib.use("Agg")

SHAPE = (8, 8, 1)


def pytest_collection_modifyitems(items):
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
    # XLA takes longer to compile than it saves in trainings this short; a test of its own asks for it.
    compile_arguments = {"jit_compile": False, **(compile_arguments or {})}
    model.compile(optimizer=optimizer or keras.optimizers.SGD(0.01), **compile_arguments)
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
