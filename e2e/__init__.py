"""End-to-end tests: the cluster they run on, the sample application, the watchers and the scenarios."""
