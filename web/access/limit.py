"""How often one may try to log in: by address, and all together."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable

#: Failures from one address within the window before it has to wait.
PER_ADDRESS = 10
#: Failures from everywhere together within the window.
TOGETHER = 200
#: Seconds.
WINDOW = 300.0
#: Addresses remembered; the longest silent is forgotten first.
REMEMBERED = 10_000


class LoginLimit:
    """Counts failures. An attempt is counted when it begins, and taken back when it succeeds."""

    def __init__(
        self,
        per_address: int = PER_ADDRESS,
        together: int = TOGETHER,
        window: float = WINDOW,
        remembered: int = REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_address, self._together = per_address, together
        self._window, self._remembered, self._clock = window, remembered, clock
        self._addresses: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque(maxlen=together)

    def begin(self, address: str) -> int:
        """Counts an attempt: 0 where it may be made, else the seconds until the next may."""
        now = self._clock()
        network = _network(address)
        attempts = self._addresses.setdefault(network, deque(maxlen=self._per_address))
        self._addresses.move_to_end(network)
        while len(self._addresses) > self._remembered:
            self._addresses.popitem(last=False)
        wait = max(self._wait(attempts, self._per_address, now), self._wait(self._all, self._together, now))
        if wait:
            return wait
        attempts.append(now)
        self._all.append(now)
        return 0

    def succeeded(self, address: str) -> None:
        """The last attempt from there was right: it doesn't count, nor do those before it from there."""
        self._addresses.pop(_network(address), None)
        if self._all:
            self._all.pop()

    def _wait(self, attempts: deque[float], most: int, now: float) -> int:
        while attempts and attempts[0] <= now - self._window:
            attempts.popleft()
        if len(attempts) < most:
            return 0
        return max(1, int(attempts[0] + self._window - now) + 1)


def _network(address: str) -> str:
    """The address; of IPv6 the /64, since whoever has one address has them all."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
