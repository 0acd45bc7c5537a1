"""The recipes of docs/recipes under load, with StatefulRollout and, where marked so, with Kubernetes alone."""
