"""What the tests in a browser share: a server, a page with the explorer, and small models that Keras knows."""

import functools
import gzip
import json
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "site"
SHOWN = 120
SECONDS = 90


def without(reason):
    """Skip, and fail where CI is set: there nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and writes no log."""

    def log_message(self, *arguments):
        """Say nothing."""


def serve(folder):
    """Serve a folder on a free port; yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Explorer</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>
  body {{ margin: 16px; color-scheme: light dark; }}
  body {{ background: light-dark(white, #14181e); color: light-dark(black, white); }}
  html[data-theme=dark] body {{ color-scheme: dark; }} main {{ max-width: 1000px; margin: auto; }}
</style></head>
<body><main><h1>Explorer</h1>
<div data-explorer="models/index.json"{attributes}><p>A still picture of the latent space.</p></div>
<div style="height: 60vh">The page goes on.</div></main>
<script type="module" src="explorer.js"></script></body></html>
"""

# The models of the test folder: name, kind, and what differs from a dense VAE with GELU and two latents.
MODELS = {
    "vae": {"early": (0, 1)},
    "vae-beta5": {"beta": 5.0},
    "vae-leaky": {"activation": "LeakyReLU(0.3)"},
    "vae-conv": {"network": "convolutional"},
    "vae-16d": {"latent_dim": 16},
    "autoencoder": {"kind": "autoencoder", "early": (0, 1)},
    "colour": {"data": "colours"},
}


def colours(images):
    """Give each digit a colour of its own: pictures of three channels."""
    tints = np.linspace(0.3, 1, 30).reshape(10, 3)[:, ::-1]
    return images.x_train * tints[images.y_train][:, None, None], images.x_test * tints[images.y_test][:, None, None]


def build(kind, network, latent_dim, activation, beta, shape):
    import keras

    from vae_keras import VAE, Autoencoder, networks

    activation = {"GELU": "gelu", "LeakyReLU(0.3)": lambda: keras.layers.LeakyReLU(0.3)}[activation]
    sizes = {"filters": (8, 16), "hidden": (32,)} if network == "convolutional" else {"hidden": (64, 32)}
    reverse = {name: size[::-1] for name, size in sizes.items()}
    make_encoder = networks.conv_encoder if network == "convolutional" else networks.dense_encoder
    make_decoder = networks.conv_decoder if network == "convolutional" else networks.dense_decoder
    same = {"latent_dim": latent_dim, "activation": activation, "seed": 0}
    encoder = make_encoder(shape, **same, **sizes, variational=kind == "vae")
    decoder = make_decoder(shape, **same, **reverse)
    model = VAE(encoder, decoder, beta=beta) if kind == "vae" else Autoencoder(encoder, decoder)
    # XLA takes longer to compile than it saves in trainings this short.
    model.compile(optimizer=keras.optimizers.Adam(2e-3), jit_compile=False)
    return model


def write_models(folder, epochs=2, shown=SHOWN, trained=1500):
    """Train the models for a few epochs on the bundled digits and write them, with an index.json."""
    import keras

    from vae_keras import data, explorer

    digits = data.load("mnist_5k")
    sets = {"mnist": (digits.x_train, digits.x_test), "colours": colours(digits)}
    sets = {name: (x_train[:trained], x_test) for name, (x_train, x_test) in sets.items()}
    listed, described = [], {}
    for name, different in MODELS.items():
        about = {"kind": "vae", "network": "dense", "latent_dim": 2, "activation": "GELU", "beta": 1.0}
        about |= {"data": "mnist", **different}
        early = about.pop("early", ())
        x_train, x_test = (np.rint(x * 15).astype("float32") / 15 for x in sets[about["data"]])
        keras.utils.set_random_seed(0)
        build_about = {key: about[key] for key in ("kind", "network", "latent_dim", "activation", "beta")}
        model = build(**build_about, shape=x_train.shape[1:])
        if about["kind"] == "autoencoder":
            about["beta"] = None

        def publish(epoch, name=name, about=about, model=model, x_train=x_train, x_test=x_test):
            called = name if epoch == epochs else f"{name}-epoch{epoch}"
            held_out = model.evaluate(x_test, batch_size=500, verbose=0, return_dict=True)
            rest = {key: about[key] for key in ("activation", "network", "data")}
            rest |= {"epochs": epochs, "seed": 0, "epoch": epoch, "held_out": held_out}
            explorer.write(model, folder / f"{called}.json", x_test[:shown], x_train, **rest)
            loss = {"held_out_loss": round(held_out["loss"], 2)}
            listed.append({"name": called, "file": f"{called}.json", **about, "epoch": epoch, **loss})

        if 0 in early:
            publish(0)
        for epoch in range(1, epochs + 1):
            model.fit(x_train, batch_size=128, epochs=1, verbose=0)
            if epoch in early or epoch == epochs:
                publish(epoch)
    for data_name, (_, x_test) in sets.items():
        file = f"{data_name}.images.bin"
        (folder / file).write_bytes(gzip.compress(explorer.pack_images(x_test[:shown]), mtime=0))
        height, width, channels = x_test.shape[1:]
        described[data_name] = {
            **{"file": file, "height": height, "width": width, "channels": channels, "count": shown},
            **{"labels": digits.y_test[:shown].tolist(), "class_names": list(digits.class_names)},
        }
    index = {"start": "vae", "beside": "autoencoder", "data": described, "models": listed}
    (folder / "index.json").write_text(json.dumps(index))


def write_page(folder, name="index.html", attributes=""):
    """Write a page with an explorer, and the module beside it."""
    (folder / name).write_text(PAGE.format(attributes=attributes))
    shutil.copy(ROOT / "vae_keras" / "explorer.js", folder / "explorer.js")
