"""The numeric contract of the envelope model (CONTRACT.md), in numpy: grid, features, excitation, synthesis."""
