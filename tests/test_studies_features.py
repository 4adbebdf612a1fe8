"""studies.features: the same networks, and three ways to compare images."""

import itertools
import json

import numpy as np
import pytest
from seeding import SEED, rng

from vae_keras import VAE, VAEGAN, data, judge, latent, losses, sharpness
from vae_keras.studies import catalogue, features, recipes, spaces
from vae_keras.studies.records import key

RUN = {
    **{"data": "tiny", "seed": SEED, "epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "latent_dim": 3},
    **{"compared": "pixels", "beta": 1.0},
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Sixty-four training and twenty-four test images of 8 x 8 pixels, and a judge of them."""
    generator = rng(5)
    x, y = generator.random((88, 8, 8, 1), dtype="float32"), generator.permutation(np.arange(88) % 3)
    images = data.Images(x[:64], y[:64], x[64:], y[64:], ("a", "b", "c"))
    its_judge = judge.train_judge(x[:64], y[:64], x[64:], y[64:], epochs=1, seed=SEED)
    monkeypatch.setattr(recipes, "_loaded", lambda name: images)
    monkeypatch.setattr(features, "trained_judge", lambda name, folders, left_out=None: its_judge)
    features._second.cache_clear()
    for module in (spaces, features):
        monkeypatch.setattr(module, "GENERATED", 20)
    return images


@pytest.mark.parametrize("compared", features.COMPARED)
def test_what_is_measured_has_a_name_and_a_number(compared):
    result = features.train_features(**{**RUN, "compared": compared})
    held_out = result["held_out"]
    assert json.loads(json.dumps(result)) == result
    assert result["status"] == "done"
    for source in ("reconstruction", "prior", "prior masked", "mixture masked", "real"):
        for name in ("precision", "recall", "density", "coverage", "frechet_distance", "kernel_distance"):
            assert np.isfinite(held_out[f"{source}, {name}"])
            assert source == "reconstruction" or np.isfinite(held_out[f"{source}, second {name}"])
    assert 0 <= held_out["prior, rarest class"] <= 1 / 3
    assert {"kl_loss", "pixels", "prior, laplacian_variance"} <= held_out.keys()
    assert held_out["prior masked, laplacian_variance"] > 1.2 * held_out["prior, laplacian_variance"]
    assert ("discriminator_loss" in result["history"]) is (compared == "discriminator")
    assert result["defaults"]["feature_weight"] == 10
    again = features.train_features(**{**RUN, "compared": compared})
    assert again["held_out"] == held_out


def test_pixels_are_compared_in_nats_whatever_was_learnt(tiny):
    held_out = features.train_features(**RUN)["held_out"]
    # From the mean, and the loss from a draw.
    assert held_out["pixels"] == pytest.approx(held_out["reconstruction_loss"], rel=0.02)
    classifier = features.train_features(**{**RUN, "compared": "classifier"})["held_out"]
    assert classifier["pixels"] == pytest.approx(64 * np.log(2), rel=0.1)


def test_each_way_to_draw_is_measured_under_its_own_name(tiny, monkeypatch):
    model = features.build_comparing(tiny, compared="pixels", beta=1.0, seed=SEED)
    model.compile(jit_compile=False)
    # An untrained decoder gives nearly the same grey to all codes.
    model.decoder.set_weights([3 * weights for weights in model.decoder.get_weights()])
    # The codes are drawn, and would be others in a second call.
    z = spaces.encoded(model, tiny.x_train)
    monkeypatch.setattr(features, "encoded", lambda model, x: z)
    its_judge, second = features.trained_judge("tiny", None), features.second_network("tiny")
    measured = features.measure_comparing(model, tiny, its_judge, its_judge, second, seed=SEED)
    draws = latent.ways_to_draw(z, 20, SEED)
    real, distances = tiny.x_test[:20], []
    for way in ("prior", "mixture"):
        pictures = model.decoder.predict(draws[way], verbose=0)
        masked = sharpness.unsharp_mask(pictures)
        for name, made in ((way, pictures), (f"{way} masked", masked)):
            of_judge = judge.compare(its_judge.features(real), its_judge.features(made))
            of_second = judge.compare(second.predict(real, verbose=0), second.predict(made, verbose=0))
            for measure in ("frechet_distance", "kernel_distance"):
                assert measured[f"{name}, {measure}"] == pytest.approx(of_judge[measure], rel=1e-4, abs=1e-6)
                assert measured[f"{name}, second {measure}"] == pytest.approx(of_second[measure], rel=1e-4, abs=1e-6)
            distances.append(of_judge["frechet_distance"])
    # Four ways that cannot be mistaken for one another.
    assert np.diff(np.sort(distances)).min() > 1e-3 * max(distances)


def test_all_begin_with_the_same_weights(tiny):
    models = [features.build_comparing(tiny, compared=compared, beta=2.0, seed=SEED) for compared in features.COMPARED]
    assert [type(model) for model in models] == [VAE, VAE, VAEGAN]
    assert models[0].reconstruction_loss is losses.bernoulli
    assert isinstance(models[1].reconstruction_loss, losses.Perceptual)
    for other, part in itertools.product(models[1:], ("encoder", "decoder")):
        for a, b in zip(getattr(models[0], part).get_weights(), getattr(other, part).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert {model.beta for model in models} == {2.0}


def test_the_optimizers_get_the_rate_of_the_run(tiny):
    for compared, names in (("pixels", [""]), ("discriminator", ["encoder_", "decoder_", "discriminator_"])):
        model = features.build_comparing(tiny, compared=compared, beta=1.0, seed=SEED)
        checkpoint = features.Checkpoint(model, None)
        features.fit_comparing(model, tiny, checkpoint, learning_rate=3e-4, epochs=1, batch_size=16)
        for name in names:
            optimizer = getattr(model, f"{name}optimizer")
            assert float(optimizer.learning_rate) == pytest.approx(3e-4)
            assert int(optimizer.iterations) == 4
            assert optimizer.beta_1 == (0.5 if name else 0.9)


def test_a_training_of_three_losses_that_diverges_is_seen(tiny):
    model = features.build_comparing(tiny, compared="discriminator", beta=1.0, seed=SEED)
    checkpoint = features.Checkpoint(model, None)
    checkpoint.history = {"encoder_loss": [1.0], "decoder_loss": [float("nan")], "seconds": [1.0]}
    assert checkpoint.result(lambda: {})["status"] == "diverged"
    checkpoint.history = {"encoder_loss": [1.0], "decoder_loss": [1.0], "seconds": [1.0]}
    assert checkpoint.result(lambda: {})["status"] == "done"


def test_settings_that_are_unknown_or_exclude_each_other_are_refused(tiny):
    with pytest.raises(ValueError, match=r"compared is 'edges'\. Expected one of pixels"):
        features.build_comparing(tiny, compared="edges", beta=1.0, seed=SEED)
    with pytest.raises(ValueError, match=r"activation is 'gelu'\. Expected one of"):
        features.build_comparing(tiny, compared="pixels", beta=1.0, seed=SEED, activation="gelu")
    with pytest.raises(ValueError, match=r"feature_weight is 1\.0, but there is no discriminator"):
        features.train_features(**RUN, feature_weight=1.0)
    with pytest.raises(ValueError, match=r"unknown settings \['network'\]"):
        features.train_features(**RUN, network="dense")


def test_every_arm_is_a_run_of_its_own():
    runs = catalogue.features([])
    assert len({key(run) for run in runs}) == len(runs) == 61
    assert not {run["seed"] for run in runs} & set(range(10))
    for run in runs:
        features.check_settings(run, features.FEATURES_PARTS)


def test_the_second_network_sees_the_images_as_they_are_and_is_trained_once(tiny, monkeypatch):
    seen = []
    train = features.train_classifier

    def watched(x, y, **settings):
        seen.append((x, settings))
        return train(x, y, **settings)

    monkeypatch.setattr(features, "train_classifier", watched)
    second = features.second_network("tiny")
    assert features.second_network("tiny") is second
    ((x, settings),) = seen
    np.testing.assert_array_equal(x, tiny.x_train)
    assert settings == {"seed": features.SECOND_SEED}
    assert second.output_shape == (None, 64)
