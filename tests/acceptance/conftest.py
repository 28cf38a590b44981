"""What the acceptance tests meet: a served product, an integrator with published templates, a shop that is called.

The tests speak HTTP and nothing else, so the same ones run against every way to give the product its database: the
embedded one, one external database, and directory and shard in two with each service a process of its own. Each is
started when the first test asks for it.
"""

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.integrator import Connected, Integrator, Portal, import_template, new_organization
from support.postgres_process import PostgresProcess, own_postgres
from support.server import LAYOUTS, Installation, Layout, ServerProcess, installed, installed_anew, show_logs
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


@pytest.fixture(scope="package")
def shop() -> Iterator[Target]:
    """The server that the customers' scenarios call."""
    with serving_target() as target:
        target.answer = {"number": 4711}
        yield target


@pytest.fixture(scope="package")
def product_in(
    shop: Target, server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Layout], Product]]:
    """Give the product in one layout: it is served from the first question until the session ends."""
    served: dict[Layout, Product] = {}
    with ExitStack() as exits:

        @cache
        def database() -> PostgresProcess:
            return exits.enter_context(own_postgres(server("postgresql-15")))

        def serve(layout: Layout) -> Product:
            if layout not in served:
                postgres = None if layout == "embedded" else database()
                folder = tmp_path_factory.mktemp("product") / layout
                installation = exits.enter_context(installed_anew(layout, folder, postgres, EGRESS_ALLOW="127.0.0.1"))
                served[layout] = _product(installation, shop)
            return served[layout]

        yield serve


def _product(installation: Installation, shop: Target) -> Product:
    server = installation.serve()
    integrator = new_organization(installation, server.url)
    return Product(
        installation=installation,
        server=server,
        integrator=integrator,
        orders=import_template(installation, integrator.organization_id, HERE / "orders.json"),
        sums=integrator.publish(blueprint_of("sum")),
        shop=shop,
    )


@pytest.fixture(params=LAYOUTS)
def product(request: pytest.FixtureRequest, product_in: Callable[[Layout], Product]) -> Product:
    """The served product, in each layout; it is shared, so each test brings a customer of its own."""
    return product_in(request.param)


@pytest.fixture
def connected(product: Product) -> Connected:
    """A new customer with the orders template connected and switched on."""
    return product.connect()


@pytest.fixture(scope="module")
def ears() -> Iterator[Target]:
    """A server of this machine that hears what is told to it."""
    with serving_target() as target:
        yield target


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that may tell servers of this machine what happens, over plain HTTP."""
    settings = {"EGRESS_ALLOW": "127.0.0.1", "WEBHOOK_PLAIN_HTTP": "true"}
    with installed("embedded", tmp_path_factory.mktemp("telling") / "installation", None, **settings) as installation:
        yield installation


@pytest.fixture(scope="module")
def integrator(installation: Installation) -> Integrator:
    return new_organization(installation, installation.server().start().url)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the server said beside what a failed test says."""
    report = yield
    product = getattr(item, "funcargs", {}).get("product")
    if report.failed and isinstance(product, Product):
        show_logs(report, product.installation.folder)
    return report
