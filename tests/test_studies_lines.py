"""studies.lines: pictures of lines, models of them, and what is measured of the paths between them."""

import json

import numpy as np
import pytest
from seeding import SEED, rng

from vae_keras import VAE, Autoencoder, codes, data, shapes
from vae_keras.studies import lines

SETTINGS = {"seed": SEED, "epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "pictures": 64, "filters": [4, 4]}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Eight paths of five places, and few lines to compare with."""
    monkeypatch.setattr(lines, "PAIRS", 8)
    monkeypatch.setattr(lines, "STEPS", 5)
    nearest = shapes.nearest_lines
    monkeypatch.setattr(shapes, "nearest_lines", lambda pictures: nearest(pictures, 360))


@pytest.mark.parametrize("variational", [False, True])
def test_what_is_measured_has_a_name_and_a_number(variational):
    result = lines.train_lines(variational=variational, **SETTINGS)
    held_out = result["held_out"]
    assert json.loads(json.dumps(result)) == result
    assert {"loss", "straight, distance", "spherical, distance", "ends, distance"} <= held_out.keys()
    assert ("kl_loss" in held_out) is variational
    assert result["defaults"]["latent_dim"] == 64
    assert lines.train_lines(variational=variational, **SETTINGS)["held_out"] == held_out


def test_pictures_and_ends_are_lines_of_their_own():
    images = lines.line_images(seed=SEED, pictures=20)
    assert images.x_train.shape == (20, 32, 32, 1)
    assert len(images.x_test) == 2 * lines.PAIRS
    distances, angles = shapes.nearest_lines(np.concatenate([images.x_train, images.x_test]))
    assert distances.max() < 2e-3
    assert len(np.unique(angles)) > 20
    assert not np.array_equal(lines.line_images(seed=SEED + 1, pictures=20).x_train, images.x_train)


def test_the_networks_go_down_to_two_by_two_and_are_those_asked_for():
    autoencoder = lines.build_for_lines((32, 32, 1), variational=False, seed=SEED)
    vae = lines.build_for_lines((32, 32, 1), variational=True, seed=SEED, beta=2.0)
    assert type(autoencoder) is Autoencoder
    assert type(vae) is VAE
    assert float(vae.beta) == 2
    assert (None, 2, 2, 128) in [layer.output.shape for layer in vae.encoder.layers]
    for a, b in zip(autoencoder.decoder.get_weights(), vae.decoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"beta is 2.0, but an autoencoder has no KL term"):
        lines.build_for_lines((32, 32, 1), variational=False, seed=SEED, beta=2.0)


def test_a_perfect_path_is_near_lines_and_even_and_a_mix_of_pixels_is_neither():
    first = rng(3).uniform(0, 2 * np.pi, 8)
    last = first + rng(4).uniform(0.5, 2.5, 8)
    shares = np.linspace(0, 1, 16)
    angles = first[:, None] + shares * (last - first)[:, None]
    perfect = data.draw_lines(angles.ravel()).reshape(8, 16, 32, 32, 1)
    mixed = (1 - shares)[:, None, None, None] * perfect[:, :1] + shares[:, None, None, None] * perfect[:, -1:]
    of_perfect, of_mixed = lines.path_measures(perfect), lines.path_measures(mixed)
    assert of_perfect["distance"] < 2e-4 < 3e-3 < of_mixed["distance"]
    assert of_perfect["smoothness"] < 0.1 < 0.7 < of_mixed["smoothness"]


def test_paths_that_do_not_move_have_no_smoothness():
    still = np.repeat(data.draw_lines([0.3, 2.0])[:, None], 4, axis=1)
    assert lines.path_measures(still).keys() == {"distance"}
    both = np.concatenate([still, data.draw_lines(np.linspace(0, 1, 4))[None]])
    assert lines.path_measures(both)["smoothness"] < 0.1


def test_paths_lead_from_the_first_half_of_the_ends_to_the_second(monkeypatch):
    model = lines.build_for_lines((32, 32, 1), variational=True, seed=SEED, filters=(4, 4))
    model.compile("adam", run_eagerly=True)
    images = lines.line_images(seed=SEED, pictures=10)
    z_mean = model.encoder.predict(images.x_test, verbose=0)[0]
    seen = {}

    def kept(start, end, steps):
        seen.update(start=start, end=end, steps=steps)
        return codes.straight_path(start, end, steps)

    monkeypatch.setattr(lines, "PATHS", {"kept": kept})
    assert "kept, distance" in lines.measure_paths(model, images)
    np.testing.assert_allclose(seen["start"], z_mean[:8], atol=1e-5)
    np.testing.assert_allclose(seen["end"], z_mean[8:], atol=1e-5)
    assert seen["steps"] == 5


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="data"):
        lines.train_lines(variational=True, data="mnist_5k", **SETTINGS)
