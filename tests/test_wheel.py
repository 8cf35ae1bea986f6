"""The wheel holds all five folders as one package, and works from another place."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("datasets", "features", "predictors", "training", "serving")

pytestmark = pytest.mark.slow


def pip(*words, cwd):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, words)]
    subprocess.run(command, check=True, cwd=cwd, timeout=900)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", ".", "--no-deps", "--wheel-dir", folder, cwd=ROOT)
    (built,) = folder.glob("foretell-*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel):
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Folder with nothing but the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--target", folder, wheel, cwd=folder)
    return folder


@pytest.fixture
def python(installed, tmp_path):
    """Run code with the installed wheel first and no script's folder on the path; standard output."""

    def run(code):
        command = [sys.executable, "-P", "-c", code]
        alone = {"PYTHONPATH": str(installed), "PATH": ""}
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=alone, timeout=600
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_of_every_folder_is_there(names, folder):
    sources = {str(path.relative_to(ROOT / folder)) for path in (ROOT / folder).rglob("*.py")}
    assert len(sources) > 3
    assert sources <= names


@pytest.mark.parametrize("folder", FOLDERS)
def test_type_checkers_are_told_that_it_is_typed(names, folder):
    assert f"foretell/{folder}/py.typed" in names


def test_the_table_of_devices_is_there(names):
    assert "foretell/datasets/devices.csv" in names


def test_nothing_else_is_there(names):
    """Neither the stubs for editors nor anything at the top that would be importable by itself."""
    assert not {name for name in names if name.endswith(".pyi")}
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"foretell"}


def test_all_of_it_is_imported_from_where_it_was_installed(python, installed):
    """And nothing from a checkout that happens to be on the path, too."""
    code = """
import sys
from pkgutil import resolve_name
from foretell import Foretell
from foretell.serving.cli.main import COMMANDS
for target, _ in COMMANDS.values():
    resolve_name(target)
for name, module in sorted(sys.modules.items()):
    if name.partition(".")[0] == "foretell":
        print(module.__file__)
"""
    files = python(code).split()
    assert len(files) > 20
    assert {file for file in files if not file.startswith(f"{installed}/foretell/")} == set()


def test_the_folders_are_not_importable_by_themselves(python):
    code = f"import importlib.util as u; print(*(u.find_spec(name) for name in {FOLDERS}))"
    assert python(code).split() == ["None"] * len(FOLDERS)


def test_the_devices_are_read(python):
    code = "from foretell.datasets.device import device; print(device('h200').name)"
    assert python(code) == "h200\n"


def test_the_command_is_declared_and_answers(wheel, python):
    with zipfile.ZipFile(wheel) as file:
        (entries,) = (name for name in file.namelist() if name.endswith("entry_points.txt"))
        assert "foretell = foretell.serving.cli.main:main" in file.read(entries).decode()
    code = "from foretell.serving.cli.main import cli; cli(['--version'], standalone_mode=False)"
    assert "0.1.0" in python(code)
