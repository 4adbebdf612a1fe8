"""spaces: an autoencoder and a VAE from the same settings, and what is measured of each."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from seeding import SEED, rng

from vae_keras import VAE, Autoencoder, data, judge, latent, losses
from vae_keras.studies import catalogue, recipes, spaces
from vae_keras.studies.records import key

SETTINGS = {
    "data": "tiny",
    "network": "dense",
    "activation": "GELU",
    "seed": SEED,
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 1e-3,
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Sixty-four training and twenty test images of 8 x 8 pixels, and a judge of them."""
    generator = rng(5)
    x, y = generator.random((84, 8, 8, 1), dtype="float32"), generator.permutation(np.arange(84) % 3)
    images = data.Images(x[:64], y[:64], x[64:], y[64:], ("a", "b", "c"))
    its_judge = judge.train_judge(x[:64], y[:64], x[64:], y[64:], epochs=1, seed=SEED)
    monkeypatch.setattr(recipes, "_loaded", lambda name: images)
    monkeypatch.setattr(spaces, "trained_judge", lambda name, folders, left_out=None: its_judge)
    monkeypatch.setattr(spaces, "GENERATED", 20)
    return images


@pytest.mark.parametrize("variational", [False, True])
def test_what_is_measured_has_a_name_and_a_number(variational):
    result = spaces.train_space(variational=variational, **SETTINGS)
    held_out = result["held_out"]
    assert json.loads(json.dumps(held_out)) == held_out
    for source in ("reconstruction", "prior", "box", "normal", "mixture"):
        for name in ("precision", "recall", "density", "coverage", "frechet_distance", "none", "imbalance"):
            assert held_out[f"{source}, {name}"] >= 0
        # Without bias it may be below 0.
        assert np.isfinite(held_out[f"{source}, kernel_distance"])
    assert {"gaps 1", "gaps 1, prior", "gaps 1, normal", "none, gap", "none, fifth 5"} <= held_out.keys()
    # Two epochs are too few to count five.
    assert "gaps 5" not in held_out
    assert ("kl_loss" in held_out) is variational
    assert 0 <= held_out["reconstruction, right"] <= 1
    assert len(result["history"]["loss"]) == 2


def test_gaps_are_those_of_two_latents_alone():
    held_out = spaces.train_space(variational=True, latent_dim=3, **SETTINGS)["held_out"]
    assert not any("gap" in name for name in held_out)
    assert "prior, coverage" in held_out


def test_the_same_seed_gives_the_same_record():
    first, again = (spaces.train_space(variational=True, **SETTINGS)["held_out"] for _ in range(2))
    assert first == again


def test_an_autoencoder_takes_no_settings_of_a_vae():
    with pytest.raises(ValueError, match="beta"):
        spaces.train_space(variational=False, beta=2.0, **SETTINGS)


@pytest.mark.parametrize(
    ("name", "value"), [("network", "deep"), ("activation", "GLU"), ("reconstruction_loss", "hinge")]
)
def test_an_autoencoder_of_unknown_parts_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is '{value}'"):
        recipes.build_autoencoder((8, 8, 1), **{"network": "dense", "activation": "GELU", "seed": SEED, name: value})


def test_the_judge_of_a_data_set_is_trained_once_on_its_images(monkeypatch, tiny):
    monkeypatch.undo()
    seen = []
    monkeypatch.setattr(recipes, "_loaded", lambda name: seen.append(name) or tiny)
    monkeypatch.setattr(spaces, "train_judge", lambda *sets, left_out: (*sets, left_out))
    spaces._judge.cache_clear()
    for left_out in (None, "noise", None, "noise"):
        x_train, y_train, x_test, _, kind = spaces.trained_judge("tiny", {"tiny": "its/folder"}, left_out)
        assert kind == left_out
    spaces._judge.cache_clear()
    assert seen == ["its/folder"] * 2
    assert (len(x_train), len(y_train)) == (64, 64)
    np.testing.assert_array_equal(x_test, tiny.x_test)


def test_both_models_have_the_same_networks():
    shared = {"network": "dense", "activation": "GELU", "seed": SEED}
    autoencoder, vae = recipes.build_autoencoder((8, 8, 1), **shared), recipes.build_vae((8, 8, 1), **shared)
    assert type(autoencoder) is Autoencoder
    assert type(vae) is VAE
    for a, b in zip(autoencoder.decoder.get_weights(), vae.decoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_autoencoder_can_learn_a_sigma():
    shared = {"network": "dense", "activation": "GELU", "seed": SEED}
    autoencoder = recipes.build_autoencoder((8, 8, 1), **shared, reconstruction_loss="learned gaussian")
    assert isinstance(autoencoder.reconstruction_loss, losses.LearnedGaussian)
    assert recipes.build_autoencoder((8, 8, 1), **shared).reconstruction_loss is losses.bernoulli


def test_every_arm_of_blur_is_a_run_of_its_own():
    runs = catalogue.blur([])
    assert len({key(run) for run in runs}) == len(runs) == 67
    for run in runs:
        settings = {name: value for name, value in run.items() if name != "variational"}
        spaces.check_settings(settings, spaces.SPACE_PARTS[run["variational"]])


def test_an_image_is_encoded_as_the_decoder_gets_it(tiny):
    shared = {"network": "dense", "activation": "GELU", "seed": SEED}
    autoencoder, vae = recipes.build_autoencoder((8, 8, 1), **shared), recipes.build_vae((8, 8, 1), **shared)
    x = tiny.x_test
    np.testing.assert_array_equal(
        spaces.encoded(autoencoder, x), autoencoder.encoder.predict(x, batch_size=500, verbose=0)
    )
    z_mean, z_log_var, _ = vae.encoder.predict(x, verbose=0)
    first, second = spaces.encoded(vae, x), spaces.encoded(vae, x)
    assert not np.array_equal(first, second)
    # Draws, and not the means: within six standard deviations of them.
    assert (np.abs(first - z_mean) < 6 * np.exp(z_log_var / 2)).all()
    assert not np.allclose(first, z_mean)


def test_the_inputs_of_the_last_epochs_are_kept(tiny):
    autoencoder = recipes.build_autoencoder((8, 8, 1), network="dense", activation="GELU", seed=SEED)
    autoencoder.compile("adam", run_eagerly=True)
    inputs = spaces.DecoderInputs(tiny.x_train, epochs=2)
    autoencoder.fit(tiny.x_train, epochs=3, verbose=0, callbacks=[inputs])
    assert len(inputs.by_epoch) == 2
    np.testing.assert_allclose(inputs.by_epoch[-1], spaces.encoded(autoencoder, tiny.x_train), atol=1e-6)
    assert not np.allclose(inputs.by_epoch[0], inputs.by_epoch[1])


def test_shares_are_those_of_the_judge(tiny):
    autoencoder = recipes.build_autoencoder((8, 8, 1), network="dense", activation="GELU", seed=SEED)
    autoencoder.compile("adam")
    half = lambda images: np.arange(len(images)) % 2 == 0  # noqa: E731
    its_judge = spaces.trained_judge("tiny", None)

    class Coin:
        """Takes every second image for none, and of twenty images ten for the first class, six for the second."""

        features = staticmethod(its_judge.features)
        __call__ = staticmethod(half)

        def classes(self, images):
            return np.repeat([0, 1, 2], [10, 6, 4])[: len(images)]

    z = rng(3).normal(size=(5, 64, 2)).astype("float32")

    class Strict(Coin):
        """Takes every image for none."""

        __call__ = staticmethod(lambda images: np.ones(len(images), bool))

    measured = spaces.measure_space(autoencoder, tiny, z, Coin(), Strict(), seed=SEED)
    assert measured["prior, none"] == measured["reconstruction, none"] == 0.5
    assert measured["prior, partial none"] == measured["partial none, gap"] == measured["partial none, fifth 5"] == 1
    assert measured["none, fifth 1"] == pytest.approx(0.5, abs=0.1)
    assert measured["mixture, imbalance"] == pytest.approx(0.5 - 1 / 3)
    assert measured["mixture, rarest class"] == 0.2
    assert measured["reconstruction, right"] == pytest.approx((tiny.y_test == np.repeat([0, 1, 2], [10, 6, 4])).mean())
    assert measured["gaps 1"] == latent.gap_share(z[-1:], SEED)
    assert measured["gaps 5"] == latent.gap_share(z, SEED)
    assert "gaps 20" not in measured
    draws = latent.ways_to_draw(z[-1], 20, SEED)
    assert measured["gaps 5, prior"] == latent.in_gap(draws["prior"], z).mean()
    assert measured["gaps 1, box"] == latent.in_gap(draws["box"], z[-1]).mean()


def test_sharpness_is_a_share_of_that_of_held_out_images(tiny):
    class Faint:
        """Gives images back as they are, and decodes all latents to the images at half the contrast."""

        reconstruction_loss = losses.LearnedGaussian(0.3)

        def evaluate(self, *arguments, **settings):
            return {}

        def predict(self, x, **settings):
            return x

        @property
        def decoder(self):
            return SimpleNamespace(predict=lambda z, **settings: 0.25 + tiny.x_test / 2)

    its_judge = spaces.trained_judge("tiny", None)
    measured = spaces.measure_space(Faint(), tiny, rng(4).normal(size=(1, 64, 3)), its_judge, its_judge, seed=SEED)
    assert measured["reconstruction, laplacian_variance"] == 1
    assert measured["reconstruction, high_frequency_share"] == 1
    assert measured["prior, laplacian_variance"] == pytest.approx(0.25, rel=1e-4)
    assert measured["prior, high_frequency_share"] == pytest.approx(1, rel=1e-4)
    assert measured["sigma"] == pytest.approx(0.3)


@pytest.mark.parametrize(("study", "count"), [(catalogue.spaces, 20), (catalogue.generation, 10)])
def test_the_two_models_differ_by_nothing_but_what_they_are(study, count):
    runs = study([])
    assert len(runs) == count
    for autoencoder, vae in zip(runs[::2], runs[1::2], strict=True):
        assert (autoencoder["variational"], vae["variational"]) == (False, True)
        assert {**autoencoder, "variational": True, "warm_up": vae["warm_up"]} == vae
        spaces.check_settings(
            {name: value for name, value in autoencoder.items() if name != "variational"},
            (recipes.load_images, recipes.build_autoencoder, recipes.make_optimizer, recipes.fit_vae),
        )


def test_each_habit_is_one_setting_more():
    runs = catalogue.habits([])
    assert len(runs) == 25
    for before, after in itertools.pairwise(runs[:5]):
        assert len({name for name in after if after[name] != before.get(name)}) == 1
