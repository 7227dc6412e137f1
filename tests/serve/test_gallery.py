"""The gallery: the best rows by a whole matrix, found without it; what is refused, in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gair_jax.config import InputError
from gair_jax.serve import gallery, search
from gair_jax.serve.gallery import NONE, Gallery, Top
from tests.serve import search_scene
from tests.serve.search_scene import WIDTH, embedder


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@given(
    levels=st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), max_size=40),
    k=st.integers(1, 5),
    cuts=st.lists(st.integers(0, 40), max_size=4),
)
def test_top_is_a_stable_sort_of_all_scores_however_they_are_cut(levels, k, cuts):
    score = np.array(levels, np.float32).reshape(-1, 3).T
    score[score == 4] = np.nan  # no score at all
    top = Top(3, k)
    rows = np.arange(score.shape[1])
    for part in np.split(rows, sorted(min(cut, len(rows)) for cut in cuts)):
        top.add(score[:, part], part)
    for query in range(3):
        known = rows[~np.isnan(score[query])]
        best = known[np.argsort(-score[query, known], kind='stable')][:k]
        found = top.row[query][top.row[query] != NONE]
        assert found.tolist() == best.tolist()
        assert top.score[query, : len(best)].tolist() == score[query, best].tolist()
        assert np.all(np.isneginf(top.score[query, len(best) :]))


def test_equal_rows_far_apart_come_in_row_order(tmp_path, rng):
    """Equal embeddings get equal scores, whatever block of a product they lie in."""
    values = rng.standard_normal((900, WIDTH)).astype(np.float32)
    twins = [890, 3, 257, 511, 600]
    values[twins] = values[3]
    made = Gallery(search_scene.gallery(tmp_path / 'g.parquet', {'sv': values}), embedder())
    queries = gallery.unit64(values[[3, 5]] + 0.1)
    top = search.find_rows(queries, made.batches('embedding_sv', WIDTH), 5)
    assert top.row[0].tolist() == sorted(twins)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    assert top.row[1].tolist() == np.argsort(-(unit @ queries[1]), kind='stable')[:5].tolist()


def test_equal_rows_get_equal_scores_in_blocks_of_any_length(rng):
    """float32 products of 17 queries differ in their last bit from one length to another."""
    rows = gallery.unit64(rng.standard_normal((900, 128)))
    rows[::7] = rows[0]
    queries = gallery.unit64(rng.standard_normal((17, 128)))
    cut = np.split(rows, [256, 512, 768, 899])
    score = np.concatenate([gallery.cosines(queries, part) for part in cut], axis=1)[:, ::7]
    assert np.array_equal(score, np.broadcast_to(score[:, :1], score.shape))


def test_rows_without_an_embedding_are_never_found(tmp_path, rng):
    values = rng.standard_normal((10, WIDTH)).astype(np.float32)
    values[2], values[7] = np.nan, 0
    made = Gallery(
        search_scene.gallery(tmp_path / 'g.parquet', {'sv': values}, row_group_size=3), embedder()
    )
    top = search.find_rows(np.eye(1, WIDTH), made.batches('embedding_sv', WIDTH), 20)
    assert sorted(top.row[0][top.row[0] != NONE]) == [0, 1, 3, 4, 5, 6, 8, 9]


def test_rows_are_read_a_batch_at_a_time(tmp_path, rng):
    values = rng.standard_normal((700, WIDTH)).astype(np.float32)
    values[1:6] = np.nan
    path = search_scene.gallery(tmp_path / 'g.parquet', {'sv': values}, row_group_size=700)
    batches = list(Gallery(path, embedder()).batches('embedding_sv', WIDTH))
    assert max(len(rows) for rows, _ in batches) <= gallery.ROWS
    assert np.concatenate([rows for rows, _ in batches]).tolist() == [0, *range(6, 700)]
    found = np.concatenate([embedding for _, embedding in batches])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)


def test_entries_are_named_by_the_table(tmp_path):
    lonlat = [(1.5, 2.5), (np.nan, np.nan), (3, 4)]
    values = np.ones((3, WIDTH), np.float32)
    path = search_scene.gallery(
        tmp_path / 'g.parquet', {'sv': values}, lonlat, image=['a.jpg', None, 'c.jpg'],
        row_group_size=1,
        provenance_=search_scene.provenance(columns={'photo': 'image', 'id': 'absent'}),
    )  # fmt: skip
    found = Gallery(path, embedder()).entries([2, 1])
    assert sorted(found) == [1, 2]
    assert found[2].photo == 'c.jpg' and found[2].lonlat.tolist() == [3, 4]
    assert found[1].id == 'row 2' and found[1].photo == '' and np.isnan(found[1].lonlat).all()


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'checkpoint': {'path': 'old', 'sha256': 'b' * 64}}, ['small', 'old', 'bbbbbbbbbbbb']),
        ({'checkpoint': {}}, ['an unknown one', '--allow-other-checkpoint']),
    ],
)
def test_a_gallery_of_another_checkpoint_is_refused(tmp_path, changes, words):
    values = {'sv': np.ones((2, WIDTH), np.float32)}
    path = search_scene.gallery(
        tmp_path / 'g.parquet', values, provenance_=search_scene.provenance(**changes)
    )
    with pytest.raises(InputError) as error:
        Gallery(path, embedder())
    assert all(word in str(error.value) for word in words), error.value
    assert len(Gallery(path, embedder(), other_checkpoint=True)) == 2


def test_a_gallery_that_cannot_be_compared_says_why(tmp_path):
    values = {'sv': np.ones((2, WIDTH - 1), np.float32)}
    path = search_scene.gallery(tmp_path / 'g.parquet', values)
    with pytest.raises(InputError, match='expected lists of 16 numbers in embedding_sv'):
        list(Gallery(path, embedder()).batches('embedding_sv', WIDTH))
    with pytest.raises(InputError, match='embedding_rs or embedding_location, found embedding_sv'):
        Gallery(path, embedder()).column(['rs', 'location'])
    other = search_scene.gallery(
        tmp_path / 'e.parquet', values, provenance_=search_scene.provenance(space='encoder')
    )
    with pytest.raises(InputError, match='found encoder'):
        Gallery(other, embedder()).column(['sv'])


def test_a_file_that_is_no_gallery_is_named(tmp_path):
    with pytest.raises(InputError, match=r'no\.parquet: no such gallery'):
        Gallery(tmp_path / 'no.parquet', embedder())
    path = search_scene.gallery(tmp_path / 'g.parquet', {'sv': np.ones((2, WIDTH), np.float32)})
    cut = tmp_path / 'cut.parquet'
    cut.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r'cut\.parquet: expected a Parquet table'):
        Gallery(cut, embedder())
