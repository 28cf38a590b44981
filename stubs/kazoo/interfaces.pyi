"""What a call of kazoo gives back at once."""

from collections.abc import Callable
from typing import Generic, TypeVar

_T_co = TypeVar("_T_co", covariant=True)

class IAsyncResult(Generic[_T_co]):
    @property
    def exception(self) -> BaseException | None: ...
    @property
    def value(self) -> _T_co: ...
    def rawlink(self, callback: Callable[[IAsyncResult[_T_co]], None]) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> _T_co: ...
