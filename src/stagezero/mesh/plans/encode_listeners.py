"""Listeners in Envoy's words (LDS): one for each open port, its routes by name from RDS."""

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import config_source_pb2, protocol_pb2, substitution_format_string_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from stagezero.mesh.plans.encode_clusters import address_of
from stagezero.mesh.plans.resources import Kind, Resource, resource
from stagezero.mesh.plans.settings import GatewaySettings
from stagezero.mesh.plans.tables import table_name

SERVER_NAME = "istio-envoy"
HEADERS_TIMEOUT_S = 30
"""How long a client may take to send its headers: holding one's tongue must not cost memory."""
ACCESS_LOG_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" '
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% '
    '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% '
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
STREAM_WINDOW_BYTES = 64 * 1024
CONNECTION_WINDOW_BYTES = 1024 * 1024


def listener_name(address: str, port: int) -> str:
    """The name of a listener as istiod gives it."""
    return f"{address}_{port}"


def encode_listener(port: int, settings: GatewaySettings) -> Resource:
    """The listener of one gateway port."""
    own = settings.listeners[port]
    name = listener_name(*own)
    message = listener_pb2.Listener(
        name=name,
        address=address_of(*own),
        per_connection_buffer_limit_bytes=UInt32Value(value=settings.connection_buffer_bytes),
        # One worker needs no second socket, and without it a port in use is an error, not a share.
        enable_reuse_port=BoolValue(value=False),
    )
    chain = message.filter_chains.add()
    network_filter = chain.filters.add(name="envoy.filters.network.http_connection_manager")
    manager = _manager(port, f"outbound_{name}")
    if settings.access_log:
        manager.access_log.append(_access_log(settings.access_log))
    network_filter.typed_config.Pack(manager)
    encoded: bytes = message.SerializeToString(deterministic=True)
    return resource(Kind.LISTENER, name, encoded, port)


def _manager(port: int, stat_prefix: str) -> hcm.HttpConnectionManager:
    manager = hcm.HttpConnectionManager(
        codec_type=hcm.HttpConnectionManager.AUTO,
        stat_prefix=stat_prefix,
        server_name=SERVER_NAME,
        use_remote_address=BoolValue(value=True),
        normalize_path=BoolValue(value=True),
        stream_idle_timeout=Duration(),
        request_headers_timeout=Duration(seconds=HEADERS_TIMEOUT_S),
        upgrade_configs=[hcm.HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        http_protocol_options=protocol_pb2.Http1ProtocolOptions(accept_http_10=True),
        http2_protocol_options=_http2(),
        rds=hcm.Rds(
            route_config_name=table_name(port),
            config_source=config_source_pb2.ConfigSource(
                ads=config_source_pb2.AggregatedConfigSource(),
                initial_fetch_timeout=Duration(),
                resource_api_version=config_source_pb2.V3,
            ),
        ),
    )
    router = manager.http_filters.add(name="envoy.filters.http.router")
    router.typed_config.Pack(router_pb2.Router())
    return manager


def _access_log(path: str) -> accesslog_pb2.AccessLog:
    text = substitution_format_string_pb2.SubstitutionFormatString()
    text.text_format_source.inline_string = ACCESS_LOG_FORMAT
    log = accesslog_pb2.AccessLog(name="envoy.access_loggers.file")
    log.typed_config.Pack(file_pb2.FileAccessLog(path=path, log_format=text))
    return log


def _http2() -> protocol_pb2.Http2ProtocolOptions:
    return protocol_pb2.Http2ProtocolOptions(
        initial_stream_window_size=UInt32Value(value=STREAM_WINDOW_BYTES),
        initial_connection_window_size=UInt32Value(value=CONNECTION_WINDOW_BYTES),
    )
