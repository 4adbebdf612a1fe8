"""Train a VAE for four epochs, or be killed in the third: OUT FOLDER whole|killed|resumed."""

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
from quick import SHAPE, quickly
from seeding import SEED, rng

from vae_keras import VAE, WarmUp, networks

STEPS = 5


class Killed(keras.callbacks.Callback):
    """Kill the process, as a machine that goes down would, in the middle of the third epoch."""

    def __init__(self):
        super().__init__()
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == 2 * STEPS + 3:
            os.kill(os.getpid(), signal.SIGKILL)


def main(out: str, folder: str, how: str) -> None:
    images = rng().random((8 * STEPS, *SHAPE), dtype="float32")
    vae = VAE(
        networks.dense_encoder(SHAPE, hidden=(8,), seed=SEED), networks.dense_decoder(SHAPE, hidden=(8,), seed=SEED)
    )
    vae.compile(keras.optimizers.Adam(0.01), **quickly())
    callbacks = [WarmUp(3), keras.callbacks.BackupAndRestore(Path(folder) / "backup")]
    # The order of the images in an epoch is drawn from a state that Keras does not keep.
    history = vae.fit(
        images,
        epochs=4,
        batch_size=8,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks, *([Killed()] if how == "killed" else [])],
    ).history
    np.savez(out, *vae.get_weights(), beta=vae.beta, **{name: values[-1] for name, values in history.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
