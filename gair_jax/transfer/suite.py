"""Linear probes of every task of a data set.

Fitted on the train split, penalty chosen on val, scored on test, each encoder beside itself at
random initialisation.
"""

from collections.abc import Sequence
from typing import Any

from gair_jax.config import Config
from gair_jax.input.store import Store
from gair_jax.models import gair
from gair_jax.models.gair import Params
from gair_jax.transfer.probes import Splits, compare, score
from gair_jax.transfer.tasks import (
    SPLITS,
    Sizes,
    Source,
    Task,
    having,
    label_splits,
    prepare,
    read_tasks,
)
from gair_jax.transfer.tile_tasks import colour_features, window_tasks

THOROUGH = Sizes(train=6000, val=2000, test=2000)


def probe_tasks(source: Source, tasks: Sequence[Task], *, seed: int) -> dict[str, dict[str, Any]]:
    """Probes every task; entries as `probes.compare` gives them, with the encoder's name.

    Classes of tiles are also probed from 21 colour statistics: `colour_statistics`.
    """
    found: dict[str, dict[str, Any]] = {}
    makers = {'sv': _photo_tasks, 'location': _place_tasks, 'rs': window_tasks}
    for encoder, make in makers.items():
        own = [task for task in tasks if task.encoder == encoder]
        for name, made in (make(source, own) if own else {}).items():
            found[name] = {'encoder': encoder, **compare(made[0], made[1:], seed=seed)}
            if encoder == 'rs' and any(t.name == name and t.kind == 'class' for t in own):
                plain = label_splits(*colour_features(source, name, own))[0]
                found[name]['colour_statistics'], found[name]['colour_interval'] = score(
                    plain, seed=seed
                )
    return {task.name: found[task.name] for task in tasks}


def probe_rs(
    config: Config,
    params: Params,
    *,
    seed: int = 0,
    random_inits: int = 3,
    sizes: Sizes = THOROUGH,
) -> dict[str, dict[str, Any]]:
    """Probes of the RS tasks alone, against several random initialisations.

    Args:
        config: of the run; names the data set.
        params: trained parameters; 'rs' suffices.
        seed: of the draws.
        random_inits: number of random initialisations.
        sizes: how much is read.
    """
    store = Store(config.data)
    tasks = [task for task in read_tasks(store.metadata) if task.encoder == 'rs']
    model = gair.build(config)
    source = prepare(model, params, store, seed=seed, sizes=sizes, random_inits=random_inits)
    return probe_tasks(source, tasks, seed=seed)


def _photo_tasks(source: Source, tasks: Sequence[Task]) -> dict[str, list[Splits]]:
    """Street view embeddings of photos; read once for all tasks."""
    drawn = having(source, lambda photo: bool(photo.photo))
    features = {
        split: source.encoders.photos(source.pipeline(split, 'rs'), drawn[split])
        for split in SPLITS
    }
    return {task.name: label_splits(task, drawn, features) for task in tasks}


def _place_tasks(source: Source, tasks: Sequence[Task]) -> dict[str, list[Splits]]:
    """Location embeddings; nothing but lonlat is read."""
    features = {s: source.encoders.places(source.drawn[s].lonlat) for s in SPLITS}
    return {task.name: label_splits(task, source.drawn, features) for task in tasks}
