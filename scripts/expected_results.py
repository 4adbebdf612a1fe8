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
ACTIVATIONS = {"GELU": "gelu", "LeakyReLU(0.3)": lambda: keras.layers.LeakyReLU(negative_slope=0.3)}
BUNDLED = {"data": "bundled digits", "batch_size": 64, "learning_rate": 4e-3}
RECIPES = (
    {**BUNDLED, "network": "convolutional", "activation": "GELU", "epochs": 30},
    {**BUNDLED, "network": "convolutional", "activation": "LeakyReLU(0.3)", "epochs": 30},
    {**BUNDLED, "network": "dense", "activation": "GELU", "epochs": 30},
    {**BUNDLED, "network": "dense", "activation": "LeakyReLU(0.3)", "epochs": 30},
    {
        "data": "full MNIST",
        "network": "dense",
        "activation": "GELU",
        "epochs": 20,
        "batch_size": 128,
        "learning_rate": 1e-3,
    },
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", default="mnist", help="full MNIST: mnist (downloads it) or a folder of IDX files")
    parser.add_argument("--table", action="store_true", help="write the table from the records and train nothing")
    arguments = parser.parse_args()
    recorded = [] if not RECORDS.exists() else [json.loads(line) for line in RECORDS.read_text().splitlines()]
    done = [{key: record[key] for key in (*RECIPES[0], "seed")} for record in recorded]
    names = {"bundled digits": "mnist_5k", "full MNIST": arguments.mnist}
    for recipe in RECIPES:
        for seed in SEEDS:
            if not arguments.table and {**recipe, "seed": seed} not in done:
                record = train(data.load(names[recipe["data"]]), seed=seed, **recipe)
                RECORDS.parent.mkdir(exist_ok=True)
                with RECORDS.open("a") as file:
                    file.write(json.dumps(record) + "\n")
                print(json.dumps(record), flush=True)
    before, rest = README.read_text().split(START)
    README.write_text(before + START + table() + END + rest.split(END)[1])


def train(images: data.Images, seed: int, **recipe) -> dict:
    """Train one VAE with two latents, and return its recipe, its held-out terms in nats per image, and its time."""
    keras.utils.set_random_seed(seed)
    make_encoder, make_decoder = NETWORKS[recipe["network"]]
    activation, epochs = ACTIVATIONS[recipe["activation"]], recipe["epochs"]
    vae = VAE(
        make_encoder(images.shape, latent_dim=2, activation=activation, seed=seed),
        make_decoder(images.shape, latent_dim=2, activation=activation, seed=seed),
    )
    optimizer = keras.optimizers.Adam(recipe["learning_rate"], use_ema=True, ema_momentum=0.99, global_clipnorm=100.0)
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
    records = pd.DataFrame([json.loads(line) for line in RECORDS.read_text().splitlines()]).sort_values("seed")
    lines = [
        "| data | network | activation | epochs | held-out loss, seeds 0, 1, 2 | mean | reconstruction | KL | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    columns = ["data", "network", "activation", "epochs"]
    for keys, runs in records.groupby(columns, sort=False):
        losses = ", ".join(f"{loss:.1f}" for loss in runs["loss"])
        lines.append(
            f"| {' | '.join(map(str, keys))} | {losses} | **{runs['loss'].mean():.1f}** | "
            f"{runs['reconstruction_loss'].mean():.1f} | {runs['kl_loss'].mean():.1f} | {runs['seconds'].median():.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
