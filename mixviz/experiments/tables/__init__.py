"""The tables of the papers: recipes, and what trains, reads out and writes them."""

from mixviz.experiments.tables.recipes import (
    PROTOCOLS,
    SCALES,
    SCHEDULES,
    TABLES,
    Arm,
    Recipe,
    recipe,
    run_name,
    slug,
)

__all__ = ["PROTOCOLS", "SCALES", "SCHEDULES", "TABLES", "Arm", "Recipe", "recipe", "run_name", "slug"]
