"""Questions about oneself: `kubectl auth can-i` and `kubectl auth whoami`.

Whoever holds the token may do everything; the answers say so instead of being absent.
"""

from collections.abc import Callable

import msgspec

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver import decoding
from stagezero.kit.http import JSON, Request, Response, User

AUTHORIZATION = "authorization.k8s.io"
AUTHENTICATION = "authentication.k8s.io"


def _access(user: User) -> Raw:
    return {"allowed": True, "reason": f"{user.name} holds the token of this machine"}


def _rules(user: User) -> Raw:
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
    return {"resourceRules": [everything], "nonResourceRules": [paths], "incomplete": False}


def _who(user: User) -> Raw:
    return {"userInfo": {"username": user.name, "groups": list(user.groups)}}


_ANSWERS: dict[tuple[str, str], tuple[str, Callable[[User], Raw]]] = {
    (AUTHORIZATION, "selfsubjectaccessreviews"): ("SelfSubjectAccessReview", _access),
    (AUTHORIZATION, "selfsubjectrulesreviews"): ("SelfSubjectRulesReview", _rules),
    (AUTHENTICATION, "selfsubjectreviews"): ("SelfSubjectReview", _who),
}
REVIEWS = tuple((group, plural, kind) for (group, plural), (kind, _) in _ANSWERS.items())
"""Group, plural and kind of each question, for discovery."""


def answer(group: str, plural: str, request: Request) -> Response | None:
    """Answer a question; None if it is not one."""
    found = _ANSWERS.get((group, plural))
    if found is None:
        return None
    if request.method != "POST":
        raise errors.MethodNotAllowed(
            "the server does not allow this method on the requested resource"
        )
    body = decoding.decode_body(request.body, request.headers.get("content-type", ""))
    if not isinstance(body, dict):
        raise errors.BadRequest("the body of the request is no object")
    kind, status = found
    review = {
        **body,
        "kind": kind,
        "apiVersion": f"{group}/v1",
        "metadata": body.get("metadata") or {},
        "status": status(request.user),
    }
    return Response(201, msgspec.json.encode(review), {"content-type": JSON})
