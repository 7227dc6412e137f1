"""Two processes that save two checkpoints of one step at once."""

import pathlib

from tests.multihost.runs import exit_codes_of_two

# The second process is late to write, so that the first waits for it with both checkpoints.
SAVES = """
import pathlib, sys, time
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from orbax.checkpoint._src.checkpointers import async_checkpointer
from gair_jax.train import processes
from tests.train.test_saver import saver, state

index, port, folder = int(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
commit = async_checkpointer._background_wait_for_commit_futures

def late(*args, **kwargs):
    time.sleep(2 * index)
    return commit(*args, **kwargs)

async_checkpointer._background_wait_for_commit_futures = late
with processes.joined(processes.Launch(f'localhost:{port}', 2, index)) as outcome:
    whole = NamedSharding(Mesh(np.array(jax.devices()), 'data'), PartitionSpec())
    def everywhere(leaf):
        leaf = np.asarray(leaf)
        return jax.make_array_from_callback(leaf.shape, whole, lambda place: leaf[place])
    found = jax.tree.map(everywhere, state(7, 1.0))
    writer = saver(folder)
    assert writer.save_best(found, 0.5)
    writer.save(found)
    writer.close()
    outcome.code = 0
"""


def test_the_best_and_the_newest_checkpoint_of_a_step_do_not_meet(tmp_path: pathlib.Path):
    assert exit_codes_of_two(SAVES, tmp_path) == [0, 0]
    assert (tmp_path / 'best' / '7').is_dir()
    assert (tmp_path / 'checkpoints' / '7').is_dir()
