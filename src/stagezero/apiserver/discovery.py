"""What is served, as clients discover it: aggregated (one document) and group by group."""

import re
from collections.abc import Iterable

from stagezero.api.base import Raw
from stagezero.apiserver.reviews import REVIEWS
from stagezero.apiserver.served import Served

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_AGGREGATED_PATTERN = re.compile(
    r"g=apidiscovery\.k8s\.io;\s*v=v2(?!\w)[^,]*as=APIGroupDiscoveryList"
)
VERBS = (
    "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
)  # fmt: skip
_STATUS_VERBS = ("get", "patch", "update")
_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_MATURITY = {"alpha": 0, "beta": 1, None: 2}


def wants_aggregated(accept: str) -> bool:
    """Whether a client takes the one document for all groups."""
    return _AGGREGATED_PATTERN.search(accept) is not None


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Sorts versions, best last: v2 over v1 over v1beta1 over v1alpha1 over others."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return (-1, 0, 0, version)
    return (_MATURITY[found[2]], int(found[1][:9]), int((found[3] or "0")[:9]), version)


class Groups:
    """Served resources by group and version, in the order in which clients prefer them."""

    def __init__(self, served: Iterable[Served], extra: Iterable[tuple[str, str]] = ()) -> None:
        """`extra` are subresources that others carry out: collection and name."""
        self._by_group: dict[str, dict[str, list[Served]]] = {}
        self._extra: dict[str, list[str]] = {}
        for collection, name in extra:
            self._extra.setdefault(collection, []).append(name)
        for one in served:
            self._by_group.setdefault(one.group, {}).setdefault(one.version, []).append(one)
        for group, _, _ in REVIEWS:
            self._by_group.setdefault(group, {}).setdefault("v1", [])

    def names(self) -> list[str]:
        """The groups but the core group."""
        return sorted(group for group in self._by_group if group)

    def versions(self, group: str) -> list[str]:
        """A group's versions, the preferred one first; empty if there is no such group."""
        return sorted(self._by_group.get(group, ()), key=version_rank, reverse=True)

    def group_list(self) -> Raw:
        """APIGroupList at /apis."""
        groups = [self.group(name) for name in self.names()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def group(self, name: str) -> Raw:
        """APIGroup at /apis/GROUP."""
        versions = [
            {"groupVersion": f"{name}/{version}", "version": version}
            for version in self.versions(name)
        ]
        return {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": name,
            "versions": versions,
            "preferredVersion": versions[0],
        }

    def resource_list(self, group: str, version: str) -> Raw:
        """APIResourceList at /api/v1 and /apis/GROUP/VERSION."""
        resources: list[Raw] = []
        for one in self._by_group[group][version]:
            resources.append(_resource(one))
            resources += self._subresources(one)
        resources += [
            {
                "name": plural,
                "singularName": kind.lower(),
                "namespaced": False,
                "kind": kind,
                "verbs": ["create"],
            }
            for review_group, plural, kind in REVIEWS
            if review_group == group
        ]
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": resources,
        }

    def _subresources(self, one: Served) -> list[Raw]:
        plural = one.resource.plural
        return [
            {
                "name": f"{plural}/{name}",
                "singularName": "",
                "namespaced": one.resource.namespaced,
                **({"group": "autoscaling", "version": "v1"} if kind == "Scale" else {}),
                "kind": kind,
                "verbs": list(verbs),
            }
            for name, kind, verbs in self._subresources_of(one)
        ]

    def _subresources_of(self, one: Served) -> list[tuple[str, str, tuple[str, ...]]]:
        found: list[tuple[str, str, tuple[str, ...]]] = []
        if one.has_status:
            found.append(("status", one.kind, _STATUS_VERBS))
        if one.scale is not None:
            found.append(("scale", "Scale", _STATUS_VERBS))
        if one.collection == "pods":
            found += [("binding", "Binding", ("create",)), ("eviction", "Eviction", ("create",))]
        if one.collection == "namespaces":
            found.append(("finalize", "Namespace", ("update",)))
        found += [(name, one.kind, ("get",)) for name in self._extra.get(one.collection, ())]
        return found

    def aggregated(self, groups: Iterable[str]) -> Raw:
        """APIGroupDiscoveryList of these groups."""
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": [
                {
                    "metadata": {"name": group, "creationTimestamp": None},
                    "versions": [
                        {
                            "version": version,
                            "freshness": "Current",
                            "resources": self._discovered(group, version),
                        }
                        for version in self.versions(group)
                    ],
                }
                for group in groups
            ],
        }

    def _discovered(self, group: str, version: str) -> list[Raw]:
        found = [self._one_discovered(one) for one in self._by_group[group][version]]
        return found + [
            {
                "resource": plural,
                "responseKind": {"group": group, "version": version, "kind": kind},
                "scope": "Cluster",
                "singularResource": kind.lower(),
                "verbs": ["create"],
            }
            for review_group, plural, kind in REVIEWS
            if review_group == group
        ]

    def _one_discovered(self, one: Served) -> Raw:
        raw: Raw = {
            "resource": one.resource.plural,
            "responseKind": {"group": one.group, "version": one.version, "kind": one.kind},
            "scope": "Namespaced" if one.resource.namespaced else "Cluster",
            "singularResource": one.singular,
            "verbs": list(VERBS),
        }
        if one.resource.short_names:
            raw["shortNames"] = list(one.resource.short_names)
        if one.resource.categories:
            raw["categories"] = list(one.resource.categories)
        raw["subresources"] = [
            {
                "subresource": name,
                "responseKind": {
                    "group": "autoscaling" if kind == "Scale" else one.group,
                    "version": "v1" if kind == "Scale" else one.version,
                    "kind": kind,
                },
                "verbs": list(verbs),
            }
            for name, kind, verbs in self._subresources_of(one)
        ]
        return raw


def _resource(one: Served) -> Raw:
    raw: Raw = {
        "name": one.resource.plural,
        "singularName": one.singular,
        "namespaced": one.resource.namespaced,
        "kind": one.kind,
        "verbs": list(VERBS),
    }
    if one.resource.short_names:
        raw["shortNames"] = list(one.resource.short_names)
    if one.resource.categories:
        raw["categories"] = list(one.resource.categories)
    return raw
