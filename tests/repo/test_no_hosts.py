"""Nothing in the repository depends on one registry or on one machine.

An image's host is asked of the tool that needs it, at run time, so that a mirror needs no edit; a path is relative, or
comes from the environment. Patterns are put together from pieces, since this file is searched too.
"""

import re

import pytest

from tests.repo.files import ROOT, repository_files

FORBIDDEN = {
    "Docker's registry": [r"docker\.io/", r"index\.docker\.io", r"registry-1\.docker", r"hub\.docker\.com"],
    "Kubernetes' registry": [r"registry\.k8s\.io", r"k8s\.gcr\.io"],
    "another image registry": [r"\bgcr\.io", r"ghcr\.io", r"quay\.io", r"\bpkg\.dev/", r"public\.ecr\.", r"mcr\.micro"],
    "Python's package index": [r"pypi\.org", r"pythonhosted\.org"],
    "Go's module proxy": [r"proxy\.golang\.org", r"sum\.golang\.org", r"goproxy\.(io|cn)"],
    "Debian's archive": [r"(deb|ftp|security|archive)\.debian\.org"],
    "the Node registry": [r"registry\.npmjs\.org"],
    "a folder of one machine": [r"(?<![\w./-])/(root|work|home|Users|mnt)/[\w.]", r"C:\\Users"],
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    pattern = re.compile("|".join(FORBIDDEN[what]))
    found = []
    for file in repository_files():
        text = (ROOT / file).read_bytes().decode("utf-8", errors="ignore")
        found += [f"{file}:{text.count(chr(10), 0, m.start()) + 1}: {m[0]}" for m in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("Docker's registry", "image: docker" + ".io/library/python"),
        ("Kubernetes' registry", "registry" + ".k8s.io/pause:3.10"),
        ("another image registry", "quay" + ".io/x/y"),
        ("Python's package index", "https://pypi" + ".org/simple"),
        ("Go's module proxy", "GOPROXY=https://proxy" + ".golang.org"),
        ("a folder of one machine", '"/ro' + 'ot/.kube/config"'),
        ("a folder of one machine", "cd /ho" + "me/jane"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, text: str) -> None:
    assert re.search("|".join(FORBIDDEN[what]), text)


@pytest.mark.parametrize(
    "text",
    ["apt-get install docker.io", "docker.io\n", "mountPath: /tmp}", "python.3.12", "build/work/x", "https://k8s.io"],
)
def test_the_patterns_leave_the_rest_alone(text: str) -> None:
    assert not any(re.search("|".join(patterns), text) for patterns in FORBIDDEN.values())
