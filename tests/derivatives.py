"""Gradients on the backend that Keras runs on, to compare the package's steps with."""

import keras
import numpy as np


def value_and_gradients(function, variables):
    """Compute what a function of nothing gives, and the gradients of its sum over variables of Keras, in NumPy."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = function()
        gradients = tape.gradient(value, [variable.value for variable in variables])
    elif backend == "jax":
        import jax

        def total(values):
            with keras.StatelessScope(zip(variables, values)):
                value = function()
            return keras.ops.sum(value), value

        gradients, value = jax.grad(total, has_aux=True)([variable.value for variable in variables])
    else:
        import torch

        value = function()
        gradients = torch.autograd.grad(value.sum(), [variable.value for variable in variables])
    return as_array(value), [as_array(gradient) for gradient in gradients]


def as_array(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))
