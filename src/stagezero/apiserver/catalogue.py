"""Which resources are served, found by path or by kind; custom kinds come and go at run time."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stagezero.api.base import Object, Raw
from stagezero.api.printing import TablePrinter
from stagezero.apiserver.served import Served, from_class, from_definition


class ServedKey(NamedTuple):
    """How a path names a resource."""

    group: str
    version: str
    plural: str


class Catalogue:
    """All served resources; `revision` rises with every change, so that documents can be kept."""

    def __init__(
        self,
        builtin: Iterable[type[Object]],
        printers: Mapping[tuple[str, str], TablePrinter],
    ) -> None:
        self.revision = 0
        self._served: dict[ServedKey, Served] = {}
        self._custom: dict[str, tuple[ServedKey, ...]] = {}
        for kind in builtin:
            resource = kind.resource
            self._add(from_class(kind, printers.get((resource.group, resource.plural))))

    def _add(self, served: Served) -> ServedKey:
        key = ServedKey(served.group, served.version, served.resource.plural)
        self._served[key] = served
        return key

    def find(self, group: str, version: str, plural: str) -> Served | None:
        """The resource at a path, if it is served."""
        return self._served.get(ServedKey(group, version, plural))

    def of_collection(self, collection: str) -> Served | None:
        """Any version of the kind whose objects lie in a collection."""
        return next((one for one in self._served.values() if one.collection == collection), None)

    def all(self) -> list[Served]:
        """Every served resource, built-in kinds first."""
        return list(self._served.values())

    def taken_names(self, group: str, but: str) -> dict[str, str]:
        """Names in use in a group, by kinds other than the definition `but`: name to its use."""
        taken: dict[str, str] = {}
        for served in self._served.values():
            resource = served.resource
            if resource.group == group and resource.full_name != but:
                names = (resource.plural, served.singular, *resource.short_names)
                taken.update(dict.fromkeys((*names, resource.kind, served.list_kind), "kind"))
        return taken

    def define(self, definition: Raw) -> None:
        """Serve a custom kind, or serve it as it is now defined."""
        self.forget(definition["metadata"]["name"])
        keys = tuple(self._add(served) for served in from_definition(definition))
        self._custom[definition["metadata"]["name"]] = keys

    def forget(self, name: str) -> None:
        """Serve a custom kind no longer."""
        for key in self._custom.pop(name, ()):
            del self._served[key]
        self.revision += 1
