"""Benchmarks: how long rollouts take and what they cost, on a real control plane whose nodes and pods are simulated."""
