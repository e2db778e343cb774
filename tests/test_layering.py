"""The floor plan, held: who imports whom, what start-up loads, who prints."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "cnncost"
ORDER = [
    "errors",
    "dims",
    "options",
    "cost",
    "ops",
    "graph",
    "spec",
    "onnx",
    "devices",
    "analysis",
    "output",
    "api",
    "cli",
]
"""Each room may import from those to its left, and from itself."""
WALLED = {"torch", "torchvision", "fvcore"}
EXCEPTIONS = {("analysis/report.py", f"cnncost.output.{module}") for module in ("notebook", "records", "tables")}
EXCEPTIONS |= {
    (f"analysis/{module}.py", f"cnncost.output.{module}")
    for module in ("align", "budget", "compare", "explain", "roofline")
}
"""A report shows itself, in a shell, a notebook or as JSON: users expect methods, and these want tables."""
FILES = sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> list[tuple[str, int, bool]]:
    """(module, line, for typing only) of every import, those inside functions too."""
    found = []
    tree = ast.parse(file.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in typing_only) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            module = node.module or ""
            names = [f"{module}.{a.name}" if module == "cnncost" else module for a in node.names]
            found += [(name, node.lineno, id(node) in typing_only) for name in names]
    return found


def test_every_room_is_in_the_plan() -> None:
    rooms = {room(f) for f in FILES} - {"__init__", "__main__", "live"}
    assert rooms <= set(ORDER)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    here = room(file)
    if here in ("__init__", "__main__", "live"):
        return
    for module, line, typing_only in imports(file):
        parts = module.split(".")
        assert parts[0] not in WALLED, f"{file}:{line} imports {module} outside live/"
        if (file.relative_to(PACKAGE).as_posix(), module) in EXCEPTIONS:
            continue
        if parts[0] == "cnncost" and len(parts) > 1 and not typing_only and parts[1] not in ("__version__", "live"):
            assert ORDER.index(parts[1]) <= ORDER.index(here), f"{file}:{line}: {here} imports {module}"
        if parts[:2] == ["cnncost", "live"]:
            assert here in ("api", "cli"), f"{file}:{line}: {here} imports {module}"


@pytest.mark.parametrize("file", [f for f in FILES if room(f) not in ("cli", "__main__")], ids=lambda f: f.name)
def test_only_the_cli_prints_or_exits(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in ("print", "click.echo", "sys.exit", "exit"), f"{file}:{node.lineno} calls {name}"


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running code."""
    code += "\nimport sys\nprint('\\n' + ' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import cnncost")
    assert not loaded & {"torch", "numpy", "rich", "click", "yaml"}


@pytest.mark.parametrize(
    "command",
    [
        "report alexnet",
        "report resnet152 --by block",
        "list",
        "report vgg16 --format json",
        "explain alexnet conv2",
        "devices rtx-4090",
        "memory resnet50 --train --optimizer adam",
        "fit alexnet --memory 3GiB --train",
        "budget alexnet --max-macs 1G --max-training-peak 3GiB --max-time 5ms --device rtx-4090",
        "report alexnet --train-run published --crops 10 --device v100",
    ],
)
def test_the_analytic_path_loads_neither_torch_nor_numpy(command: str) -> None:
    code = f"""
from cnncost.cli import main
try:
    main({command.split()!r})
except SystemExit as e:
    assert e.code == 0
"""
    assert not loaded_by(code) & {"torch", "fvcore", "onnx", "numpy", "pandas", "jsonschema", "hypothesis"}
