"""Pictures: ``plot_x(ax, data) -> Axes``. They draw and label; they compute nothing and never touch pyplot's state."""
