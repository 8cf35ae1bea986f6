"""The five folders: who may import whom, what is importable by itself, and what the README says of it."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from foretell.datasets.collectors import COLLECTORS
from foretell.datasets.sources import SOURCES
from foretell.predictors.families import FAMILIES
from foretell.serving.cli.main import COMMANDS
from foretell.training.bench import PROTOCOLS
from foretell.training.targets import TARGETS

ROOT = Path(__file__).parents[1]
FOLDERS = ("datasets", "features", "predictors", "training", "serving")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PUBLIC = {
    "target": TARGETS, "family": FAMILIES, "command": COMMANDS, "protocol": PROTOCOLS, "source": SOURCES,
    "collector": COLLECTORS,
}  # fmt: skip


def imported(path):
    """Names below ``foretell`` that a module imports, those inside of functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it leads"
            if node.module == "foretell":
                yield from (alias.name for alias in node.names)
            elif (node.module or "").startswith("foretell."):
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("foretell."))


def folders_imported(path):
    return {FOLDERS.index(name) for name in imported(path) if name in FOLDERS}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    own = FOLDERS.index(path.relative_to(ROOT).parts[0])
    assert max(folders_imported(path), default=0) <= own


def test_the_test_above_sees_imports():
    assert folders_imported(ROOT / "training/foretell/training/recipe.py") == {0, 1, 2, 3}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_is_importable_by_itself(folder):
    """From elsewhere: Hugging Face has a package `datasets` too."""
    command = [sys.executable, "-P", "-c", f"import {folder}"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert f"No module named '{folder}'" in ended.stderr
    assert not (ROOT / folder / "__init__.py").exists()
    assert not (ROOT / folder / "foretell" / "__init__.py").exists() or folder == "serving"


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_holds_its_part_of_the_one_package(folder):
    spec = importlib.util.find_spec(f"foretell.{folder}")
    assert Path(spec.origin) == ROOT / folder / "foretell" / folder / "__init__.py"
    assert (ROOT / folder / "foretell" / folder / "py.typed").is_file()


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, table in PUBLIC.items() for name in table])
def test_the_readme_has_a_word_about_everything_public(kind, name):
    said = (ROOT / "README.md").read_text()
    wanted = f"foretell {name}" if kind == "command" else name
    assert re.search(rf"(?<![\w-]){re.escape(wanted)}(?![\w-])", said), f"no word about the {kind} {name}"
