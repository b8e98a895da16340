"""How fast, and how much memory: see ``python -m benchmarks --help``."""
