"""Tied weights: a dense layer that uses the kernel of another one, transposed."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="vae_keras")
class TiedDense(layers.Layer):
    """Dense layer with the transposed kernel of another one, `source`, and a bias of its own: x W^T + b.

    Takes (n, units of `source`) and returns (n, inputs of `source`). Gradients reach the kernel through both layers.
    Loaded from a file without the network of its source, it has a copy of the source; `tied_again` puts that right.
    Raises `ValueError` for a `source` that is no built Dense layer, and for inputs of another width than its units.
    """

    def __init__(self, source: layers.Dense, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(source, layers.Dense) or not source.built:
            raise ValueError(f"source is {source!r}. Expected a Dense layer that is part of a network.")
        self.source = source

    def build(self, input_shape):
        inputs, units = self.source.kernel.shape
        if input_shape[-1] != units:
            raise ValueError(
                f"The layer tied to {self.source.name!r} takes {units} values, as many as {self.source.name!r} gives, "
                f"but gets {input_shape[-1]}. Tie the layers of the encoder in reverse order."
            )
        self.bias = self.add_weight(shape=(inputs,), initializer="zeros", name="bias")

    @property
    def kernel(self):
        """The transposed kernel of the source, (units, inputs)."""
        return ops.transpose(self.source.kernel)

    def call(self, x):
        return ops.matmul(x, self.kernel) + self.bias

    def get_config(self):
        return {**super().get_config(), "source": keras.saving.serialize_keras_object(self.source)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "source": keras.saving.deserialize_keras_object(config["source"])})


def tied_again(encoder: keras.Model, decoder: keras.Model) -> keras.Model:
    """Build a decoder that was read from a file anew: its tied layers use the encoder's layers of their names again."""

    def to_encoder(layer):
        if not isinstance(layer, TiedDense):
            return layer
        return TiedDense(encoder.get_layer(layer.source.name), name=layer.name, dtype=layer.dtype_policy)

    if not any(isinstance(layer, TiedDense) for layer in decoder.layers):
        return decoder
    return keras.models.clone_model(decoder, clone_function=to_encoder)
