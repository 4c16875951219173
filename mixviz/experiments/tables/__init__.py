"""The tables of the papers: recipes, training, evaluation and result files."""

from mixviz.experiments.tables.recipes import (
    SCALES,
    SCHEDULES,
    TABLES,
    Recipe,
    recipe,
    run_name,
    slug,
    tables_of,
)

__all__ = ["SCALES", "SCHEDULES", "TABLES", "Recipe", "recipe", "run_name", "slug", "tables_of"]
