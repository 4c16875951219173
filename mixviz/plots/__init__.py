"""Pictures: ``plot_x(ax, data) -> Axes``. They draw and label; they never compute and never touch pyplot's state."""
