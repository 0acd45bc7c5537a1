"""What every scenario gets: the cluster, the operator on it, and shops that are judged and cleared away afterwards."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import pytest

from e2e.harness.api import Api, open_api
from e2e.harness.evidence import save_evidence
from e2e.harness.executioner import Executioner
from e2e.harness.installation import Installation
from e2e.harness.journal import Journal
from e2e.harness.kubectl import Kubectl
from e2e.harness.namespaces import Namespaces
from e2e.harness.shop import Order, Shop

SCENARIO_SECONDS = 420
OpenShop = Callable[..., Shop]

_SHOPS: pytest.StashKey[list[Shop]] = pytest.StashKey()
_INSTALLATION: pytest.StashKey[Installation] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the suite."""
    parser.addoption("--as-installed", action="store_true", help="use the operator that is installed; upgrade nothing")


def pytest_configure(config: pytest.Config) -> None:
    """Markers of the suite."""
    config.addinivalue_line("markers", "operator_down: stops or kills the operator, so nothing else may run beside it")
    config.addinivalue_line("markers", "comparison: rolls by Kubernetes alone, to see what a client notices then")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real pods take their time."""
    for item in items:
        item.add_marker(pytest.mark.timeout(SCENARIO_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """At the end of every scenario: nothing that must never happen did."""
    result = yield
    for shop in pyfuncitem.stash.get(_SHOPS, []):
        shop.assert_invariants()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what explains a failure while it is still there."""
    report = yield
    if report.failed and report.when in ("setup", "call"):
        for shop in item.stash.get(_SHOPS, []):
            report.sections.append((shop.namespace, save_evidence(item.name, shop, item.config.stash[_INSTALLATION])))
    return report


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """The client programs, for the cluster that `make cluster` made or that the user named."""
    return Kubectl.located()


@pytest.fixture(scope="session")
def api(kubectl: Kubectl) -> Iterator[Api]:
    """The API server."""
    with open_api(kubectl) as opened:
        yield opened


@pytest.fixture(scope="session")
def installation(
    kubectl: Kubectl, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """The operator, installed once however many workers run."""
    operator = Installation(kubectl)
    if not request.config.getoption("--as-installed"):
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if hasattr(request.config, "workerinput") else base
        with (shared / "installation.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            operator.ensure()
    request.config.stash[_INSTALLATION] = operator
    return operator


@pytest.fixture(scope="session")
def namespaces(kubectl: Kubectl) -> Iterator[Namespaces]:
    """Where scenarios happen; in the end every one of them must have been possible to delete."""
    made = Namespaces(kubectl)
    yield made
    made.await_gone()


@pytest.fixture(scope="session")
def executioner(kubectl: Kubectl, namespaces: Namespaces) -> Iterator[Executioner]:
    """Who kills processes on the nodes."""
    found = Executioner(kubectl, namespaces.create("executioner"))
    found.ensure()
    yield found
    namespaces.delete(found.namespace)


@pytest.fixture
def open_shop(
    kubectl: Kubectl, api: Api, installation: Installation, namespaces: Namespaces, request: pytest.FixtureRequest
) -> Iterator[OpenShop]:
    """Open a shop as ordered (the fields of `Order`); it is judged when the scenario ends, and cleared away."""
    del installation  # needed, and not asked
    shops = request.node.stash.setdefault(_SHOPS, [])
    with ExitStack() as stack:

        def open_one(**fields: object) -> Shop:
            namespace = namespaces.create(request.node.originalname)
            stack.callback(namespaces.delete, namespace)
            journal = stack.enter_context(Journal(api, namespace))
            shop = Shop(kubectl, api, journal, Order(**fields))  # type: ignore[arg-type]
            shops.append(shop)
            shop.open()
            return shop

        yield open_one
