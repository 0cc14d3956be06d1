"""From a URI to the source that can read it, by scheme."""

import re
from pathlib import Path

from stagezero.node.storage.errors import ModelInvalid
from stagezero.node.storage.local import LocalSource
from stagezero.node.storage.objects import gcs_source, s3_source
from stagezero.node.storage.source import Source, Variables
from stagezero.node.storage.web import WebSource

_WEB = re.compile(r"https?://(.+)/(.+)?")


def open_source(uri: str, env: Variables) -> Source:
    """Return the source of a URI; ModelInvalid if its scheme is not known here."""
    if uri.startswith("gs://"):
        return gcs_source(uri, env)
    if uri.startswith("s3://"):
        return s3_source(uri, env)
    if uri.startswith("file://"):
        return LocalSource(uri, Path(uri.removeprefix("file://")))
    if _WEB.match(uri):
        return WebSource(uri, env)
    if uri.startswith("/") or (uri and "://" not in uri and Path(uri).exists()):
        return LocalSource(uri, Path(uri))
    raise ModelInvalid(
        f"Cannot recognize storage type for {uri}\n'gs://', 's3://', 'file://', and 'http://' "
        "are the current available storage type."
    )
