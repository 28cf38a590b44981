"""States of a connection, and what is known of a node."""

class KazooState:
    SUSPENDED: str
    CONNECTED: str
    LOST: str

class KeeperState:
    AUTH_FAILED: str
    CONNECTED: str
    CONNECTING: str
    CLOSED: str
    EXPIRED_SESSION: str

class ZnodeStat:
    @property
    def version(self) -> int: ...
    @property
    def czxid(self) -> int: ...
    @property
    def ephemeralOwner(self) -> int: ...
