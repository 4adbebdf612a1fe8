"""The files around the package agree with each other."""

import importlib
import itertools
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from PIL import Image

from vae_keras import studies
from vae_keras.studies import features, labels, lines, recipes, semi_supervised, spaces
from vae_keras.studies.records import key, read_file

ROOT = Path(__file__).resolve().parent.parent


# What `make notebooks` and `make test` install, and conda users get. The site is built by those who change it.
BOOK_EXTRAS = ("notebooks", "explorer", "test", "dask")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def requirements(project):
    extras = project["optional-dependencies"].values()
    return [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]


def test_extras_of_the_book_are_those_that_make_installs():
    assert f".[{','.join(BOOK_EXTRAS)}]'" in (ROOT / "Makefile").read_text()


def test_conda_and_pip_users_get_the_same_requirements(project):
    extras = [requirement for name in BOOK_EXTRAS for requirement in project["optional-dependencies"][name]]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    options, named = (
        [line for line in pip if line.startswith("--")],
        [line for line in pip if not line.startswith("--")],
    )
    assert sorted(named) == sorted([*project["dependencies"], *extras])
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


@pytest.fixture
def drawn(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("fill_readme")


# Studies without an arm that is called GELU: another number there has to show in every one of their records.
NO_GELU = ("spaces", "habits", "lines", "cures", "features", "few_labels", "semi_supervised")


def test_tables_of_the_readme_are_those_of_the_records(drawn, monkeypatch):
    pages = [page.read_text() for page in drawn.PAGES]
    assert [drawn.filled(page) for page in pages] == pages
    for name in drawn.TABLES:
        assert sum(page.count(f"<!-- {name} -->") for page in pages) == 1, name
    read = studies.read

    def altered(study, folder):
        return [
            {**record, "held_out": {name: value + 9 for name, value in record["held_out"].items()}}
            if (study in NO_GELU or record["run"]["activation"] == "GELU") and record["held_out"]
            else record
            for record in read(study, folder)
        ]

    tables = {name: table() for name, table in drawn.TABLES.items()}
    monkeypatch.setattr(studies, "read", altered)
    runs = drawn.full_runs()
    for notebook in (notebook for notebooks in runs.values() for notebook in notebooks.values()):
        notebook["seconds"] = 600 + (notebook["seconds"] or 0)
        notebook["claims"] = {sentence: value + 9 for sentence, value in notebook["claims"].items()}
    monkeypatch.setattr(drawn, "full_runs", lambda: runs)
    for name, table in drawn.TABLES.items():
        assert table() != tables[name], name


def test_numbers_in_the_text_of_the_readme_are_those_of_the_records(drawn):
    readme = " ".join(" ".join(page.read_text() for page in drawn.PAGES).split())
    gains = -drawn.differences()["difference"].xs("GELU", level="arm")
    assert f"by {gains.min():.1f} to {gains.max():.1f} nats per image" in readme
    seconds = drawn.epoch_seconds()["mnist_5k"]
    dense, convolutional = (
        100 * (seconds[network, "GELU"] / seconds[network, "LeakyReLU(0.3)"] - 1) for network in drawn.NETWORKS
    )
    assert f"{dense:.0f} % of the time of an epoch in the dense network and {convolutional:.0f} % in the" in readme
    arms = studies.summary(drawn.results("sgd", studies.sgd_arm))["loss"].droplevel(["data", "network"])
    assert f"no clipping is {arms['none'] - arms['value 1']:.1f} nats higher" in readme
    to_report = studies.paired_differences(drawn.results("sgd", studies.sgd_arm), "value 1").droplevel([0, 1])
    level = (to_report["low"] < 0) & (to_report["high"] > 0)
    assert level[["none", "momentum 0.8", "momentum 0.95", *(arm for arm in arms.index if "norm" in arm)]].all()
    assert (
        f"Adam is ahead of every arm of SGD, by {arms.drop('Adam').min() - arms['Adam']:.1f} nats or more in the mean"
        in readme
    )
    one, *_, ten = drawn.compared(drawn.results("samples", "samples"), drawn.DRAWS)["seconds_per_epoch"]
    assert f"An epoch with ten draws takes {ten / one:.1f} times as long" in readme
    own, tied = drawn.compared(drawn.results("tied", "tied"), drawn.DECODERS)["seconds_per_epoch"]
    assert f"take {100 * (1 - tied / own):.0f} % less time for an epoch" in readme


def test_where_decoders_fail_is_what_the_records_say(drawn):
    readme = " ".join((ROOT / "README.md").read_text().split())
    planes = drawn.measured("spaces")
    means = 100 * planes[~planes["variational"]].groupby("data").mean(numeric_only=True)
    for judge, text in (
        ("none", "in the gaps: {:.0f} % against {:.0f} %, on all of MNIST {:.0f} % against {:.0f} %"),
        (
            "partial none",
            "overlaid digits says {:.0f} % against {:.0f} %, and on all of MNIST {:.0f} % against {:.0f} %",
        ),
    ):
        shares = means.loc[["bundled digits", "MNIST"], [f"{judge}, fifth 5", f"{judge}, gap"]]
        assert text.format(*shares.to_numpy().ravel()) in readme
    crowd, partial = (planes[f"{judge}, fifth 5"] - planes[f"{judge}, gap"] for judge in ("none", "partial none"))
    of_mnist = planes["data"] == "MNIST"
    assert (crowd > 0).all() and (partial[~of_mnist] > 0).all() and (partial[of_mnist] < 0).sum() == 9


def test_how_far_a_bound_lies_below_log_p_is_what_the_record_says(drawn):
    page = " ".join((ROOT / "results" / "README.md").read_text().split())
    found = next(r for r in studies.read("exact", drawn.RESULTS) if r["run"]["epochs"] == 300)["held_out"]
    text = "the bound with 500 samples is {log_likelihood:.1f}, and log p(x), on a grid, {exact_log_likelihood:.1f} ("
    assert text.format(**found) in page


def test_what_codes_are_worth_with_few_labels_is_what_the_records_say(drawn):
    pages = [" ".join(page.read_text().split()) for page in drawn.PAGES]
    table = drawn.measured("few_labels")
    pixels = table[(table["data"] == "MNIST") & (table["representation"] == "pixels")]

    def right(runs, classifier, count):
        return 100 * runs.filter(like=f"{classifier}, {count} labels,").mean(axis=1).mean()

    of_ten = dict(list(table[table["latent_dim"] == 10].groupby(["data", "representation"])))
    shares = [right(of_ten["MNIST", name], "SVM", 100) for name in ("autoencoder", "VAE")]
    shares.append(right(pixels, "SVM", 100))
    text = "names {:.0f} % right on the one, {:.0f} % on the other, and {:.0f} % on pixels"
    assert text.format(*shares) in pages[0]
    text = "{:.1f} % right on the autoencoder's ten numbers, {:.1f} % on the VAE's and {:.1f} % on pixels"
    assert text.format(*shares) in pages[1]
    for data, counts in (("MNIST", (10, 50, 100, 500, 1000)), ("bundled digits", (10, 50))):
        for classifier, count in itertools.product(("SVM", "5-NN", "spreading"), counts):
            autoencoder, vae = (right(of_ten[data, name], classifier, count) for name in ("autoencoder", "VAE"))
            assert autoencoder > vae, (data, classifier, count)


def test_what_images_without_labels_are_worth_is_what_the_records_say(drawn):
    page = " ".join((ROOT / "results" / "README.md").read_text().split())
    runs = drawn.measured("semi_supervised")
    runs["gain"] = 100 * (runs["right"] - runs["right, labels alone"])
    chosen, tried = runs[runs["seed"] < 100], runs[runs["seed"] >= 100].set_index("classifier_weight")
    gains = chosen.groupby("data")["gain"].mean()
    text = "worth {:.0f} per cent to its classifier on the bundled digits, and {:.0f} on MNIST"
    assert text.format(gains["bundled digits"], gains["MNIST"]) in page
    assert tried["gain"][10.0] < 0 < tried["gain"][300.0]
    assert tried["right"].idxmax() in (300.0, 1000.0)


def test_a_table_says_how_many_runs_diverged(drawn, monkeypatch):
    read = studies.read
    dense = {"network": "dense", "activation": "GELU", "data": "mnist_5k"}

    def diverged(study, folder):
        return [
            {**record, "held_out": None}
            if dense.items() <= record["run"].items() and record["run"]["seed"] < 3
            else record
            for record in read(study, folder)
        ]

    assert "| bundled digits | dense | GELU | 0.002 | 30 | 10 |" in drawn.expected_results()
    monkeypatch.setattr(studies, "read", diverged)
    assert "| bundled digits | dense | GELU | 0.002 | 30 | 7 of 10 |" in drawn.expected_results()


def test_figure_of_the_study_is_that_of_the_records(drawn):
    with Image.open(drawn.FIGURE) as figure:
        assert figure.info["Description"] == drawn.digest()


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*.jsonl")), ids=lambda path: path.name)
def test_every_study_has_a_record_of_each_of_its_runs_and_no_other(path):
    records = read_file(path)
    study = studies.STUDIES[path.stem]
    for record in records:
        run = dict(record["run"])
        parts = {
            recipes.train_vae: lambda run: recipes.VAE_PARTS,
            features.train_features: lambda run: features.FEATURES_PARTS,
            lines.train_lines: lambda run: lines.LINES_PARTS,
            semi_supervised.train_semi_supervised: lambda run: semi_supervised.SEMI_SUPERVISED_PARTS,
            labels.train_for_labels: lambda run: labels.REPRESENTATIONS[run.pop("representation")],
            recipes.train_deep_autoencoder: lambda run: recipes.DEEP_PARTS,
            spaces.train_space: lambda run: spaces.SPACE_PARTS[run.pop("variational")],
        }[study.train](run)
        recipes.check_settings(run, parts)
        # A setting that came later stands at what every run had before it.
        assert record["defaults"].items() <= recipes.defaults(run, parts).items()
    # So a study that is started again finds nothing left to do.
    assert sorted(key(record["run"]) for record in records) == sorted(map(key, study.runs(records)))


def test_trainings_that_are_timed_had_the_machine_for_themselves(drawn):
    for record in [*studies.read("cost", drawn.RESULTS), *studies.read("expected", drawn.RESULTS)]:
        assert record["threads"] == record["machine"]["cores"]


def test_every_picture_and_notebook_that_the_readme_names_is_there():
    for page in (ROOT / "README.md", ROOT / "results" / "README.md"):
        names = re.findall(r"\]\((?!https?:|#)([\w./-]+)\)", page.read_text())
        assert len(names) > 3
        for name in names:
            assert (page.parent / name).exists(), name


def test_the_vae_that_is_typed_has_sixty_lines():
    cells = nbformat.read(ROOT / "notebooks" / "02_variational_autoencoder.ipynb", as_version=4).cells
    typed = [cell.source for cell in cells if re.match(r"class (Sampling|VAE)\(|leaky_relu = ", cell.source)]
    assert len(typed) == 3
    assert sum(len(source.splitlines()) for source in typed) == 60
