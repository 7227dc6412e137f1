"""How annotations are checked under pytest."""

from beartype import BeartypeConf, beartype

# An int is accepted where a float is declared, as every type checker does.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
