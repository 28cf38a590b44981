"""kazoo's client, and what it is asked here."""

import logging
from collections.abc import Callable, Sequence

from kazoo.interfaces import IAsyncResult
from kazoo.protocol.states import ZnodeStat
from kazoo.retry import KazooRetry
from kazoo.security import ACL

class KazooClient:
    def __init__(
        self,
        hosts: str = ...,
        timeout: float = ...,
        *,
        default_acl: Sequence[ACL] | None = None,
        auth_data: Sequence[tuple[str, str]] | None = None,
        connection_retry: KazooRetry | None = None,
        command_retry: KazooRetry | None = None,
        logger: logging.Logger | None = None,
        keyfile: str | None = None,
        certfile: str | None = None,
        ca: str | None = None,
        use_ssl: bool = False,
        check_hostname: bool = False,
    ) -> None: ...
    @property
    def client_state(self) -> str: ...
    @property
    def client_id(self) -> tuple[int, bytes] | None: ...
    def add_listener(self, listener: Callable[[str], object]) -> None: ...
    def start(self, timeout: float = 15) -> None: ...
    def start_async(self) -> object: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def command(self, cmd: bytes = ...) -> str: ...
    def get_children(self, path: str) -> list[str]: ...
    def get(self, path: str) -> tuple[bytes, ZnodeStat]: ...
    def exists(self, path: str) -> ZnodeStat | None: ...
    def delete(self, path: str, version: int = -1, recursive: bool = False) -> bool: ...
    def create(
        self,
        path: str,
        value: bytes = b"",
        acl: Sequence[ACL] | None = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
    ) -> str: ...
    def create_async(
        self,
        path: str,
        value: bytes = b"",
        acl: Sequence[ACL] | None = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
    ) -> IAsyncResult[str]: ...
    def ensure_path_async(self, path: str) -> IAsyncResult[bool]: ...
    def exists_async(
        self, path: str, watch: Callable[[object], None] | None = None
    ) -> IAsyncResult[ZnodeStat | None]: ...
    def get_async(
        self, path: str, watch: Callable[[object], None] | None = None
    ) -> IAsyncResult[tuple[bytes, ZnodeStat]]: ...
    def set_async(self, path: str, value: bytes, version: int = -1) -> IAsyncResult[ZnodeStat]: ...
    def get_children_async(
        self, path: str, watch: Callable[[object], None] | None = None
    ) -> IAsyncResult[list[str]]: ...
    def delete_async(self, path: str, version: int = -1) -> IAsyncResult[bool]: ...
