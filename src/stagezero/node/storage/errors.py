"""Why a model could not be fetched: `permanent` failures wait for a person, others for a retry.

The first sentence is what KServe's storage initializer says; a remedy follows where there is one.
"""

_LIMIT_REMEDY = "check that the URI is that of a model"


class StorageError(Exception):
    """A model could not be fetched."""

    permanent = True
    """Whether the next try would fail in the same way."""

    mirror_of: str = ""
    """The URI that was asked for, if a mirror was read in its place."""

    def __str__(self) -> str:
        mirrored = f" (read as the mirror of {self.mirror_of})" if self.mirror_of else ""
        return f"{super().__str__()}{mirrored}"


class ModelNotFound(StorageError):
    """There is nothing at the URI."""


class ModelDenied(StorageError):
    """The source wants credentials, or other ones."""

    def __init__(self, said: str, anonymous: bool) -> None:
        remedy = (
            "No credentials were given: add a secret to the pod's service account."
            if anonymous
            else "Check the secret of the pod's service account."
        )
        super().__init__(f"{said} {remedy}")


class ModelInvalid(StorageError):
    """The URI, or what is there, cannot be used as a model."""


class ModelTooLarge(ModelInvalid):
    """The model exceeds a limit of the store."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; {_LIMIT_REMEDY}")


class SourceUnreachable(StorageError):
    """The source did not answer as it should; it may later."""

    permanent = False

    def __init__(self, uri: str, reason: str) -> None:
        remedy = f"check the network, or set a mirror, such as {_mirror_example(uri)}"
        super().__init__(f"Cannot reach {uri}: {reason}; {remedy}")


class SourceFailing(SourceUnreachable):
    """The source answered, but with a failure of its own."""

    def __init__(self, said: str) -> None:
        StorageError.__init__(self, said)


class SourceChanging(StorageError):
    """The model is being written just now; it may be whole later."""

    permanent = False

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri} changes while it is being read; it is tried again")


class StoreFailing(StorageError):
    """The model store itself cannot take the model; it may later."""

    permanent = False

    def __init__(self, root: object, reason: str) -> None:
        super().__init__(f"The model store {root} cannot be used: {reason}")


class StoreFull(StoreFailing):
    """The disk of the model store has no room for the model."""

    def __init__(self, root: object, needed_bytes: int = 0) -> None:
        needed = f", {needed_bytes / 1e6:.0f} MB are needed" if needed_bytes else ""
        super().__init__(root, f"its disk is full{needed}; free space there")


def _mirror_example(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0]}/=file:///path/of/a/copy/"
