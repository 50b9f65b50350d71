"""From an author's Markdown to HTML that may stand in a mail and on a page of ours."""

import html
import re
from collections.abc import Mapping

import nh3
from markdown_it import MarkdownIt

from newsletter_svc.articles.addresses import safe_url

_ALLOWED_ATTRIBUTES = {"a": {"href"}, "img": {"src", "alt", "width", "height"}, "ol": {"start"}}
_ALLOWED_TAGS = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "hr", "br", "pre", "code"),
    *("a", "em", "strong", "b", "i", "s", "sub", "sup", "img", "table", "thead", "tbody", "tr", "th", "td"),
}
_DROPPED_WITH_CONTENT = {"script", "style", "title", "template", "noscript", "iframe", "object", "svg", "math", "form"}

# What nh3 writes is canonical: attributes in double quotes, with quotes and angle brackets escaped inside them.
_IMAGE = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')
_ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
_HEADING = re.compile(r"(</?h)([1-6])>")
_LISTING = re.compile(r"<pre>\n?(.*?)\n?</pre>", re.DOTALL)
_INDENT = re.compile(r"^ +|(?<=>) +| +(?= )", re.MULTILINE)
_EMPTY_LINK = re.compile(r"<a>(.*?)</a>", re.DOTALL)
_EMPTY_PARAGRAPH = re.compile(r"<p>\s*</p>\n?")

_HIGHEST_HEADING = 2  # The one h1 of a page is the page's own title.
_LOWEST_HEADING = 4


def markdown_parser() -> MarkdownIt:
    """Return the one dialect of Markdown that articles are written in."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def html_from_markdown(markdown: str, *, base_url: str) -> str:
    """Return clean HTML; relative addresses are resolved on `base_url`, e.g. `https://news.example`."""
    return sanitise(markdown_parser().render(markdown), base_url=base_url)


def sanitise(markup: str, *, base_url: str) -> str:
    """Return only what a mail may carry: no scripts, styles, forms, tracking pixels or addresses of other schemes."""

    def keep(element: str, attribute: str, value: str) -> str | None:
        if attribute in ("href", "src"):
            return safe_url(value, base_url=base_url, mailto=attribute == "href")
        if attribute in ("width", "height", "start"):
            return value if value.isascii() and value.isdigit() and len(value) <= 4 else None
        return value

    clean = nh3.clean(
        markup,
        tags=_ALLOWED_TAGS,
        clean_content_tags=_DROPPED_WITH_CONTENT,
        attributes=_ALLOWED_ATTRIBUTES,
        attribute_filter=keep,
        url_schemes={"https", "http", "mailto"},
        link_rel=None,
    )
    clean = _EMPTY_LINK.sub(r"\1", _IMAGE.sub(_checked_image, clean))
    return _ranked_headings(_EMPTY_PARAGRAPH.sub("", clean)).strip()


def lowered_headings(markup: str) -> str:
    """Return sanitised HTML with each heading one level lower, for a page where the article's title is an h2."""
    return _HEADING.sub(lambda match: f"{match[1]}{min(int(match[2]) + 1, 6)}>", markup)


def fitted_images(markup: str, *, width: int) -> str:
    """Return sanitised HTML whose pictures say how wide they are, at most `width`: Outlook looks at nothing else."""

    def fitted(match: re.Match[str]) -> str:
        attributes = dict(_ATTRIBUTE.findall(match[1]))
        if int(attributes.get("width", width + 1)) > width:
            attributes.pop("height", None)
            attributes["width"] = str(width)
        return _image(attributes)

    return _IMAGE.sub(fitted, markup)


def wrapping_listings(markup: str) -> str:
    """Return sanitised HTML whose code may be wrapped: Outlook makes the whole mail as wide as the longest line."""

    def wrapping(match: re.Match[str]) -> str:
        lines = _INDENT.sub(lambda spaces: "&nbsp;" * len(spaces.group()), match[1].expandtabs(4))
        return '<div class="listing">' + lines.replace("\n", "<br>") + "</div>"

    return _LISTING.sub(wrapping, markup)


def _checked_image(match: re.Match[str]) -> str:
    attributes = dict(_ATTRIBUTE.findall(match[1]))
    is_pixel = any(
        attributes.get(side, "").lstrip("0") in ("", "1") for side in ("width", "height") if side in attributes
    )
    if not attributes.get("src") or is_pixel:
        return ""
    attributes.setdefault("alt", "")
    return _image(attributes)


def _image(attributes: Mapping[str, str]) -> str:
    return "<img" + "".join(f' {name}="{value}"' for name, value in attributes.items()) + ">"


def _ranked_headings(markup: str) -> str:
    """Close the gaps between the levels that a body uses, so that headings go down in order below the title."""
    used = sorted({match[2] for match in _HEADING.finditer(markup)})
    ranks = {level: min(rank, _LOWEST_HEADING) for rank, level in enumerate(used, _HIGHEST_HEADING)}
    above = _HIGHEST_HEADING - 1

    def ranked(match: re.Match[str]) -> str:
        nonlocal above
        if match[1] == "<h":
            # One step below the heading before it at most: a body may begin with a deep one.
            above = min(ranks[match[2]], above + 1)
        return f"{match[1]}{above}>"

    return _HEADING.sub(ranked, markup)


def stripped(markup: str) -> str:
    """Return the words of a piece of HTML, e.g. of a block that an author pasted into Markdown."""
    return html.unescape(nh3.clean(markup, tags=set(), clean_content_tags=_DROPPED_WITH_CONTENT))
