"""scripts/target: a folder a checkout, and what a new one begins with."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import REPOSITORY


@pytest.fixture
def checkout(tmp_path):
    def make(name: str) -> Path:
        folder = tmp_path / name
        (folder / "scripts").mkdir(parents=True)
        shutil.copy(REPOSITORY / "scripts" / "target", folder / "scripts")
        return folder

    return make


@pytest.fixture
def target(tmp_path):
    def ask(checkout: Path, **environment) -> Path:
        own = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
        own |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), **environment}
        asked = subprocess.run([checkout / "scripts" / "target"], capture_output=True, text=True, env=own, check=True)
        return Path(asked.stdout.removesuffix("\n"))

    return ask


def built(folder: Path):
    """A target folder as cargo leaves it, in small."""
    files = (
        ".fingerprint/serde-1/lib-serde", "build/serde-1/output", "deps/libserde-1.rlib",
        ".fingerprint/crannog-kit-1/lib-crannog_kit", "build/crannog-2/output", "deps/libcrannog_kit-1.rlib", "deps/crannog-1", "deps/it-1",
    )  # fmt: skip
    for file in files:
        (folder / "debug" / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / "debug" / file).write_text(file)
    return folder


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_each_checkout_has_its_own_and_a_new_one_begins_with_the_dependencies(checkout, target):
    one = built(target(checkout("one")))
    assert target(checkout("one again")).parent == one.parent
    other = target(checkout("other"))
    assert other != one
    assert files(other) == {"checkout", "debug/.fingerprint/serde-1/lib-serde", "debug/build/serde-1/output", "debug/deps/libserde-1.rlib"}
    # What cargo writes in place is a copy, the rest takes no space.
    assert (other / "debug/deps/libserde-1.rlib").samefile(one / "debug/deps/libserde-1.rlib")
    assert not (other / "debug/build/serde-1/output").samefile(one / "debug/build/serde-1/output")


def test_asking_again_changes_nothing(checkout, target):
    folder = checkout("one")
    built(target(folder))
    before = files(target(folder))
    assert len(before) == 9
    assert files(target(folder)) == before


def test_those_of_checkouts_that_are_gone_are_taken_from_and_removed(checkout, target):
    gone, kept = checkout("gone"), checkout("kept")
    keeps = built(target(kept))
    goes = built(target(gone))
    shutil.rmtree(gone)
    assert keeps.exists() and goes.exists()
    new = target(checkout("new"))
    assert "debug/deps/libserde-1.rlib" in files(new)
    assert keeps.exists() and not goes.exists()


def test_the_folder_that_is_named_is_taken_as_it_is(checkout, target, tmp_path):
    assert target(checkout("one"), CARGO_TARGET_DIR="/named") == Path("/named")
    assert not (tmp_path / "cache").exists()
