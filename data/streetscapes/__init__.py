"""Street views, the tiles they stand in and their places, from public sources to a prepared set."""
