"""A static site that runs a recording's network in the reader's browser, from ``file://`` and without a network."""
