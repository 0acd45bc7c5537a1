"""StatefulRollout: rolling updates of stateful pods that lose nothing."""

__version__ = "0.1.0"
