"""Datasets: the motion clips, from which everything can be learned and checked with no download."""
