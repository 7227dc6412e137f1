"""Every test runs on 8 virtual CPU devices, with shapes checked and ranks never promoted."""

import atexit
import os
import pathlib
import shutil
import tempfile

# Before the first import of jax, which reads them once.
os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XLA_FLAGS'] = (
    os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'
)
# One program is compiled once a session, in subprocesses and pytest-xdist's workers too.
if 'PYTEST_XDIST_WORKER' not in os.environ:
    os.environ['JAX_COMPILATION_CACHE_DIR'] = tempfile.mkdtemp(prefix='gair-jax-compiled-')
    atexit.register(shutil.rmtree, os.environ['JAX_COMPILATION_CACHE_DIR'], ignore_errors=True)
os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.5'

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

import tests.typechecking  # noqa: E402, F401 (the hook looks it up by name)

jax.config.update('jax_numpy_rank_promotion', 'raise')
# Tests fail for what they find, not for how long a busy machine takes.
hypothesis.settings.register_profile('untimed', deadline=None)
hypothesis.settings.load_profile('untimed')
# Not `train`: its dataclasses hold shape structs and shardings in the places of arrays.
CHECKED = ('geo', 'input', 'losses', 'models', 'scores', 'sensors')
install_import_hook([f'gair_jax.{room}' for room in CHECKED], 'tests.typechecking.check')


@pytest.fixture(scope='session')
def toy_set(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, str, str]:
    """Folder, name and variant of a prepared toy data set.

    The same lies in the folder `elsewhere` beside it; other data lie under the name `another_toy`
    and as the variant `other`.
    """
    from tests.input import toy

    folder = tmp_path_factory.mktemp('toy') / 'prepared'
    made = toy.data_set(folder).data
    shutil.copytree(folder, folder.parent / 'elsewhere')
    toy.data_set(folder.parent / 'second', n=24, n_tiles=3)
    for kind in ('photos', 'acquisitions'):
        second = folder.parent / 'second' / made.name / f'{made.variant}_{kind}'
        shutil.copytree(second, folder / 'another_toy' / f'{made.variant}_{kind}')
        shutil.copytree(second, folder / made.name / f'other_{kind}')
    return folder, made.name, made.variant
