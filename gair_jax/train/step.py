"""One training step, (state, batch) -> (state, metrics), pure and at module level."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from gair_jax.train import label_objective, memory_bank
from gair_jax.train.accumulate import encode, loss_and_gradients
from gair_jax.train.interface import Objective
from gair_jax.train.memory_bank import MemoryBank
from gair_jax.train.state import Params, TrainState, initial_step

Batch = Mapping[str, Array]
Metrics = dict[str, Array]

OPTIMIZER = 'optimizer'  # what profiles and compiled programs call the update
# Numbers of a leaf below which its squares are written down rather than summed up apart.
SMALL = 2**20


def init_state(
    key: Array, objective: Objective, optimizer: optax.GradientTransformation
) -> TrainState:
    """A state before the first step, with parameters drawn from `key`."""
    params = objective.init(key)
    return TrainState(
        step=initial_step(),
        params=params,
        opt_state=optimizer.init(params),
        bank=objective.init_bank(jax.random.fold_in(key, 1)),
        teacher=objective.init_teacher(params),
    )


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    seed: int,
    parts: int = 1,
) -> tuple[TrainState, Metrics]:
    """Takes one step; a step whose loss or gradient is not finite leaves the state as it was.

    Random numbers follow from (seed, state.step) alone, so a resumed run draws the same ones. The
    batch goes through the encoders in `parts` (`train.accumulate`).
    """
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    loss, aux, grads = loss_and_gradients(
        objective, state.params, _numbered(batch), bank=state.bank, teacher=state.teacher, key=key,
        parts=parts,
    )  # fmt: skip
    grad_norm = norm(grads)
    finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
    with jax.named_scope(OPTIMIZER):
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = {**optax.apply_updates(state.params, updates), **aux.kept}
        taken = state.step + 1, params, opt_state
        before = state.step, state.params, state.opt_state
        step, params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), taken, before
        )
        norms = {'grad_norm': grad_norm, 'param_norm': norm(params)}
    bank = _pushed(state.bank, aux.pushed, finite)
    after = TrainState(step, params, opt_state, bank, state.teacher)
    return after, {'loss': loss, **aux.metrics, **norms, 'finite': finite}


def norm(tree: Params) -> Array:
    """The Euclidean norm of all leaves together.

    A leaf that is summed up alone takes a GPU two kernels, a tenth of all kernels of a step. So
    large leaves are summed up by rows, and what is left of all leaves together. Without the barrier
    XLA would take that sum apart again.
    """
    parts = [_squares(leaf) for leaf in jax.tree.leaves(tree)]
    return jnp.sqrt(jnp.sum(jax.lax.optimization_barrier(jnp.concatenate(parts))))


def _squares(x: Array) -> Array:
    square = jnp.square(x)
    return (square if x.size < SMALL else jnp.sum(square, axis=-1)).ravel()


def _pushed(bank: MemoryBank, pushed: tuple[Array, ...], finite: Array) -> MemoryBank:
    """The bank after the step: nothing is pushed where it is not finite.

    Choosing between two banks afterwards would copy all of it.
    """
    if not pushed:
        return bank
    lonlat, valid, *kept = pushed
    return memory_bank.push(bank, lonlat, valid & finite, *kept)


def eval_step(state: TrainState, batch: Batch, *, objective: Objective, parts: int = 1) -> Metrics:
    """The training loss and its metrics on a batch, without dropout and without an update.

    Rows with `valid` False (the filling of a last batch) are treated as if they held no data.
    """
    batch = _numbered(batch)
    valid = batch.pop('valid')
    for name in ('has_rs', 'has_sv'):
        if name in batch:
            batch[name] = batch[name] & valid
    if 'label' in batch:
        batch['label'] = label_objective.without(batch['label'], valid)
    outputs = encode(objective, state.params, batch, teacher=state.teacher, key=None, parts=parts)
    loss, aux = objective.compare(state.params, outputs, batch, bank=state.bank, key=None)
    return {'loss': loss, **aux.metrics}


def _numbered(batch: Batch) -> dict[str, Array]:
    """The batch with each row's number."""
    return {**batch, 'row': jnp.arange(len(batch['lonlat']), dtype=jnp.int32)}
