"""`newsletter articles`: bringing articles in."""

import json
from pathlib import Path

import click

from newsletter_svc.articles import store
from newsletter_svc.articles.importing import Reading, read_files
from newsletter_svc.articles.store import Stored
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters


@click.group()
def articles() -> None:
    """Bring articles in."""


@articles.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--newsletter", "slug", default=newsletters.DEFAULT_SLUG, show_default=True, help="Where they appear.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@with_parts
def add(parts: Parts, files: tuple[Path, ...], slug: str, as_json: bool) -> None:
    """Add or update articles from Markdown files with front matter, or from JSON.

    Front matter: title (required), url, author, published, summary, image, image_alt. A broken file is named with its
    line; the others still go in, and the exit code is 1.
    """
    reading = read_files(files)
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, slug)
        stored = store.add(
            session,
            reading.drafts,
            newsletter_id=newsletter.id,
            base_url=parts.settings.public_url,
            now=utcnow(),
        )
    if as_json:
        click.echo(_as_json(stored, reading))
    else:
        _print(stored, reading)
    if reading.problems:
        raise SystemExit(1)


def _print(stored: list[Stored], reading: Reading) -> None:
    for each in stored:
        click.echo(f"{each.outcome:<9}  {each.article.slug}  {each.article.title}")
    for problem in reading.problems:
        click.echo(f"refused    {problem}", err=True)


def _as_json(stored: list[Stored], reading: Reading) -> str:
    answer = {
        "articles": [
            {"outcome": each.outcome, "slug": each.article.slug, "title": each.article.title} for each in stored
        ],
        "problems": [
            {"path": str(problem.path), "line": problem.line, "reason": problem.reason} for problem in reading.problems
        ],
    }
    return json.dumps(answer, ensure_ascii=False, indent=2)
