"""The three words that the spec's strings may have filled in: `${pod.name}`, `${pod.ip}` and `${pod.ordinal}`."""

from __future__ import annotations

import re

_WORD = re.compile(r"\$\{pod\.(name|ip|ordinal)\}")


def filled_in(text: str, *, name: str, ip: str, ordinal: str) -> str:
    """Replace the words by what they stand for."""
    values = {"name": name, "ip": ip, "ordinal": ordinal}
    return _WORD.sub(lambda match: values[match.group(1)], text)
