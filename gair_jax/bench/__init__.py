"""Speed: what a run does a second, what the machine could do, and what a peer does beside it.

One module a kind of run. Each gives one record, a plain dict: `gair bench` prints it as a table or
as JSON. Only jax, flax and numpy are needed, and what a peer itself imports.
"""
