"""Design spaces: every point of a grid priced by the walk that prices one network.

axes: what varies. grid: the space, and how it is cut into tiles. walk: a tile's columns. run: all of a space, in turns
or by several workers.
"""
