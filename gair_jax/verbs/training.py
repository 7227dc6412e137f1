"""What verbs that train give back."""

import sys
from collections.abc import Callable

EXIT_CODES = """  0 done   2 bad input   3 a step was not finite
  75 stopped by a signal, saved: run again to go on"""


def exit_code(train: Callable[[], object]) -> int:
    """Trains; a step that was not finite (3) and a signal (75) are told in a sentence."""
    from gair_jax.train import loop

    try:
        train()
    except loop.NonFiniteStepError as error:
        print(f'gair: {error}', file=sys.stderr)
        return 3
    except loop.StoppedError as error:
        print(f'gair: {error}', file=sys.stderr)
        return 75
    return 0
