"""From a container's spec to the command line that runs."""

from pathlib import Path

import pytest

from stagezero.api.base import Raw
from stagezero.api.container import Container
from stagezero.node.images.image import Environment, Image, Interpreter
from stagezero.node.plans import container_spec
from stagezero.node.plans.container_spec import ReadyImage
from stagezero.node.plans.errors import ConfigError
from stagezero.node.sandbox.command_line import ports_in, with_paths, with_ports
from stagezero.node.sandbox.runtime import Bind
from support.pods_seen import a_pod

ENVIRONMENT = Environment("abc", Path("/envs/abc"), Path("/envs/abc/bin/python"))
IMAGE = Image(
    names=("example/web",),
    entrypoint=("{python}", "-m", "web"),
    defined_in=Path("/catalogue.toml"),
    arguments=("--port=9000",),
    programs={"/usr/bin/web": ("{python}", "-m", "web")},
    env={"QUIET": "1"},
    port=8080,
)
READY = ReadyImage(IMAGE, ENVIRONMENT)
PYTHON = "/envs/abc/bin/python"


@pytest.mark.parametrize(
    ("argv", "ports"),
    [
        (("--port=8080",), (8080,)),
        (("--http_port=8080", "--grpc-port", "9000"), (8080, 9000)),
        (("--rest_api_port=8501", "--port=8500"), (8501, 8500)),
        (("-port=1",), (1,)),
        (("--bind=0.0.0.0:80",), (80,)),
        (("--report=8080", "--port", "http", "8080"), ()),
        (("--portal=1", "--transport=3"), ()),
        ((), ()),
    ],
)
def test_ports_are_found_in_flags_alone(argv: tuple[str, ...], ports: tuple[int, ...]) -> None:
    assert ports_in(argv) == ports


def test_ports_in_flags_are_replaced() -> None:
    argv = ("server", "--http_port=8080", "--grpc-port", "9000", "--workers=8080")
    assert with_ports(argv, {8080: 41000, 9000: 41001}) == (
        "server", "--http_port=41000", "--grpc-port", "41001", "--workers=8080",
    )  # fmt: skip


def test_ports_that_are_not_mapped_stay() -> None:
    assert with_ports(("--port=1",), {2: 3}) == ("--port=1",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/mnt/models", "/real/m"),
        ("--model_dir=/mnt/models", "--model_dir=/real/m"),
        ("/mnt/models/1/x", "/real/m/1/x"),
        ("/mnt/models2", "/mnt/models2"),
        ("/x/mnt/models", "/x/mnt/models"),
        ("a:/mnt/models:/b", "a:/real/m:/b"),
        ("/mnt/models/deep/x", "/real/deep/x"),
        ("nothing", "nothing"),
    ],
)
def test_mount_paths_are_replaced_as_whole_paths(text: str, expected: str) -> None:
    paths = {"/mnt/models": "/real/m", "/mnt/models/deep": "/real/deep"}
    assert with_paths(text, paths) == expected


@pytest.mark.parametrize(
    ("container", "argv"),
    [
        ({}, (PYTHON, "-m", "web", "--port=9000")),
        ({"args": ["--name=$(NAME)"]}, (PYTHON, "-m", "web", "--name=iris")),
        ({"command": ["/usr/bin/web"]}, (PYTHON, "-m", "web")),
        ({"command": ["web", "-x"], "args": ["y"]}, (PYTHON, "-m", "web", "-x", "y")),
        ({"command": ["sh", "-c", "$(NAME)"]}, ("sh", "-c", "iris")),
    ],
    ids=["image", "args", "command", "bare-name", "other-program"],
)
def test_command_and_args_follow_kubernetes(container: Raw, argv: tuple[str, ...]) -> None:
    full = Container(**container)
    assert container_spec.command_line(full, READY, {"NAME": "iris"}) == argv


def test_the_environment_has_three_layers() -> None:
    pod = a_pod()
    found = container_spec.full_environment(pod, READY, {"QUIET": "0", "A": "1"}, {"NODE": "n"})
    assert (found["QUIET"], found["A"], found["NODE"]) == ("0", "1", "n")
    assert found["HOSTNAME"] == "web"
    assert found["PATH"].startswith("/envs/abc/bin:")


@pytest.mark.parametrize(
    ("spec", "name", "hostname"),
    [
        ({}, "web", "web"),
        ({"hostname": "other"}, "web", "other"),
        ({}, "x" * 62 + "-yz", "x" * 62),
    ],
)
def test_a_host_name_is_short_and_clean(spec: Raw, name: str, hostname: str) -> None:
    assert container_spec.pod_hostname(a_pod(spec, name=name)) == hostname


@pytest.mark.parametrize(
    ("container", "ports"),
    [
        ({"ports": [{"containerPort": 80}, {"containerPort": 81}]}, (80, 81, 9000)),
        ({"args": ["--port=70"]}, (70, 8080)),
        ({}, (9000, 8080)),
        ({"ports": [{"containerPort": 70}], "args": ["--port=70"]}, (70,)),
    ],
    ids=["declared", "flag", "image", "same"],
)
def test_every_port_somebody_listens_on_is_known(container: Raw, ports: tuple[int, ...]) -> None:
    pod = a_pod({"containers": [{"name": "main", "image": "example/web", **container}]})
    assert container_spec.pod_ports(pod, {"example/web": IMAGE}) == ports


def _binds(mounts: list[Raw], values: dict[str, str] | None = None) -> tuple[Bind, ...]:
    containers = [{"name": "main", "volumeMounts": mounts}]
    container = a_pod({"containers": containers}).spec.containers[0]
    return container_spec.volume_binds(container, {"v": Path("/vol/v")}, values or {})


def test_volumes_are_bound_where_they_are_mounted() -> None:
    mounts = [{"name": "v", "mountPath": "/data", "readOnly": True}]
    assert _binds(mounts) == (Bind(Path("/vol/v"), "/data", True),)


def test_a_sub_path_may_name_variables() -> None:
    mounts = [
        {"name": "v", "mountPath": "/a", "subPath": "x/y"},
        {"name": "v", "mountPath": "/b", "subPathExpr": "$(POD)"},
    ]
    sources = [str(bind.source) for bind in _binds(mounts, {"POD": "web"})]
    assert sources == ["/vol/v/x/y", "/vol/v/web"]


@pytest.mark.parametrize(
    ("mount", "why"),
    [
        ({"name": "no", "mountPath": "/a"}, "has no volume"),
        ({"name": "v", "mountPath": "a"}, "not absolute"),
        ({"name": "v", "mountPath": "/a", "subPath": "../x"}, "leads out"),
        ({"name": "v", "mountPath": "/a", "subPath": "/x"}, "leads out"),
    ],
)
def test_a_mount_that_cannot_be_is_named(mount: Raw, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        _binds([mount])


def test_a_program_starts_in_its_folder() -> None:
    assert container_spec.working_folder(Container(), READY) == "/"
    assert container_spec.working_folder(Container(working_dir="/srv"), READY) == "/srv"


def test_programs_of_the_platform_are_known() -> None:
    own = Image(names=("x",), entrypoint=("y",), defined_in=Path("/c"))
    assert not ReadyImage(own, ENVIRONMENT).is_of_platform
    platform = Image(
        names=("x",), entrypoint=("y",), defined_in=Path("/c"), interpreter=Interpreter.PLATFORM
    )
    assert ReadyImage(platform, ENVIRONMENT).is_of_platform
