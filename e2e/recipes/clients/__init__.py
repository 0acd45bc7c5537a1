"""One client for each recipe: it goes on using the system while its pods are replaced, and counts what it notices."""
