"""Markdown to HTML and back."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.engine.apps import markdown
from make_bridge.engine.apps.html_markdown import html_to_markdown
from support.one_module import error, outputs


async def compiled(text, **options):
    (bundle,) = await outputs("markdown:Compile", {"data": "{{1.t}}", **options}, {"t": text})
    return bundle["data"].strip()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# Hi *there*", "<h1>Hi <em>there</em></h1>"),
        ("a\n\nb", "<p>a</p>\n<p>b</p>"),
        ("[x](http://a.b/?c&d)", '<p><a href="http://a.b/?c&amp;d">x</a></p>'),
        ("~~gone~~", "<p><s>gone</s></p>"),
        (
            "|a|b|\n|-|-|\n|1|2|",
            (
                "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n"
                "<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>"
            ),
        ),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("", ""),
        (None, ""),
        (5, "<p>5</p>"),
    ],
)
async def test_markdown_becomes_html(text, html):
    assert await compiled(text, gfm=True, sanitize=False) == html


async def test_the_github_flavour_is_the_default_and_can_be_left_out():
    assert await compiled("~~x~~") == "<p><s>x</s></p>"
    assert await compiled("~~x~~", gfm="false") == "<p>~~x~~</p>"


async def test_html_in_the_source_stays_unless_it_is_sanitized():
    text = "a <b>b</b> <script>alert(1)</script>\n\n<div onclick=x>c</div>"
    assert "<script>" in await compiled(text)
    clean = await compiled(text, sanitize="true")
    assert clean == (
        "<p>a &lt;b&gt;b&lt;/b&gt; &lt;script&gt;alert(1)&lt;/script&gt;</p>\n<p>&lt;div onclick=x&gt;c&lt;/div&gt;</p>"
    )


@pytest.mark.attack("J01")
@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "java&#115;cript:alert(1)", "vbscript:x", "data:text/html,x"],
)
@pytest.mark.parametrize("sanitize", [True, False])
async def test_an_address_that_runs_code_never_becomes_a_link(address, sanitize):
    for text in (f"[x]({address})", f"<{address}>", f"[x][y]\n\n[y]: {address}", f"![x]({address})"):
        html = await compiled(text, sanitize=sanitize)
        assert "href" not in html, html
        assert "src" not in html, html


@pytest.mark.parametrize("piece", ["> ", "[", "![", "*a ", "- ", "* a\n  ", "`", "<a ", "|a|b|\n|-|-|\n"])
async def test_nesting_without_an_end_stays_within_its_time(piece):
    started = time.thread_time()
    await compiled((piece * 20_000)[:20_000])
    assert time.thread_time() - started < 3


@pytest.mark.parametrize(
    ("name", "limit"), [("markdown:Compile", markdown.MAX_CHARACTERS), ("markdown:HTMLToMarkdown", markdown.MAX_HTML)]
)
async def test_a_text_is_measured_first(name, limit):
    assert (await error(name, {"data": "{{1.t}}"}, {"t": "a" * (limit + 1)})).type == "MaxFileSizeExceededError"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h2>A <b> big </b>day</h2><p>One<br>two</p>", "## A **big** day\n\nOne\\\ntwo"),
        ("<p>a <em>b</em> <code>c`d</code> <del>e</del></p>", "a *b* ``  c`d  ``".replace("  ", " ") + " ~~e~~"),
        ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c"),
        ("<ol><li>a</li><li><p>b</p><p>c</p></li></ol>", "1. a\n2. b\n\n   c"),
        ("<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n>\n> b\n\nc"),
        ("<pre><code>x = '*'\n  y\n</code></pre>", "```\nx = '*'\n  y\n```"),
        ("<pre>```</pre>", "````\n```\n````"),
        ("<a href='http://a/(b)'>x</a><img src='i.png' alt='[y]'>", "[x](http://a/%28b%29)![\\[y\\]](i.png)"),
        ("<a href=' java\nscript:alert(1)'>x</a>", "x"),
        ("<table><tr><th>A</th><th>B|</th></tr><tr><td>1</td></tr></table>", "| A | B\\| |\n| --- | --- |\n| 1 |  |"),
        ("<p># a</p><p>1. b</p><p>*c* &lt;d&gt;</p>", "\\# a\n\n1\\. b\n\n\\*c\\* \\<d>"),
        ("<style>x</style><p>a</p><hr>b", "a\n\n---\n\nb"),
        ("", ""),
        ("<b></b><li>", ""),
    ],
)
async def test_html_becomes_markdown(html, text):
    assert await outputs("markdown:HTMLToMarkdown", {"data": "{{1.h}}"}, {"h": html}) == [{"data": text}]


@pytest.mark.parametrize("piece", ["<b>x", "<ul><li>x", "<blockquote>", "<table><tr><td>x", "<pre>`", "</li>", "<p>a"])
def test_html_without_an_end_stays_within_its_time(piece):
    started = time.thread_time()
    html_to_markdown((piece * 100_000)[:100_000])
    assert time.thread_time() - started < 3


@given(st.text(alphabet="<>/abpulit h12=\"'&;\n`*|", max_size=80))
def test_any_markup_gives_some_markdown(source):
    assert isinstance(html_to_markdown(source), str)
