"""The four top-level names are ours, and nothing of the project says otherwise."""

import tomllib
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest

NAMES = ("harness", "backends", "scenarios", "reports")
ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", NAMES)
def test_a_top_level_name_belongs_to_us_alone(name):
    # An editable install lists no packages, so the set may be empty; it is {"pageferry"} with the wheel.
    owners = set(packages_distributions().get(name, []))
    assert owners <= {"pageferry"}, f"another distribution brings {name!r} as well"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_imported_is_one_copy(name):
    module = __import__(name)
    (place,) = module.__path__
    assert Path(place).name == name


def test_the_command_is_installed():
    (script,) = entry_points(group="console_scripts", name="pageferry")
    assert script.value == "harness.cli:main"


def test_pyproject_packages_are_these_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(NAMES)
