"""Data sets: ``load("cifar10", "train")`` gives a Dataset, from its publisher, a folder, parquet files or arrays."""

from mixviz.data.dataset import Dataset
from mixviz.data.draws import draw
from mixviz.data.sources import PATH_SOURCES, SOURCES, DataSource, PathSource, load

__all__ = ["PATH_SOURCES", "SOURCES", "DataSource", "Dataset", "PathSource", "draw", "load"]
