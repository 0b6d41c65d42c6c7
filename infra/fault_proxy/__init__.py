"""A TCP proxy that ill-treats what goes through it: for chaos tests, and for load tests that hold a capacity.

    async with FaultProxy(listens_at=port, target=other_port) as proxy:
        await proxy.switch(Delay(each_way_ms=200))
        …
        await proxy.switch(Pass())

Never for production. A broker behind it must advertise the proxy's port: clients go where the broker sends them.
"""
