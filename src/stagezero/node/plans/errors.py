"""Why a container cannot be created from what its pod says; the pod's owner reads the message."""


class ConfigError(Exception):
    """What the container refers to is not there or wrong: it waits until that changes."""

    reason = "CreateContainerConfigError"


class MountFailed(Exception):
    """A volume cannot be set up."""

    def __init__(self, volume: str, why: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {why}')
