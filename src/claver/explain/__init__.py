"""Seeing why: which words, moments and places made a score."""
