"""Random rollouts: what a story consists of, who disturbs it and how, and how it is told to its end."""
