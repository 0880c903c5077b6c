"""Tests of claver.video."""
