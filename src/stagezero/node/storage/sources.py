"""From a URI to the source that can read it, by scheme.

The libraries of buckets and of the web come in when the first such URI does: together they take
20 MB, and where models lie in folders they are never used.
"""

import re
from pathlib import Path

from stagezero.node.storage.errors import ModelInvalid
from stagezero.node.storage.local import LocalSource
from stagezero.node.storage.source import Source, Variables

_WEB = re.compile(r"https?://(.+)/(.+)?")


def open_source(uri: str, env: Variables) -> Source:
    """Return the source of a URI; ModelInvalid if its scheme is not known here."""
    if uri.startswith(("gs://", "s3://")):
        from stagezero.node.storage.objects import gcs_source, s3_source

        return gcs_source(uri, env) if uri.startswith("gs://") else s3_source(uri, env)
    if uri.startswith("file://"):
        return LocalSource(uri, Path(uri.removeprefix("file://")))
    if _WEB.match(uri):
        from stagezero.node.storage.web import WebSource

        return WebSource(uri, env)
    if uri.startswith("/") or (uri and "://" not in uri and Path(uri).exists()):
        return LocalSource(uri, Path(uri))
    raise ModelInvalid(
        f"Cannot recognize storage type for {uri}\n'gs://', 's3://', 'file://', and 'http://' "
        "are the current available storage type."
    )
