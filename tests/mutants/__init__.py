"""Deliberate mistakes, to see whether the simulation notices them."""
