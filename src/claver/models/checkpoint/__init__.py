"""Weights on disk: every layout that is read, and the one that is written."""
