"""The server settings of the embedded database, written anew at every start."""

from collections.abc import Mapping

from .home import Address

FILE = "crm-mcp.conf"
INCLUDE = f"\ninclude = '{FILE}'\n"

_FIXED = {
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "huge_pages": "off",
    "maintenance_work_mem": "256MB",
    "effective_cache_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "fsync": "on",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "1000",
    "logging_collector": "off",
}


def render(address: Address, cluster: str, overrides: Mapping[str, str]) -> str:
    """Give the text of the settings file; `cluster` names the server's processes in a process list."""
    if address.is_socket:
        directory = address.host.replace('"', '""')
        listen = {"listen_addresses": "", "unix_socket_directories": f'"{directory}"'}
    else:
        listen = {"listen_addresses": address.host, "unix_socket_directories": ""}
    values = {**_FIXED, **listen, "port": str(address.port), "cluster_name": cluster, **overrides}
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in values.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
