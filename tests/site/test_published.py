"""The published models: the browser computes what Keras computed, and finds held-out digits where they belong."""

import gzip
import json

import numpy as np
import pytest
from explorer_pages import ROOT, serve, without, write_page

MODELS = ROOT / "site" / "models"
NAMES = sorted(path.name.removesuffix(".reference.json") for path in MODELS.glob("*.reference.json"))

REFERENCE = """
  const source = await module.siteSource(new URL('/models/index.json', location.href).href);
  const model = await source.model(value.name);
  return value.z.map((z) => [...module.decode(model, z)]);
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The address of a page that shows the published models."""
    if not (MODELS / "index.json").exists():
        without(f"{MODELS} holds no models: make site-models")
    folder = tmp_path_factory.mktemp("published")
    (folder / "models").symlink_to(MODELS)
    write_page(folder)
    yield from serve(folder)


@pytest.fixture
def page(new_page, published):
    page = new_page()
    page.goto(published)
    page.wait_for_selector("[data-ready]")
    return page


@pytest.mark.skipif(not NAMES, reason="site/models holds no models: make site-models")
@pytest.mark.parametrize("name", NAMES)
def test_pixels_are_those_of_the_reference_pairs(page, name):
    pairs = json.loads((MODELS / f"{name}.reference.json").read_text())
    code = f"async (value) => {{ const module = await import('/explorer.js'); {REFERENCE} }}"
    pixels = page.evaluate(code, {"name": name, "z": pairs["z"]})
    assert len(pairs["z"]) == 20
    np.testing.assert_allclose(pixels, pairs["pixels"], atol=1e-5, rtol=0)


def choose(page, key, value):
    # As JavaScript writes it: 10 for 10.0.
    value = f"{value:g}" if isinstance(value, float) else value
    if value is not None and page.locator(f"[data-switch={key}][value='{value}']").count():
        page.locator(f"[data-switch={key}][value='{value}']").check(force=True)
        page.wait_for_function(f"document.querySelector(`[data-switch={key}][value='{value}']`).checked")
        page.wait_for_timeout(200)


def test_every_model_can_be_chosen_and_finds_held_out_digits(page):
    """A digit that the page puts on the pad goes through the canvas and lands within 0.3 of its z_mean."""
    index = json.loads((MODELS / "index.json").read_text())
    last = [model for model in index["models"] if model["epoch"] == max(one["epoch"] for one in index["models"])]
    for model in last:
        for key in ("data", "latent_dim", "network", "kind", "beta", "activation"):
            choose(page, key, model[key])
        page.wait_for_selector(f"[data-name='{model['name']}']")
        codes = np.array(json.loads((MODELS / model["file"]).read_text())["codes"])
        about = index["data"][model["data"]]
        content = gzip.decompress((MODELS / about["file"]).read_bytes())
        images = np.frombuffer(content, "uint8").reshape(about["count"], -1) / 255
        if model["latent_dim"] != 2:
            continue
        near = []
        for _ in range(10):
            page.locator("[data-action=random]").click()
            page.wait_for_timeout(100)
            number = int(page.get_attribute(".drawing", "data-image"))
            z = np.array([float(value) for value in page.get_attribute(".drawing", "data-z").split(",")])
            seen = page.eval_on_selector("[data-picture=seen]", "canvas => [...canvas.pixels]")
            # Sixteen greys move the centre of mass of one digit in a hundred over the middle of a pixel.
            if np.abs(seen - images[number]).max() < 0.01:
                near.append(np.abs(z - codes[number]).max())
        assert len(near) >= 8 and max(near) < 0.3, (model["name"], near)
