"""The commands of ``python -m mixviz``; a module each, with ``main(argv)``."""
