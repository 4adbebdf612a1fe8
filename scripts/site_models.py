"""Train the networks that the web site's explorer shows, and write them into site/models.

Each run leaves a record in site/models/runs.jsonl, as a study does, and its networks: the last one and, for two runs,
those of earlier epochs. Killed and started again, it goes on with the next run. The files are committed, because
another processor rounds differently and would train other networks. Delete a run's record to train it again.
"""

import argparse
import contextlib
import gzip
import json
from functools import partial
from pathlib import Path

import keras
import numpy as np

from vae_keras import data, explorer
from vae_keras.data.sets import CLOTHES
from vae_keras.studies import recipes
from vae_keras.studies.checkpoint import Checkpoint
from vae_keras.studies.records import read_file
from vae_keras.studies.runner import run_study

MODELS = Path(__file__).resolve().parent.parent / "site" / "models"
RECORDS = "runs.jsonl"
# So many held-out images are points of the explorer.
SHOWN = 500
EPOCHS = 40
# The states of these epochs show how a space forms itself; 0 is the untrained network.
EARLY_EPOCHS = (0, 1, 2, 5, 10)
DENSE = {"network": "dense", "hidden": [48, 96, 96, 96], "learning_rate": 0.003}
CONVOLUTIONAL = {"network": "convolutional", "hidden": [32], "learning_rate": 0.003}
SHORT = {"GELU": "gelu", "LeakyReLU(0.3)": "leaky"}


def runs() -> list[dict]:
    """List the runs: plain settings of `recipes`, and the epochs whose networks are kept."""
    always = {"seed": 0, "epochs": EPOCHS, "batch_size": 256, "cosine_decay": True, "ema_momentum": None}
    plane = {**always, "data": "mnist", "latent_dim": 2, **DENSE}
    listed = [
        {**plane, "variational": True, "beta": 1.0, "activation": "GELU", "early": list(EARLY_EPOCHS)},
        {**plane, "variational": False, "activation": "GELU", "early": list(EARLY_EPOCHS)},
        {**plane, "variational": True, "beta": 1.0, "activation": "LeakyReLU(0.3)"},
        {**plane, "variational": False, "activation": "LeakyReLU(0.3)"},
    ]
    for beta in (0.1, 10.0):
        for activation in SHORT:
            listed.append({**plane, "variational": True, "beta": beta, "activation": activation})
    listed.append({**plane, "variational": True, "beta": 1.0, "activation": "GELU", "latent_dim": 16})
    listed.append({**plane, **CONVOLUTIONAL, "variational": True, "beta": 1.0, "activation": "GELU"})
    for variational in ({"variational": True, "beta": 1.0}, {"variational": False}):
        listed.append({**plane, **variational, "data": "fashion_mnist", "activation": "GELU"})
    return listed


def name(run: dict, epoch: int) -> str:
    """Name the network of a run after an epoch, such as vae-gelu-beta0.1 or autoencoder-gelu-epoch2."""
    parts = ["vae" if run["variational"] else "autoencoder", SHORT[run["activation"]]]
    parts += [f"beta{run['beta']:g}"] if run.get("beta", 1.0) != 1.0 else []
    parts += ["conv"] if run["network"] == "convolutional" else []
    parts += [f"{run['latent_dim']}d"] if run["latent_dim"] != 2 else []
    parts += ["fashion"] if run["data"] == "fashion_mnist" else []
    parts += [f"epoch{epoch}"] if epoch != run["epochs"] else []
    return "-".join(parts)


def train(run: dict, folders: dict[str, str], out: Path) -> dict:
    """Do one run: train it, write its networks, and say how it went, with the held-out loss of each network."""
    settings = {key: value for key, value in run.items() if key not in ("variational", "early")}
    build = recipes.build_vae if run["variational"] else recipes.build_autoencoder
    images, model = recipes.load_and_compile(settings, build, folders)
    shown = greys(images.x_test[:SHOWN])
    losses = {}

    def publish(epoch):
        published = explorer.rounded(model)
        published.compile()
        held_out = published.evaluate(images.x_test, batch_size=500, verbose=0, return_dict=True)
        losses[epoch] = {key: round(float(value), 2) for key, value in held_out.items()}
        about = {key: run[key] for key in ("activation", "network", "data", "epochs", "seed")}
        path = out / f"{name(run, epoch)}.json"
        explorer.write(published, path, shown, images.x_train, **about, epoch=epoch, held_out=losses[epoch])

    early = run.get("early", [])
    if 0 in early:
        publish(0)
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: publish(epoch + 1) if epoch + 1 in early else None
    )
    with contextlib.closing(Checkpoint(model, None)) as checkpoint:
        recipes.fit_vae(model, images, checkpoint, [watch], **recipes.settings_of(recipes.fit_vae, settings))
        publish(run["epochs"])
        result = checkpoint.result(lambda: losses[run["epochs"]])
    return {**result, "published": {str(epoch): loss for epoch, loss in losses.items()}}


def greys(images: np.ndarray) -> np.ndarray:
    """Round images to the sixteen greys of the page, so that their codes are those of what it shows."""
    values = np.frombuffer(explorer.pack_images(images), "uint8").reshape(images.shape)
    return values.astype("float32") / 255


def write_images(data_name: str, folder: str, out: Path) -> dict:
    """Write the held-out images of a data set, and describe them for index.json."""
    images = data.load(folder)
    file = out / f"{data_name}.images.bin"
    shown = images.x_test[:SHOWN]
    # IDX files do not name the classes.
    names = CLOTHES if data_name == "fashion_mnist" else images.class_names
    file.write_bytes(gzip.compress(explorer.pack_images(shown), compresslevel=9, mtime=0))
    height, width, channels = images.shape
    return {
        **{"file": file.name, "height": height, "width": width, "channels": channels, "count": len(shown)},
        **{"labels": images.y_test[:SHOWN].tolist(), "class_names": list(names)},
    }


def index(out: Path, sets: dict[str, dict]) -> dict:
    """List what is there, from the records and the JSON of each network."""
    models = []
    for run in (record["run"] for record in read_file(out / RECORDS)):
        for epoch in (*run.get("early", []), run["epochs"]):
            described = json.loads((out / f"{name(run, epoch)}.json").read_text())
            keys = ("name", "kind", "beta", "activation", "network", "latent_dim", "data", "epoch")
            listed = {key: described[key] for key in keys}
            loss = described["held_out"]["loss"]
            models.append({**listed, "file": f"{described['name']}.json", "held_out_loss": loss})
    models.sort(key=lambda model: model["name"])
    return {"start": "vae-gelu", "beside": "autoencoder-gelu", "data": sets, "models": models}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", action="append", default=[], metavar="NAME=PATH", help="where the IDX files of a data set lie"
    )
    parser.add_argument("--out", type=Path, default=MODELS, help="default: site/models")
    arguments = parser.parse_args()
    folders = dict(entry.split("=", 1) for entry in arguments.folder)
    run_study(runs(), partial(train, folders=folders, out=arguments.out), arguments.out / RECORDS)
    names = dict.fromkeys(run["data"] for run in runs())
    sets = {each: write_images(each, folders.get(each, each), arguments.out) for each in names}
    (arguments.out / "index.json").write_text(json.dumps(index(arguments.out, sets), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
