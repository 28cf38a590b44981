"""CSV: rows to bundles and back, and what a hostile file may cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.engine.apps import csv
from make_bridge.engine.apps.csv import CsvAggregation
from make_bridge.engine.apps.module import ModuleError
from support.one_module import collected, collecting_error, error, outputs

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


async def parsed(text, **parameters):
    return await outputs("csv:ParseCSV", {"csv": "{{1.t}}"}, {"t": text}, **parameters)


@pytest.mark.parametrize(
    ("text", "parameters", "rows"),
    [
        ("a,b\n1,2\n", {}, [["a", "b"], ["1", "2"]]),
        ("a,b\n1,2\n", {"containsHeaders": True}, [["1", "2"]]),
        ("a,b\n1,2\n", {"containsHeaders": "true", "columns": "3"}, [["1", "2", ""]]),
        ("a,b,c\n1\n", {"columns": 2}, [["a", "b"], ["1", ""]]),
        ("a\tb", {"delimiterType": "tab"}, [["a", "b"]]),
        ("a;b", {"delimiterType": "other", "delimiter": ";"}, [["a", "b"]]),
        ("a;b", {"delimiterType": "semicolon"}, [["a", "b"]]),
        ('"x, ""y""","two\r\nlines"\r\n\r\nz,', {}, [['x, "y"', "two\r\nlines"], ["z", ""]]),
        ("\ufeffa,b", {}, [["a", "b"]]),
        ('a"b,c', {}, [['a"b', "c"]]),
        ('"a"b,c', {"preserveQuotes": True}, [["ab", "c"]]),
        ("\n\n", {}, []),
        (b"a,\xc3\xa9", {}, [["a", "é"]]),
    ],
)
async def test_rows_become_bundles_of_numbered_columns(text, parameters, rows):
    expected = [{f"col{number}": cell for number, cell in enumerate(row, 1)} for row in rows]
    assert await parsed(text, **parameters) == expected


async def test_missing_csv_is_named():
    found = await error("csv:ParseCSV", {"csv": "{{1.nothing}}"})
    assert (found.type, "required parameter 'csv'" in found.message) == ("BundleValidationError", True)


@pytest.mark.parametrize("delimiter", ["", "ab", '"', "\n"])
async def test_a_delimiter_is_one_character_that_can_delimit(delimiter):
    found = await error("csv:ParseCSV", {"csv": "a"}, delimiterType="other", delimiter=delimiter)
    assert (found.type, found.message[:40]) == (
        "InvalidConfigurationError",
        "The delimiter must be one character othe",
    )


@pytest.mark.parametrize("text", ['"a"b,c', '"never closed', '"' + "x" * 200_000 + '"'])
async def test_what_is_not_csv_is_a_data_error_with_its_line(text):
    found = await error("csv:ParseCSV", {"csv": "{{1.t}}"}, {"t": text})
    assert (found.type, found.message) == ("DataError", "The text is not CSV: line 1 cannot be read.")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("," * 1_000_000, "more than 1000 columns"),
        ("a\n" * (csv.MAX_ROWS + 1), "more than 50000 rows"),
        (("," * 999 + "\n") * 501, "more than 500000 cells"),
    ],
)
async def test_a_file_beyond_the_limits_is_refused(text, what):
    found = await error("csv:ParseCSV", {"csv": "{{1.t}}"}, {"t": text})
    assert (found.type, what in found.message) == ("MaxResultsExceededError", True)


async def test_a_file_is_measured_before_it_is_read():
    found = await error("csv:ParseCSV", {"csv": "{{1.t}}"}, {"t": "a" * (csv.MAX_CHARACTERS + 1)})
    assert found.type == "MaxFileSizeExceededError"


async def test_the_columns_are_those_of_the_mapper_and_every_value_is_quoted():
    mapper = {"name": "{{2.n}}", "total": "{{2.t}}"}
    items = [{"n": 'A "B"', "t": 1.5}, {"n": None, "t": True}]
    assert await collected("csv:CreateAggregator", mapper, items, includeHeaders=True) == {
        "text": '"name","total"\n"A ""B""","1.5"\n"","true"'
    }


async def test_delimiters_and_newlines_are_as_asked_and_headers_may_be_left_out():
    parameters = {
        "includeHeaders": False,
        "delimiterType": "other",
        "delimiter": "|",
        "newlineType": "crlf",
        "type": 1234,
    }
    found = await collected(
        "csv:CreateAdvancedAggregator", {"a": "{{2.a}}", "b": "x"}, [{"a": 1}, {"a": 2}], **parameters
    )
    assert found == {"text": '"1"|"x"\r\n"2"|"x"'}


async def test_whole_bundles_become_rows_with_the_union_of_their_keys():
    found = await collected("csv:CreateAggregator", {}, [{"a": 1}, {"b": {"c": 2}}])
    assert found["text"].splitlines() == [
        '"a","__IMTINDEX__","__IMTLENGTH__","b"',
        '"1","1","2",""',
        '"","2","2","{""c"":2}"',
    ]


async def test_no_rows_make_an_empty_text():
    assert await collected("csv:CreateAggregator", {"a": "{{2.a}}"}, []) == {"text": ""}


async def test_a_newline_that_is_none_is_wrongly_set_up():
    found = await collecting_error("csv:CreateAggregator", {"a": "1"}, [1], newlineType="vertical")
    assert (found.type, found.message) == ("InvalidConfigurationError", "There is no line break named 'vertical'.")


def test_rows_may_not_have_any_number_of_columns():
    rows = CsvAggregation({})
    with pytest.raises(ModuleError, match="more than 1000 different columns"):
        rows.add({str(number): 1 for number in range(1001)})


@given(
    st.lists(st.lists(TEXTS, min_size=2, max_size=4), min_size=1, max_size=5), st.sampled_from([",", "\t", ";", "|"])
)
def test_what_is_written_is_read_back(rows, delimiter):
    width = max(map(len, rows))
    rows = [row + [""] * (width - len(row)) for row in rows]
    writing = CsvAggregation({"includeHeaders": False, "delimiterType": "other", "delimiter": delimiter})
    for row in rows:
        writing.add({f"c{number}": cell for number, cell in enumerate(row)})
    text = writing.result()["text"]
    assert isinstance(text, str)
    assert list(csv._rows(text, delimiter, strict=True)) == rows  # noqa: SLF001  the module's reading, without a run
