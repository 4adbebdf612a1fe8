"""The random numbers of the tests: VAE_KERAS_TEST_SEED shifts them all."""

import os

import numpy as np

SEED = int(os.environ.get("VAE_KERAS_TEST_SEED", 0))


def rng(seed=0):
    return np.random.default_rng(seed + 1000 * SEED)
