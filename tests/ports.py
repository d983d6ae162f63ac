"""Free ports for servers of tests: below the range that the kernel gives to outgoing connections, and none given twice."""

from streams.local.ports import pick_free

_given: set[int] = set()


def free_port() -> int:
    port = pick_free(_given)
    _given.add(port)
    return port
