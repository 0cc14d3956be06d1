"""What can go wrong in a model server, named by what whoever catches it does.

At load: ModelMissing waits or serves `ready: false`, ModelBroken ends the process. On a request:
each of the others is one answer, chosen by the protocol's handler.
"""


class ModelServerError(Exception):
    """Base of this room's errors."""


class CannotStart(ModelServerError):
    """The process must end: the message says what was wrong with its surroundings."""


class ModelMissing(ModelServerError):
    """There is no model in the folder (yet)."""


class ModelBroken(ModelServerError):
    """There is a model, but it cannot be loaded: nothing but another model helps."""

    def __init__(self, name: str, folder: object, cause: str) -> None:
        super().__init__(f"failed to load model {name} from {folder}: {cause}")


class UnknownModel(ModelServerError):
    """The caller names a model that is not registered."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Model with name {name} does not exist.")


class ModelNotReady(ModelServerError):
    """The model is registered and not loaded."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Model with name {name} is not ready.")


class InvalidInput(ModelServerError):
    """The model refuses the caller's data: the caller must change it."""


class PredictionFailed(ModelServerError):
    """The model raised on this request; it goes on serving others."""


class Overloaded(ModelServerError):
    """Too much waits already: the caller should come back."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"The model server is overloaded: {waiting} requests wait for the model.")
