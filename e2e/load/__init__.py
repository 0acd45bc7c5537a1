"""Clients that never stop, and what they saw: the load and the watcher that run in the cluster, and the sampler
that follows the pods from outside.
"""
