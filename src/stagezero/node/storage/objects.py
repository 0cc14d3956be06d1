"""Models in object storage: everything under a prefix of a bucket, or one object.

Prefixes end at whole path segments: `models/mnist` does not take `models/mnist2` along. Without
credentials the requests are not signed, as public buckets want it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import obstore.exceptions
from obstore.store import GCSStore, S3Store

from stagezero.node.storage.errors import (
    ModelDenied,
    ModelInvalid,
    ModelNotFound,
    SourceUnreachable,
    StorageError,
)
from stagezero.node.storage.sink import CHUNK_BYTES, Sink
from stagezero.node.storage.source import Manifest, RemoteFile, Variables, safe_name

_RETRY = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
# The time-out of a request is for the whole body, however large; silence is what tells of an end.
_CLIENT = {"connect_timeout": "5s", "read_timeout": "60s", "timeout": "7d"}
_CAUSE = re.compile(r'(?:message|error): "([^"]+)"')
_STATUS = re.compile(r"status code: (\d{3}) ([A-Za-z -]*[A-Za-z])")


class ObjectSource:
    """One model in a bucket; `anonymous` says that requests carry no credentials."""

    def __init__(self, uri: str, store: Any, anonymous: bool) -> None:
        self._uri = uri
        self._prefix = uri.partition("://")[2].partition("/")[2].strip("/")
        self._store = store
        self._anonymous = anonymous

    async def manifest(self) -> Manifest:
        """List the objects there are now."""
        with self._translated():
            found = [meta async for chunk in self._store.list(self._prefix) for meta in chunk]
            files = tuple(self._file(meta) for meta in _without_placeholders(found, self._prefix))
            if not files and self._prefix:
                meta = await self._store.head_async(self._prefix)
                files = (_remote_file(self._prefix.rpartition("/")[2], meta),)
        if not files:
            raise self._not_found()
        return Manifest(files)

    async def download(self, file: RemoteFile, sink: Sink) -> None:
        """Fetch one object."""
        with self._translated():
            result = await self._store.get_async(file.location)
            async for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
                await sink.write(bytes(chunk))

    def _file(self, meta: Any) -> RemoteFile:
        return _remote_file(meta["path"].removeprefix(self._prefix).lstrip("/"), meta)

    def _not_found(self) -> ModelNotFound:
        return ModelNotFound(f"Failed to fetch model. No model found in {self._uri}.")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, obstore.exceptions.BaseError) as error:
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> StorageError:
        # A failed listing is a GenericError whatever the status; a failed read has its own class.
        answered = _STATUS.search(str(error))
        status = int(answered.group(1)) if answered else 0
        if isinstance(error, FileNotFoundError) or status == HTTPStatus.NOT_FOUND:
            return self._not_found()
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ModelDenied(f"Access to {self._uri} was denied.", self._anonymous)
        if answered:
            return SourceUnreachable(self._uri, f"it answered {' '.join(answered.groups())}")
        if "invalid path" in str(error):
            first_line = str(error).partition("\n")[0]
            return ModelInvalid(f"{self._uri} has an object with an unsafe name: {first_line}")
        return SourceUnreachable(self._uri, _cause(str(error)))


def gcs_source(uri: str, env: Variables) -> ObjectSource:
    """Open a `gs://` URI, with the pod's Google credentials if it has any."""
    credentials = env.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    config: dict[str, Any] = (
        {"application_credentials": credentials} if credentials else {"skip_signature": True}
    )
    client = dict(_CLIENT)
    if emulator := env.get("STORAGE_EMULATOR_HOST"):
        config["base_url"] = emulator if "://" in emulator else f"http://{emulator}"
        client["allow_http"] = True  # type: ignore[assignment]  # obstore's options are of many types
    return _source(uri, GCSStore, config, client)


def s3_source(uri: str, env: Variables) -> ObjectSource:
    """Open an `s3://` URI, with the variables KServe sets from secrets and their annotations."""
    endpoint = env.get("AWS_ENDPOINT_URL", "")
    key = env.get("AWS_ACCESS_KEY_ID", "")
    wants_anonymous = env.get("awsAnonymousCredential", "").lower() == "true"
    config: dict[str, Any] = {"region": env.get("AWS_DEFAULT_REGION") or "us-east-1"}
    if key and not wants_anonymous:
        config |= {"access_key_id": key, "secret_access_key": env.get("AWS_SECRET_ACCESS_KEY", "")}
        if token := env.get("AWS_SESSION_TOKEN"):
            config["session_token"] = token
    else:
        config["skip_signature"] = True
    if endpoint:
        config["endpoint"] = endpoint
    if env.get("S3_USER_VIRTUAL_BUCKET", "").lower() == "true":
        config["virtual_hosted_style_request"] = True
    client: dict[str, Any] = dict(_CLIENT)
    client["allow_http"] = endpoint.startswith("http://")
    client["allow_invalid_certificates"] = env.get("S3_VERIFY_SSL", "") in ("0", "false", "False")
    return _source(uri, S3Store, config, client)


def _source(uri: str, store: Any, config: dict[str, Any], client: dict[str, Any]) -> ObjectSource:
    bucket = uri.partition("://")[2].partition("/")[0]
    if not bucket:
        raise ModelInvalid(f"{uri} names no bucket")
    try:
        opened = store(bucket, config=config, client_options=client, retry_config=_RETRY)
    except (obstore.exceptions.BaseError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelInvalid(f"The credentials for {uri} cannot be used: {reason}") from error
    return ObjectSource(uri, opened, bool(config.get("skip_signature")))


def _without_placeholders(found: list[Any], prefix: str) -> Iterator[Any]:
    # Consoles mark a "folder" by an empty object of its name, which comes without its last slash.
    folders = {prefix}
    for meta in found:
        parts = meta["path"].split("/")
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    return (meta for meta in found if meta["size"] or meta["path"] not in folders)


def _remote_file(name: str, meta: Any) -> RemoteFile:
    version = meta["e_tag"] or meta["version"] or ""
    modified = meta["last_modified"].isoformat() if meta["last_modified"] else ""
    said = f"{version} {modified}".strip()
    return RemoteFile(safe_name(name), meta["size"], said, location=meta["path"])


def _cause(text: str) -> str:
    causes = _CAUSE.findall(text)
    return str(causes[-1]) if causes else text.partition("\n")[0][:300]
