"""The kinds that the embedded API server has of itself; every other kind comes as a CRD."""

from stagezero.api.apiextensions import CustomResourceDefinition
from stagezero.api.apps import Deployment, ReplicaSet
from stagezero.api.base import Object
from stagezero.api.config import ConfigMap, Namespace, Secret, ServiceAccount
from stagezero.api.coordination import Lease
from stagezero.api.discovery import EndpointSlice
from stagezero.api.event import Event
from stagezero.api.node import Node
from stagezero.api.pod import Pod
from stagezero.api.service import Endpoints, Service

BUILTIN_KINDS: tuple[type[Object], ...] = (
    Namespace, Node, ConfigMap, Secret, ServiceAccount, Service, Endpoints, EndpointSlice,
    Pod, Event,
    Deployment, ReplicaSet, Lease, CustomResourceDefinition,
)  # fmt: skip
