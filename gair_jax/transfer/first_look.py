"""What a checkpoint has learnt, in a minute: retrieval, place in the window, linear probes.

Everything is measured on the test split, whose tiles were never trained on, beside what a guess, an
untrained rule or the same network at random initialisation scores. `gair_jax.report.first_look`
writes the outcome and draws it.
"""

import time
from typing import Any, NamedTuple

from gair_jax.config import Config
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.store import Store
from gair_jax.models import gair
from gair_jax.models.gair import Model, Params
from gair_jax.transfer import retrieve, suite
from gair_jax.transfer.features import evaluated
from gair_jax.transfer.retrieve import Evidence
from gair_jax.transfer.tasks import Sizes, prepare, read_tasks

QUICK = Sizes()


class FirstLook(NamedTuple):
    """Figures as plain JSON values, and what pictures are drawn from; None without photos."""

    summary: dict[str, Any]
    evidence: Evidence | None


class Effort(NamedTuple):
    """How much is done.

    photos: candidates of the retrieval, at most. grid: points along a side of the dense query.
    sizes: what the probes read. random_inits: random initialisations that these compare with.
    """

    photos: int = 1024
    grid: int = 32
    sizes: Sizes = QUICK
    random_inits: int = 1


def first_look(
    config: Config, params: Params, *, seed: int = 0, effort: Effort | None = None
) -> FirstLook:
    """Evaluates a model on the test split of the data set that `config.data` names.

    What a model or data set lacks (an encoder, photos, tiles, labels) is left out, and `notes`
    says so. The windows are drawn from the config's seed, so they are the same every time.

    Args:
        config: of the run.
        params: trained parameters.
        seed: of the draws of photos and of the intervals.
        effort: how much is read; None is the default.

    Raises:
        InputError: the data set cannot be used.
    """
    begun = time.monotonic()
    effort = effort or Effort()
    config = evaluated(config)
    model, store = gair.build(config), Store(config.data)
    found, notes, evidence = _photos_to_map(model, params, store, effort, seed)
    probes, more = _probes(model, params, store, effort, seed)
    summary = {
        'data': f'{config.data.name}/{config.data.variant}',
        'synthetic': bool(store.metadata.get('synthetic', False)),
        **found,
        'probes': probes,
        'notes': notes + more,
        'first_look_seconds': round(time.monotonic() - begun, 1),
    }
    return FirstLook(summary, evidence)


def _photos_to_map(
    model: Model, params: Params, store: Store, effort: Effort, seed: int
) -> tuple[dict[str, Any], list[str], Evidence | None]:
    """Scores of retrieval and localization, remarks, and what pictures need."""
    if missing := [side for side in ('rs', 'sv') if side not in params]:
        return {}, [f'No retrieval: this model has no encoder {" or ".join(missing)}.'], None
    if 'test' not in store.splits:
        return {}, ['No retrieval: the data set has no split test.'], None
    pipeline = Pipeline(model.config, 'test', train=False)
    chosen = retrieve.candidates(store, pipeline, model.config, most=effort.photos, seed=seed)
    if len(chosen.infos) < 2:
        return {}, ['No retrieval: the split test has no two photos with a tile.'], None
    found, evidence = retrieve.evaluate(
        model, params, pipeline, store, chosen, grid=effort.grid, seed=seed
    )
    return found, retrieve.remarks(found), evidence


def _probes(
    model: Model, params: Params, store: Store, effort: Effort, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """Linear probes of the encoders that the model has, and remarks."""
    tasks = read_tasks(store.metadata)
    if not tasks:
        return {}, ['No probes: the data set has no labels.']
    able = [task for task in tasks if task.encoder in params]
    lacking = [task for task in tasks if task.encoder not in params]
    notes = [f'No probe of {task.name}: no encoder {task.encoder}.' for task in lacking]
    if not able:
        return {}, notes
    source = prepare(
        model, params, store, seed=seed, sizes=effort.sizes, random_inits=effort.random_inits
    )
    return suite.probe_tasks(source, able, seed=seed), notes
