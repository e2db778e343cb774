"""Which networks there are: specs by patterns and families, and `cnncost list`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import jsonschema
import pytest

import cnncost
from cnncost.output.tables import Paper
from cnncost.spec.catalogue import by_family, catalogue, matching, natural
from cnncost.spec.files import bundled_names

SPEC = "input: 3x8x8\nlayers: {a: {conv: 4}}\n"


@pytest.fixture
def nets(folder: Path) -> Path:
    for name in ("fixed", "narrow", "wide"):
        (folder / f"{name}.yaml").write_text(SPEC)
    return folder


# ---- specs by patterns -------------------------------------------------------------------------


def names(*patterns: str) -> list[str]:
    return list(matching(patterns).values())


def test_globs_cover_bundled_names_and_files(nets) -> None:
    assert names("resnet50*") == [n for n in bundled_names() if n.startswith("resnet50")]
    assert names("*.yaml") == ["fixed.yaml", "narrow.yaml", "wide.yaml"]
    assert names("./[nw]*.yaml") == ["./narrow.yaml", "./wide.yaml"]
    assert names("vgg1[16]") == ["vgg11", "vgg16"]


def test_numbers_in_names_count_as_numbers() -> None:
    assert names("resnet18", "resnet1*")[:2] == ["resnet18", "resnet101"]
    assert sorted(["a10", "a9", "b1"], key=natural) == ["a9", "a10", "b1"]


def test_names_are_in_the_order_of_what_they_say() -> None:
    assert names("regnet_x*") == [f"regnet_x_{n}" for n in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")]
    assert names("mobilenet_v1*[05]") == [f"mobilenet_v1_{n}" for n in ("0_25", "0_5", "0_75")]
    assert names("mnasnet*") == [f"mnasnet{n}" for n in ("0_5", "0_75", "1_0", "1_3")]
    assert sorted(["x_10mfoo", "x_9", "x"], key=natural) == ["x", "x_9", "x_10mfoo"]


def test_each_network_counts_once(nets) -> None:
    os.symlink("narrow.yaml", "link.yaml")
    assert names("alexnet", "alexnet.yaml", "alex*", "all").count("alexnet") == 1
    assert names("narrow.yaml", "./narrow.yaml", "link.yaml", str(nets / "narrow.yaml")) == ["narrow.yaml"]


def test_all_are_the_bundled_ones_by_family_and_year() -> None:
    everything = names("all")
    assert sorted(everything) == sorted(bundled_names())
    entries = {entry["name"]: entry for entry in catalogue()}
    families = [entries[name]["family"] for name in everything]
    runs = [family for i, family in enumerate(families) if i == 0 or family != families[i - 1]]
    assert len(runs) == len(set(runs))
    for group in by_family(entries.values()).values():
        years = [entry["year"] or 9999 for entry in group]
        assert years == sorted(years)


def test_families_by_name_and_glob() -> None:
    vgg = [entry["name"] for entry in catalogue() if entry["family"] == "vgg"]
    assert sorted(names("family:vgg")) == sorted(vgg)
    assert set(names("family:v*")) >= set(vgg)


def test_a_file_called_all_or_with_a_star_is_a_file(nets) -> None:
    Path("all").write_text(SPEC)
    Path("a*b.yaml").write_text(SPEC)
    assert names("all", "a*b.yaml") == ["all", "a*b.yaml"]


# ---- cnncost list --------------------------------------------------------------------------------------


def test_list_by_pattern_and_family(run) -> None:
    def listed(*arguments: str) -> list[str]:
        return [entry["name"] for entry in json.loads(run("list", *arguments, "--format", "json").out)["architectures"]]

    assert listed("vgg1*") == [name for name in bundled_names() if name.startswith("vgg1")]
    assert listed("vgg16", "alexnet") == sorted(n for n in bundled_names() if "vgg16" in n or "alexnet" in n)
    assert listed("--family", "vgg") == [entry["name"] for entry in catalogue() if entry["family"] == "vgg"]
    assert listed("*_bn", "--family", "vgg") == [
        n for n in bundled_names() if n.startswith("vgg") and n.endswith("_bn")
    ]


def test_the_list_as_json_follows_its_schema(run) -> None:
    whole = json.loads(run("list", "--format", "json").out)
    schema = json.loads(run("schema", "list").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(whole, schema)
    assert (whole["schema"], whole["cnncost"]) == (1, cnncost.__version__)
    assert whole["architectures"] == catalogue()


def test_list_groups_by_family(run) -> None:
    lines = run("list", "vgg16*", "resnet50*").out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:2] == ["vgg", "resnet"]
    assert lines[0] == "vgg"
    assert lines[1].split()[0] == "vgg16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("list vvgg16", "error: no architecture fits vvgg16\nhint: did you mean vgg16?\n"),
        ("list xyzzy*", "error: no architecture fits xyzzy*\nhint: cnncost list shows all of them\n"),
        ("list alexnet --family vgg", "error: no architecture in the family vgg fits alexnet\n"),
        ("list --family vggs", "error: no family vggs\nhint: did you mean vgg?\n"),
    ],
)
def test_list_says_what_is_not_there(run, arguments, message) -> None:
    result = run(*arguments.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(message)


@pytest.mark.parametrize("width", [80, 120, 200, None])
def test_list_fits_the_terminal(width) -> None:
    from cnncost.output.lists import catalogue_table

    text = catalogue_table(by_family(catalogue()), Paper(width))
    assert width is None or max(map(len, text.splitlines())) <= width
    for name in bundled_names():
        assert re.search(rf"^  {name} ", text, re.M)
