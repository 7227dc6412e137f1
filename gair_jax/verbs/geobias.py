"""`gair geobias`."""

import argparse
import functools
from typing import Any

from gair_jax.config import InputError
from gair_jax.verbs.data import column_map

FIELDS = ('lon', 'lat', 'label', 'answer')
MARKS = {'plus_minus': 'plus_minus', 'hits': 'zero_one'}
# Options by their field of SsiParameters and of SriParameters, where the names differ.
SSI = {'radius_km': 'radius_km', 'most': 'neighbourhood', 'nearest': 'weights', 'form': 'form'}
SRI = {
    'scale_km': 'scale_km', 'lag_km': 'lag_km', 'sectors': 'sectors', 'least': 'threshold',
    'bins': 'bins', 'published': 'published',
}  # fmt: skip
SCALE, LAG = 2, 10  # the published tables cut a radius into so many
BINS = {'right': 2, 'error': 10}

EXAMPLES = """examples:
  gair geobias runs/species/answers/random-grid.parquet --out bias
  gair geobias runs/species/answers/blocks-*.parquet --sri --out bias
  gair geobias answers.csv --right correct --columns lon=x,lat=y --out bias
  gair geobias stations.csv --error residual --threshold 2.5 --radius-km 300 --out bias
  gair geobias prices.parquet --columns label=price,answer=predicted --threshold 10000 \\
      --sri --values error --out bias
the scores of the published tables (PyGBS):
  gair geobias inat.csv --right hit1 --marks hits --radius-km 318.55 --sri --published --out bias

A table has lon and lat in degrees (or a GeoParquet point) and one of
  --right COLUMN                   0 and 1, or false and true
  --error COLUMN --threshold T     right where |error| < T
  the columns label and answer     names: right where equal; numbers: where they differ by < T
Several tables are compared side by side and drawn in the same colours.

DIR gets geo_bias.json, geo_bias.csv (a row a table), and of each table places_NAME.parquet
(GeoParquet, the scores of every place) and map_NAME.png."""


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    verb = verbs.add_parser(
        'geobias',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='geo-bias scores of answers at places: do right and wrong ones cluster?',
        description='Scores how surprising the arrangement of places (SSI, unmarked) and of right\n'
        'and wrong answers (SSI, marked) around each place is, and with --sri how unlike parts of\n'
        'its neighbourhood are to the whole (SRI). Larger is more biased. There are many variants\n'
        'of these scores: every number is printed and stored with its parameters.',
        epilog=EXAMPLES,
    )
    option = verb.add_argument
    option('tables', nargs='+', metavar='TABLE', help='.csv, .parquet or .geoparquet')
    option('--out', required=True, metavar='DIR', help='folder of results')
    option('--right', default='', metavar='COLUMN', help='of right and wrong answers')
    option('--error', default='', metavar='COLUMN', help='of errors, of either sign')
    option('--threshold', type=float, default=0.0, metavar='T', help='right below this |error|')
    columns = functools.partial(column_map, known=FIELDS)
    option('--columns', default={}, type=columns, help='KNOWN=YOURS,... of lon,lat,label,answer')
    option('--workers', type=int, default=0, help='processes (0: one a core where it saves time)')
    _add_ssi(verb)
    _add_sri(verb)
    verb.set_defaults(run=run)


def _add_ssi(verb: argparse.ArgumentParser) -> None:
    option = verb.add_argument_group('neighbourhoods and SSI').add_argument
    option('--radius-km', type=float, default=100.0, help='of a neighbourhood (100)')
    option('--most', type=int, default=100, metavar='K', help='nearest samples; 0: all (100)')
    option('--nearest', type=int, default=4, metavar='k', help="a point's neighbours (4)")
    option(
        '--form', default='density', choices=('density', 'tail'),
        help='density: of the published tables; tail: of PyGBS today (density)',
    )  # fmt: skip
    option(
        '--marks', default='plus_minus', choices=tuple(MARKS),
        help='+1 and -1, or hits 1 and 0, where a wrong answer looks like no sample (plus_minus)',
    )  # fmt: skip
    option('--centres', default='all', choices=('all', 'wrong'), help='of the scores (all)')


def _add_sri(verb: argparse.ArgumentParser) -> None:
    """Options that are only there when given, as they mean nothing without --sri."""
    group = verb.add_argument_group('SRI')
    option = functools.partial(group.add_argument, default=argparse.SUPPRESS)
    group.add_argument('--sri', action='store_true', help='score it too, of all within the radius')
    option('--scale-km', type=float, help='side of a cell (half the radius)')
    option('--lag-km', type=float, help='width of a ring (a tenth of the radius)')
    option('--sectors', type=int, help='of directions (8)')
    option('--least', type=int, metavar='N', help='samples of a part that counts (20)')
    option('--values', choices=tuple(BINS), help='what parts are compared in (right)')
    option('--bins', type=int, help='of the histograms of errors (10), or of --published ones (2)')
    option('--published', action='store_true', help='as the published tables, defects included')


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Scores, writes and prints."""
    import pathlib

    plan, of_errors = _plan(arguments)
    from gair_jax.report import answers, geobias

    if arguments.workers < 0:
        raise InputError(f'--workers: expected 0 or more, found {arguments.workers}.')
    question = answers.Question(
        right=arguments.right,
        error=arguments.error,
        threshold=arguments.threshold,
        columns=arguments.columns,
    )
    job = geobias.Job(question=question, plan=plan, of_errors=of_errors, workers=arguments.workers)
    geobias.run(arguments.tables, job, pathlib.Path(arguments.out))
    return 0


def _plan(arguments: argparse.Namespace) -> tuple[Any, bool]:
    """The scores, and whether SRI compares errors."""
    from gair_jax.scores.geo_bias import Plan, SriParameters, SsiParameters

    given = vars(arguments)
    fields = {field: given[name] for name, field in SSI.items()}
    ssi = _made(SsiParameters, SSI, marks=MARKS[arguments.marks], **fields)
    if not arguments.sri:
        for name in (*SRI, 'values'):
            if name in given:
                raise InputError(f'{_option(name)}: is of SRI; add --sri.')
        return Plan(ssi=ssi, centres=arguments.centres), False
    values = given.get('values', 'right')
    if 'bins' in given and values == 'right' and 'published' not in given:
        raise InputError('--bins: right and wrong are two values; add --values error.')
    radius = arguments.radius_km
    fields = {'scale_km': radius / SCALE, 'lag_km': radius / LAG, 'bins': BINS[values]}
    fields |= {field: given[name] for name, field in SRI.items() if name in given}
    sri = _made(SriParameters, SRI, radius_km=radius, **fields)
    return Plan(ssi=ssi, sri=sri, centres=arguments.centres), values == 'error'


def _made(kind: Any, options: dict[str, str], **fields: Any) -> Any:
    """Parameters; a sentence about a field is one about its option."""
    try:
        return kind(**fields)
    except InputError as error:
        field, _, found = str(error).partition(':')
        name = {of: option for option, of in options.items()}.get(field, field)
        raise InputError(f'{_option(name)}:{found}') from None


def _option(name: str) -> str:
    return '--' + name.replace('_', '-')
