"""TFDS builders: one folder a data set, raw files in, prepared records out."""
