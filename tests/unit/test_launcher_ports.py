"""Ports for processes that will listen on them a moment later."""

import asyncio

from infra.launcher.ports import free_ports


def test_a_port_that_was_chosen_is_not_given_to_anybody_else_before_its_owner_listens() -> None:
    chosen = [port for _ in range(100) for port in free_ports(10)]  # by chance some dozens would come twice
    assert len(set(chosen)) == len(chosen)


async def test_whoever_a_port_was_chosen_for_can_listen_on_it_at_once() -> None:
    for port in free_ports(10):
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
        assert server.sockets[0].getsockname()[1] == port
        server.close()
        await server.wait_closed()
