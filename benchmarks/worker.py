"""A process of its own for each training of the bench: it trains when it is told to, so that several can take turns.

It reads numbers of images from standard input, a line each, and answers each line with one of JSON.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

MATRICES, MATRIX_SIZE = "matrix products", 2048
MEMORY, STREAM, MOST_IMAGES = "from memory", "from a file", 500_000


def serve(train: Callable[[int], object], **facts) -> None:
    """Answer first with facts, then each number of images with what training on them took.

    Args:
        train: Trains once on so many images.
        **facts: What the first answer says.
    """
    # What else prints, prints to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps(facts), file=answers, flush=True)
    for line in sys.stdin:
        with Memory() as memory:
            start = time.perf_counter()
            train(int(line))
            seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "memory": memory.most}), file=answers, flush=True)


class Memory(threading.Thread):
    """The most memory that the process holds for itself while the thread runs, in MiB.

    Pages of mapped files do not count, which the system takes back where it needs them.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.ended = 0.0, threading.Event()

    def __enter__(self) -> "Memory":
        self.start()
        return self

    def __exit__(self, *error) -> None:
        self.ended.set()
        self.join()

    def run(self) -> None:
        """Look ten times a second, and once more at the end."""
        while True:
            status = Path("/proc/self/status").read_text()
            self.most = max(self.most, int(status.split("RssAnon:")[1].split()[0]) / 1024)
            if self.ended.wait(0.1):
                return


def multiplier() -> Callable[[int], None]:
    """Make a function that multiplies two float32 matrices on TensorFlow, so many times."""
    import tensorflow as tf

    matrix = tf.random.normal((MATRIX_SIZE, MATRIX_SIZE))
    product = tf.function(lambda: tf.linalg.matmul(matrix, matrix))

    def multiply(count):
        for _ in range(count):
            last = product()
        last.numpy()

    return multiply


def grower(source: str, folder: str) -> Callable[[int], object]:
    """Make a function that trains this project's dense networks on so many images, out of memory or a file.

    Args:
        source: `MEMORY` or `STREAM`.
        folder: Where the file of pixels lies, or is written, 392 MB.
    """
    import keras

    from benchmarks import contenders
    from vae_keras import VAE, data

    path = Path(folder) / "pixels.npy"
    if not path.exists():
        digits = np.rint(255 * data.load("mnist_5k").x_train).astype("uint8")
        written = np.lib.format.open_memmap(path, "w+", "uint8", (MOST_IMAGES, *digits.shape[1:]))
        for start in range(0, MOST_IMAGES, len(digits)):
            written[start : start + len(digits)] = digits
        written.flush()
    model = VAE(*contenders.own_dense_networks())
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)

    def train(count):
        pixels = np.load(path, mmap_mode="r")[:count]
        if source == STREAM:
            return model.fit(data.PixelBatches(pixels, batch_size=256), verbose=0)
        return model.fit(data.to_images(pixels), batch_size=256, verbose=0)

    return train


def main(name: str, folder: str = "") -> None:
    """Serve one contender, the products of matrices, or one source of images, which keeps its file in a folder."""
    if hasattr(os, "SCHED_BATCH"):
        # Threads that stop each other whenever one wakes leave a core idle at times.
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if name == MATRICES:
        serve(multiplier(), operations=2 * MATRIX_SIZE**3)
        return
    if name in (MEMORY, STREAM):
        serve(grower(name, folder))
        return
    from benchmarks import arithmetic, contenders
    from vae_keras import data

    images = np.tile(data.load("mnist_5k").x_train, (8, 1, 1, 1))
    train, *networks = contenders.trainer(contenders.CONTENDERS[name], images)
    serve(
        train,
        operations=arithmetic.training_operations(*networks),
        parameters=sum(network.count_params() for network in networks),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
