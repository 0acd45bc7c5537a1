"""The pure core: from one snapshot of the cluster and the time, what to do next and why. No I/O, no clock."""
