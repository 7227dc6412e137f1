"""One module a verb of the command line: its words, its help, and the call it makes; no logic.

`add(verbs)` makes the sub-parser and says which function runs. Nothing heavy is imported before
that function runs, so that `gair VERB --help` answers at once.
"""

VERBS = (
    'train',
    'first_look',
    'transfer',
    'places',
    'geobias',
    'species',
    'study',
    'data',
    'embed',
    'convert',
    'export',
    'doctor',
    'search',
    'map',
    'query',
    'bench',
)
