"""The first look at a checkpoint, for people: summary.json, pictures and a printed table."""

import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from gair_jax.report import figures, tables
from gair_jax.sensors import SensorContract, contract
from gair_jax.train import checkpoint
from gair_jax.transfer.first_look import Effort, first_look
from gair_jax.transfer.retrieve import Evidence

PICTURES = 6
FOUND = 5


def run(
    workdir: pathlib.Path,
    out: pathlib.Path,
    *,
    data_dir: str = '',
    seed: int = 0,
    effort: Effort | None = None,
) -> dict[str, Any]:
    """Looks at a checkpoint, writes what is found and prints it.

    Args:
        workdir: of a training run, or one checkpoint.
        out: folder that gets summary.json, heat_maps.png, retrieval.png and loss.png.
        data_dir: folder of prepared data sets; '' is the one that was trained on.
        seed: of the draws.
        effort: how much is read; None is the default.

    Returns:
        What summary.json holds; where it already holds this checkpoint's, that is printed again.

    Raises:
        InputError: the checkpoint or its data set cannot be used.
    """
    looked_at = {'checkpoint': checkpoint.identity(workdir), 'seed': seed, 'data_dir': data_dir}
    if (found := _earlier(out / 'summary.json')).get('looked_at') == looked_at:
        print(f'Nothing has changed since {out / "summary.json"} was written:')
        tables.print_table(found)
        return found
    config, params, _ = checkpoint.load(workdir)
    config.data.dir = data_dir or config.data.dir
    summary, evidence = first_look(config, params, seed=seed, effort=effort)
    origin = 'synthetic data' if summary['synthetic'] else 'real data'
    out.mkdir(parents=True, exist_ok=True)
    if evidence:
        draw(evidence, out, origin, config.input.sv.sensor)
    metrics = workdir / 'metrics.jsonl'
    if metrics.exists():
        summary = {**tables.training_summary(metrics), **summary}
        title = f'Losses of {workdir.name}, {origin}'
        records = tables.with_candidates(tables.read_metrics(metrics))
        figures.loss_curve(records, out / 'loss.png', title)
    seconds = summary.get('training_seconds', 0.0) + summary['first_look_seconds']
    summary = {'seconds': round(seconds, 1), **summary, 'looked_at': looked_at}
    write_json(summary, out / 'summary.json')
    tables.print_table(summary)
    return summary


def write_json(values: dict[str, Any], path: pathlib.Path) -> None:
    """Writes JSON whole or not at all; a figure without value (nan) is null."""
    part = path.with_suffix('.part')
    part.write_text(json.dumps(_plain(values), indent=1) + '\n', encoding='utf-8')
    os.replace(part, path)


def draw(
    evidence: Evidence, out: pathlib.Path, origin: str, sensor: str = 'street_view_rgb'
) -> None:
    """Pictures of photos from the best to the worst, none of them picked by hand.

    Args:
        evidence: what was found.
        out: folder.
        origin: of the data, as the titles call it.
        sensor: contract of the photos.
    """
    count, photos = len(evidence.ranks), contract(sensor)
    if cases := _cases(evidence, photos):
        title = f'Where was it taken? Best to worst of {count} test photos, {origin}'
        figures.heat_maps(cases, out / 'heat_maps.png', title)
    title = f'Photo to map, best to worst of {count}, {origin}'
    figures.retrieval_panel(
        _answers(evidence, photos), out / 'retrieval.png', title, candidates=count
    )


def _earlier(path: pathlib.Path) -> dict[str, Any]:
    """The summary that lies there; {} without one."""
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cases(evidence: Evidence, sensor: SensorContract) -> list[figures.Case]:
    views, places = evidence.views, evidence.places
    if places is None:
        return []
    windows = figures.stretch(views.rgb)
    return [
        figures.Case(
            _photo(views.photo[i], sensor), windows[i], places.heat[i], views.xy[i],
            places.found[i], places.error_m[i],
        )
        for i in _spread(places.error_m)
    ]  # fmt: skip


def _answers(evidence: Evidence, sensor: SensorContract) -> list[figures.Answer]:
    views = evidence.views
    windows = figures.stretch(views.rgb)
    answers = []
    for i in _spread(evidence.ranks):
        similarity = views.localized @ views.sv[i]
        top = np.argsort(-similarity, kind='stable')[:FOUND]
        own = np.flatnonzero(top == i)
        answers.append(
            figures.Answer(
                _photo(views.photo[i], sensor), windows[top], views.xy[top],
                similarity[top], int(own[0]) if own.size else -1, int(evidence.ranks[i]),
            )
        )  # fmt: skip
    return answers


def _photo(pixels: np.ndarray, sensor: SensorContract) -> np.ndarray:
    """Network input back to RGB in [0, 1]."""
    return (pixels * np.array(sensor.std) + np.array(sensor.mean)) / 255


def _spread(values: np.ndarray) -> np.ndarray:
    """Indices of `PICTURES` rows from the smallest value to the largest, evenly by rank."""
    order = np.argsort(values, kind='stable')
    return order[np.linspace(0, len(order) - 1, min(PICTURES, len(order))).round().astype(int)]
