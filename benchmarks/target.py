"""Train one recipe until its held-out loss is low enough, and print what each epoch took: NAME IMAGES_FOLDER SEED."""

import json
import os
import sys
import time
from collections.abc import Callable

import keras
import numpy as np

from benchmarks import contenders, peers
from vae_keras import VAE, data

TARGET = 150.0


def keras_example(images: np.ndarray) -> tuple[keras.Model, dict, int]:
    """Build the Keras example: the model, how it is trained, and for how many epochs at the most."""
    model = peers.KerasExample(*peers.keras_example_networks())
    model.compile(keras.optimizers.Adam(1e-3))
    return model, {"batch_size": 128}, 12


def quick_recipe(images: np.ndarray, epochs: int = 8, learning_rate: float = 2e-3) -> tuple[keras.Model, dict, int]:
    """Build this project's quick recipe: dense 512-256-128 and GELU, larger batches, a rate that falls to 0."""
    model = VAE(*contenders.own_dense_networks())
    steps = epochs * -(-len(images) // 256)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)), jit_compile=False
    )
    return model, {"batch_size": 256}, epochs


RECIPES: dict[str, Callable] = {"Keras example": keras_example, "this project": quick_recipe}


class Watch(keras.callbacks.Callback):
    """Measure the held-out loss after each epoch, and stop where it is low enough. Only training counts as time."""

    def __init__(self, held_out: np.ndarray):
        super().__init__()
        self.held_out, self.losses, self.seconds = held_out, [], []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stop the clock and measure."""
        self.seconds.append(time.perf_counter() - self.start)
        self.losses.append(self.model.evaluate(self.held_out, batch_size=1000, verbose=0, return_dict=True)["loss"])
        self.model.stop_training = self.losses[-1] <= TARGET


def main(name: str, folder: str, seed: str) -> None:
    """Train and print."""
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    keras.utils.set_random_seed(int(seed))
    images = data.load(folder)
    model, fit, epochs = RECIPES[name](images.x_train)
    watch = Watch(images.x_test)
    model.fit(images.x_train, epochs=epochs, verbose=0, callbacks=[watch], **fit)
    losses = [round(float(loss), 2) for loss in watch.losses]
    print(json.dumps({"losses": losses, "seconds": [round(each, 2) for each in watch.seconds]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
