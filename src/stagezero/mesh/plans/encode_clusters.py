"""Clusters and their endpoints in Envoy's words (CDS, EDS).

A cluster never changes when pods come and go: that would make it warm again; only its load does.
"""

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from envoy.config.core.v3 import address_pb2, config_source_pb2, protocol_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from stagezero.mesh.plans.backends import Cluster, Load
from stagezero.mesh.plans.resources import Kind, Resource, resource
from stagezero.mesh.plans.values import Endpoint

NO_LIMIT = 2**32 - 1
CONNECT_TIMEOUT_S = 10
FIRST_LOAD_TIMEOUT_S = 1
"""A cluster without endpoints holds up every other one while it warms: not for long."""
IDLE_CONNECTION_S = 4
"""Shorter than common servers' keep-alive (5 s), or requests would meet closed connections."""
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def encode_cluster(cluster: Cluster) -> Resource:
    """The cluster of one port of a Service."""
    message = cluster_pb2.Cluster(
        name=cluster.name,
        connect_timeout=Duration(seconds=CONNECT_TIMEOUT_S),
        lb_policy=cluster_pb2.Cluster.ROUND_ROBIN,
        circuit_breakers=_no_limits(),
    )
    message.common_lb_config.healthy_panic_threshold.value = 0
    message.typed_extension_protocol_options[HTTP_OPTIONS].Pack(_http(cluster.is_http2))
    if cluster.dns_name:
        message.type = cluster_pb2.Cluster.STRICT_DNS
        endpoint = Endpoint(cluster.dns_name, cluster.port)
        message.load_assignment.CopyFrom(_assignment(Load(cluster.name, (endpoint,))))
    else:
        message.type = cluster_pb2.Cluster.EDS
        message.eds_cluster_config.eds_config.CopyFrom(
            config_source_pb2.ConfigSource(
                ads=config_source_pb2.AggregatedConfigSource(),
                initial_fetch_timeout=Duration(seconds=FIRST_LOAD_TIMEOUT_S),
                resource_api_version=config_source_pb2.V3,
            )
        )
    return resource(Kind.CLUSTER, cluster.name, _bytes(message), cluster)


def _no_limits() -> circuit_breaker_pb2.CircuitBreakers:
    limit = UInt32Value(value=NO_LIMIT)
    return circuit_breaker_pb2.CircuitBreakers(
        thresholds=[
            circuit_breaker_pb2.CircuitBreakers.Thresholds(
                max_connections=limit,
                max_pending_requests=limit,
                max_requests=limit,
                max_retries=limit,
            )
        ]
    )


def _http(is_http2: bool) -> http_protocol_options_pb2.HttpProtocolOptions:
    options = http_protocol_options_pb2.HttpProtocolOptions(
        common_http_protocol_options=protocol_pb2.HttpProtocolOptions(
            idle_timeout=Duration(seconds=IDLE_CONNECTION_S)
        )
    )
    if is_http2:
        options.explicit_http_config.http2_protocol_options.SetInParent()
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    return options


def encode_load(load: Load) -> Resource:
    """The endpoints of a cluster, none if need be."""
    return resource(Kind.LOAD, load.cluster, _bytes(_assignment(load)), load)


def _assignment(load: Load) -> endpoint_pb2.ClusterLoadAssignment:
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=load.cluster)
    if load.endpoints:
        locality = message.endpoints.add()
        locality.lb_endpoints.extend(_endpoint(endpoint) for endpoint in load.endpoints)
    return message


def _endpoint(endpoint: Endpoint) -> endpoint_components_pb2.LbEndpoint:
    message = endpoint_components_pb2.LbEndpoint()
    message.endpoint.address.CopyFrom(address_of(endpoint.address, endpoint.port))
    return message


def address_of(address: str, port: int) -> address_pb2.Address:
    """An address: a Unix socket if the port is 0."""
    if port == 0:
        return address_pb2.Address(pipe=address_pb2.Pipe(path=address))
    return address_pb2.Address(
        socket_address=address_pb2.SocketAddress(address=address, port_value=port)
    )


def _bytes(message: cluster_pb2.Cluster | endpoint_pb2.ClusterLoadAssignment) -> bytes:
    encoded: bytes = message.SerializeToString(deterministic=True)
    return encoded
