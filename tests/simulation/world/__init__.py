"""A deterministic cluster in memory, in which the real operator code runs.

world = await a_world(replicas=5)
operator = Operator(world)
User(world).roll_out("kvstore:2")
await world.run(until=lambda: ...)
"""
