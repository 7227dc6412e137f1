"""Streetscapes builds: which photos, scenes and tiles (`gair data build streetscapes`)."""
