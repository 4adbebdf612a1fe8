"""What keeps the models of the tests small and quick."""

SHAPE = (8, 8, 1)


def quickly(**arguments):
    """Arguments of `compile`: XLA takes longer to compile than it saves in trainings as short as those of tests."""
    import keras

    # A test of its own asks for XLA. On JAX nothing else compiles a step.
    on_jax = keras.backend.backend() == "jax" and not arguments.get("run_eagerly")
    return {"jit_compile": on_jax, **arguments}
