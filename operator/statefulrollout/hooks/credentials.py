"""What protects one HTTP request: the TLS context that trusts the right authority, and the header that says who asks.

Both come from Secrets, read right before the request by what is given from outside (`Secrets`). Nothing of them is
logged or quoted.
"""

from __future__ import annotations

import base64
import functools
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from statefulrollout.api.v1alpha1 import AuthFrom, AuthType, Http
from statefulrollout.errors import ApiError, Forbidden, KubeError, NotFound
from statefulrollout.hooks.replies import NoReply


class Secrets(Protocol):
    """What reads Secrets."""

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """The values of a Secret, by their keys, as they were a short while ago.

        Raises:
            NotFound: there is none of that name.
            ApiError: it may not be read.
            Unavailable: the API server did not answer.
        """
        ...

    def forget(self, namespace: str, name: str) -> None:
        """Read it anew the next time: what it says is no longer good."""
        ...


@dataclass(frozen=True)
class Credentials:
    """`context` is None for a request without TLS."""

    context: ssl.SSLContext | None = None
    authorization: str | None = None


NO_CREDENTIALS = Credentials()


async def credentials_of(http: Http, namespace: str, secrets: Secrets) -> Credentials | NoReply:
    """Read what the request needs; says why where it cannot be had."""
    context, authorization = None, None
    if http.tls is not None:
        source = http.tls.ca_from
        authority = await _value_of(secrets, namespace, source.name, source.key)
        if isinstance(authority, NoReply):
            return authority
        try:
            context = _context_of(authority)
        except (ssl.SSLError, ValueError):
            return NoReply(f"key {source.key} of Secret {source.name} holds no certificate", misconfigured=True)
    if http.auth_from is not None:
        found = await _authorization_of(http.auth_from, namespace, secrets)
        if isinstance(found, NoReply):
            return found
        authorization = found
    return Credentials(context, authorization)


async def _authorization_of(source: AuthFrom, namespace: str, secrets: Secrets) -> str | NoReply:
    basic = source.type is AuthType.BASIC
    word = await _value_of(secrets, namespace, source.name, source.key or ("password" if basic else "token"))
    if isinstance(word, NoReply):
        return word
    if not basic:
        return f"Bearer {word.decode('latin-1').strip()}"
    user: bytes | NoReply = (source.username or "").encode()
    if not user:
        user = await _value_of(secrets, namespace, source.name, "username")
    if isinstance(user, NoReply):
        return user
    return f"Basic {base64.b64encode(user + b':' + word).decode()}"


async def _value_of(secrets: Secrets, namespace: str, name: str, key: str) -> bytes | NoReply:
    try:
        values = await secrets.read(namespace, name)
    except NotFound:
        return NoReply(f"there is no Secret {name} in the namespace: create it", misconfigured=True)
    except Forbidden:
        remedy = "grant get on it to the operator's ServiceAccount, in this namespace"
        return NoReply(f"the operator may not read Secret {name}: {remedy}", misconfigured=True)
    except ApiError as error:
        return NoReply(f"Secret {name} cannot be read: the API server answered {error.status}")
    except KubeError:
        return NoReply(f"Secret {name} cannot be read: the API server did not answer")
    if key not in values:
        return NoReply(f"Secret {name} has no key {key}: add it, or name another", misconfigured=True)
    return values[key]


@functools.lru_cache(maxsize=128)
def _context_of(authority: bytes) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.decode("ascii"))
