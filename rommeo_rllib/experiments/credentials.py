"""URIs without what opens them, such as "s3://user:password@host/results?secret_key=..."."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\s'\"]+")
_USER = re.compile(r"(?<=://)[^/?#]*@")
# What pyarrow's file systems take that is no secret.
_OPEN = {"allow_bucket_creation", "endpoint_override", "region", "replication", "scheme"}
_HIDDEN = "***"


def without_credentials(text: str) -> str:
    """A text, such as a command line, in whose URIs user names and secrets are hidden."""
    return _WORD.sub(_hidden, text) if "://" in text else text


def _hidden(word: re.Match[str]) -> str:
    if "://" not in word[0]:
        return word[0]
    where, mark, rest = _USER.sub(f"{_HIDDEN}@", word[0]).partition("?")
    query, *fragment = rest.split("#", 1)
    parts = [part.partition("=") for part in query.split("&")]
    shown = "&".join(
        f"{name}{equals}{value if name in _OPEN else _HIDDEN}" if equals else _HIDDEN
        for name, equals, value in parts
    )
    return "#".join([where + mark + (shown if query else ""), *fragment])
