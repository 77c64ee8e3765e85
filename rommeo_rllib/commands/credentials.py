"""URIs without what opens them, such as "s3://user:password@host/results?secret_key=..."."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)[^/?#\s@]*:?[^/?#\s]*@")
_QUERY = re.compile(r"(\w[\w+.-]*://[^\s?#'\"]*\?)([^\s#'\"]*)")
# What pyarrow's file systems take that is no secret.
_OPEN = {"allow_bucket_creation", "endpoint_override", "region", "replication", "scheme"}
_HIDDEN = "***"


def without_credentials(text: str) -> str:
    """A text, such as a command line, in whose URIs user names and secrets are hidden."""
    if "://" not in text:
        return text
    return _QUERY.sub(lambda found: found[1] + _hidden(found[2]), _USER.sub(f"{_HIDDEN}@", text))


def _hidden(query: str) -> str:
    parts = [part.partition("=") for part in query.split("&")]
    return "&".join(
        f"{name}{equals}{value if name in _OPEN else _HIDDEN}" if equals else _HIDDEN
        for name, equals, value in parts
    )
