"""Custom variables from the outside: made over the API, read by scenarios, seen changed by the next run."""

from typing import Any

import pytest

from acceptance.conftest import Product
from support.network import Reply, send

# Starting a server for the first test is part of that test.
pytestmark = pytest.mark.timeout(300)


class Desk:
    """What an operator does with variables and scenarios."""

    def __init__(self, product: Product) -> None:
        self.integrator = product.integrator
        self.shop = product.shop

    def ask(self, method: str, path: str, json_body: object = None) -> Any:
        headers = {"Authorization": f"Token {self.integrator.api_token}"}
        reply: Reply = send(method, f"{self.integrator.url}/api/v2{path}", headers=headers, json_body=json_body)
        assert reply.status == 200, f"{method} {path}: {reply}"
        return reply.json()

    def scenario(self, *flow: dict[str, Any]) -> str:
        """Make a scenario that is switched on, and return the address of its webhook."""
        trigger = {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 1}, "mapper": {}}
        blueprint = {"name": "Variables", "flow": [trigger, *flow], "metadata": {"version": 1, "scenario": {}}}
        administrator = self.integrator.administrator()
        made = administrator.post("/scenarios", {"blueprint": blueprint})
        administrator.post(f"/scenarios/{made['scenario']['id']}/activate")
        hook_url: str = made["hookUrl"]
        return hook_url


@pytest.fixture
def desk(product: Product) -> Desk:
    return Desk(product)


def respond(number: int, body: str) -> dict[str, Any]:
    mapper = {"status": "200", "body": body}
    return {"id": number, "module": "gateway:WebhookRespond", "version": 1, "parameters": {}, "mapper": mapper}


def call(number: int, url: str) -> dict[str, Any]:
    mapper = {"url": url, "method": "get"}
    return {"id": number, "module": "http:MakeRequest", "version": 4, "parameters": {}, "mapper": mapper}


def test_an_answer_shows_a_variable_and_the_next_one_shows_it_changed(desk):
    ours = f"/organizations/{desk.integrator.organization_id}/variables"
    theirs = f"/teams/{desk.integrator.team_id}/variables"
    desk.ask("POST", ours, {"name": "rate", "typeId": 1, "value": 1.5})
    desk.ask("POST", theirs, {"name": "shop", "typeId": 2, "value": "Acme"})
    address = desk.scenario(respond(2, "{{var.team.shop}}: {{var.organization.rate * 2}}{{var.team.unknown}}"))
    assert send("POST", address, json_body={}).body == b"Acme: 3"
    desk.ask("PATCH", f"{ours}/rate", {"value": 4})
    assert send("POST", address, json_body={}).body == b"Acme: 8"
    desk.ask("DELETE", f"{theirs}/shop")
    assert send("POST", address, json_body={}).body == b": 8"
    desk.ask("DELETE", f"{ours}/rate")


def test_a_run_that_calls_out_reads_them_too(desk):
    theirs = f"/teams/{desk.integrator.team_id}/variables"
    desk.ask("POST", theirs, {"name": "path", "typeId": 2, "value": "first"})
    address = desk.scenario(
        call(2, desk.shop.url + "/{{var.team.path}}"), respond(3, "called {{var.team.path}}: {{2.statusCode}}")
    )
    assert send("POST", address, json_body={}).body.startswith(b"called first: ")
    desk.ask("PATCH", f"{theirs}/path", {"value": "second"})
    assert send("POST", address, json_body={}).body.startswith(b"called second: ")
    desk.ask("DELETE", f"{theirs}/path")
