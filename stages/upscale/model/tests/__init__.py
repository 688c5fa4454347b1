"""Tests of the model's numeric half, its recipe and its judge."""
