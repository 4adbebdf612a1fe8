"""The files around the package agree with each other."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]


def test_conda_and_pip_users_get_the_same_requirements(requirements):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    options, named = (
        [line for line in pip if line.startswith("--")],
        [line for line in pip if not line.startswith("--")],
    )
    assert sorted(named) == sorted(requirements)
    assert options == ["--constraint constraints.txt", "--editable ."]


def test_conda_and_pip_users_get_the_same_python():
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert f"python{python}" in environment["dependencies"]


def test_every_requirement_is_pinned_to_a_version_that_it_allows(requirements):
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    pins = {name.lower(): version for name, version in pins.items()}
    for requirement in map(Requirement, requirements):
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


def test_constraints_hold_names_and_versions_only():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.+-]+", line), line


def test_table_of_expected_results_is_that_of_the_records(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import expected_results

    readme = (ROOT / "README.md").read_text()
    shown = readme.split(expected_results.START)[1].split(expected_results.END)[0]
    assert shown == expected_results.table()


def test_every_expected_result_was_run_with_every_seed(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import expected_results

    records = [json.loads(line) for line in expected_results.RECORDS.read_text().splitlines()]
    promised = [expected_results.key(run) for run in expected_results.runs()]
    assert sorted(map(expected_results.key, records)) == sorted(promised)


def test_every_picture_and_notebook_that_the_readme_names_is_there():
    names = re.findall(r"\]\((?!https?:)([\w./-]+)\)", (ROOT / "README.md").read_text())
    assert len(names) > 3
    for name in names:
        assert (ROOT / name).exists(), name
