"""Data sets: ``load("cifar10", "train")`` gives an ImageSet, from its publisher, a folder, parquet files or arrays."""

from mixviz.data.draws import draw
from mixviz.data.imageset import ImageSet
from mixviz.data.sources import PATH_SOURCES, SOURCES, load

__all__ = ["PATH_SOURCES", "SOURCES", "ImageSet", "draw", "load"]
