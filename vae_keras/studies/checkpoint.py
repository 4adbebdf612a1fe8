"""Checkpoint: what a training has done so far, kept in a folder, so that it goes on where it was killed."""

import fcntl
import importlib
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np


class Checkpoint(keras.callbacks.Callback):
    """Gather the losses and the seconds by epoch, and keep them with the weights in a folder, to go on after a kill.

    A state is two files; the second one, written last and moved into place whole, makes it valid. The folder is locked
    until `close`: a second training of the same run waits, and takes over what the first one did.

    Args:
        model: A compiled model. Where the folder holds a state, its weights and its optimizer take it over.
        folder: Where to keep the state. None keeps nothing.
        seconds_between: How long to wait from state to state.

    Example:
        >>> with contextlib.closing(Checkpoint(model, Path("run"))) as checkpoint:
        ...     model.fit(x, epochs=9, initial_epoch=checkpoint.epoch, callbacks=[checkpoint])
        ...     result = checkpoint.result(lambda: {"loss": model.evaluate(x_test)})
    """

    def __init__(self, model: keras.Model, folder: str | Path | None, seconds_between: float = 60.0):
        super().__init__()
        self.set_model(model)
        self.folder = folder = Path(folder) if folder else None
        self.seconds_between = seconds_between
        self.epoch, self.history, self.resumed = 0, {}, []
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = (folder / "lock").open("w")
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        states = sorted(folder.glob("*.json")) if folder else []
        if states:
            kept = json.loads(states[-1].read_text())
            self.epoch, self.history = kept["epoch"], kept["history"]
            self.resumed = [*kept["resumed"], self.epoch]
            model.optimizer.build(model.trainable_variables)
            model.load_weights(states[-1].with_suffix(".weights.h5"))
        self.saved = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        """Note the losses and the seconds, and keep the state where the last one is old."""
        self.epoch = epoch + 1
        for name, value in {**logs, "seconds": time.perf_counter() - self.began}.items():
            self.history.setdefault(name, []).append(float(value))
        if time.perf_counter() - self.saved > self.seconds_between:
            self.save()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Keep the last state of a long training: to measure can take as long as to train, and can be killed too."""
        if self.folder and any(self.folder.glob("*.json")):
            self.save()

    def save(self) -> None:
        """Keep the state of this epoch, and drop those before it; without a folder, keep nothing."""
        if self.folder is None:
            return
        path = self.folder / f"{self.epoch:06d}.json"
        if path.exists():
            return
        self.model.save_weights(path.with_suffix(".weights.h5"))
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"epoch": self.epoch, "history": self.history, "resumed": self.resumed}))
        new.replace(path)
        for old in self.folder.glob("[0-9]*"):
            if old.name[:6] != path.name[:6]:
                old.unlink()
        self.saved = time.perf_counter()

    def result(self, measure: Callable[[], dict]) -> dict:
        """Say how the training went.

        Args:
            measure: Says how good the model is, numbers by name. Called where the training ended well.

        Returns:
            `status`, "done" or "diverged" (a loss, a weight or a measure is not finite); `history`, a list by epoch for
            each loss and for the seconds; `held_out`, what `measure` said, or None where the training diverged;
            `seconds` of training; `threads`; and `resumed`, the epochs at which a training that was killed went on:
            another order of the images and other noise follow than without the kill.
        """
        # A model with several losses has none of the name "loss".
        losses = [value for name, values in self.history.items() if name.endswith("loss") for value in values]
        finite = all(map(math.isfinite, losses)) and all(
            np.isfinite(weights).all() for weights in self.model.get_weights()
        )
        held_out = measure() if finite else {}
        finite = finite and all(map(math.isfinite, held_out.values()))
        return {
            "status": "done" if finite else "diverged",
            "history": {
                name: [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
                for name, values in self.history.items()
            },
            "held_out": {name: float(f"{value:.6g}") for name, value in held_out.items()} if finite else None,
            "seconds": round(sum(self.history["seconds"]), 1),
            "threads": threads(),
            "resumed": self.resumed,
        }

    def close(self) -> None:
        """Unlock the folder."""
        if self.folder:
            self.lock.close()


def threads() -> int | None:
    """Say on how many threads an operation runs: all cores where TensorFlow was not told otherwise, or PyTorch."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    if keras.backend.backend() == "torch":
        return importlib.import_module("torch").get_num_threads()
    return os.cpu_count()
