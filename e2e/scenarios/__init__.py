"""What a real cluster must show, one scenario a test."""
