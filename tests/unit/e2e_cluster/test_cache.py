"""Results in the cache are whole, and found only under the key of what they were built from."""

from pathlib import Path

import pytest

from e2e.cluster import cache


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_a_key_stays_while_nothing_changes(tmp_path: Path) -> None:
    one = written(tmp_path / "one", "go.mod", "module a")
    two = written(tmp_path / "two", "go.mod", "module a")
    assert cache.key_of(one, "amd64") == cache.key_of(two, "amd64")


def test_a_key_changes_with_a_text_a_content_a_name_and_a_boundary(tmp_path: Path) -> None:
    source = written(tmp_path / "source", "go.mod", "module a")
    edited = written(tmp_path / "edited", "go.mod", "module b")
    renamed = written(tmp_path / "renamed", "go.sum", "module a")
    keys = {
        cache.key_of(source, "amd64"),
        cache.key_of(source, "arm64"),
        cache.key_of(edited, "amd64"),
        cache.key_of(renamed, "amd64"),
        cache.key_of("ab", "c"),
        cache.key_of("a", "bc"),
    }
    assert len(keys) == 6


def test_a_result_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "programs" / "kind-1"
    with cache.made_whole(target) as folder:
        (folder / "kind").touch()
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["kind"]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "programs" / "kind-1"
    with pytest.raises(FileNotFoundError), cache.made_whole(target) as folder:
        (folder / "no such folder" / "half").touch()
    assert list(target.parent.iterdir()) == []


def test_only_older_results_of_the_same_name_are_dropped(tmp_path: Path) -> None:
    for name in ("kubernetes-aaaa", "kubernetes-bbbb", "kubernetes-tools-aaaa", "kind-aaaa"):
        (tmp_path / name).mkdir()
    cache.drop_others(tmp_path / "kubernetes-bbbb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kind-aaaa", "kubernetes-bbbb", "kubernetes-tools-aaaa"]
