"""Many runs of one experiment: named in a file, run in a pool or as a SLURM array, told apart.

`space` says which runs there are, `plan` names and checks them, `folder` reads what a run has left,
`pool` and `slurm` run them, `table` puts them side by side. `launch/sweep.py` is the command.
"""
