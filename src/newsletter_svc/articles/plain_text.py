"""Articles as plain text: written from the Markdown itself, never converted from HTML."""

import re
import textwrap
from collections.abc import Iterable, Sequence

from markdown_it.tree import SyntaxTreeNode

from newsletter_svc.articles.addresses import safe_url
from newsletter_svc.articles.sanitising import markdown_parser, sanitise, stripped

LINE_WIDTH = 72
WORDS_PER_MINUTE = 230

_SPACES = re.compile(r"[ \t]+")
_HTML_LINK = re.compile(r'<a href="([^"]*)">(.*?)</a>', re.DOTALL)
_LINKED_ADDRESS = re.compile(r"\s\(https?://[^\s()]+\)")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def text_from_markdown(markdown: str, *, base_url: str, width: int = LINE_WIDTH) -> str:
    """Return the text part of an article: links as `words (address)`, lines of `width` where words allow."""
    root = SyntaxTreeNode(markdown_parser().parse(markdown))
    return "\n\n".join(_Writer(base_url).blocks(root.children, width))


def excerpt(text: str, *, limit: int) -> str:
    """Return the beginning of `text` on one line, without the addresses of its links, ending at a word."""
    line = " ".join(_LINKED_ADDRESS.sub("", text).split())
    if len(line) <= limit:
        return line
    head = line[:limit]
    head = head.rpartition(" ")[0] or head[:-1]
    return head.rstrip(" ,;:–—-(") + "…"


def reading_minutes(text: str) -> int:
    """Return how long an adult reads, in whole minutes, at least one."""
    return max(1, round(len(text.split()) / WORDS_PER_MINUTE))


class _Writer:
    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def blocks(self, nodes: Iterable[SyntaxTreeNode], width: int) -> list[str]:
        """Return each block that says something, wrapped."""
        written = (self._block(node, width) for node in nodes)
        return [block for block in written if block]

    def _block(self, node: SyntaxTreeNode, width: int) -> str:
        match node.type:
            case "bullet_list" | "ordered_list":
                return self._list(node, width)
            case "blockquote":
                return _hang("\n\n".join(self.blocks(node.children, width - 2)), first="> ", rest="> ")
            case "fence" | "code_block":
                return _hang(node.content.rstrip("\n"), first="    ", rest="    ")
            case "hr":
                return "* * *"
            case "html_block":
                return _wrap(self._words_of_html(node.content), width)
            case "table":
                return "\n".join(self._row(row) for part in node.children for row in part.children)
            case _:
                return _wrap(self._inline(node.children), width)

    def _list(self, node: SyntaxTreeNode, width: int) -> str:
        start = int(node.attrs.get("start", 1))
        gap = "\n" if _is_tight(node) else "\n\n"
        items = []
        for number, item in enumerate(node.children, start):
            mark = f"{number}. " if node.type == "ordered_list" else "- "
            content = gap.join(self.blocks(item.children, width - len(mark)))
            items.append(_hang(content, first=mark, rest=" " * len(mark)))
        return gap.join(items)

    def _row(self, row: SyntaxTreeNode) -> str:
        return " | ".join(self._inline(cell.children) for cell in row.children)

    def _inline(self, nodes: Sequence[SyntaxTreeNode]) -> str:
        return "".join(self._piece(node) for node in nodes)

    def _piece(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "text" | "code_inline":
                return node.content
            case "softbreak":
                return " "
            case "hardbreak":
                return "\n"
            case "html_inline":
                return "\n" if _BREAK.fullmatch(node.content) else ""
            case "image":
                return f"[{node.content}]" if node.content else ""
            case "link":
                return self._link(node)
            case _:
                return self._inline(node.children)

    def _link(self, node: SyntaxTreeNode) -> str:
        url = safe_url(str(node.attrs.get("href", "")), base_url=self._base_url, mailto=True)
        return _linked(self._inline(node.children), url)

    def _words_of_html(self, markup: str) -> str:
        clean = sanitise(markup, base_url=self._base_url)
        return stripped(_HTML_LINK.sub(lambda link: _linked(link[2], link[1]), clean))


def _linked(words: str, url: str | None) -> str:
    if url is None:
        return words
    target = url.removeprefix("mailto:")
    return target if words in ("", url, target) else f"{words} ({target})"


def _wrap(text: str, width: int) -> str:
    lines = (_SPACES.sub(" ", line).strip() for line in text.strip().split("\n"))
    return "\n".join(
        # Neither an address nor a hyphenated name is cut.
        textwrap.fill(line, max(width, 20), break_long_words=False, break_on_hyphens=False)
        for line in lines
    )


def _hang(text: str, *, first: str, rest: str) -> str:
    """Put `first` before the first line and `rest` before the others, without spaces at a line's end."""
    lines = text.split("\n")
    return "\n".join(f"{rest if number else first}{line}".rstrip() for number, line in enumerate(lines))


def _is_tight(node: SyntaxTreeNode) -> bool:
    return all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
