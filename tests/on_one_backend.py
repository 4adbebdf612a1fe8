"""Train small models from weights and noise that are the same on every backend, and write what comes out.

KERAS_BACKEND=jax python on_one_backend.py OUT SEED SAVED
SAVED is a file of a VAE, from any backend, that reconstructs the images.
"""

import sys

import keras
import numpy as np
from keras import layers, ops

from vae_keras import VAE, Autoencoder, ConditionalVAE, Sampling, SemiSupervisedVAE, losses

SHAPE, BATCH, STEPS, CLASSES, LATENT_DIM = (6, 6, 1), 8, 10, 3, 2


class Noise(Sampling):
    """Noise from a table, of which every call takes the next row."""

    def __init__(self, table, **kwargs):
        super().__init__(**kwargs)
        self.table = table
        self.row = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="row")

    def call(self, z_mean, z_log_var):
        epsilon = ops.take(ops.convert_to_tensor(self.table), self.row, axis=0)[: ops.shape(z_mean)[0]]
        self.row.assign_add(1)
        return z_mean + ops.exp(z_log_var / 2) * epsilon


def build_encoder(table, variational=True, labels=False):
    inputs = [keras.Input(SHAPE), *([keras.Input((), dtype="int32")] * labels)]
    x = layers.Flatten()(inputs[0])
    if labels:
        x = layers.Concatenate()([x, layers.CategoryEncoding(CLASSES, "one_hot")(inputs[1])])
    # A penalty of a weight, one of what a layer gives, and statistics that are no weights of the gradient.
    x = layers.Dense(10, "tanh", kernel_regularizer="l2", activity_regularizer="l2")(x)
    x = layers.BatchNormalization()(x)
    if not variational:
        return keras.Model(inputs, layers.Dense(LATENT_DIM)(x))
    z_mean, z_log_var = layers.Dense(LATENT_DIM)(x), layers.Dense(LATENT_DIM)(x)
    return keras.Model(inputs if labels else inputs[0], [z_mean, z_log_var, Noise(table)(z_mean, z_log_var)])


def build_decoder(labels=False):
    inputs = [keras.Input((LATENT_DIM,)), *([keras.Input((), dtype="int32")] * labels)]
    x = inputs[0]
    if labels:
        x = layers.Concatenate()([x, layers.CategoryEncoding(CLASSES, "one_hot")(inputs[1])])
    x = layers.Dense(10, "gelu", kernel_regularizer="l2")(x)
    x = layers.Reshape(SHAPE)(layers.Dense(36, "sigmoid")(x))
    return keras.Model(inputs if labels else inputs[0], x)


def build_classifier():
    return keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(CLASSES)])


MODELS = {
    "autoencoder": lambda table: Autoencoder(build_encoder(table, variational=False), build_decoder()),
    "vae": lambda table: VAE(build_encoder(table), build_decoder(), beta=2.0),
    "three samples": lambda table: VAE(
        build_encoder(table), build_decoder(), samples=3, free_nats=0.5, reconstruction_loss=losses.LearnedGaussian()
    ),
    "conditional": lambda table: ConditionalVAE(build_encoder(table, labels=True), build_decoder(labels=True)),
    "semi-supervised": lambda table: SemiSupervisedVAE(
        build_encoder(table, labels=True), build_decoder(labels=True), build_classifier()
    ),
}


def draw_weights(model, rng):
    for weight in model.trainable_weights:
        weight.assign(0.3 * rng.normal(size=weight.shape))


def main(out, seed, saved):
    rng = np.random.default_rng(seed)
    images = rng.random((BATCH, *SHAPE), dtype="float32")
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    table = rng.normal(size=(4 * STEPS, 3 * BATCH, LATENT_DIM)).astype("float32")
    results = {"saved": keras.models.load_model(saved).predict(images, verbose=0)}
    for name, build in MODELS.items():
        for optimizer, steps in ((keras.optimizers.SGD(1.0), 1), (keras.optimizers.Adam(0.01), STEPS)):
            model = build(table)
            draw_weights(model, np.random.default_rng(seed))
            compiled = steps > 1 and keras.backend.backend() == "jax"
            model.compile(optimizer, run_eagerly=steps == 1, jit_compile=compiled)
            y = np.where(np.arange(BATCH) < 4, labels, -1) if name == "semi-supervised" else labels
            trainable = [weight.trainable for weight in model.weights]
            before = model.get_weights()
            history = model.fit(images, y, batch_size=BATCH, epochs=steps, shuffle=False, verbose=0).history
            after = model.get_weights()
            if steps == 1:
                # A step of length 1 goes down the gradient itself.
                for i, (weight, moved) in enumerate(zip(before, after)):
                    if trainable[i]:
                        results[f"{name}/gradient/{i}"] = weight - moved
                results |= {f"{name}/loss/{metric}": values for metric, values in history.items()}
            else:
                results |= {f"{name}/weights/{i}": weight for i, weight in enumerate(after)}
                measured = model.evaluate(images, y, verbose=0, return_dict=True)
                results |= {f"{name}/measured/{metric}": value for metric, value in measured.items()}
    np.savez(out, **results)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
