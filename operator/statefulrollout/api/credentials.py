"""How an HTTP call is protected, as users write it: whom to trust, and how to say who asks.

Secrets are named here and never written: they are of the same namespace, and the operator reads them where it was given
the right to, right before the call.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from statefulrollout.api.model import DnsName, Model, Rule

SecretKey = Annotated[str, Field(min_length=1, max_length=253)]


class Scheme(StrEnum):
    """How a request travels."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


class CaFrom(Model):
    """Where the certificate authority is that signed what the application shows."""

    name: DnsName = Field(description="Name of the Secret, in the namespace of the StatefulRollout.")
    key: SecretKey = Field(default="ca.crt", description="Its key with the certificates, as PEM.")


class Tls(Model):
    """Whom to trust."""

    ca_from: CaFrom = Field(description="The authority that must have signed the application's certificate.")
    server_name: (
        Annotated[
            str,
            Field(min_length=1, max_length=253),
            Rule(
                rule=r"self.matches(r'^([-a-zA-Z0-9.]|\$\{pod\.(name|ip|ordinal)\})+$')",
                message="serverName is a DNS name; ${pod.name}, ${pod.ip} and ${pod.ordinal} are filled in",
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Name that the certificate must be for, for example ${pod.name}.kvstore.shop.svc, where the pod is "
        "the one that is asked. Unset: the IP address that is called.",
    )


class AuthType(StrEnum):
    """How to say who asks."""

    BASIC = "Basic"
    BEARER = "Bearer"


class AuthFrom(Model):
    """Where the credentials are for the header Authorization."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.username) || self.type == 'Basic'",
            message="a username goes with type Basic: remove it, or set that type",
            field_path=".username",
        ),
    )

    type: AuthType = Field(description="Basic: user name and password. Bearer: a token.")
    name: DnsName = Field(description="Name of the Secret, in the namespace of the StatefulRollout.")
    key: SecretKey | None = Field(
        default=None, description="Its key with the password or token. Unset: password for Basic, token for Bearer."
    )
    username: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, description="User name, for Basic. Unset: the key username of the Secret."
    )
