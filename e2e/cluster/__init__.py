"""The Kubernetes cluster that the end-to-end suite, the demo and the benchmarks run on.

`python -m e2e.cluster up` makes one (or adopts one that is named), with or without an image
registry in reach. Standard library only, so that it works before anything else is installed.
"""
