"""Small systems of docs/recipes that are written for it: each is one file, and may be read beside its page."""
