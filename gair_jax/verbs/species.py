"""`gair species`."""

import argparse
import pathlib
from typing import Any

from gair_jax import config_files
from gair_jax.verbs import training

EXAMPLES = """examples:
  gair species --config=configs/species/table.py --config.table=birds.csv \\
    --config.predictions=photos.npy --out=runs/birds
  gair species --config=configs/species/table.py --config.table=birds.csv \\
    --config.encoders="('wrap','grid','sphere_c')" --config.fit.users=true --out=runs/birds
  gair species --config=configs/species/inat_2018.py --config.folder=inat_2018 --out=runs/inat
  gair species --config=configs/species/birdsnap.py --config.folder=birdsnap \\
    --config.meta=orig_meta --config.fit.background=published --out=runs/birdsnap

your own table (.csv or .parquet), a row a photo:
  lon, lat   degrees; empty where the place is not known
  class      a name, or the column of the predictions, from 0
  split      train, val or test; without val a tenth of train chooses rate and epoch
  user       optional, who took the photo

Predictions are P(class | photo) of an image model: .npy [test rows, classes] or a sparse .npz
(scipy.sparse.save_npz), rows in the order of the table's test rows, columns by number or, of
names, sorted or as --config.class_names lists them. Without predictions priors answer alone.
LocBench's sets are read from TorchSpatial's folders: see docs/species.md.

The score of a class is P(class | photo) x P(class | place). Priors that are trained stand beside
the photo alone and priors that are counted: class frequency, nearest neighbours, a radius, a grid,
a kernel. A run that was stopped goes on behind its last prior."""


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    species = verbs.add_parser(
        'species',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='recognise species from photo and place: how much location priors add',
        description='Trains location encoders to tell which species are met where, weighs the\n'
        'predictions of an image model with them, and scores top-1, top-3, top-5 and MRR.\n'
        'Settings: gair_jax/transfer/species_settings.py; each is overridden by\n'
        '--config.FIELD=VALUE.',
        epilog=EXAMPLES,
    )
    species.add_argument('--config', required=True, help='file of configs/species/')
    species.add_argument('--out', required=True, help='folder of results')
    species.set_defaults(run=run, takes_overrides=True)


def run(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """Trains, scores, writes and prints."""
    from gair_jax.transfer.species_settings import SpeciesConfig

    settings = config_files.load_kind(SpeciesConfig, arguments.config, overrides)
    from gair_jax.report import species

    def work() -> None:
        species.run(settings, pathlib.Path(arguments.out))

    return training.exit_code(work)
