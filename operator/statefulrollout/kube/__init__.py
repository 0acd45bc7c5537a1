"""The side that talks to the Kubernetes API: reads objects into a snapshot, carries plans out, reports."""
