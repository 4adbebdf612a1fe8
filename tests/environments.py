"""The Python of each backend: that of the tests, or that of an environment which `make test-backends` makes."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = {"tensorflow": ".venv", "jax": ".venv-jax", "torch": ".venv-torch"}


def python_of(backend: str) -> str:
    """Find the Python in which a backend is installed, or skip the test."""
    if importlib.util.find_spec(backend):
        return sys.executable
    python = ROOT / ENVIRONMENTS[backend] / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{ENVIRONMENTS[backend]} is missing, the environment of {backend}: make test-backends makes it")
    return str(python)
