"""`gair export`."""

import argparse
from typing import Any


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    export = verbs.add_parser(
        'export',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='the location encoder alone, for NumPy, StableHLO or ONNX',
        description='Writes the location encoder of a checkpoint as one file that works without\n'
        'gair_jax. The ending of TARGET names the format:\n'
        '  .npz        weights and code in one; needs NumPy alone\n'
        '  .stablehlo  a program of jax.export for CPU, CUDA and TPU\n'
        '  .onnx       a graph for ONNX runtimes (extra: onnx)\n'
        'The file is compared with the model before it gets its name.',
        epilog='example:\n'
        '  gair export runs/quickstart location.npz\n'
        '  python location.npz 2.35 48.85',
    )
    export.add_argument('checkpoint', metavar='CHECKPOINT', help='workdir, checkpoint or weights')
    export.add_argument('target', metavar='TARGET', help='file written: .npz, .stablehlo or .onnx')
    export.add_argument('--revision', default='', help='commit, for weights at hf://')
    export.set_defaults(run=run)


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Exports and prints how far the file is from the model."""
    from rich import console

    from gair_jax.serve import location_export

    # Moves on a terminal and is silent elsewhere.
    with console.Console(stderr=True).status('starting') as status:
        report = location_export.export(
            arguments.checkpoint,
            arguments.target,
            revision=arguments.revision,
            say=status.update,
        )
    sigma = ', '.join(f'{s:g}' for s in report.metadata['sigma'])
    print(
        f'{arguments.target}: location encoder, {report.metadata["embed_dim"]} wide, '
        f'sigma {sigma}; at {report.places} places at most {report.difference:.1e} from the model '
        f'(root mean square {report.scale:.2g}; allowed {report.tolerance:g} of that).'
    )
    return 0
