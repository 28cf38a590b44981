"""Field specs as exports carry them: the items of an array are described in four ways that mean two things."""

import pytest

from make_bridge.engine.apps.fields import field_from_json
from make_bridge.engine.blueprint.mapping import checked_collection

_NUMBER = {"name": "n", "type": "number"}


@pytest.mark.parametrize("spec", [{"type": "number"}, {"name": "value", "type": "number"}])
def test_items_described_by_one_field_are_scalars_with_or_without_a_name(spec):
    field = field_from_json({"name": "list", "type": "array", "spec": spec})
    assert field is not None
    assert field.scalar_items
    assert checked_collection({"list": ["1", "2.5"]}, [field], strict=False) == ({"list": [1, 2.5]}, [])


@pytest.mark.parametrize("spec", [[_NUMBER], {"type": "collection", "spec": [_NUMBER]}])
def test_items_described_by_a_list_or_by_a_collection_are_collections(spec):
    field = field_from_json({"name": "list", "type": "array", "spec": spec})
    assert field is not None
    assert not field.scalar_items
    made, problems = checked_collection({"list": [{"n": "1"}, {"n": "x"}]}, [field], strict=False)
    items = made["list"]
    assert isinstance(items, list)
    assert items[0] == {"n": 1}
    assert problems == ["Invalid value of parameter 'list[2].n': 'x' is not a valid number."]


def test_nested_arrays_are_read_to_the_end():
    inner = {"type": "array", "spec": {"type": "collection", "spec": [_NUMBER]}}
    field = field_from_json({"name": "list", "type": "array", "spec": inner})
    assert field is not None
    made, problems = checked_collection({"list": [[{"n": "1"}], []]}, [field], strict=True)
    assert (made, problems) == ({"list": [[{"n": 1}], []]}, [])
