"""What users write and read: the models of the custom resources, their CRDs, and every name on the wire."""
