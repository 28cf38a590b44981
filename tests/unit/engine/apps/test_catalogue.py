"""The catalogue: every module once, described so that forms and documentation can be made of it."""

import json

import pytest

from make_bridge.engine.apps import tools
from make_bridge.engine.apps.catalogue import APPS, CATALOGUE, catalogue_of
from make_bridge.engine.apps.fields import Bounds, Field, Option, choices, field_from_json, fields_from_json
from make_bridge.engine.apps.module import Effect, Kind

ROUTING = {Kind.ROUTER, Kind.CONDITION, Kind.MERGE, Kind.PLACEHOLDER, Kind.DIRECTIVE}


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_a_module_is_complete_and_describes_itself(spec):
    described = spec.describe()
    assert json.loads(json.dumps(described)) == described
    assert spec.app in APPS
    assert spec.label
    assert spec.kind is Kind.PLACEHOLDER or spec.help.endswith(".")
    code = [spec.run, spec.perform, spec.aggregate]
    assert sum(part is not None for part in code) == (0 if spec.kind in ROUTING else 1)
    assert (spec.effect is Effect.NONE) is spec.pure
    names = [field.name for field in (*spec.parameters, *spec.mapper)]
    assert len(names) == len(set(names))


def test_the_modules_of_the_scope_are_all_there():
    wanted = """builtin:BasicRouter builtin:BasicIfElse builtin:BasicMerge builtin:BasicFeeder builtin:BasicRepeater
    builtin:BasicAggregator builtin:Ignore builtin:Resume builtin:Commit builtin:Rollback builtin:Break
    builtin:ThrowError builtin:ThrowWarning util:SetVariable util:SetVariable2 util:SetVariables util:GetVariable
    util:GetVariable2 util:GetVariables util:FunctionIncrement util:FunctionSleep util:Switcher util:ComposeTransformer
    util:BasicTrigger util:TextAggregator util:FunctionAggregator2 util:AggregateAggregator json:ParseJSON
    json:CreateJSON json:TransformToJSON json:AggregateToJSON http:ActionSendData http:ActionSendDataBasicAuth
    http:ActionSendDataAPIKeyAuth http:ActionSendDataOAuth http:ActionGetFile http:MakeRequest gateway:CustomWebHook
    gateway:WebhookRespond scenario-service:StartSubscenario scenario-service:ReturnData placeholder:Placeholder
    regexp:Parser regexp:AdvancedParser regexp:Replace regexp:HTMLToText regexp:GetElementsFromText
    regexp:GetElementsFromHTML util:ConvertEncoding json:ConvertToXML csv:ParseCSV csv:CreateAggregator
    csv:CreateAdvancedAggregator xml:ParseXML xml:CreateXML xml:TransformToXML xml:PerformXPathQuery markdown:Compile
    markdown:HTMLToMarkdown math:EvaluateExpression encryptor:EncryptAES encryptor:DecryptAES
    encryptor:EncryptAESAdvanced encryptor:DecryptAESAdvanced encryptor:CreateDigitalSignature archive:UnpackAction
    archive:CreateAggregator archive:Deflate archive:Inflate http:ActionSendDataClientCertAuth
    http:ActionResolveTargetURL http:ActionRetrieveHeaders email:ActionSendEmail rss:TriggerNewArticle
    rss:ActionReadArticles gateway:CustomMailHook scenario-service:CallSubscenario scenario-service:RunScenario
    scenario-service:NameExecution
    datastore:AddRecord datastore:UpdateRecord datastore:GetRecord datastore:ExistRecord datastore:DeleteRecord
    datastore:SearchRecord datastore:CountRecord datastore:DeleteAllRecord"""
    assert sorted(wanted.split()) == sorted(CATALOGUE)


def test_the_same_module_twice_is_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="declared twice"):
        catalogue_of(tools.MODULES, tools.MODULES)


def test_a_field_is_described_as_make_describes_it():
    field = Field(
        name="status",
        type="uinteger",
        label="Status",
        required=True,
        default=200,
        help="Three digits.",
        validate=Bounds(min=100, max=599),
        options=(Option(value="a", label="A"),),
    )
    assert field.describe() == {
        "name": "status",
        "type": "uinteger",
        "label": "Status",
        "required": True,
        "default": 200,
        "help": "Three digits.",
        "options": [{"label": "A", "value": "a"}],
        "validate": {"enum": ["a"], "min": 100, "max": 599},
    }


def test_a_description_read_back_is_the_field_it_was_written_from():
    for field in (field for spec in CATALOGUE.values() for field in (*spec.parameters, *spec.mapper)):
        read = field_from_json(field.describe())
        assert read is not None
        assert read.describe() == field.describe()


def test_specs_of_exports_are_read_and_layout_and_nonsense_are_left_out():
    fields = fields_from_json(
        [
            {"name": "status", "type": "uinteger", "label": None, "required": True, "validate": {"min": 100}},
            {"name": "names", "type": "array", "spec": {"name": "value", "type": "text"}},
            {"name": "rows", "type": "array", "spec": [{"name": "k", "type": "text", "validate": {"max": 9}}]},
            {"name": "mode", "type": "select", "validate": {"enum": ["a", "b"]}},
            {"name": "p", "type": "text", "validate": {"pattern": {"regexp": "^x"}}},
            {"type": "banner", "text": "hello"},
            {"name": "x", "type": "separator"},
            "nonsense",
            None,
            {"name": 5, "type": "text"},
        ]
    )
    assert [field.name for field in fields] == ["status", "names", "rows", "mode", "p"]
    status, names, rows, mode, pattern = fields
    assert (status.label, status.required, status.validate) == ("status", True, Bounds(min=100))
    assert (names.scalar_items, names.spec[0].type) == (True, "text")
    assert (rows.scalar_items, rows.spec[0].validate) == (False, Bounds(max=9))
    assert mode.options == choices("a", "b")
    assert pattern.validate == Bounds(pattern="^x")


def test_a_spec_without_an_end_is_cut():
    deep: dict[str, object] = {"name": "x", "type": "collection"}
    deep["spec"] = [deep]
    assert field_from_json(deep) is not None
