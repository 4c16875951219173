"""The tables of the papers: recipes, and what trains, reads out and writes them."""

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
