"""The numbers of the sandbox; from the settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """What one call may use, and how many there are at a time."""

    seconds: float = 0.3
    """Of the processor."""
    memory_bytes: int = 64 * 1024 * 1024
    input_bytes: int = 4 * 1024 * 1024
    """Of the arguments, about what they take in the server's memory."""
    output_bytes: int = 1024 * 1024
    processes: int = 4
    wait_seconds: float = 3.0
    """By the clock: on a busy machine a call may wait for its processor time."""
