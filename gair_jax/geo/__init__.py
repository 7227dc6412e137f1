"""Pure geometry: places, tiles, windows, projection, distances; float64 NumPy on the host."""
