"""recipes: settings reach the VAE, and a training that was killed goes on where it was."""

import dataclasses
import functools
import json
import math
from collections.abc import Sequence

import keras
import numpy as np
import pytest
from seeding import SEED, rng

from vae_keras import VAE, data, networks
from vae_keras.studies import recipes
from vae_keras.studies.checkpoint import Checkpoint
from vae_keras.studies.records import key

SETTINGS = {
    "data": "tiny",
    "network": "dense",
    "activation": "GELU",
    "seed": SEED,
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "hidden": [8],
}


def replace_measure(monkeypatch, measure):
    # The settings of a part are read off its signature, so what stands in for it has the same.
    monkeypatch.setattr(recipes, "measure_vae", functools.wraps(recipes.measure_vae)(measure))


@pytest.fixture
def eager(monkeypatch):
    """Train without a graph: to trace one takes longer than trainings this short."""
    for model in (VAE, keras.Sequential):

        def compile_eagerly(self, *arguments, compiled=model.compile, **named):
            compiled(self, *arguments, **{**named, "jit_compile": False, "run_eagerly": True})

        monkeypatch.setattr(model, "compile", compile_eagerly)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Sixty-four training and twenty test images of 8 x 8 pixels, under the name of a set."""
    # Another seed than those of the binarisation, which would draw the same numbers.
    generator = rng(5)
    x, y = generator.random((84, 8, 8, 1), dtype="float32"), generator.integers(0, 3, 84)
    images = data.Images(x[:64], y[:64], x[64:], y[64:], ("a", "b", "c"))
    elsewhere = dataclasses.replace(images, class_names=("d", "e", "f"))
    monkeypatch.setattr(recipes, "_loaded", {"tiny": images, "elsewhere": elsewhere}.__getitem__)
    monkeypatch.setattr(recipes, "EVALUATED_IMAGES", 100)
    return images


@functools.cache
def unchanged():
    """What all tests share; to be asked for before a test replaces anything."""
    return recipes.train_vae(**SETTINGS)


def test_a_record_holds_losses_by_epoch_and_held_out_terms():
    result = unchanged()
    assert result["status"] == "done"
    assert {name: len(values) for name, values in result["history"].items()} == dict.fromkeys(
        ("loss", "reconstruction_loss", "kl_loss", "gradient_norm", "largest_gradient_norm", "seconds"), 3
    )
    held_out = result["held_out"]
    assert held_out["loss"] == pytest.approx(held_out["reconstruction_loss"] + held_out["kl_loss"], abs=1e-3)
    assert 0 <= held_out["active_latents"] <= 2
    assert 0 <= held_out["dead_units"] <= 1
    assert all(seconds > 0 for seconds in result["history"]["seconds"])
    assert result["seconds"] > 0
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["defaults"] == {
        "validation": 0,
        "binarisation": None,
        "latent_dim": 2,
        "tied": False,
        "reconstruction_loss": "bernoulli",
        "beta": 1.0,
        "reconstruction_weight": 1.0,
        "samples": 1,
        "free_nats": 0.0,
        "optimizer": "Adam",
        "momentum": 0.0,
        "clip_value": None,
        "clip_norm": 100.0,
        "weight_decay": None,
        "cosine_decay": False,
        "ema_momentum": 0.99,
        "warm_up": None,
        "validate_each_epoch": False,
        "bound_samples": 0,
        "exact": False,
    }


def test_the_same_settings_give_the_same_losses_and_another_seed_others():
    first, again, other = unchanged(), *(recipes.train_vae(**{**SETTINGS, "seed": SEED + seed}) for seed in (0, 1))
    for name in first["history"].keys() - {"seconds"}:
        assert first["history"][name] == again["history"][name]
        assert first["history"][name] != other["history"][name]
    assert first["held_out"] == again["held_out"]


KNOWN = {}


@pytest.fixture
def trained(eager, monkeypatch):
    """A function from settings to the weights after one epoch, as bytes."""
    weights = []

    def train(**changed):
        run = {**SETTINGS, "epochs": 1, **changed}
        if key(run) not in KNOWN:
            recipes.train_vae(**run)
            KNOWN[key(run)] = weights.pop()
        return KNOWN[key(run)]

    replace_measure(monkeypatch, lambda vae, x, **named: weights.append([w.tobytes() for w in vae.get_weights()]) or {})
    return train


@pytest.mark.parametrize(
    "changed",
    [
        {"activation": "tanh"},
        {"learning_rate": 1e-2},
        {"latent_dim": 3},
        {"hidden": [6, 5]},
        {"network": "convolutional"},
        {"warm_up": 2},
        {"cosine_decay": True},
        {"weight_decay": 10.0},
        {"binarisation": "fixed"},
        {"binarisation": "dynamic"},
        {"validation": 20},
        {"batch_size": 8},
        {"ema_momentum": 0.5},
        {"ema_momentum": None},
        {"optimizer": "SGD"},
        {"optimizer": "SGD", "momentum": 0.9},
        {"clip_norm": 1e-3},
        {"clip_norm": None, "clip_value": 1e-6},
        {"reconstruction_loss": "gaussian"},
        {"reconstruction_loss": "learned gaussian"},
        {"beta": 2.0},
        {"reconstruction_weight": 2.0},
        {"samples": 3},
        {"free_nats": 2.0},
        {"tied": True},
    ],
    ids=str,
)
def test_every_setting_changes_the_result(trained, changed):
    assert trained(**changed) != trained()


def test_settings_at_their_defaults_change_nothing_and_momentum_changes_sgd(trained):
    assert trained() == trained(**recipes.defaults(SETTINGS, recipes.VAE_PARTS))
    assert trained(optimizer="SGD", momentum=0.9) != trained(optimizer="SGD", momentum=0.0)


def test_the_optimizer_is_the_one_that_the_settings_name():
    sgd = recipes.make_optimizer(
        1, optimizer="SGD", learning_rate=0.3, momentum=0.8, clip_norm=2.0, weight_decay=0.1, ema_momentum=None
    )
    assert isinstance(sgd, keras.optimizers.SGD)
    assert (float(sgd.learning_rate), sgd.momentum, sgd.nesterov) == (pytest.approx(0.3), 0.8, False)
    assert (sgd.clipvalue, sgd.clipnorm, sgd.global_clipnorm, sgd.weight_decay) == (None, None, 2.0, 0.1)
    adam = recipes.make_optimizer(1, learning_rate=0.3, clip_value=0.5, clip_norm=None, ema_momentum=None)
    assert isinstance(adam, keras.optimizers.Adam)
    assert (adam.clipvalue, adam.global_clipnorm, adam.use_ema) == (0.5, None, False)


def test_held_out_images_are_followed_where_asked():
    # Longer, so that the loss falls by more than the noise.
    settings = {**SETTINGS, "epochs": 30}
    result = recipes.train_vae(**settings, validate_each_epoch=True, ema_momentum=None)
    followed = {name for name in result["history"] if name.startswith("val_")}
    assert followed == {"val_loss", "val_reconstruction_loss", "val_kl_loss"}
    assert len(result["history"]["val_loss"]) == 30
    # The same weights, and other noise.
    assert result["history"]["val_loss"][-1] == pytest.approx(result["held_out"]["loss"], rel=0.01)
    assert result["history"]["val_loss"][0] > result["history"]["val_loss"][-1]


def test_without_an_average_the_last_weights_are_measured(eager, monkeypatch):
    seen, measure = [], recipes.measure_vae
    replace_measure(monkeypatch, lambda vae, x, **named: seen.append(vae.optimizer.use_ema) or measure(vae, x, **named))
    recipes.train_vae(**SETTINGS, ema_momentum=None)
    recipes.train_vae(**SETTINGS)
    assert seen == [False, True]


def test_a_validation_split_leaves_the_test_set_alone(tiny, monkeypatch):
    seen = {}
    monkeypatch.setattr(VAE, "fit", lambda self, x, **arguments: seen.update(train=x) or _end(arguments))
    replace_measure(monkeypatch, lambda vae, x, **named: seen.update(held_out=x) or {})
    recipes.train_vae(**SETTINGS, validation=20)
    assert np.array_equal(seen["train"], tiny.x_train[:44])
    assert np.array_equal(seen["held_out"], tiny.x_train[44:])


def _end(arguments):
    state = next(callback for callback in arguments["callbacks"] if isinstance(callback, Checkpoint))
    state.history = {"loss": [1.0], "seconds": [1.0]}


def test_binarised_runs_see_black_and_white_and_the_same_test_images():
    tests = [recipes.load_images(data="tiny", binarisation=kind).x_test for kind in ("fixed", "dynamic")]
    assert np.array_equal(*tests)
    assert set(np.unique(tests[0])) == {0, 1}
    assert set(np.unique(recipes.load_images(data="tiny", binarisation="fixed").x_train)) == {0, 1}
    with pytest.raises(ValueError, match="binarisation is 'sometimes'"):
        recipes.load_images(data="tiny", binarisation="sometimes")


def test_log_p_is_computed_where_asked(eager, monkeypatch):
    monkeypatch.setattr(recipes, "CLOSEST_IMAGES", 7)
    asked = {"binarisation": "dynamic", "bound_samples": 2000, "exact": True}
    found = recipes.train_vae(**SETTINGS, **asked)["held_out"]
    # The ELBO of the loss is an estimate, and so is the bound.
    assert found["exact_log_likelihood"] - found["gap"] == pytest.approx(-found["loss"], abs=0.5)
    assert found["exact_log_likelihood"] == pytest.approx(found["log_likelihood"], abs=0.1)
    assert found["exact_error"] < 0.03
    assert 0 < found["gap_median"] <= found["gap_ninth_decile"] <= found["gap_largest"]
    assert found["gap"] <= found["gap_largest"]
    assert abs(found["bound_largest_gap"]) < 0.5
    assert 0 <= found["approximation_gap"] < found["gap_of_first"]
    with pytest.raises(ValueError, match="exact is True, but bound_samples is 0"):
        recipes.train_vae(**SETTINGS, binarisation="dynamic", exact=True)


def test_the_bound_is_estimated_where_asked(eager):
    result = recipes.train_vae(**SETTINGS, binarisation="dynamic", bound_samples=20)
    assert -result["held_out"]["loss"] < result["held_out"]["log_likelihood"] < 0


def test_a_folder_stands_for_a_name():
    assert recipes.load_images({"tiny": "elsewhere"}, data="tiny").class_names == ("d", "e", "f")
    assert recipes.load_images({"digits": "elsewhere"}, data="tiny").class_names == ("a", "b", "c")
    for train, settings in ((recipes.train_vae, SETTINGS), (recipes.train_deep_autoencoder, DEEP)):
        with pytest.raises(KeyError, match="nowhere"):
            train(**settings, folders={"tiny": "nowhere"})


def test_pictures_that_are_streamed_are_refused(monkeypatch):
    batches = data.PictureBatches(["a.png", "b.png"], [0, 0])
    monkeypatch.setattr(recipes, "_loaded", lambda name: data.StreamedImages(batches, batches, ("a",)))
    with pytest.raises(ValueError, match="photos is streamed, but a study takes arrays"):
        recipes.load_images(data="photos")


def test_a_run_that_diverges_is_recorded_as_diverged(eager):
    result = recipes.train_vae(**{**SETTINGS, "activation": "ReLU", "learning_rate": 1e30})
    assert result["status"] == "diverged"
    assert result["held_out"] is None
    assert len(result["history"]["loss"]) < 3 or None in result["history"]["loss"]
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("what", ["weights", "measure"])
def test_a_run_of_which_a_weight_or_a_measure_is_not_finite_is_recorded_as_diverged(eager, monkeypatch, what):
    fit, measure = VAE.fit, recipes.measure_vae

    def spoiling_fit(self, *arguments, **named):
        fit(self, *arguments, **named)
        self.set_weights([np.full_like(weights, np.nan) for weights in self.get_weights()])

    if what == "weights":
        monkeypatch.setattr(VAE, "fit", spoiling_fit)
    else:
        replace_measure(monkeypatch, lambda vae, x, **named: {**measure(vae, x, **named), "loss": math.inf})
    result = recipes.train_vae(**SETTINGS)
    assert all(map(math.isfinite, result["history"]["loss"]))
    assert (result["status"], result["held_out"]) == ("diverged", None)


def test_the_decoder_has_the_hidden_layers_in_reverse():
    vae = recipes.build_vae((8, 8, 1), network="dense", hidden=[6, 5], activation="GELU", seed=SEED)
    widths = [
        [layer.units for layer in part.layers if isinstance(layer, keras.layers.Dense)]
        for part in (vae.encoder, vae.decoder)
    ]
    assert widths == [[6, 5, 2, 2], [5, 6, 64]]


def test_the_learning_rate_falls_until_the_last_batch(eager, monkeypatch):
    seen, fit = [], VAE.fit

    def watched_fit(self, *arguments, **named):
        seen.append(self.optimizer._learning_rate)
        return fit(self, *arguments, **named)

    monkeypatch.setattr(VAE, "fit", watched_fit)
    recipes.train_vae(**{**SETTINGS, "batch_size": 20}, cosine_decay=True)
    # Three epochs of four batches: sixty-four images, twenty at a time.
    assert seen[0].decay_steps == 12
    assert float(seen[0](12)) == pytest.approx(SETTINGS["learning_rate"] / 100)


def test_a_small_test_set_is_evaluated_many_times(tiny, eager, monkeypatch):
    seen, evaluate = [], VAE.evaluate
    monkeypatch.setattr(VAE, "evaluate", lambda self, x, **named: seen.append(x) or evaluate(self, x, **named))
    recipes.train_vae(**SETTINGS)
    assert np.array_equal(np.unique(seen[0], axis=0), np.unique(tiny.x_test, axis=0))
    assert len(seen[0]) == 100


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network": "recurrent"}, "network is 'recurrent'"),
        ({"activation": "gellu"}, "activation is 'gellu'"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd'"),
        ({"momentum": 0.9}, "momentum is 0.9, but Adam"),
        ({"clip_value": 1.0}, "clip_value is 1.0 and clip_norm 100.0.*set the other to None"),
        ({"clip_value": 0.0, "clip_norm": None}, "clip_value is 0.0"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0"),
        ({"reconstruction_loss": "mse"}, "reconstruction_loss is 'mse'"),
        ({"samples": 0}, "samples is 0"),
        ({"network": "convolutional", "tied": True}, "Expected dense layers"),
    ],
    ids=str,
)
def test_unknown_settings_and_those_that_exclude_each_other_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        recipes.train_vae(**{**SETTINGS, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 0}, "epochs is 0. Expected a whole number, 1 or more"),
        ({"epochs": -1}, "epochs is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 1.5}, "batch_size is 1.5. Expected int"),
        ({"seed": None}, "seed is None"),
        ({"learning_rate": "0.1"}, "learning_rate is '0.1'. Expected float"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"learning_rate": -0.1}, "learning_rate is -0.1. Expected a positive number"),
        ({"hidden": 8}, "hidden is 8. Expected .*Sequence"),
        ({"hidden": [8, 2.5]}, "hidden is .8, 2.5."),
        ({"hidden": "88"}, "hidden is '88'"),
        ({"tied": "yes"}, "tied is 'yes'. Expected bool"),
        ({"network": ["dense"]}, "network is .'dense'.. Expected str"),
        ({"data": 5}, "data is 5"),
        ({"beta": -1.0}, "beta is -1.0"),
        ({"reconstruction_weight": -1.0}, "reconstruction_weight is -1.0"),
        ({"free_nats": -1.0}, "free_nats is -1.0"),
        ({"optimizer": "SGD", "momentum": 1.0}, "momentum is 1.0"),
        ({"ema_momentum": 1.5}, "ema_momentum is 1.5"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"warm_up": -1}, "epochs is -1"),
        ({"warm_up": 1.5}, "warm_up is 1.5"),
        ({"validation": 64}, "count is 64"),
        ({"widths": 3, "depth": 1}, r"unknown settings \['depth', 'widths'\] and lacks \[\]"),
        ({"rate": 3}, r"unknown settings \['rate'\].*Expected some of these: activation, batch_size, beta, "),
    ],
    ids=str,
)
def test_settings_of_another_type_or_out_of_range_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        recipes.train_vae(**{**SETTINGS, **changed})


def test_settings_that_are_missing_are_named():
    for train, settings, name in (
        (recipes.train_vae, SETTINGS, "network"),
        (recipes.train_deep_autoencoder, DEEP, "learning_rate"),
    ):
        with pytest.raises(ValueError, match=rf"unknown settings \[\] and lacks \['{name}', 'seed'\]"):
            train(**{setting: value for setting, value in settings.items() if setting not in (name, "seed")})


def one_part(images, *, seed: int, width: int = 3, sizes: Sequence[int] = (1, 2)):
    pass


def other_part(model, *, seed: int, epochs: int, batch_size: int = 4, name: str | None = None):
    pass


def test_a_part_gets_the_settings_that_it_names_and_a_record_the_defaults_of_the_others():
    run = {"seed": 1, "epochs": 2, "width": 5}
    assert recipes.settings_of(one_part, run) == {"seed": 1, "width": 5}
    assert recipes.settings_of(other_part, run) == {"seed": 1, "epochs": 2}
    # As JSON holds them.
    left = recipes.defaults(run, (one_part, other_part))
    assert left == {"sizes": [1, 2], "batch_size": 4, "name": None}
    # What a part is given beside the settings is no setting.
    with pytest.raises(ValueError, match=r"unknown settings \['images', 'model'\]"):
        recipes.check_settings({**run, "images": 1, "model": 2}, (one_part, other_part))


def test_weights_of_the_terms_reach_the_vae():
    weights = {"beta": 3.0, "reconstruction_weight": 0.5, "samples": 2, "free_nats": 0.25}
    vae = recipes.build_vae((8, 8, 1), network="dense", activation="GELU", seed=SEED, **weights)
    assert {name: getattr(vae, name) for name in weights} == weights
    plain = recipes.build_vae((8, 8, 1), network="dense", activation="GELU", seed=SEED)
    assert {name: getattr(plain, name) for name in weights} == dict.fromkeys(weights, 1) | {"free_nats": 0}


def test_the_seed_reaches_the_draws_of_the_pixels_and_of_the_bound(monkeypatch):
    seen = {}
    monkeypatch.setattr(VAE, "fit", lambda self, x, **arguments: seen.update(fit=x) or _end(arguments))
    monkeypatch.setattr(
        recipes.likelihood,
        "importance_weighted_bound",
        lambda vae, x, **named: seen.update(bound=named) or np.zeros(len(x)),
    )
    recipes.train_vae(**{**SETTINGS, "seed": SEED + 5}, binarisation="dynamic", bound_samples=7)
    assert (seen["fit"].seed, seen["fit"].batch_size) == (SEED + 5, 16)
    assert (seen["bound"]["seed"], seen["bound"]["samples"]) == (SEED + 5, 7)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("binarisation", ["fixed", "dynamic"])
def test_a_training_that_is_killed_goes_on(tmp_path, eager, monkeypatch, binarisation):
    """Every variable of the model and the optimiser is what it was, and no epoch is done twice."""
    monkeypatch.setattr(Checkpoint.__init__, "__defaults__", (0.0,))
    settings = {**SETTINGS, "epochs": 5, "warm_up": 4, "beta": 3.0, "cosine_decay": True, "binarisation": binarisation}
    train = functools.partial(recipes.train_vae, **settings, backup=tmp_path / "run")
    epochs, states = [], []
    begin, fit = Checkpoint.on_epoch_begin, VAE.fit

    def kill_at_three(self, epoch, logs=None):
        epochs.append(epoch)
        if epochs.count(3) == 1 and epoch == 3:
            states.append([variable.numpy() for variable in variables(self.model)])
            raise Killed
        begin(self, epoch, logs)

    def watched_fit(self, *arguments, **named):
        if states:
            states.append([variable.numpy() for variable in variables(self)])
            betas.append(self.beta)
            begun.extend(batches.epoch for batches in arguments if isinstance(batches, data.DynamicBinarisation))
        return fit(self, *arguments, **named)

    betas, begun = [], []
    monkeypatch.setattr(Checkpoint, "on_epoch_begin", kill_at_three)
    monkeypatch.setattr(VAE, "fit", watched_fit)
    with pytest.raises(Killed):
        train()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"000003.json", "000003.weights.h5", "lock"}
    # What a kill in the middle of the next state leaves behind.
    (tmp_path / "run" / "000004.weights.h5").write_bytes(b"half")
    (tmp_path / "run" / "000004.new").write_text("{")
    result = train()
    assert epochs == [0, 1, 2, 3, 3, 4]
    assert result["resumed"] == [3]
    # The full value, to warm up to, and not that of the epoch of the state.
    assert betas == [3.0]
    assert begun == ([3] if binarisation == "dynamic" else [])
    for before, after in zip(*states):
        assert np.array_equal(before, after)
    assert len(result["history"]["loss"]) == 5
    assert all(math.isfinite(loss) for loss in result["history"]["loss"])


def test_a_kill_while_measuring_loses_no_training(tmp_path, monkeypatch):
    whole = unchanged()
    # A training long enough to have kept a state once, and not at its last epoch.
    end_epoch = Checkpoint.on_epoch_end
    monkeypatch.setattr(
        Checkpoint,
        "on_epoch_end",
        lambda self, epoch, logs=None: end_epoch(self, epoch, logs) or (epoch == 0 and self.save()),
    )
    epochs = []

    def killed(vae, x, **named):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        replace_measure(patch, killed)
        recipes.train_vae(**SETTINGS, backup=tmp_path / "run")
    monkeypatch.setattr(Checkpoint, "on_epoch_begin", lambda self, epoch, logs=None: epochs.append(epoch))
    result = recipes.train_vae(**SETTINGS, backup=tmp_path / "run")
    assert epochs == []
    assert result["held_out"]["kl_loss"] == pytest.approx(whole["held_out"]["kl_loss"], abs=1e-4)


def variables(vae):
    return [*vae.trainable_variables, *vae.optimizer.variables]


def test_every_name_of_an_activation_makes_a_layer():
    assert set(recipes.ACTIVATIONS) >= {"GELU", "ReLU", "LeakyReLU(0.3)"}
    for activation in recipes.ACTIVATIONS.values():
        layer = networks.activation_layer(activation)
        assert np.isfinite(keras.ops.convert_to_numpy(layer(np.linspace(-3, 3, 7, dtype="float32")))).all()


def test_names_of_the_activations_say_what_they_are():
    x = np.linspace(-3, 3, 61, dtype="float32")
    phi = 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    expected = {
        "LeakyReLU(0.3)": np.where(x > 0, x, 0.3 * x),
        "LeakyReLU(0.2)": np.where(x > 0, x, 0.2 * x),
        "LeakyReLU(0.01)": np.where(x > 0, x, 0.01 * x),
        "ReLU": np.maximum(x, 0),
        "ELU": np.where(x > 0, x, np.exp(x) - 1),
        "SiLU": x / (1 + np.exp(-x)),
        "GELU": x * phi,
        "GELU (tanh)": 0.5 * x * (1 + np.tanh(inner)),
        "tanh": np.tanh(x),
        "sigmoid": 1 / (1 + np.exp(-x)),
    }
    assert set(expected) == set(recipes.ACTIVATIONS)
    for name, values in expected.items():
        layer = networks.activation_layer(recipes.ACTIVATIONS[name])
        assert keras.ops.convert_to_numpy(layer(x)) == pytest.approx(values, abs=2e-6), name
    assert not np.allclose(expected["GELU"], expected["GELU (tanh)"], atol=1e-5)


DEEP = {name: SETTINGS[name] for name in ("data", "seed", "epochs", "batch_size", "learning_rate")}
DEEP |= {"activation": "ReLU", "hidden": [16, 8, 4]}


@pytest.fixture
def deep_models(monkeypatch):
    """The models of the deep autoencoders that a test trains, and their weights before the training."""
    models, fit = [], keras.Sequential.fit

    def watched_fit(self, *arguments, **named):
        models.append((self, self.get_weights()))
        return fit(self, *arguments, **named)

    monkeypatch.setattr(keras.Sequential, "fit", watched_fit)
    return models


def test_the_deep_autoencoder_is_that_of_the_paper(tiny, deep_models):
    result = recipes.train_deep_autoencoder(**DEEP)
    model, weights = deep_models[0]
    assert [kernel.shape[1] for kernel in weights[::2]] == [16, 8, 4, 8, 16, 64]
    for kernel, bias in zip(weights[::2], weights[1::2]):
        assert np.linalg.norm(kernel, axis=0) == pytest.approx(1, abs=1e-5)
        assert not bias.any()
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    functions = [layer for layer in model.layers if not isinstance(layer, keras.layers.Dense)]
    assert (len(dense), len(functions)) == (6, 5)
    x = np.array([[-2.0, 3.0]], "float32")
    for layer in functions:
        assert np.array_equal(layer(x), np.maximum(x, 0))
    assert model.layers[-1] is dense[-1]
    assert dense[-1].activation is keras.activations.linear
    x_test = tiny.x_test.reshape(-1, 64)
    error = np.mean((model.predict(x_test, verbose=0) - x_test) ** 2)
    assert result["held_out"]["loss"] == pytest.approx(error, rel=1e-4)
    assert result["history"]["val_loss"][-1] == result["held_out"]["loss"]
    assert {len(values) for values in result["history"].values()} == {3}
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_deep_autoencoders_of_one_seed_start_from_the_same_weights(deep_models, eager):
    settings = [DEEP, {**DEEP, "activation": "GELU"}, {**DEEP, "seed": SEED + 1}]
    losses = [recipes.train_deep_autoencoder(**run)["held_out"]["loss"] for run in settings]
    assert len(set(losses)) == 3
    (_, first), (_, same), (_, other) = deep_models
    assert all(np.array_equal(a, b) for a, b in zip(first, same))
    assert not np.array_equal(first[0], other[0])


def test_a_deep_autoencoder_that_is_killed_goes_on(tmp_path, eager, monkeypatch):
    monkeypatch.setattr(Checkpoint.__init__, "__defaults__", (0.0,))
    begin, epochs = Checkpoint.on_epoch_begin, []

    def kill_once(self, epoch, logs=None):
        epochs.append(epoch)
        if epochs == [0, 1, 2]:
            raise Killed
        begin(self, epoch, logs)

    monkeypatch.setattr(Checkpoint, "on_epoch_begin", kill_once)
    with pytest.raises(Killed):
        recipes.train_deep_autoencoder(**DEEP, backup=tmp_path / "run")
    result = recipes.train_deep_autoencoder(**DEEP, backup=tmp_path / "run")
    assert epochs == [0, 1, 2, 2]
    assert len(result["history"]["val_loss"]) == 3


def test_deep_autoencoders_that_diverge_and_bad_names(eager):
    result = recipes.train_deep_autoencoder(**{**DEEP, "learning_rate": 1e30})
    assert (result["status"], result["held_out"]) == ("diverged", None)
    with pytest.raises(ValueError, match="gellu"):
        recipes.train_deep_autoencoder(**{**DEEP, "activation": "gellu"})
