"""What the server serves, by the words people use: `isvc`, `pods`, `routes.serving.knative.dev`.

One request for each group version that is needed; answers are kept for the life of the object.
"""

from dataclasses import dataclass

import msgspec

from stagezero.api.base import Raw
from stagezero.client.client import Client


class UnknownKind(Exception):
    """The server has no such kind."""

    def __init__(self, word: str) -> None:
        super().__init__(f'the server doesn\'t have a resource type "{word}"')


@dataclass(frozen=True)
class Served:
    """One resource that the server serves."""

    api_version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    is_namespaced: bool

    @property
    def group(self) -> str:
        """The API group, empty for the core."""
        return self.api_version.rpartition("/")[0]

    @property
    def full_name(self) -> str:
        """`plural.group`, as kubectl prints it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def printed_name(self) -> str:
        """`singular.group`, as kubectl prints an object's kind."""
        return f"{self.singular}.{self.group}" if self.group else self.singular

    def path(self, namespace: str = "", name: str = "") -> str:
        """The REST path of the collection or of one object."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.is_namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")

    def is_called(self, word: str) -> bool:
        """Whether people may call it so."""
        return word in (
            self.plural, self.singular, self.kind, *self.short_names, self.full_name,
            self.printed_name,
        )  # fmt: skip


class Discovery:
    """Finds resources by kind or by word."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._served: dict[str, list[Served]] = {}

    async def of_kind(self, api_version: str, kind: str) -> Served:
        """Find the resource of an object's apiVersion and kind; UnknownKind if it is not served."""
        for served in await self._version(api_version):
            if served.kind == kind:
                return served
        raise UnknownKind(f"{kind} of {api_version}")

    async def called(self, word: str) -> Served:
        """Find the resource that people call `word`; groups in the server's order."""
        for api_version in await self._versions():
            for served in await self._version(api_version):
                if served.is_called(word):
                    return served
        raise UnknownKind(word)

    async def _versions(self) -> list[str]:
        groups = await self._read("/apis")
        found = ["v1"]
        for group in groups["groups"]:
            served = [str(version["groupVersion"]) for version in group["versions"]]
            preferred = str(group["preferredVersion"]["groupVersion"])
            found += sorted(served, key=lambda version: version != preferred)
        return found

    async def _version(self, api_version: str) -> list[Served]:
        if api_version not in self._served:
            root = "/apis" if "/" in api_version else "/api"
            answer = await self._read(f"{root}/{api_version}")
            self._served[api_version] = [
                _served(api_version, entry)
                for entry in answer["resources"]
                if "/" not in entry["name"]
            ]
        return self._served[api_version]

    async def _read(self, path: str) -> Raw:
        response = await self._client.request("GET", path)
        answer: Raw = msgspec.json.decode(response.body)
        return answer


def _served(api_version: str, entry: Raw) -> Served:
    return Served(
        api_version=api_version,
        kind=entry["kind"],
        plural=entry["name"],
        singular=entry.get("singularName") or entry["kind"].lower(),
        short_names=tuple(entry.get("shortNames") or ()),
        categories=tuple(entry.get("categories") or ()),
        is_namespaced=bool(entry["namespaced"]),
    )
