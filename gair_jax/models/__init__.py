"""Encoders, NILI and masked autoencoding: the only room that knows flax."""
