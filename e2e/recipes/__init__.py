"""The recipes of docs/recipes, run for real: each system under a client of its own that never stops."""
