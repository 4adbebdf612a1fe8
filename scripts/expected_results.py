"""Train what the README's table of expected results promises, one record a run, and write the table.

Records are appended to results/expected_results.jsonl as they come; a run that is recorded already is left out.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import pandas as pd
import tensorflow as tf

from vae_keras import VAE, WarmUp, data, networks

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "results" / "expected_results.jsonl"
README = ROOT / "README.md"
START, END = "<!-- expected results -->\n", "<!-- end of expected results -->\n"
SEEDS = (0, 1, 2)
NETWORKS = {
    "convolutional": (networks.conv_encoder, networks.conv_decoder),
    "dense": (networks.dense_encoder, networks.dense_decoder),
}
ACTIVATIONS = {
    "GELU": "gelu",
    "ReLU": "relu",
    "LeakyReLU(0.01)": lambda: keras.layers.LeakyReLU(negative_slope=0.01),
    "LeakyReLU(0.3)": lambda: keras.layers.LeakyReLU(negative_slope=0.3),
}
BUNDLED = {
    "data": "bundled digits",
    "epochs": 30,
    "batch_size": 64,
    "learning_rate": 4e-3,
    "weight_decay": None,
    "ema_momentum": 0.99,
}
FULL = {
    "data": "full MNIST",
    "epochs": 40,
    "batch_size": 128,
    "learning_rate": 2e-3,
    "weight_decay": 0.05,
    "ema_momentum": 0.999,
}
RECIPES = (
    *({**BUNDLED, "network": "convolutional", "hidden": [128], "activation": name} for name in ACTIVATIONS),
    *({**BUNDLED, "network": "dense", "hidden": [512, 256], "activation": name} for name in ACTIVATIONS),
    {**FULL, "network": "dense", "hidden": [512, 256, 128], "activation": "GELU"},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", default="mnist", help="full MNIST: mnist (downloads it) or a folder of IDX files")
    parser.add_argument("--table", action="store_true", help="write the table from the records and train nothing")
    arguments = parser.parse_args()
    recorded = [] if not RECORDS.exists() else [json.loads(line) for line in RECORDS.read_text().splitlines()]
    done = [key(record) for record in recorded]
    names = {"bundled digits": "mnist_5k", "full MNIST": arguments.mnist}
    for run in runs():
        if not arguments.table and key(run) not in done:
            record = train(data.load(names[run["data"]]), **run)
            RECORDS.parent.mkdir(exist_ok=True)
            with RECORDS.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(json.dumps(record), flush=True)
    before, rest = README.read_text().split(START)
    README.write_text(before + START + table() + END + rest.split(END)[1])


def runs() -> list[dict]:
    """List every recipe with every seed."""
    return [{**recipe, "seed": seed} for recipe in RECIPES for seed in SEEDS]


def key(run: dict) -> tuple:
    """Tell which run this is, of a record too, by its recipe and seed."""
    return tuple(str(run[name]) for name in (*RECIPES[0], "seed"))


def train(images: data.Images, seed: int, **recipe) -> dict:
    """Train one VAE with two latents, and return its recipe, its held-out terms in nats per image, and its time."""
    keras.utils.set_random_seed(seed)
    make_encoder, make_decoder = NETWORKS[recipe["network"]]
    hidden, epochs = recipe["hidden"], recipe["epochs"]
    same = {"latent_dim": 2, "activation": ACTIVATIONS[recipe["activation"]], "seed": seed}
    vae = VAE(
        make_encoder(images.shape, hidden=hidden, **same),
        make_decoder(images.shape, hidden=hidden[::-1], **same),
    )
    optimizer = keras.optimizers.Adam(
        recipe["learning_rate"],
        weight_decay=recipe["weight_decay"],
        use_ema=True,
        ema_momentum=recipe["ema_momentum"],
        global_clipnorm=100.0,
    )
    vae.compile(optimizer, jit_compile=False)
    start = time.perf_counter()
    vae.fit(
        images.x_train,
        epochs=epochs,
        batch_size=recipe["batch_size"],
        callbacks=[WarmUp(epochs // 2)],
        verbose=0,
    )
    seconds = time.perf_counter() - start
    held_out = vae.evaluate(images.x_test, batch_size=500, verbose=0, return_dict=True)
    return {
        **recipe,
        "seed": seed,
        **{name: round(held_out[name], 2) for name in ("loss", "reconstruction_loss", "kl_loss")},
        "seconds": round(seconds),
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
    }


def table() -> str:
    """Draw the README's table from the records."""
    records = {key(record): record for record in map(json.loads, RECORDS.read_text().splitlines())}
    # In the order of the recipes, whatever the order in which they were run.
    records = pd.DataFrame([records[run] for run in map(key, runs()) if run in records])
    widths = records["hidden"].map(lambda hidden: "-".join(map(str, hidden)))
    records["network"] = (records["network"] + " " + widths).where(records["network"] == "dense", records["network"])
    columns = ["data", "network", "activation", "epochs"]
    headings = [*columns, "held-out loss, seeds 0, 1, 2", "mean", "reconstruction", "KL", "seconds"]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for keys, rows in records.groupby(columns, sort=False):
        each = ", ".join(f"{loss:.1f}" for loss in rows["loss"])
        mean = rows[["loss", "reconstruction_loss", "kl_loss"]].mean()
        cells = [*map(str, keys), each, f"**{mean['loss']:.1f}**", *(f"{value:.1f}" for value in mean.iloc[1:])]
        lines.append(f"| {' | '.join([*cells, format(rows['seconds'].median(), '.0f')])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
