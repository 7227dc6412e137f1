import functools
import hashlib
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from gair_jax.builders import staging
from gair_jax.config import InputError

LON = 139.7460578479397


def photo(name):
    return {
        'id': name,
        'photo': name.encode(),
        'lonlat': np.array([LON, -35.1]),
        'heading': float('nan'),
        'date': '',
        'licence': '',
        'group': 'g',
        'tile_key': 't',
        'split': 'val' if name.endswith('1') else 'train',
        'labels': {'a': np.float32(0.1), 'b': np.arange(6, dtype=np.int64).reshape(2, 3)},
    }


def acquisition(index):
    return {
        'id': f'a{index}',
        'tile_key': 't',
        'date': '2024-01-01',
        'cloud': 0.25,
        'bands': np.arange(24, dtype=np.uint16).reshape(2, 3, 4),
        'band_names': ('B02', 'B03', 'B04', 'B05'),
        'bounds': np.array([LON, 1.0, LON + 1, 0.0]),
        'crs': 'EPSG:4326',
        'transform': np.array([0.1, 0, LON, 0, -0.1, 1.0]),
        'labels': {'mask': np.ones((2, 3), np.uint8)},
    }


def make(calls, index, fail_at=-1):
    with open(calls, 'a') as file:
        file.write(f'{index}\n')
    if index == fail_at:
        raise InputError('stop here')
    photos = [photo(f'p{index}_{number}') for number in range(40)]
    return staging.Chunk(photos, [acquisition(index)], [{'row': 1, 'id': 'x', 'reason': 'r'}])


def digest(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob('chunk-*/*'))
    }


def test_what_is_staged_is_read_back_bit_for_bit(tmp_path):
    staging.run(tmp_path / 's', {}, 1, functools.partial(make, tmp_path / 'calls'), 1, '')
    read = next(staging.read(tmp_path / 's', 'photos'))
    assert read['lonlat'].tobytes() == photo('p0_0')['lonlat'].tobytes()
    assert read['labels']['a'] == np.float32(0.1) and read['labels']['a'].shape == ()
    np.testing.assert_array_equal(read['labels']['b'], photo('p0_0')['labels']['b'])
    read = next(staging.read(tmp_path / 's', 'acquisitions'))
    for name, value in acquisition(0).items():
        assert type(read[name]) is type(value), name
        if name != 'labels':
            np.testing.assert_array_equal(read[name], value)
    assert read['bands'].dtype == np.uint16 and read['labels']['mask'].dtype == np.uint8


def test_records_come_in_chunk_order_by_column_and_by_split(tmp_path):
    staging.run(tmp_path / 's', {}, 3, functools.partial(make, tmp_path / 'calls'), 1, '')
    names = [row['id'] for row in staging.read(tmp_path / 's', 'photos', ('id',))]
    assert names == [f'p{index}_{number}' for index in range(3) for number in range(40)]
    val = [row['id'] for row in staging.read(tmp_path / 's', 'photos', ('id',), split='val')]
    assert val == [name for name in names if name.endswith('1')]


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(tmp_path):
    for workers in (1, 2):
        run = functools.partial(make, tmp_path / 'calls')
        staging.run(tmp_path / str(workers), {'a': 1}, 3, run, workers, '')
    assert digest(tmp_path / '1') == digest(tmp_path / '2')


def test_finished_chunks_are_not_made_again(tmp_path):
    calls, folder = tmp_path / 'calls', tmp_path / 's'
    with pytest.raises(InputError, match='stop here'):
        staging.run(folder, {'a': 1}, 4, functools.partial(make, calls, fail_at=2), 1, '')
    staging.run(folder, {'a': 1}, 4, functools.partial(make, calls), 1, '')
    assert calls.read_text().split() == ['0', '1', '2', '2', '3']


def test_another_fingerprint_starts_over_and_says_so(tmp_path, capsys):
    calls, folder = tmp_path / 'calls', tmp_path / 's'
    for fingerprint in ({'a': 1}, {'a': 2}):
        staging.run(folder, fingerprint, 2, functools.partial(make, calls), 1, '')
    assert calls.read_text().split() == ['0', '1', '0', '1']
    assert 'starts over' in capsys.readouterr().out


@pytest.mark.slow
def test_an_error_in_a_worker_process_reaches_the_caller(tmp_path):
    run = functools.partial(make, tmp_path / 'calls', fail_at=1)
    with pytest.raises(InputError, match='stop here'):
        staging.run(tmp_path / 's', {}, 3, run, 2, '')


def kill_in_worker(index):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_told_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match='worker process was killed'):
        staging.run(tmp_path / 's', {}, 3, kill_in_worker, 2, '')


def test_two_builds_at_once_are_refused(tmp_path):
    with (
        staging._locked(tmp_path / 's'),
        pytest.raises(InputError, match='another build of this data set is running'),
    ):
        staging.run(tmp_path / 's', {}, 1, functools.partial(make, tmp_path / 'calls'), 1, '')


def test_a_file_size_limit_leaves_no_part_of_a_chunk(tmp_path):
    script = textwrap.dedent(f"""
        import functools, pathlib, resource
        from gair_jax.builders import staging
        from gair_jax.config import InputError
        from tests.builders.test_staging import make
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        folder = pathlib.Path({str(tmp_path)!r})
        try:
            staging.run(folder / 's', {{}}, 1, functools.partial(make, folder / 'calls'), 1, '')
        except InputError as error:
            print(error)
    """)
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=True
    )
    assert 'chunk-000000: cannot be written' in done.stdout and done.stdout.count('\n') == 1
    assert not list((tmp_path / 's').glob('chunk-*'))
