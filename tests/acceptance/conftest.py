"""What the acceptance tests meet: a served product, an integrator with published templates, a shop that is called.

The tests speak HTTP and nothing else, so the same ones run against every way to give the product its database: the
embedded one, one external database, and directory and shard in two. A server is started once per way and session.
"""

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.integrator import Connected, Integrator, Portal, import_template, new_organization
from support.postgres_process import PostgresProcess, own_postgres
from support.server import LAYOUTS, Installation, Layout, ServerProcess, installed, show_logs
from support.target import Target, serving_target

HERE = Path(__file__).parent
API_KEY = "shop-key-5b0c6f0e"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product that is served, with an integrator who has published two templates."""

    installation: Installation
    server: ServerProcess
    integrator: Integrator
    orders: int
    sums: int
    shop: Target

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def answers(self) -> dict[str, Any]:
        """What a customer of the orders template says in the wizard."""
        key = {"key": API_KEY, "placement": "header", "name": "X-Api-Key"}
        return {"URL": f"{self.shop.url}/orders", "Credentials": key}

    def connect(self, customer: Portal | None = None, *, enable: bool = True) -> Connected:
        """Connect the orders template for a customer."""
        customer = customer or self.integrator.customer()
        return customer.connect(self.orders, self.answers, scenario={"name": "My orders", "enable": enable})


def blueprint_of(name: str) -> dict[str, Any]:
    blueprint: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    return blueprint


def failed_module(log: dict[str, Any]) -> int | None:
    """The number of the module that ended an execution, as its log tells."""
    error = log["error"]
    number: int | None = error.get("moduleId", error.get("module_id"))
    return number


@pytest.fixture(scope="session")
def shop() -> Iterator[Target]:
    """The server that the customers' scenarios call."""
    with serving_target() as target:
        target.answer = {"number": 4711}
        yield target


@pytest.fixture(scope="session", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Layout:
    chosen: Layout = request.param
    return chosen


@pytest.fixture(scope="session")
def product(
    layout: Layout, shop: Target, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Product]:
    """Serve the product in one layout; shared by all tests, so each test brings a customer of its own."""
    postgres = None if layout == "embedded" else request.getfixturevalue("external_postgres")
    folder = tmp_path_factory.mktemp("product") / layout
    with installed(layout, folder, postgres, EGRESS_ALLOW="127.0.0.1") as installation:
        server = installation.server().start()
        integrator = new_organization(installation, server.url)
        yield Product(
            installation=installation,
            server=server,
            integrator=integrator,
            orders=import_template(installation, integrator.organization_id, HERE / "orders.json"),
            sums=integrator.publish(blueprint_of("sum")),
            shop=shop,
        )


@pytest.fixture(scope="session")
def external_postgres(server: Callable[[str], Path]) -> Iterator[PostgresProcess]:
    """The PostgreSQL of the external layouts."""
    with own_postgres(server("postgresql-15")) as postgres:
        yield postgres


@pytest.fixture
def connected(product: Product) -> Connected:
    """A new customer with the orders template connected and switched on."""
    return product.connect()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the server said beside what a failed test says."""
    report = yield
    product = getattr(item, "funcargs", {}).get("product")
    if report.failed and product is not None:
        show_logs(report, product.installation.folder)
    return report
