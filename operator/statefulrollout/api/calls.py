"""One request to the application, as users write it.

A call is an HTTP request or a command in a container. What it means on the wire (status and exit codes, the document
that goes with it) is `docs/hooks.md`; whether the named port or container exists is `core/validation.py`. There is
deliberately no field for a host: a call goes to pods that the operator selected, or to a Service of the same namespace.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictInt, StrictStr

from statefulrollout.api.credentials import AuthFrom, Scheme, Tls
from statefulrollout.api.model import DnsName, IntOrString, Model, Rule

_TEMPLATE = Rule(
    rule=r"self.matches(r'^([^$]|\$+[^${]|\$*\$\{pod\.(name|ip|ordinal)\})*\$*$')",
    message="only ${pod.name}, ${pod.ip} and ${pod.ordinal} are filled in; correct or remove any other ${...}",
)


class Target(StrEnum):
    """Whom a call addresses. Always pods that the operator selected, never a host of the user's."""

    POD = "Pod"
    PEERS = "Peers"
    ANY_PEER = "AnyPeer"
    SERVICE = "Service"


class Http(Model):
    """One HTTP request. Redirects are not followed."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.body) || self.method != 'GET'",
            message="a GET carries no body: remove body, or choose method POST, PUT, PATCH or DELETE",
            field_path=".body",
        ),
        Rule(
            rule="(self.scheme == 'HTTPS') == has(self.tls)",
            message="tls says whom to trust where scheme is HTTPS, and there alone: add it, or set scheme to HTTP",
            field_path=".tls",
        ),
        Rule(
            rule="!has(self.authFrom) || !has(self.headers) || "
            "!self.headers.exists(name, name.matches('(?i)^authorization$'))",
            message="authFrom writes the header Authorization: remove one of the two",
            field_path=".authFrom",
        ),
    )

    port: Annotated[
        StrictInt | Annotated[StrictStr, Field(max_length=15)],
        IntOrString(max_length=15),
        Rule(
            rule="type(self) == int ? self >= 1 && self <= 65535 : size(self) >= 1",
            message="port is a number from 1 to 65535, or the name of a port that the pod or Service declares",
        ),
    ] = Field(
        description="Port to call: a number from 1 to 65535, or the name of a port that a container of the template "
        "declares (for target Service: a port of the Service). A name survives a change of the number."
    )
    path: Annotated[
        str,
        Field(min_length=1, max_length=1024),
        Rule(
            rule="self.matches('^/([!-.0-~][!-~]*)?$') && !self.contains('#')",
            message="path starts with a single / and has no spaces, fragment (#) or characters outside ASCII; "
            "percent-encode them",
        ),
        _TEMPLATE,
    ] = Field(
        description="Path of the request, with its query string if it has one, for example /drain?wait=false. "
        "${pod.name}, ${pod.ip} and ${pod.ordinal} stand for the pod that the hook is about."
    )
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="Method of the request. The same request is repeated until its answer is final."
    )
    scheme: Scheme = Field(default=Scheme.HTTP, description="HTTP, or HTTPS with the authority in tls.")
    tls: Tls | None = Field(default=None, description="Whom to trust. Only where scheme is HTTPS.")
    auth_from: AuthFrom | None = Field(
        default=None,
        description="Credentials from a Secret, for the header Authorization. The operator must have been given the "
        "right to read that Secret.",
    )
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=2048), _TEMPLATE]],
        Rule(
            rule="self.all(name, size(name) <= 128 && name.matches('^[!#$%&*+.^_`|~0-9A-Za-z-]+$'))",
            message="the name of a header is up to 128 letters, digits and -, without spaces or colon",
        ),
        Rule(
            rule="!self.exists(name, name.matches('(?i)^(host|connection|content-length|transfer-encoding|te|trailer"
            "|upgrade|keep-alive|expect|proxy-.*)$'))",
            message="Host, Content-Length and the headers that belong to the connection are set by the operator: "
            "remove them",
        ),
        Rule(
            rule=r"self.all(name, self[name].matches('^[\t -~]*$'))",
            message="the value of a header is one line of printable ASCII: remove line breaks and other characters",
        ),
    ] = Field(
        default_factory=dict,
        max_length=16,
        description="Headers to add, name to value. Values may use ${pod.name}, ${pod.ip} and ${pod.ordinal}. "
        "Host, Content-Length and hop-by-hop headers are refused.",
    )
    body: Annotated[str, Field(max_length=65_536), _TEMPLATE] | None = Field(
        default=None,
        description="Body to send instead of the operator's own document. Unset: the document that names the hook, "
        "the pod and the members, as JSON (GET and DELETE have none). May use ${pod.name}, ${pod.ip}, ${pod.ordinal}.",
    )


class Exec(Model):
    """One command in a container of the pod, as `kubectl exec` runs it: no shell, no terminal."""

    container: DnsName = Field(description="Name of the container that the command runs in.")
    command: Annotated[
        list[Annotated[str, Field(max_length=2048), _TEMPLATE]],
        Field(min_length=1, max_length=32),
        Rule(
            rule="size(self[0]) > 0",
            message="the first word of command is the program to run: name it",
        ),
    ] = Field(
        description="The program and its arguments; no shell looks at them, so write [sh, -c, ...] where one shall. "
        "${pod.name}, ${pod.ip} and ${pod.ordinal} stand for the pod that the hook is about. On its standard input the "
        "command finds the document that names the hook, the pod and the members, as JSON."
    )


class ServiceRef(Model):
    """A Service of the same namespace that selects pods."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="Name of the Service, in the namespace of the StatefulRollout."
    )


class Call(Model):
    """One request to the application: exactly one of http and exec."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="has(self.http) != has(self.exec)",
            message="a call is an HTTP request or a command: write exactly one of http and exec",
        ),
        Rule(
            rule="!has(self.exec) || self.target != 'Service'",
            message="a command runs in pods: choose another target than Service, or call the Service by http",
            field_path=".exec",
        ),
        Rule(
            rule="self.target == 'Service' ? has(self.service) : true",
            message="target Service needs the Service's name: add service.name",
            field_path=".service",
        ),
        Rule(
            rule="self.target != 'Service' ? !has(self.service) : true",
            message="service goes with target: Service only: set that target, or remove service",
            field_path=".service",
        ),
    )

    http: Http | None = Field(default=None, description="The HTTP request to make.")
    exec: Exec | None = Field(
        default=None,
        description="The command to run in a container of each pod that is asked. Needs an operator that was installed "
        "with exec.enabled=true.",
    )
    target: Target = Field(
        default=Target.POD,
        description="Whom to ask. Pod: the pod that the hook is about (in a check: every serving pod, like Peers). "
        "Peers: every pod but that one, and all must agree. AnyPeer: one serving pod, at the wanted revision where "
        "there is one. Service: the Service in service.",
    )
    service: ServiceRef | None = Field(default=None, description="The Service to ask, with target Service only.")
    timeout_seconds: Annotated[int, Field(strict=True, ge=1, le=60)] = Field(
        default=5, description="Seconds to wait for the answer to one request, 1 to 60, before it is repeated."
    )

    @property
    def what(self) -> Http | Exec:
        """The one of the two that is given."""
        what = self.http or self.exec
        if what is None:
            raise ValueError("a call without http and exec, which its rule refuses")
        return what


def without_pod(call: str, owner: str) -> Rule:
    """The rule that the request below `self.<call>` does not speak of a pod, because its owner is about none."""
    http, command = f"self.{call}.http", f"self.{call}.exec"
    return Rule(
        rule=f"!(has({http}) && ({http}.path.contains('${{') || (has({http}.body) && {http}.body.contains('${{')) || "
        f"(has({http}.headers) && {http}.headers.exists(name, {http}.headers[name].contains('${{'))))) && "
        f"!(has({command}) && {command}.command.exists(word, word.contains('${{')))",
        message=f"{owner} is about the whole set, so there is no pod to fill in: remove ${{pod...}}",
        field_path=f".{call}",
    )
