"""Datasets as they are downloaded: how each layout is recognised and read."""
