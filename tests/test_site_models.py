"""The networks of the web site's explorer: files, records and what they say agree with each other and with Keras."""

import functools
import gzip
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from vae_keras import data, explorer
from vae_keras.studies.records import key, read_file

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "site" / "models"
INDEX = json.loads((MODELS / "index.json").read_text())
NAMES = [model["name"] for model in INDEX["models"]]
MNIST = ROOT.parent / "shared" / "data" / "mnist"

sys.path.insert(0, str(ROOT / "scripts"))
site_models = importlib.import_module("site_models")


def described(name):
    return json.loads((MODELS / f"{name}.json").read_text())


@functools.cache
def read(name):
    return explorer.read(MODELS / f"{name}.json")


@functools.cache
def shown(data_name):
    of = INDEX["data"][data_name]
    pixels = np.frombuffer(gzip.decompress((MODELS / of["file"]).read_bytes()), "uint8")
    return pixels.reshape(of["count"], of["height"], of["width"], of["channels"]).astype("float32") / 255


def evaluate(name, images):
    model = read(name)
    model.compile()
    return model.evaluate(images, batch_size=500, verbose=0, return_dict=True)


def test_every_run_has_a_record_and_every_network_its_files():
    records = read_file(MODELS / site_models.RECORDS)
    assert sorted(key(record["run"]) for record in records) == sorted(map(key, site_models.runs()))
    expected = {
        site_models.name(run, epoch) for run in site_models.runs() for epoch in (*run.get("early", []), run["epochs"])
    }
    assert set(NAMES) == expected and len(NAMES) == len(expected)
    files = {f"{name}{suffix}" for name in NAMES for suffix in (".json", ".bin", ".encoder.bin", ".reference.json")}
    others = {"index.json", site_models.RECORDS, *(of["file"] for of in INDEX["data"].values())}
    assert {path.name for path in MODELS.iterdir()} == files | others


def test_records_and_networks_say_the_same_losses():
    for record in read_file(MODELS / site_models.RECORDS):
        assert record["status"] == "done"
        for epoch, losses in record["published"].items():
            of = described(site_models.name(record["run"], int(epoch)))
            assert of["held_out"] == losses and of["epoch"] == int(epoch)
            assert {"seed", "activation", "network", "data", "epochs"} <= of.keys()


def test_index_is_that_of_the_networks():
    assert site_models.index(MODELS, INDEX["data"]) == INDEX
    assert {INDEX["start"], INDEX["beside"]} <= set(NAMES)
    for name, of in INDEX["data"].items():
        assert len(of["labels"]) == of["count"] == len(shown(name)), name
        assert set(of["labels"]) == set(range(len(of["class_names"])))
    assert INDEX["data"]["fashion_mnist"]["class_names"][0] == "T-shirt/top"


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_what_its_json_says(name):
    of, model = described(name), read(name)
    images = shown(of["data"])
    encoded = model.encoder.predict(images, verbose=0)
    np.testing.assert_allclose(of["codes"], encoded[0] if of["kind"] == "vae" else encoded, atol=6e-4)
    pairs = json.loads((MODELS / f"{name}.reference.json").read_text())
    decoded = model.decoder.predict(np.array(pairs["z"], "float32"), verbose=0)
    np.testing.assert_allclose(pairs["pixels"], decoded.reshape(len(decoded), -1), atol=1e-5)
    # Five standard errors of the mean over so few images; the next test has them all.
    loss = evaluate(name, images)["loss"]
    assert abs(loss - of["held_out"]["loss"]) < 12
    assert of["held_out"]["loss"] == next(m["held_out_loss"] for m in INDEX["models"] if m["name"] == name)


@pytest.mark.skipif(not MNIST.is_dir(), reason="the IDX files of MNIST are not beside the project")
@pytest.mark.parametrize("name", [name for name in NAMES if "fashion" not in name])
def test_held_out_losses_are_those_of_all_test_images(name, mnist):
    expected, found = described(name)["held_out"], evaluate(name, mnist)
    assert found.keys() == expected.keys()
    for term, value in expected.items():
        # A VAE draws z: the mean over 10,000 images moves by some hundredths of a nat.
        assert found[term] == pytest.approx(value, abs=0.3 if read(name).metrics[-1].name == "kl_loss" else 0.01), term


@pytest.fixture(scope="module")
def mnist():
    return data.load(MNIST).x_test


def test_a_larger_beta_pays_fewer_nats_for_z():
    for activation in ("gelu", "leaky"):
        terms = [described(f"vae-{activation}{beta}")["held_out"] for beta in ("-beta0.1", "", "-beta10")]
        kl_losses = [each["kl_loss"] for each in terms]
        assert kl_losses == sorted(kl_losses, reverse=True)
        assert kl_losses[-1] > 1


def test_training_goes_on_to_lower_losses():
    for kind in ("vae", "autoencoder"):
        losses = [described(f"{kind}-gelu-epoch{epoch}")["held_out"]["loss"] for epoch in site_models.EARLY_EPOCHS]
        losses.append(described(f"{kind}-gelu")["held_out"]["loss"])
        assert losses == sorted(losses, reverse=True)


def test_networks_are_small():
    for name in NAMES:
        of = described(name)
        for part in ("decoder", "encoder"):
            size = (MODELS / of[part]["file"]).stat().st_size
            assert size == of[part]["bytes"] < 500_000, name
    first = [INDEX["start"], INDEX["beside"]]
    files = ["index.json", INDEX["data"][described(first[0])["data"]]["file"]]
    files += [f"{name}{suffix}" for name in first for suffix in (".json", ".bin")]
    assert sum((MODELS / file).stat().st_size for file in files) < 400_000
    published = [path for path in MODELS.iterdir() if not path.name.endswith(".reference.json")]
    assert sum(path.stat().st_size for path in published) < 6_500_000


def test_training_writes_networks_and_their_losses(tmp_path):
    run = {**site_models.runs()[0], "epochs": 2, "early": [0, 1], "hidden": [16], "data": "mnist_5k"}
    result = site_models.train(run, {}, tmp_path)
    assert list(result["published"]) == ["0", "1", "2"]
    losses = [result["published"][epoch]["loss"] for epoch in "012"]
    assert losses == sorted(losses, reverse=True)
    for epoch, name in enumerate(("vae-gelu-epoch0", "vae-gelu-epoch1", "vae-gelu")):
        path = tmp_path / f"{name}.json"
        assert json.loads(path.read_text())["held_out"] == result["published"][str(epoch)]
        model = explorer.read(path)
        model.compile()
        x_test = data.load("mnist_5k").x_test
        found = model.evaluate(x_test, batch_size=500, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(losses[epoch], abs=2)
