"""Custom functions over the API: the official shapes, what the parser takes, and whose they are."""

import pytest

from support.portal import refusal

CODE = "function double(input) { return input * 2; }"


async def _function(acme, **more):
    body = {"name": "double", "description": "Twice as much.", "code": CODE} | more
    return (await acme.ask("POST", f"/functions?teamId={acme.facts.team_id}", body))["function"]


async def test_a_function_goes_through_its_whole_life(acme):
    made = await _function(acme)
    assert {key: made[key] for key in ("name", "args", "description", "code", "teamId")} == {
        "name": "double", "args": "(input)", "description": "Twice as much.", "code": CODE,
        "teamId": acme.facts.team_id,
    }  # fmt: skip
    assert set(made["createdByUser"]) == {"id", "name", "email"}
    target = f"/functions/{made['id']}"
    assert (await acme.ask("GET", target))["function"] == made | {"scenarios": []}
    code = "function double(input, times = 2) { return input * times; }"
    changed = (await acme.ask("PATCH", target, {"code": code}))["function"]
    assert (changed["code"], changed["args"], changed["description"]) == (code, "(input, times = 2)", "Twice as much.")
    await acme.ask("PATCH", target, {"description": "Some times as much."})
    [change] = (await acme.ask("GET", f"{target}/history?teamId={acme.facts.team_id}"))["functionHistory"]
    assert (change["previousCode"], change["updatedBy"]) == (CODE, made["createdByUser"]["name"])
    await acme.ask("DELETE", target)
    refusal(await acme.send("GET", target), 404, "not_found")
    refusal(await acme.send("GET", f"{target}/history"), 404, "not_found")


async def test_a_list_shows_everything_but_the_code(acme):
    made = await _function(acme)
    listed = await acme.ask("GET", f"/functions?teamId={acme.facts.team_id}&cols[]=*")
    shown = {key: value for key, value in made.items() if key not in {"code", "scenarios"}}
    assert listed["functions"] == [shown]
    narrow = await acme.ask("GET", f"/functions?teamId={acme.facts.team_id}&cols[]=id&cols[]=args")
    assert narrow["functions"] == [{"id": made["id"], "args": "(input)"}]


async def test_the_history_keeps_the_newest_changes(acme):
    made = await _function(acme)
    target = f"/functions/{made['id']}"
    for number in range(5):
        await acme.ask("PATCH", target, {"code": f"function double() {{ return {number}; }}"})
    await acme.ask("PATCH", target, {"code": "function double() { return 4; }"})
    history = (await acme.ask("GET", f"{target}/history"))["functionHistory"]
    assert [change["previousCode"][-4:-3] for change in history] == ["3", "2", "1"]


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("function ok(input) { return input; }", None),
        ("/* first */ function ok(a = ')', { b }, ...c) { return /\\)/.test(a); } // last", None),
        ("function ok( { return 1; }", "SyntaxError: "),
        ("function ok() {\n  let x = ;\n}", "(line 2)"),
        ("", "one function declaration"),
        ("function ok() {} evil();", "one function declaration"),
        ("function ok() {} (evil())", "one function declaration"),
        ("function ok() {} if (1) evil();", "one function declaration"),
        ("evil(), function ok() {}", "one function declaration"),
        ("async function ok() {}", "one function declaration"),
        ("function* ok() {}", "one function declaration"),
        ("(input) => input", "one function declaration"),
        ("function ok() { return '\u0001'; }", "control characters"),
        ("function ok() { /* " + "x" * 500 + " */ }", "at most 500 characters"),
        ("function ok() { return " + "(" * 200 + "1" + ")" * 200 + "; }", None),
    ],
    ids=lambda value: None if value is None else str(value)[:24],
)
async def test_code_is_tried_as_the_parser_takes_it(acme, code, wrong):
    told = await acme.ask("POST", f"/functions/eval?teamId={acme.facts.team_id}", {"code": code})
    if wrong is None:
        assert told == {"success": True, "error": None}
    else:
        assert told["success"] is False
        assert wrong in told["error"]
        body = {"name": "ok", "description": "", "code": code}
        refused = await acme.send("POST", f"/functions?teamId={acme.facts.team_id}", body)
        assert wrong in refusal(refused, 422, "function_invalid")["detail"]


@pytest.mark.parametrize(
    ("name", "code", "wrong"),
    [
        ("upper", "function upper() {}", "built-in"),
        ("now", "function now() {}", "meaning of its own"),
        ("other", CODE, "declares the function 'double'"),
        ("a b", CODE, "letters, digits"),
        ("$x", "function $x() {}", "letters, digits"),
        ("é", CODE, "letters, digits"),
        ("x" * 65, CODE, "1 to 64"),
    ],
    ids=["built-in", "keyword", "another", "blank", "dollar", "accent", "long"],
)
async def test_a_name_is_the_declared_one_and_means_nothing_else(acme, name, code, wrong):
    body = {"name": name, "description": "", "code": code}
    answer = await acme.send("POST", f"/functions?teamId={acme.facts.team_id}", body)
    assert wrong in str(answer.json())
    assert answer.status == 422


async def test_a_changed_code_keeps_the_name(acme):
    made = await _function(acme)
    answer = await acme.send("PATCH", f"/functions/{made['id']}", {"code": "function triple(input) {}"})
    assert "declares the function 'triple'" in str(answer.json())


async def test_a_team_has_each_name_once_and_so_many_functions(acme):
    await _function(acme)
    body = {"name": "double", "description": "", "code": CODE}
    target = f"/functions?teamId={acme.facts.team_id}"
    refusal(await acme.send("POST", target, body), 409, "function_exists")
    other = await acme.another_team("dana")
    await acme.ask("POST", f"/functions?teamId={other}", body)
    for number in range(4):
        await _function(acme, name=f"f{number}", code=f"function f{number}() {{}}")
    more = {"name": "more", "description": "", "code": "function more() {}"}
    refusal(await acme.send("POST", target, more), 409, "functions_limit")


async def test_a_function_is_its_own_organizations(acme, api):
    made, rival = await _function(acme), await api.integrator("Rival")
    for method, path, body in (
        ("GET", f"/functions/{made['id']}", None),
        ("PATCH", f"/functions/{made['id']}", {"code": CODE}),
        ("DELETE", f"/functions/{made['id']}", None),
        ("GET", f"/functions/{made['id']}/history", None),
        ("GET", f"/functions?teamId={acme.facts.team_id}", None),
        ("POST", f"/functions?teamId={acme.facts.team_id}", {"name": "double", "description": "", "code": CODE}),
    ):
        refusal(await rival.send(method, path, body), 404, "not_found")


async def test_a_function_goes_with_its_team(acme):
    team = await acme.another_team("erin")
    body = {"name": "double", "description": "", "code": CODE}
    made = (await acme.ask("POST", f"/functions?teamId={team}", body))["function"]
    await acme.delete_customer("erin")
    refusal(await acme.send("GET", f"/functions/{made['id']}"), 404, "not_found")


async def test_a_function_names_the_scenarios_that_call_it(acme):
    made, team = await _function(acme), acme.facts.team_id
    for name, text in (("calls", "{{double(2)}}"), ("mentions", "double(2) and {{1.double}}"), ("neither", "x")):
        flow = [{"id": 1, "module": "scenario-service:ReturnData", "version": 2, "mapper": {"x": text}}]
        blueprint = {"name": name, "flow": flow, "metadata": {"version": 1}}
        await acme.ask("POST", "/scenarios", {"teamId": team, "blueprint": blueprint})
    shown = (await acme.ask("GET", f"/functions/{made['id']}"))["function"]
    assert [use["name"] for use in shown["scenarios"]] == ["calls"]
