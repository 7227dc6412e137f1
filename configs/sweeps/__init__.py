"""Sweeps: one file each, whose `get_sweep` says which runs there are."""
