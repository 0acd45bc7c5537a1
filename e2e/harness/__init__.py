"""What the scenarios are written with: the cluster seen while it changes, the operator, and a shop that it rolls.

Imports nothing of the operator but the names that cross the wire: what it decided is judged by what it did.
"""
