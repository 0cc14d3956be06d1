"""From a container of a pod and its image to what the runtime starts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stagezero.api.container import Container
from stagezero.api.pod import Pod
from stagezero.node.images.image import Environment, Image, Interpreter
from stagezero.node.plans.errors import ConfigError
from stagezero.node.plans.expansion import expand, expand_all
from stagezero.node.sandbox.command_line import ports_in
from stagezero.node.sandbox.runtime import Bind

DEFAULT_TERMINATION_PATH = "/dev/termination-log"
HOME = "/tmp"


@dataclass(frozen=True)
class ReadyImage:
    """An image and the environment its programs run in."""

    image: Image
    environment: Environment

    @property
    def is_of_platform(self) -> bool:
        """Whether its programs are part of Stagezero and run on the machine's network and tree."""
        return self.image.interpreter is Interpreter.PLATFORM


def command_line(
    container: Container, ready: ReadyImage, values: Mapping[str, str]
) -> tuple[str, ...]:
    """What to execute: the spec's command and arguments expanded, resolved against the image."""
    command = expand_all(container.command, values)
    args = expand_all(container.args, values)
    return ready.image.argv(ready.environment, command, args)


def full_environment(
    pod: Pod, ready: ReadyImage, wanted: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """All variables of a program: the image's, those `given` by the node, the container's own."""
    hostname = pod_hostname(pod)
    return {
        "HOME": HOME,
        "HOSTNAME": hostname,
        **ready.image.environ(ready.environment),
        **given,
        **wanted,
    }


def pod_hostname(pod: Pod) -> str:
    """The pod's host name, at most 63 characters and not ending in a dash or a dot."""
    return (pod.spec.hostname or pod.metadata.name)[:63].rstrip("-.")


def pod_ports(pod: Pod, images: Mapping[str, Image]) -> tuple[int, ...]:
    """Every port on which some program of the pod is told to listen, in order, once.

    Besides the declared ones those named in flags: on a shared network they must move, too.
    """
    ports: list[int] = []
    for container in pod.spec.containers:
        ports += [port.container_port for port in container.ports]
        ports += ports_in([*container.command, *container.args])
        image = images.get(container.image)
        if image is not None:
            ports += ports_in(image.arguments) if not container.args else ()
            ports += [image.port] if image.port and not container.ports else []
    return tuple(dict.fromkeys(ports))


def working_folder(container: Container, ready: ReadyImage) -> str:
    """Where the program starts."""
    return container.working_dir or ready.image.working_dir or "/"


def volume_binds(
    container: Container, folders: Mapping[str, Path], values: Mapping[str, str]
) -> tuple[Bind, ...]:
    """The container's volumes: where each is on the machine, and where it is shown."""
    binds = []
    for mount in container.volume_mounts:
        folder = folders.get(mount.name)
        if folder is None:
            raise ConfigError(f'volume mount "{mount.name}" has no volume of that name')
        if not mount.mount_path.startswith("/"):
            raise ConfigError(f'the mount path "{mount.mount_path}" is not absolute')
        below = mount.sub_path or expand(mount.sub_path_expr, values)
        if below.startswith("/") or ".." in below.split("/"):
            raise ConfigError(f'the subPath "{below}" leads out of volume "{mount.name}"')
        source = folder / below if below else folder
        binds.append(Bind(source, mount.mount_path, mount.read_only))
    return tuple(binds)
