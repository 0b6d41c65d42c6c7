"""Ports on loopback: free ones, and a word about those that are taken."""

import errno
import socket
from contextlib import ExitStack
from typing import Final

from services.platform.errors import MasklineError

LAST_PORT: Final = 65_535
CONNECT_TIMEOUT_S: Final = 1.0


class PortInUse(MasklineError):
    """Port {port} on {host}, meant for the {what}, is taken by another program.

    Stop that program, or choose other ports with --ports-from N.
    """


class PortNotAllowed(MasklineError):
    """Port {port} on {host}, meant for the {what}, cannot be listened on: {why}.

    Choose other ports with --ports-from N.
    """


class HostRefused(MasklineError):
    """Nothing can listen on {host}: {why}. Name an address of this machine with --host."""


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """`count` different ports that nobody listens on now, and that the system gives to nobody else for a while.

    Their owners listen only some time after they were chosen; another launcher that starts meanwhile must not get the
    same ones. Raises HostRefused.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(_family(host))) for _ in range(count)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                each.bind((host, 0))
                each.listen(1)
                _put_aside(each)
            except OSError as error:
                raise HostRefused(host=host, why=error.strerror) from error
        return [each.getsockname()[1] for each in sockets]


def _put_aside(listener: socket.socket) -> None:
    """A connection that this side has closed first keeps the port busy for the system (TIME_WAIT, a minute on Linux),
    but not for a server that names it, for servers listen with SO_REUSEADDR."""
    with socket.socket(listener.family) as caller:
        caller.settimeout(CONNECT_TIMEOUT_S)
        caller.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.close()


def check_free(host: str, port: int, what: str) -> None:
    """Raises PortInUse, PortNotAllowed or HostRefused before a process is started that would only fail on it."""
    if port > LAST_PORT:
        raise PortNotAllowed(port=port, host=host, what=what, why=f"ports end at {LAST_PORT}")
    with socket.socket(_family(host)) as probe:
        # As servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(port=port, host=host, what=what) from error
            if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
                raise HostRefused(host=host, why=error.strerror) from error
            raise PortNotAllowed(port=port, host=host, what=what, why=error.strerror) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
