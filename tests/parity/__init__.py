"""Runs the project against stored outputs of reference implementations: python -m tests.parity."""
