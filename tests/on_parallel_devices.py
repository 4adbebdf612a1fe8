"""Train a VAE on JAX on several devices in several processes: OUT DEVICES PROCESSES PROCESS ADDRESS.

The first process writes the weights and the losses to OUT.
"""

import sys

import jax
import keras
import numpy as np
from seeding import SEED, rng

from vae_keras import VAE, networks

SHAPE, BATCH = (8, 8, 1), 16


def main(out: str, devices: int, processes: int, process: int, address: str) -> None:
    if processes > 1:
        # Keras wants the address of every process, and takes the first alone.
        keras.distribution.initialize(",".join([address] * processes), processes, process)
    assert jax.local_device_count() == devices
    assert jax.device_count() == devices * processes
    if devices * processes > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    images = rng().random((4 * BATCH, *SHAPE), dtype="float32")
    # Halves, quarters and eighths of a batch differ: a device that took a mean over its own part alone would show.
    images *= np.tile(np.linspace(0.2, 1, BATCH, dtype="float32"), 4)[:, None, None, None]
    # Each process has its own part of every batch.
    own = images.reshape(4, processes, -1, *SHAPE)[:, process].reshape(-1, *SHAPE)
    encoder = networks.dense_encoder(SHAPE, hidden=(8,), seed=SEED)
    vae = VAE(encoder, networks.dense_decoder(SHAPE, hidden=(8,), seed=SEED))
    vae.compile(keras.optimizers.SGD(0.1))
    history = vae.fit(own, epochs=2, batch_size=BATCH // processes, shuffle=False, verbose=0).history
    weights = vae.get_weights()
    if process == 0:
        np.savez(out, *weights, **history)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5])
