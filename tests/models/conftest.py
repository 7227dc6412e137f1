"""Small models compile for longer than they run, so XLA's slower passes are left out here."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True, scope='package')
def quick_compilation() -> Iterator[None]:
    """Fewer optimisations for the tests of this folder alone."""
    jax.config.update('jax_disable_most_optimizations', True)
    yield
    jax.config.update('jax_disable_most_optimizations', False)
