"""Who may do what, as one list that a reviewer reads: `golden/rbac.yaml`.

`pytest tests/chart --update-golden` writes it anew; the change then shows in the review.
"""

from pathlib import Path

import yaml

from tests.chart.render import MATRIX, NAMESPACE, Manifest, render, the

GOLDEN = Path(__file__).with_name("golden") / "rbac.yaml"
ROLES = ("ClusterRole", "Role")
ROLE = "Role statefulrollout"
COMMANDS = "pods/exec: create get"
"""The right that exec.enabled adds."""


def rights_of(manifests: list[Manifest]) -> dict[str, list[str]]:
    """Per role, one line for each right: verbs, resource, group and the names it is narrowed to."""
    return {
        f"{m['kind']} {m['metadata']['name']}": sorted(line for rule in m["rules"] for line in lines_of(rule))
        for m in manifests
        if m["kind"] in ROLES
    }


def lines_of(rule: Manifest) -> list[str]:
    """The rights of one rule."""
    assert rule.keys() <= {"apiGroups", "resources", "resourceNames", "verbs"}
    only = f" only {' '.join(rule['resourceNames'])}" if "resourceNames" in rule else ""
    return [
        f"{resource}{'.' + group if group else ''}: {' '.join(rule['verbs'])}{only}"
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]


def test_rights_are_those_that_were_reviewed(update_golden: bool) -> None:
    text = yaml.safe_dump(rights_of(render()), sort_keys=True, width=120)
    if update_golden:
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "rights changed: review them, then `pytest tests/chart --update-golden`"


def test_no_value_but_exec_widens_a_right() -> None:
    reviewed = {*yaml.safe_load(GOLDEN.read_text())["ClusterRole statefulrollout"], COMMANDS}
    assert COMMANDS in rights_of(render({"exec": {"enabled": True}}))["ClusterRole statefulrollout"]
    for name, values in MATRIX.items():
        elsewhere = [m for m in render(values) if m["metadata"].get("namespace") != NAMESPACE]
        rights = [
            line
            for role, lines in rights_of(elsewhere).items()
            if not role.endswith(("-view", "-edit"))
            for line in lines
        ]
        assert rights
        wider = {line for line in rights if " only " not in line} - reviewed
        assert not wider, f"{name}: {wider}"


def test_in_some_namespaces_it_may_do_there_what_it_may_else_do_everywhere() -> None:
    manifests = render({"namespaces": ["shop", "web"]})
    (there,) = rights_of([m for m in manifests if m["metadata"].get("namespace") == "shop"]).values()
    assert rights_of([m for m in manifests if m["metadata"].get("namespace") == "web"]) == {ROLE: there}
    (cluster,) = (r for role, r in rights_of(manifests).items() if role == "ClusterRole statefulrollout")
    assert {line.split(":")[0].split(".")[0] for line in cluster} == {
        "nodes", "persistentvolumes", "mutatingwebhookconfigurations", "validatingwebhookconfigurations",
    }  # fmt: skip
    assert sorted([*there, *cluster]) == rights_of(render())["ClusterRole statefulrollout"]
    bindings = [m for m in manifests if m["kind"] == "RoleBinding"]
    assert {m["metadata"]["namespace"] for m in bindings} == {"shop", "web", NAMESPACE}
    assert {m["subjects"][0]["namespace"] for m in bindings} == {NAMESPACE}


def test_a_secret_that_others_keep_is_only_read() -> None:
    (reviewed,) = {line for line in rights_of(render())["Role statefulrollout"] if line.startswith("secrets")}
    rights = rights_of(render({"webhook": {"existingSecret": "webhook-tls"}}))
    expected = rights_of(render())
    expected["Role statefulrollout"].remove(reviewed)
    expected["Role statefulrollout"].append("secrets: get only webhook-tls")
    assert rights == expected


def test_nothing_is_granted_wholesale() -> None:
    lines = [line for rights in rights_of(render()).values() for line in rights]
    assert lines
    assert not [line for line in lines if "*" in line or "escalate" in line or "impersonate" in line or "exec" in line]
    assert not [line for line in lines if line.startswith("secrets") and " only " not in line]


def test_every_role_of_the_operator_is_bound_to_its_account_and_to_nobody_else() -> None:
    for values in MATRIX.values():
        manifests = render(values)
        account = the(manifests, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
        bindings = [m for m in manifests if m["kind"] in ("ClusterRoleBinding", "RoleBinding")]
        assert len(bindings) == 2 + len(values.get("namespaces", ()))
        for binding in bindings:
            assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
