"""`gair places`."""

import argparse
import pathlib
from typing import Any

from gair_jax import config_files
from gair_jax.verbs import training

EXAMPLES = """examples:
  gair places --config=configs/places/table.py --config.table=stations.csv \\
    --config.target=temperature --out=runs/stations
  gair places --config=configs/places/table.py --config.table=species.parquet \\
    --config.target=species --config.kind=class --config.splits="('table',)" --out=runs/species
  gair places --config=configs/places/table.py --config.table=stations.csv \\
    --config.target=temperature --config.encoders="('grid','sphere_c','geoclip')" \\
    --config.fit.epochs=100 --out=runs/stations

The table (.csv or .parquet) has columns lon and lat, degrees, and the target; a column split
(train, val, test) is used by the split table. Numbers are regressed and text is classified,
unless --config.kind says otherwise. Splits: random; blocks, whole cells of --config.block_degrees;
table. Beside each encoder stand three answers without one: the mean or commonest class, the
nearest training place, and the nearest --config.neighbours weighted by 1 / distance. A run that
was stopped goes on behind its last encoder. OUT/answers keeps what each answers on test, which
gair geobias reads."""


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    places = verbs.add_parser(
        'places',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='train and compare location encoders on a table of labelled places',
        description='Trains every location encoder from scratch on labels of places and scores it\n'
        'on others, on a random split and on one by blocks of ground. Settings:\n'
        'gair_jax/transfer/place_settings.py; each is overridden by --config.FIELD=VALUE.',
        epilog=EXAMPLES,
    )
    places.add_argument('--config', required=True, help='file of configs/places/')
    places.add_argument('--out', required=True, help='folder of results')
    places.set_defaults(run=run, takes_overrides=True)


def run(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """Trains, scores, writes and prints."""
    from gair_jax.transfer.place_settings import PlacesConfig

    settings = config_files.load_kind(PlacesConfig, arguments.config, overrides)
    from gair_jax.report import places

    def work() -> None:
        places.run(settings, pathlib.Path(arguments.out))

    return training.exit_code(work)
