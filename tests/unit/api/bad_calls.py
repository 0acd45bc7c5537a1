"""Wrong calls, of whichever hook: all of them are refused by the API server."""

from __future__ import annotations

from tests.unit.api.bad_spec import SERVICE, BadSpec, drain_call, drain_exec, drain_http, membership

REFUSED_CALLS = [
    BadSpec(
        "a pod filled into a command where there is none",
        membership(apply={"http": None, "exec": {"container": "store", "command": ["members", "${pod.name}"]}}),
        "schema",
        "spec.membership.apply",
        ("remove ${pod...}",),
    ),
    BadSpec("neither request nor command", drain_call(http=None), "schema", "spec.drain.apply", ("exactly one",)),
    BadSpec(
        "request and command",
        drain_call(exec={"container": "store", "command": ["drain"]}),
        "schema",
        "spec.drain.apply",
        ("exactly one of http and exec",),
    ),
    BadSpec(
        "command for a Service",
        drain_call(
            http=None, exec={"container": "store", "command": ["drain"]}, target="Service", service={"name": "a"}
        ),
        "schema",
        "spec.drain.apply.exec",
        ("call the Service by http",),
    ),
    BadSpec("command without a word", drain_exec(command=[]), "schema", "spec.drain.apply.exec.command"),
    BadSpec("program without a name", drain_exec(command=[""]), "schema", "exec.command", ("name it",)),
    BadSpec("command as one string", drain_exec(command="drain --now"), "schema", "spec.drain.apply.exec.command"),
    BadSpec("command with an unknown template", drain_exec(command=["drain", "${x}"]), "schema", "exec.command[1]"),
    BadSpec(
        "target Service without its name",
        drain_call(target="Service"),
        "schema",
        "spec.drain.apply.service",
        ("add service.name",),
    ),
    BadSpec(
        "Service beside another target",
        drain_call(target="Pod", service={"name": SERVICE}),
        "schema",
        "spec.drain.apply.service",
        ("remove service",),
    ),
    BadSpec("body in a GET", drain_http(method="GET", body="{}"), "schema", "spec.drain.apply.http.body", ("no body",)),
    BadSpec("method unknown", drain_http(method="BREW"), "schema", "spec.drain.apply.http.method"),
    BadSpec(
        "a host of the user's", drain_http(headers={"host": "a.example"}), "schema", "headers", ("set by the operator",)
    ),
    BadSpec(
        "two headers in one", drain_http(headers={"X-A": "1\r\nX-B: 2"}), "schema", "headers", ("remove line breaks",)
    ),
    BadSpec("no name for a header", drain_http(headers={"X A": "1"}), "schema", "headers", ("name of a header",)),
    BadSpec("port out of range", drain_http(port=70_000), "schema", "spec.drain.apply.http.port", ("1 to 65535",)),
    BadSpec("path is a URL", drain_http(path="http://a/b"), "schema", "spec.drain.apply.http.path", ("starts with",)),
    BadSpec("path is a host", drain_http(path="//a.example/b"), "schema", "spec.drain.apply.http.path", ("single /",)),
    BadSpec(
        "template unknown",
        drain_http(path="/drain?zone=${vars.zone}"),
        "schema",
        "spec.drain.apply.http.path",
        ("only ${pod.name}",),
    ),
    BadSpec("HTTPS that trusts nobody", drain_http(scheme="HTTPS"), "schema", "spec.drain.apply.http.tls", ("add it",)),
    BadSpec(
        "an authority without HTTPS",
        drain_http(tls={"caFrom": {"name": "ca"}}),
        "schema",
        "spec.drain.apply.http.tls",
        ("set scheme to HTTP",),
    ),
    BadSpec(
        "credentials in two places",
        drain_http(authFrom={"type": "Bearer", "name": "login"}, headers={"authorization": "Bearer x"}),
        "schema",
        "spec.drain.apply.http.authFrom",
        ("remove one of the two",),
    ),
    BadSpec(
        "a user name for a token",
        drain_http(authFrom={"type": "Bearer", "name": "login", "username": "ada"}),
        "schema",
        "spec.drain.apply.http.authFrom.username",
        ("type Basic",),
    ),
    BadSpec("call takes for ever", drain_call(timeoutSeconds=3600), "schema", "spec.drain.apply.timeoutSeconds"),
]
