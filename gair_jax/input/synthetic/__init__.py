"""A world made by rule from a seed, seen from above and from the street.

noise and globe hold the smooth fields, world says what covers the ground at any metre position,
raster looks at it from orbit, street from a camera, labels names what is there, and tiles puts
them together into the tiles and photos of a data set. NumPy only; nothing here is real.
"""
