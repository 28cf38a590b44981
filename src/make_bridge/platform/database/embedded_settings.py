"""What an embedded PostgreSQL runs with, and why.

All of it goes on the server's command line: nothing has to be written into the cluster, and neither a
file there nor ``ALTER SYSTEM`` can undo it. What is not named here may be set in the cluster's own
``postgresql.conf``.
"""

import os
import re
from collections.abc import Mapping

_SYNCFS_REPORTS_ERRORS = (5, 8)

SETTINGS: Mapping[str, str] = {
    # A commit that was answered is on disk: the product's first promise.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # One private socket, in the directory where the server stands.
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    # A small machine's share. Sessions that read and write for themselves save three processes.
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "io_method": "sync",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "jit": "off",
    # A look-up that cannot prune locks a partition for each day and retention class.
    "max_locks_per_transaction": "128",
    # Nobody replicates from it: the least log, and few segments kept.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "512MB",
    # Rows of the queue live for seconds: the dead have to go before an index scan meets many of them.
    "autovacuum_naptime": "15s",
    "autovacuum_max_workers": "2",
    "autovacuum_worker_slots": "4",
    "autovacuum_vacuum_threshold": "200",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.1",
    # A log without statements, their values or their details. The server starts a new file at a size or an
    # age; the supervisor removes the oldest (its own truncation knows only age).
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%Y%m%d-%H%M%S.log",
    "log_rotation_size": "10MB",
    "log_rotation_age": "1d",
    "log_line_prefix": "%m [%p] %b ",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "timezone": "UTC",
}
# The sentence of a session's error may quote a value, and its client gets it anyway. The server's own
# processes log their errors as ever, so this belongs to the database and not to the server.
DATABASE_SETTING = ("log_min_messages", "log")


def sync_method() -> str:
    """Name how a whole cluster is synced, when it is made and before it recovers.

    One call for the file system instead of one for each of a thousand files: on a busy disk that is the
    difference between half a second and five. Older kernels lose write errors that way.
    """
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    is_new = version is not None and tuple(map(int, version.groups())) >= _SYNCFS_REPORTS_ERRORS
    return "syncfs" if is_new else "fsync"


def command_line(settings: Mapping[str, str]) -> list[str]:
    """Write settings as arguments of ``postgres``."""
    return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
