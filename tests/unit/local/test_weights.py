import hashlib
import sys
from pathlib import Path

import pytest

from coachline.local import LocalServerError
from coachline.local.weights import MINILM, SMOLLM2, Weights, find_weights

CONTENT = b"weights of a model"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """Weights in a package that must not be imported."""
    package = tmp_path / "site" / "planted_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "model.bin").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return Weights(
        package="planted_weights",
        distribution="planted-weights==1.0",
        file="model.bin",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


def test_weights_are_found_without_importing_their_package(
    installed: Weights, tmp_path: Path
) -> None:
    path = find_weights(installed, tmp_path / "verified.json")

    assert path.read_bytes() == CONTENT
    assert "planted_weights" not in sys.modules


def test_a_file_is_read_once_and_again_after_it_changed(
    installed: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = tmp_path / "home" / "verified.json"
    path = find_weights(installed, verified)
    with monkeypatch.context() as patched:
        patched.setattr("coachline.local.weights._hash", lambda path: pytest.fail("read twice"))
        assert find_weights(installed, verified) == path

    path.write_bytes(b"X" * len(CONTENT))

    with pytest.raises(LocalServerError, match="uv sync --reinstall-package planted-weights"):
        find_weights(installed, verified)


def test_a_damaged_memory_only_means_reading_again(installed: Weights, tmp_path: Path) -> None:
    verified = tmp_path / "verified.json"
    verified.write_text("{half")

    assert find_weights(installed, verified).name == "model.bin"
    assert "model.bin" in verified.read_text()


@pytest.mark.parametrize("missing", ["package", "file"])
def test_absent_weights_say_how_to_get_them(
    installed: Weights, tmp_path: Path, missing: str
) -> None:
    names = {"package": installed.package, "file": installed.file, missing: "no_such_thing"}
    absent = Weights(
        **names, distribution="planted-weights==1.0", size_bytes=1, sha256=installed.sha256
    )

    with pytest.raises(LocalServerError, match=r"uv sync.*COACHLINE_OLLAMA_URL"):
        find_weights(absent, tmp_path / "verified.json")


@pytest.mark.parametrize("weights", [SMOLLM2, MINILM], ids=lambda weights: weights.file)
def test_the_installed_weights_are_the_reviewed_ones(weights: Weights, tmp_path: Path) -> None:
    assert find_weights(weights, tmp_path / "verified.json").stat().st_size == weights.size_bytes
