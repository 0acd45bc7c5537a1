"""Which programs the cluster is made of where images cannot be pulled, and how each is built.

Versions are pinned in the go.mod files; the names under which kubeadm and kind look for images
come from those two at build time, so this file repeats neither.
"""

from e2e.cluster.golang import GoModule

KIND = GoModule(name="kind", folder="kind", programs={"kind": "sigs.k8s.io/kind"})
KIND_MODULE = "sigs.k8s.io/kind"
KWOK = GoModule(name="kwok", folder="kwok", programs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"})


def kubernetes() -> GoModule:
    """Kubernetes and what its control plane and the add-ons of a kind cluster run."""
    programs = {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
            "kubeadm",
            "kubelet",
            "kubectl",
        )
    }
    programs["etcd"] = "go.etcd.io/etcd/server/v3"
    programs["local-path-provisioner"] = "github.com/rancher/local-path-provisioner"
    programs["coredns"] = "./coredns"
    programs["pause"] = "./pause"
    return GoModule(
        name="kubernetes", folder="kubernetes", programs=programs, variables=_version_variables(kubernetes_version())
    )


def kubectl() -> GoModule:
    """The client alone, for those who need nothing else built."""
    return GoModule(
        name="kubectl",
        folder="kubernetes",
        programs={"kubectl": "k8s.io/kubernetes/cmd/kubectl"},
        variables=_version_variables(kubernetes_version()),
    )


def kubernetes_version() -> str:
    """The version of Kubernetes that is built, such as v1.2.3."""
    return GoModule(name="", folder="kubernetes", programs={}).version_of("k8s.io/kubernetes")


def containerd() -> GoModule:
    """The container runtime of the nodes and its network plugins."""
    runtime = "github.com/containerd/containerd/v2"
    plugins = "github.com/containernetworking/plugins/plugins"
    version = GoModule(name="", folder="containerd", programs={}).version_of(runtime)
    return GoModule(
        name="containerd",
        folder="containerd",
        programs={
            "containerd": f"{runtime}/cmd/containerd",
            "containerd-shim-runc-v2": f"{runtime}/cmd/containerd-shim-runc-v2",
            "ctr": f"{runtime}/cmd/ctr",
            "host-local": f"{plugins}/ipam/host-local",
            "loopback": f"{plugins}/main/loopback",
            "portmap": f"{plugins}/meta/portmap",
            "ptp": f"{plugins}/main/ptp",
        },
        # Snapshotters that need C libraries, and that a node in a container cannot use.
        tags="no_aufs,no_btrfs,no_devmapper,no_zfs",
        variables={f"{runtime}/version.Version": version},
    )


CNI_PLUGINS = ("host-local", "loopback", "portmap", "ptp")
RUNTIME_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")
NODE_PROGRAMS = ("kubeadm", "kubelet", "kubectl")


def _version_variables(version: str) -> dict[str, str]:
    """kubeadm and the API server refuse to work as the version 0.0.0 that an unset build reports."""
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return {f"{package}.{name}": value for package in packages for name, value in values.items()}
