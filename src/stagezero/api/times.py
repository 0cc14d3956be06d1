"""Times as the API writes them; pure, so that plans may use them (`kit.clock` needs a loop)."""

from datetime import UTC, datetime


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time; one without a zone is taken as UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def write_time(moment: datetime) -> str:
    """Write a time as Kubernetes does in metadata and conditions: whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_since(text: str | None, now: datetime) -> float:
    """Seconds from a written time until now; 0 if it is not set."""
    return (now - parse_time(text)).total_seconds() if text else 0.0
