"""Ratios of speed and memory against the usual way, measured in one run: `python -m benchmarks`."""
