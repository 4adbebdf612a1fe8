"""Tied weights: a dense layer that uses the kernel of another one, transposed."""

from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="vae_keras")
class TiedDense(layers.Layer):
    """Dense layer with the transposed kernel of another one, and a bias of its own: x W^T + b.

    Takes (n, units of `source`) and returns (n, inputs of `source`). Gradients reach the kernel through both layers.
    Loaded from a file without the network of its source, it has a copy of the source; `retie` puts that right.

    Args:
        source: A Dense layer that is part of a network.
        **kwargs: What `keras.layers.Layer` takes, such as `name`.

    Raises:
        ValueError: For a `source` that is no built Dense layer, and for inputs of another width than its units.

    Example:
        >>> image = keras.Input((784,))
        >>> dense = keras.layers.Dense(2)
        >>> z = dense(image)
        >>> reconstruction = TiedDense(dense)(z)
    """

    def __init__(self, source: layers.Dense, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(source, layers.Dense) or not source.built:
            raise ValueError(f"source is {source!r}. Expected a Dense layer that is part of a network.")
        self.source = source

    def build(self, input_shape: tuple) -> None:
        """Make the bias, one value for each input of the source."""
        inputs, units = self.source.kernel.shape
        if input_shape[-1] != units:
            raise ValueError(
                f"The layer tied to {self.source.name!r} takes {units} values, as many as {self.source.name!r} gives, "
                f"but gets {input_shape[-1]}. Tie the layers of the encoder in reverse order."
            )
        self.bias = self.add_weight(shape=(inputs,), initializer="zeros", name="bias")

    @property
    def kernel(self) -> Any:
        """The transposed kernel of the source, (units, inputs)."""
        return ops.transpose(self.source.kernel)

    def call(self, x: Any) -> Any:
        """Compute x W^T + b, (n, inputs of the source)."""
        return ops.matmul(x, self.kernel) + self.bias

    def get_config(self) -> dict:
        """Name the source, so that the layer can be saved."""
        return {**super().get_config(), "source": keras.saving.serialize_keras_object(self.source)}

    @classmethod
    def from_config(cls, config: dict) -> "TiedDense":
        """Make the layer of which `get_config` gave the configuration, with a copy of its source."""
        return cls(**{**config, "source": keras.saving.deserialize_keras_object(config["source"])})


def retie(encoder: keras.Model, decoder: keras.Model) -> keras.Model:
    """Tie a decoder that was read from a file to its encoder again.

    Args:
        encoder: Has layers of the names of the sources.
        decoder: May have `TiedDense` layers, which hold copies of their sources.

    Returns:
        A new decoder whose tied layers use the encoder's layers, or the decoder itself where nothing is tied.
    """

    def to_encoder(layer):
        if not isinstance(layer, TiedDense):
            return layer
        return TiedDense(encoder.get_layer(layer.source.name), name=layer.name, dtype=layer.dtype_policy)

    if not any(isinstance(layer, TiedDense) for layer in decoder.layers):
        return decoder
    return keras.models.clone_model(decoder, clone_function=to_encoder)
