"""Geographic bias of results at places: do right and wrong answers cluster?

SSI scores how surprising the arrangement of samples and their marks around a place is, SRI how
unlike parts of a neighbourhood are to the whole. Both are of TorchSpatial and PyGBS; larger is more
biased. There are many variants of each, so every score carries its parameters in words.
"""

from gair_jax.scores.geo_bias.data_set import Plan, data_set_scores
from gair_jax.scores.geo_bias.parameters import SriParameters, SsiParameters
from gair_jax.scores.geo_bias.results import CentreScores, PartScores
from gair_jax.scores.geo_bias.sri import SriScores, sri
from gair_jax.scores.geo_bias.ssi import Reading, plus_minus, ssi, ssi_readings

__all__ = [
    'CentreScores',
    'PartScores',
    'Plan',
    'Reading',
    'SriParameters',
    'SriScores',
    'SsiParameters',
    'data_set_scores',
    'plus_minus',
    'sri',
    'ssi',
    'ssi_readings',
]
