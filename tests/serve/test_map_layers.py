"""How embeddings become stored bands."""

import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.serve import layers


def embeddings(n=200, d=16, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * np.linspace(5, 0.1, d) + 1).astype(np.float32)


def test_int8_is_within_half_a_step_and_counts_what_it_cuts():
    x = embeddings()
    scales = layers.scales_of(x)
    layer = layers.integers(scales)
    stored = layer.store(x)
    assert stored.clipped == 0 and np.abs(stored.cells.astype(int)).max() <= 127
    assert (np.abs(stored.cells * scales - x) <= 0.5001 * scales).all()
    beyond = layer.store(2 * x)
    assert beyond.clipped == (np.abs(np.rint(2 * x / scales.astype(np.float32))) > 127).sum() > 0
    assert (beyond.cells != layer.nodata).all()


def test_similarity_is_the_cosine():
    x, vector = embeddings(), embeddings(1, seed=1)[0]
    expected = [row @ vector / np.linalg.norm(row) / np.linalg.norm(vector) for row in x]
    stored = layers.similarity(vector, 'it', 'float32').store(x)
    np.testing.assert_allclose(stored.cells[:, 0], expected, atol=1e-6)


def test_components_are_those_of_the_singular_values():
    x = embeddings()
    basis = layers.basis_of(x)
    right = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:3]
    np.testing.assert_allclose(np.abs(basis.components @ right.T), np.eye(3), atol=1e-3)
    assert (basis.components.max(axis=1) == np.abs(basis.components).max(axis=1)).all()


def test_the_picture_is_stretched_between_the_percentiles():
    x = embeddings()
    stored = layers.picture(layers.basis_of(x)).store(x).cells
    assert stored.min() == 1 and stored.max() == 255  # 0 is no data
    np.testing.assert_allclose([(stored == 1).mean(), (stored == 255).mean()], 0.02, atol=0.02)


def test_a_basis_survives_its_json():
    basis = layers.basis_of(embeddings())
    again = layers.Basis.from_dict(basis.to_dict())
    for own, other in zip(basis, again, strict=True):
        np.testing.assert_array_equal(own, other)


def test_too_few_cells_have_no_components():
    with pytest.raises(InputError, match='at least 4 cells'):
        layers.basis_of(embeddings(3))


@pytest.mark.parametrize(
    ('kind', 'dtype', 'words'),
    [
        ('pca3', 'int8', 'uint8 for pca3'),
        ('similarity', 'int8', 'float32 or float16'),
        ('x', '', 'pca3'),
    ],
)
def test_a_type_belongs_to_its_kind(kind, dtype, words):
    with pytest.raises(InputError, match=words):
        layers.check(kind, dtype)
