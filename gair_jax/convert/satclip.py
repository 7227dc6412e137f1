"""SatCLIP's location encoder (Klemmer et al. 2025): a SIREN on spherical harmonics."""

from gair_jax.convert.table import Rule, linear


def siren(hidden: int, source: str = 'nnet.', target: str = 'network') -> list[Rule]:
    """`place_networks.Siren` with so many hidden layers."""
    table = linear(f'{target}/out', f'{source}last_layer')
    for i in range(hidden):
        table += linear(f'{target}/hidden_{i}', f'{source}layers.{i}')
    return table
