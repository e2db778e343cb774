"""Budgets before a commit and in CI: the hook as pre-commit installs and git runs it, and the jobs that documents show.

pre-commit gets the hook from a git repository that is made of this checkout, committed or not, and builds its
environment as it does everywhere: a virtual environment into which pip installs cnncost, here from whatever index pip
is configured with, as CI does it too. Nothing is stubbed; it takes some 10 seconds, once for all tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from documents import ROOT, blocks

HOOKS = ROOT / ".pre-commit-hooks.yaml"
DOCS = ROOT / "docs" / "budget.md"
NET = """\
input: 3x32x32
layers:
  conv: {conv: 16, kernel: 3}
  pool: {global_avg_pool, keep: false}
  fc: {linear: 10}
budget: {params: 1K, macs: 400K}
"""
WITHIN, BEYOND = NET.replace("conv: 16", "conv: 12"), NET.replace("conv: 16", "conv: 32")


class Repository:
    """A git repository in which commands run."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        keep = {
            name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PRE_COMMIT", "PYTHON"))
        }
        author = {f"GIT_{who}_{what}": "t@t.t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        bin_ = os.path.dirname(sys.executable)
        self.env = {
            **keep,
            **author,
            "PATH": f"{bin_}{os.pathsep}{keep['PATH']}",
            "PRE_COMMIT_HOME": str(home),
            "PRE_COMMIT_COLOR": "never",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self.must("git", "init", "-q", "-b", "main")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)

    def must(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(self, message: str, **files: str | None) -> subprocess.CompletedProcess[str]:
        """Write models/NAME.yaml, remove those that are None, and commit everything."""
        for name, text in files.items():
            path = self.folder / "models" / f"{name}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.unlink() if text is None else path.write_text(text)
        self.must("git", "add", "-A")
        return self.run("git", "commit", "-m", message)

    @property
    def commits(self) -> list[str]:
        return self.must("git", "log", "--format=%s").splitlines()


class Hook(NamedTuple):
    """Where pre-commit has the hook from, and where it keeps what it built."""

    folder: Path
    commit: str
    home: Path


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Hook:
    base = tmp_path_factory.mktemp("hook")
    source = Repository(base / "source", base / "home")
    for name in ("cnncost", "architectures"):
        shutil.copytree(ROOT / name, source.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", HOOKS.name):
        shutil.copy(ROOT / name, source.folder)
    source.commit("cnncost")
    return Hook(source.folder, source.must("git", "rev-parse", "HEAD").strip(), base / "home")


@pytest.fixture
def repository(hook: Hook, tmp_path: Path) -> Repository:
    """A repository with the hook, configured as docs/budget.md shows it."""
    made = Repository(tmp_path / "repository", hook.home)
    config = configuration()
    config["repos"][0] |= {"repo": str(hook.folder), "rev": hook.commit}
    configure(made, config)
    made.must("pre-commit", "install")
    return made


def configuration(document: Path = DOCS) -> Any:
    (text,) = [block for block in blocks(document, "yaml") if block.startswith("repos:")]
    return yaml.safe_load(text)


def configure(repository: Repository, config: Any) -> None:
    (repository.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))


def test_a_commit_within_budget_is_made_and_one_beyond_is_refused(repository: Repository) -> None:
    good = repository.commit("good", net=NET)
    assert good.returncode == 0, good.stdout + good.stderr
    assert re.search(r"^cnncost budget\.+Passed$", good.stderr, re.MULTILINE)
    bad = repository.commit("bad", net=BEYOND)
    assert bad.returncode == 1
    assert re.search(r"^cnncost budget\.+Failed$", bad.stderr, re.MULTILINE)
    assert "MACs (K)    777.920  400.000    194.5%" in bad.stderr
    assert "over budget: 2 of 2 limits" in bad.stderr
    assert repository.commits == ["good"]
    better = repository.commit("better", net=WITHIN)
    assert better.returncode == 0, better.stdout + better.stderr
    assert repository.commits == ["better", "good"]


def test_files_that_are_no_models_are_left_alone(repository: Repository) -> None:
    (repository.folder / "other.yaml").write_text("a: 3\n")
    done = repository.commit("other")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^cnncost budget.*Skipped$", done.stderr, re.MULTILINE)


def test_a_spec_without_a_budget_and_a_faulty_one_are_refused(repository: Repository) -> None:
    for text, message in (
        (NET.partition("budget:")[0], "error: models/net.yaml: no limit to hold it against"),
        (NET.replace("macs", "mac"), "error: models/net.yaml:6:22: a budget has no key mac"),
        ("a: 3\n", "error: models/net.yaml:1:1: a spec has no key a"),
    ):
        done = repository.commit("bad", net=text)
        assert done.returncode == 1
        assert "- exit code: 2" in done.stderr
        assert message in done.stderr


@pytest.mark.parametrize("args", [["--budget", "budgets.yaml"], ["models/*.yaml"]])
def test_with_a_file_of_budgets_and_over_all_models(repository: Repository, args: list[str]) -> None:
    """The other two ways that the document names: budgets.yaml beside the models, and all models at each commit."""
    text = DOCS.read_text(encoding="utf-8")
    assert "`args: [--budget, budgets.yaml]`" in text
    assert "`pass_filenames: false` and `args: ['models/*.yaml']`" in text
    (repository.folder / "budgets.yaml").write_text("defaults: {params: 1K}\nmodels/*.yaml: {macs: 400K}\n")
    config = yaml.safe_load((repository.folder / ".pre-commit-config.yaml").read_text())
    config["repos"][0]["hooks"][0] |= {"args": args} | ({"pass_filenames": False} if "*" in args[0] else {})
    configure(repository, config)
    wide = "extends: net.yaml\nlayers: {fc: {linear: 20}}\nbudget: {params: 1K, macs: 800K}\n"
    assert repository.commit("good", net=WITHIN, wide=wide).returncode == 0
    grown = repository.commit("grown", net=WITHIN.replace("conv: 12", "conv: 15").replace("linear: 10", "linear: 40"))
    assert grown.returncode == 1
    assert "over budget: 1 of " in grown.stderr
    # models/wide.yaml is over its budget because of another file, which only the last way sees.
    wider = repository.commit("wider", net=NET.replace("{linear: 10}", "{linear: 11}").replace("conv: 16", "conv: 29")
                              .replace("1K, macs: 400K", "2K, macs: 900K"))  # fmt: skip
    assert ("models/wide" in wider.stderr or "wide  " in wider.stderr) == ("*" in args[0])
    assert wider.returncode == 1


def test_the_hook_is_what_is_documented() -> None:
    (hook,) = yaml.safe_load(HOOKS.read_text())
    assert (hook["id"], hook["entry"], hook["language"]) == ("cnncost-budget", "cnncost budget", "python")
    assert configuration()["repos"][0]["hooks"][0]["id"] == hook["id"]
    assert configuration(ROOT / "README.md") == configuration()


# ---- CI -------------------------------------------------------------------------------------------


def job(document: Path) -> list[str]:
    """The commands of the job that a document shows, without the installation."""
    (text,) = [block for block in blocks(document, "yaml") if "runs-on:" in block]
    (steps,) = [job["steps"] for job in yaml.safe_load(text)["jobs"].values()]
    scripts = [step["run"] for step in steps if "run" in step]
    assert scripts[0].startswith("pip install")
    return scripts[1:]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (NET, 0, "within budget: 2 limits; none of 6 figures grew too much"),
        (NET.replace("{linear: 10}", "{linear: 11}"), 1, "within budget: 2 limits; grew too much: 1 of 6 figures"),
        (BEYOND, 1, "over budget: 2 of 2 limits; grew too much: 6 of 6 figures"),
    ],
)
def test_the_job_of_the_document(tmp_path: Path, text: str, code: int, says: str) -> None:
    """Run as GitHub runs it, in a clone with a branch, with bash -eo pipefail."""
    origin = Repository(tmp_path / "origin", tmp_path)
    origin.commit("net", net=NET)
    origin.must("git", "clone", "-q", str(origin.folder), str(tmp_path / "work" / "clone"))
    clone = Repository(tmp_path / "work" / "clone", tmp_path)
    clone.must("git", "checkout", "-q", "-b", "change")
    (clone.folder / "models" / "net.yaml").write_text(text)
    summary = tmp_path / "summary.md"
    clone.env |= {"GITHUB_BASE_REF": "main", "GITHUB_STEP_SUMMARY": str(summary)}
    before, now = job(DOCS)
    bash = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
    clone.must(*bash, before)
    done = clone.run(*bash, now)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"**{says}**" in done.stdout
    assert summary.read_text() == done.stdout


@pytest.mark.parametrize(("text", "code"), [(NET, 0), (BEYOND, 1)])
def test_the_job_of_the_readme(tmp_path: Path, text: str, code: int) -> None:
    checkout = Repository(tmp_path / "checkout", tmp_path)
    checkout.commit("net", net=text, other=WITHIN)
    (script,) = job(ROOT / "README.md")
    done = checkout.run("bash", "-e", "-c", script)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("2 networks\n")
