"""What the cluster tool tells a person when it cannot go on."""


class ClusterToolError(Exception):
    """Something is missing or failed; the text says what, and what to do about it."""
