"""Markdown files with front matter: YAML between two lines of three hyphens, then the body."""

from pathlib import Path

import yaml

from newsletter_svc.articles.cleaning import clean_text
from newsletter_svc.articles.drafts import ArticleDraft, BrokenArticle, Checker, Field

_FENCE = "---"
_FIRST_YAML_LINE = 2


def read_markdown(path: Path, text: str) -> tuple[list[ArticleDraft], list[BrokenArticle]]:
    """Read the one article of a Markdown file."""
    lines = clean_text(text).split("\n")
    if lines[0].rstrip() != _FENCE:
        return [], [BrokenArticle(path, 1, "front matter is missing: the first line must be ---")]
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)
    if end is None:
        return [], [BrokenArticle(path, 1, "front matter is not closed: a second line with --- is missing")]
    fields, problems = _yaml_fields(path, "\n".join(lines[1:end]))
    if fields is None:
        return [], problems
    checker = Checker(path, {**fields, "body": Field("\n".join(lines[end + 1 :]), end + 1)}, first_line=1)
    draft = checker.draft()
    return ([draft] if draft and not problems else []), problems + checker.problems


def _yaml_fields(path: Path, text: str) -> tuple[dict[str, Field] | None, list[BrokenArticle]]:
    """Return the keys with their lines, or None where the YAML as a whole cannot be read.

    The nodes are read, not the Python values: they know their lines, and a title `2026` or `Yes` stays the text
    that its author wrote.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = (mark.line if mark else 0) + _FIRST_YAML_LINE
        return None, [BrokenArticle(path, line, f"front matter is not valid YAML: {error.problem}")]
    except (yaml.YAMLError, RecursionError):
        return None, [BrokenArticle(path, 1, "front matter is not valid YAML")]
    if root is None:
        return {}, []
    if not isinstance(root, yaml.MappingNode):
        return None, [BrokenArticle(path, _FIRST_YAML_LINE, "front matter must be lines of the form 'key: value'")]
    return _mapping_fields(path, root)


def _mapping_fields(path: Path, root: yaml.MappingNode) -> tuple[dict[str, Field], list[BrokenArticle]]:
    fields: dict[str, Field] = {}
    problems = []
    for key_node, value_node in root.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
        line = key_node.start_mark.line + _FIRST_YAML_LINE
        if key == "body":
            problems.append(BrokenArticle(path, line, "body stands below the front matter, not in it"))
        elif key in fields:
            problems.append(BrokenArticle(path, line, f"{key} stands here a second time"))
        else:
            fields[key] = Field(_scalar_text(value_node), line)
    return fields, problems


def _scalar_text(node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        return None
    return "" if node.tag == "tag:yaml.org,2002:null" else str(node.value)
