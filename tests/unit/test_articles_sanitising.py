"""What a body may carry into a mail, and how it reads as plain text."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.articles.addresses import canonical_url, safe_url
from newsletter_svc.articles.plain_text import LINE_WIDTH, excerpt, reading_minutes, text_from_markdown
from newsletter_svc.articles.sanitising import (
    fitted_images,
    html_from_markdown,
    lowered_headings,
    sanitise,
    wrapping_listings,
)

BASE = "https://news.example"


def as_html(markdown: str) -> str:
    return html_from_markdown(markdown, base_url=BASE)


def as_text(markdown: str) -> str:
    return text_from_markdown(markdown, base_url=BASE)


@pytest.mark.parametrize(
    ("given_url", "safe"),
    [
        ("https://a.example/x?y=1#z", "https://a.example/x?y=1#z"),
        ("http://old.example/x", "https://old.example/x"),
        ("http://127.0.0.1:8000/x", "https://127.0.0.1:8000/x"),
        ("/articles/x", "https://news.example/articles/x"),
        ("media/a.jpg", "https://news.example/media/a.jpg"),
        ("../../a.jpg", "https://news.example/a.jpg"),
        ("//evil.example/x", None),
        ("/\\evil.example", None),
        ("https:\\\\evil.example", None),
        ("https://user@evil.example/", None),
        ("https://a.example:port/", None),
        ("https://[::1", None),
        ("https:///x", None),
        ("javascript:alert(1)", None),
        ("JaVaScRiPt:alert(1)", None),
        ("java\tscript:alert(1)", None),
        ("data:image/png;base64,AAAA", None),
        ("ftp://a.example/x", None),
        ("mailto:editor@news.example", None),
        ("#section", None),
        ("", None),
        ("https://a.example/" + "x" * 2000, None),
    ],
)
def test_addresses_are_made_absolute_or_refused(given_url: str, safe: str | None) -> None:
    assert safe_url(given_url, base_url=BASE) == safe


def test_the_own_host_keeps_plain_http_in_development() -> None:
    assert safe_url("/x", base_url="http://127.0.0.1:8000") == "http://127.0.0.1:8000/x"


def test_only_links_may_be_mailto() -> None:
    assert safe_url("mailto:editor@news.example", base_url=BASE, mailto=True) == "mailto:editor@news.example"


@pytest.mark.parametrize(
    "same",
    [
        "https://NEWS.example/Budget?id=7&utm_source=mail&UTM_medium=x#top",
        "HTTPS://news.example:443/Budget?id=7",
        "https://news.example./Budget?utm_campaign=a&id=7",
    ],
)
def test_spellings_of_one_page_are_one_page(same: str) -> None:
    assert canonical_url(same) == "https://news.example/Budget?id=7"


def test_paragraphs_quotes_and_signs_come_out_whole() -> None:
    markdown = "The minister’s “plan” costs £40 million—twice.\n\nSecond “paragraph”."

    assert as_html(markdown) == ("<p>The minister’s “plan” costs £40 million—twice.</p>\n<p>Second “paragraph”.</p>")


def test_headings_begin_below_the_title_and_leave_no_gap() -> None:
    markup = as_html("# Top\n\n#### Deep\n\n###### Deepest\n\n# Again")

    assert re.findall(r"<(h\d)>", markup) == ["h2", "h3", "h4", "h2"]
    assert re.findall(r"</?(h\d)>", lowered_headings(markup)) == ["h3", "h3", "h4", "h4", "h5", "h5", "h3", "h3"]
    assert re.findall(r"</?(h\d)>", as_html("###### Deep first\n\n# Top\n\n## Next")) == [
        *("h2", "h2", "h2", "h2", "h3", "h3"),
    ]


@pytest.mark.parametrize(
    ("picture", "fitted"),
    [
        ('<img src="/a.jpg" alt="A">', '<img src="https://news.example/a.jpg" alt="A" width="520">'),
        ('<img src="/a.jpg" alt="" width="80" height="60">', None),
        (
            '<img src="/a.jpg" alt="" width="2000" height="900">',
            '<img src="https://news.example/a.jpg" alt="" width="520">',
        ),
    ],
)
def test_a_picture_in_a_mail_says_how_wide_it_is_and_never_wider_than_the_text(
    picture: str, fitted: str | None
) -> None:
    clean = sanitise(picture, base_url=BASE)
    assert fitted_images(clean, width=520) == (fitted or clean)


def test_code_in_a_mail_keeps_its_lines_and_its_indents_and_may_be_wrapped_between_words() -> None:
    markup = as_html("```\nif a  < b:\n    return\n```\n\n<pre>\n  raw\n</pre>")

    assert wrapping_listings(markup) == (
        '<div class="listing"><code>if a&nbsp; &lt; b:<br>&nbsp;&nbsp;&nbsp;&nbsp;return<br></code></div>\n'
        '<div class="listing">&nbsp;&nbsp;raw</div>'
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert('boo')</script>",
        "<p onclick='boo()' style='color:red' class=x id=y>boo</p>",
        "<style>boo{}</style>",
        "<iframe src=https://boo.example></iframe>",
        "<form action=https://boo.example><input name=boo></form>",
        "<a href='javascript:boo()'>x</a>",
        "<a href='//boo.example'>x</a>",
        "<img src=x onerror=boo()>",
        "<svg><script>boo()</script></svg>",
        "<base href=https://boo.example><link rel=stylesheet href=https://boo.example>",
        "<math><mtext><table><mglyph><style><img src=x onerror=boo()>",
    ],
)
def test_nothing_that_acts_survives(hostile: str) -> None:
    clean = sanitise(hostile, base_url=BASE)

    assert not re.search(r"boo\(|boo\.example|onclick|onerror|style|script|class=|id=", clean)


def test_pictures_are_absolute_have_an_alt_and_are_no_pixels() -> None:
    markup = as_html(
        "![A harbour](/media/a.jpg)\n\n<img src='https://cdn.example/b.jpg' width='600'>"
        "<img src='https://spy.example/p.gif' width=1 height=1><img src='https://spy.example/q.gif' height='0'>"
        "<img alt='no source'><img src='data:image/gif;base64,AA'>"
    )

    assert re.findall(r"<img[^>]*>", markup) == [
        '<img src="https://news.example/media/a.jpg" alt="A harbour">',
        '<img src="https://cdn.example/b.jpg" width="600" alt="">',
    ]


class _Auditor(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.odd: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            allowed = {("a", "href"), ("img", "src"), ("img", "alt"), ("img", "width"), ("img", "height")}
            if (tag, name) not in allowed | {("ol", "start")}:
                self.odd.append(f"{tag} {name}")
            if name in ("href", "src") and not str(value).startswith(("https://", "mailto:")):
                self.odd.append(str(value))


@given(st.text(alphabet="<>/=\"' abimgscriptlhref:javon#[]()!&;*`\n\\-", max_size=200))
def test_no_input_gets_an_odd_attribute_or_address_through(markup: str) -> None:
    auditor = _Auditor()
    auditor.feed(as_html(markup))

    assert auditor.odd == []


def test_the_text_part_reads_like_a_letter() -> None:
    markdown = """
## Where it goes

See [the figures](/figures) or <https://a.example/x>, or write to [editor@news.example](mailto:editor@news.example).

1. Ports
2. Rail
   - freight, which has waited for so long that nobody in the ministry remembers who asked

> We have
> waited.

![A harbour](/a.jpg)

---

| Year | Sum |
|------|-----|
| 2026 | £40m |

    code  stays

<p>Pasted <a href="/p">block</a> &amp; more</p>
"""

    assert (
        as_text(markdown)
        == """\
Where it goes

See the figures (https://news.example/figures) or https://a.example/x,
or write to editor@news.example.

1. Ports
2. Rail
   - freight, which has waited for so long that nobody in the ministry
     remembers who asked

> We have waited.

[A harbour]

* * *

Year | Sum
2026 | £40m

    code  stays

Pasted block (https://news.example/p) & more"""
    )


def test_long_lines_wrap_at_spaces_and_never_inside_an_address() -> None:
    address = "https://news.example/" + "long-path/" * 12
    text = as_text(f"{'word ' * 40}[here]({address}) {'word ' * 40}")

    assert f"({address})" in text
    assert all(len(line) <= LINE_WIDTH for line in text.split("\n") if address not in line)


@given(st.lists(st.text(alphabet="abcéß’“£ж漢😀,.!", min_size=1, max_size=12), min_size=1, max_size=80))
def test_no_word_of_a_paragraph_is_lost_in_the_text_part(words: list[str]) -> None:
    assert as_text("x " + " ".join(words)).split() == ["x", *words]


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("One two three", 13, "One two three"),
        ("One two three", 12, "One two…"),
        ("One two, three four", 13, "One two…"),
        ("One\n\ntwo   three", 40, "One two three"),
        ("Unbreakable", 5, "Unbr…"),
        ("", 5, ""),
        ("He said so (https://news.example/a_b), and left.", 100, "He said so, and left."),
        ("A sum (of 12) stays.", 100, "A sum (of 12) stays."),
    ],
)
def test_an_excerpt_ends_at_a_word(text: str, limit: int, short: str) -> None:
    assert excerpt(text, limit=limit) == short


@given(st.text(max_size=300), st.integers(min_value=2, max_value=200))
def test_an_excerpt_is_never_longer_than_asked(text: str, limit: int) -> None:
    assert len(excerpt(text, limit=limit)) <= limit


def test_reading_takes_at_least_a_minute() -> None:
    assert [reading_minutes("word " * count) for count in (0, 10, 460, 1000)] == [1, 1, 2, 4]
