"""Containers of a pod: what to run, with which environment, ports, resources and probes."""

from typing import Annotated

from msgspec import field

from stagezero.api.base import Noun, Raw
from stagezero.api.fields import MERGE_BY_NAME, IntOrString, Quantity, doc, merge_by
from stagezero.api.volume import (
    ObjectFieldSelector,
    ResourceFieldSelector,
    VolumeDevice,
    VolumeMount,
)


class ConfigMapKeySelector(Noun):
    """One key of a ConfigMap."""

    key: str
    name: str = ""
    optional: bool | None = None


class SecretKeySelector(Noun):
    """One key of a Secret."""

    key: str
    name: str = ""
    optional: bool | None = None


class EnvVarSource(Noun):
    """Where the value of an environment variable comes from."""

    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: ConfigMapKeySelector | None = None
    secret_key_ref: SecretKeySelector | None = None


class EnvVar(Noun):
    """An environment variable; `$(NAME)` in a value names an earlier variable."""

    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class ConfigMapEnvSource(Noun):
    """All keys of a ConfigMap."""

    name: str = ""
    optional: bool | None = None


class SecretEnvSource(Noun):
    """All keys of a Secret."""

    name: str = ""
    optional: bool | None = None


class EnvFromSource(Noun):
    """Environment variables from all keys of a ConfigMap or Secret."""

    prefix: str = ""
    config_map_ref: ConfigMapEnvSource | None = None
    secret_ref: SecretEnvSource | None = None


class ContainerPort(Noun):
    """A port that a container listens on."""

    container_port: int
    name: str = ""
    protocol: str = ""
    host_port: int | None = None
    host_ip: str = field(name="hostIP", default="")


class ResourceRequirements(Noun):
    """What a container needs at least (requests) and gets at most (limits)."""

    limits: dict[str, Quantity] = {}
    requests: dict[str, Quantity] = {}
    claims: list[Raw] = []


class HTTPHeader(Noun):
    """A header of a probe's request."""

    name: str
    value: str = ""


class HTTPGetAction(Noun):
    """An HTTP request to the container; 200 to 399 is success."""

    port: IntOrString = 0
    path: str = ""
    host: str = ""
    scheme: str = ""
    http_headers: list[HTTPHeader] = []


class TCPSocketAction(Noun):
    """A TCP connection to the container."""

    port: IntOrString = 0
    host: str = ""


class ExecAction(Noun):
    """A command within the container; exit code 0 is success."""

    command: list[str] = []


class GRPCAction(Noun):
    """A call of gRPC's health service."""

    port: int = 0
    service: str | None = None


class SleepAction(Noun):
    """A pause."""

    seconds: int


class Probe(Noun):
    """How and how often a container is asked whether it is well; times are in seconds."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int | None = None
    period_seconds: int | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None
    termination_grace_period_seconds: int | None = None


class LifecycleHandler(Noun):
    """What to do at the start or before the end of a container."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Noun):
    """Hooks after start and before stop."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str = ""


class Container(Noun):
    """One program of a pod."""

    name: str = ""
    image: Annotated[str, doc("Name of an image of the catalogue, or of an OCI image.")] = ""
    image_pull_policy: str = ""
    command: Annotated[list[str], doc("Replaces the image's entry point.")] = []
    args: Annotated[list[str], doc("Arguments of the entry point; replaces the image's.")] = []
    working_dir: str = ""
    ports: Annotated[list[ContainerPort], merge_by("containerPort", "protocol")] = []
    env_from: list[EnvFromSource] = []
    env: Annotated[list[EnvVar], MERGE_BY_NAME] = []
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: list[Raw] = []
    restart_policy: str = ""
    volume_mounts: Annotated[list[VolumeMount], merge_by("mountPath")] = []
    volume_devices: Annotated[list[VolumeDevice], merge_by("devicePath")] = []
    liveness_probe: Annotated[Probe | None, doc("Failing, the container is restarted.")] = None
    readiness_probe: Annotated[Probe | None, doc("Failing, the pod gets no requests.")] = None
    startup_probe: Annotated[Probe | None, doc("Holds the other probes back at first.")] = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = ""
    termination_message_policy: str = ""
    security_context: Raw | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


class ContainerStateWaiting(Noun):
    """Not running yet, and why."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(Noun):
    """Running since."""

    started_at: str | None = None


class ContainerStateTerminated(Noun):
    """Ended: exit code or signal, and what was said at the end."""

    exit_code: int
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = field(name="containerID", default="")


class ContainerState(Noun):
    """Exactly one of waiting, running, terminated."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Noun):
    """What became of a container."""

    name: str
    ready: bool
    restart_count: int
    image: str
    image_id: str = field(name="imageID")
    container_id: str = field(name="containerID", default="")
    started: bool | None = None
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    allocated_resources: dict[str, Quantity] = {}
    resources: ResourceRequirements | None = None
    volume_mounts: list[Raw] = []
