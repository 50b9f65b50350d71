"""Compiled templates are kept for the next process, and never in its way."""

import stat
from pathlib import Path

import pytest
from jinja2 import Environment

from newsletter_svc.mail.compose import Composer
from newsletter_svc.samples import samples
from newsletter_svc.settings import Settings


def rendered(var_dir: Path, *, own: Path | None = None) -> list[object]:
    composer = Composer(Settings(secret_keys=("k" * 40,), var_dir=var_dir, templates_dir=own))
    return [composer.render(kind, sample.context) for kind, sample in samples().items() if not sample.slots]


def kept(var_dir: Path) -> list[Path]:
    return sorted((var_dir / "templates").iterdir())


def test_the_next_process_compiles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rendered(tmp_path)
    assert stat.S_IMODE((tmp_path / "templates").stat().st_mode) == 0o700
    monkeypatch.setattr(Environment, "_compile", lambda *_: pytest.fail("it was compiled again"))
    assert rendered(tmp_path) == first


def test_a_template_that_was_changed_is_seen(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "sign_in").mkdir(parents=True)
    (own / "sign_in" / "subject.txt").write_text("Before")
    before = rendered(tmp_path, own=own)
    (own / "sign_in" / "subject.txt").write_text("After!")
    after = rendered(tmp_path, own=own)
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert [("Before" in str(one), "After!" in str(other)) for one, other in changed] == [(True, True)]


def test_what_is_broken_in_it_does_no_harm(tmp_path: Path) -> None:
    first = rendered(tmp_path)
    for path in kept(tmp_path):
        path.write_bytes(path.read_bytes()[:-20])
    assert rendered(tmp_path) == first


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_where_others_may_write_nothing_is_kept(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    rendered(tmp_path)
    assert not (tmp_path / "templates").exists()


def test_without_a_place_for_it_mail_is_written_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "templates").write_text("a file in the way")
    assert rendered(tmp_path) == rendered(tmp_path / "no folder")
    assert not (tmp_path / "no folder").exists()
