"""A sharded key-value store that is honest about state: what the operator is shown on, and tried with.

A key lives in the memory of the one pod that owns it; a pod that restarts without handing over has lost its
keys. Any pod answers for any key by asking the owner. `hooks.py` is the part that authors of applications read;
`member.py` argues why no read is stale and no write lost while keys move.
"""
