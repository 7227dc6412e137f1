"""One of two processes that take the steps of tests/train/layouts.py; writes what came of them.

python -m tests.multihost.take_steps PORT INDEX OBJECTIVE FSDP FORM ACCUMULATION OUT
"""

import pickle
import sys

import jax


def main(port, index, objective, fsdp, form, accumulation, out):
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    jax.distributed.initialize(f'localhost:{port}', 2, int(index))
    from tests.train import layouts
    from tests.train.test_layouts import config_of

    settings = {'mesh.fsdp': int(fsdp), 'loss.form': form, 'accumulation': int(accumulation)}
    taken = layouts.take(config_of(objective, **settings), jax.devices())
    if index == '0':
        with open(out, 'wb') as file:
            pickle.dump(tuple(taken), file)
    jax.distributed.shutdown()


if __name__ == '__main__':
    main(*sys.argv[1:])
