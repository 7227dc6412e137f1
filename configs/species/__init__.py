"""Species from photos and places: own tables, and the sets of LocBench."""
