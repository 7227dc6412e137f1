"""`gair study`: what a series of runs tells."""

import argparse
import pathlib
from typing import Any

from gair_jax import config_files
from gair_jax.verbs import training

NOISE = """examples:
  python launch/sweep.py --sweep=configs/sweeps/noise_synthetic.py --out=runs/noise \\
    --config.init.all=runs/quickstart
  gair study noise runs/noise --config=configs/transfer/study.py --out=runs/noise_study

The newest step of each run is probed, on the same rows. Strengths are compared with none seed by
seed. Writes results.csv (every run), summary.csv and summary.json (over seeds), noise.png.
A study that was stopped goes on behind its last run."""
DEBIAS = """examples:
  gair study debias --before runs/cities --after runs/even --control runs/more_cities \\
    --config=configs/transfer/study.py --config.features="('rs','location')" --out=runs/debias

Geo-bias is the marked spatial self-information of right and wrong answers to tasks of classes,
lower is better; unmarked it tells of the places alone. With --control the runs after are held
against those too: what more training alone does. Writes results.csv, summary.csv, summary.json,
debias.png and maps.png. A study that was stopped goes on behind its last run."""


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    study = verbs.add_parser('study', help='what a series of runs tells: noise, debiasing')
    kinds = study.add_subparsers(dest='study', required=True, metavar='STUDY')
    noise = _add(kinds, 'noise', 'scores after noise on positions in training', NOISE)
    noise.add_argument('runs', nargs='+', help='workdirs, or folders of workdirs such as a sweep')
    noise.set_defaults(run=run_noise)
    debias = _add(kinds, 'debias', 'scores and geo-bias before and after other places', DEBIAS)
    for arm, text in (
        ('before', 'checkpoint, or several of other seeds'),
        ('after', 'runs that went on from it: workdirs, or folders of workdirs'),
    ):
        debias.add_argument(f'--{arm}', nargs='+', required=True, help=text)
    debias.add_argument(
        '--control', nargs='+', default=[], help='runs that went on without other places'
    )
    debias.add_argument('--radius-km', type=float, default=100.0, help='of a neighbourhood (100)')
    debias.add_argument(
        '--neighbourhood', type=int, default=100, help='nearest places in it; 0: all (100)'
    )
    debias.add_argument('--form', choices=('density', 'tail'), default='density', help='of SSI')
    debias.set_defaults(run=run_debias)


def _add(kinds: Any, name: str, text: str, epilog: str) -> Any:
    parser = kinds.add_parser(
        name,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help=text,
        description=f'{text[0].upper()}{text[1:]}. Settings of the probes:\n'
        'gair_jax/transfer/settings.py; each is overridden by --config.FIELD=VALUE.',
        epilog=epilog,
    )
    parser.add_argument('--config', required=True, help='file of configs/transfer/')
    parser.add_argument('--out', required=True, help='folder of results')
    parser.set_defaults(takes_overrides=True)
    return parser


def run_noise(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """`gair study noise`."""
    from gair_jax.transfer.settings import TransferConfig

    settings = config_files.load_kind(TransferConfig, arguments.config, overrides)
    from gair_jax.report import studies

    out = pathlib.Path(arguments.out)
    return training.exit_code(lambda: studies.noise(settings, arguments.runs, out))


def run_debias(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """`gair study debias`."""
    from gair_jax.scores.geo_bias import SsiParameters
    from gair_jax.transfer.settings import TransferConfig

    settings = config_files.load_kind(TransferConfig, arguments.config, overrides)
    parameters = SsiParameters(
        radius_km=arguments.radius_km,
        neighbourhood=arguments.neighbourhood,
        form=arguments.form,
    )
    from gair_jax.report import studies

    paths = {arm: getattr(arguments, arm) for arm in ('before', 'control', 'after')}
    out = pathlib.Path(arguments.out)
    return training.exit_code(lambda: studies.debias(settings, parameters, paths, out))
