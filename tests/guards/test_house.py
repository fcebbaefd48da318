"""Imports point down, files and functions stay small, nothing forbidden is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "wgan"
MODULES = sorted(SRC.rglob("*.py"))
NO_PARENTS = {"ABC", "Exception", "Generic[T]", "NamedTuple", "Protocol"}
"""Bases whose methods a class does not override, for they have none."""

LAYERS = [
    {"errors", "registry", "config", "files", "seeds", "schedule", "view", "console", "scales", "worker"}
    | {"machine", "words", "surroundings", "limits", "confidence", "arrays"},
    {"parallel"},
    {"networks", "data", "distances", "objectives", "optimizers", "pictures", "options"},
    {"slopes"},
    {"constraints", "certificate", "curves"},
    {"descent"},
    {"measure", "model"},
    {"trainer", "run"},
    {"build", "diagnosis"},
    {"overview", "sets", "compare", "histograms", "figures"},
    {"loop"},
    {"checkup"},
    {"api"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
APART = ({"networks", "data", "distances", "pictures"}, {"trainer", "run"})


def layer(name: str) -> int:
    return next(number for number, members in enumerate(LAYERS) if name in members)


def imports(path: Path) -> set[str]:
    """The parts of the package that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "wgan":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {a.name for a in node.names if a.name != "__version__"}
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("wgan.")}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    for other in imports(path) - {part}:
        assert layer(other) <= layer(part), f"{part} imports {other}, which is above it"
        assert not any({part, other} <= apart for apart in APART), f"{part} imports {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_what_a_package_is_made_of_does_not_import_it(path: Path) -> None:
    made_of = imports_of((path.parent / "__init__.py").read_text())
    package = ".".join(("wgan", *path.relative_to(SRC).parent.parts))
    if path.parent != SRC and f"{package}.{path.stem}" in made_of:
        assert package not in imports_of(path.read_text())


def imports_of(text: str) -> set[str]:
    """The modules that names are imported from."""
    return {node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            documentation = ast.get_docstring(node, clean=False) or ""
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno - documentation.count("\n") <= 60, node.name


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_nothing_forbidden(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {(n.module or "").split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not names & {"pickle", "dill", "joblib", "torchvision"}
    calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    assert not calls & {"torch.load", "torch.save", "eval", "exec"}
    allowed = [k for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords if k.arg == "allow_pickle"]
    assert all(isinstance(k.value, ast.Constant) and k.value.value is False for k in allowed)


def test_files_of_tests_can_be_read_in_one_go() -> None:
    tests = Path(__file__).parents[1].rglob("*.py")
    assert {path.name: n for path in tests if (n := len(path.read_text().splitlines())) > 500} == {}


def test_every_public_name_is_documented() -> None:
    """But for methods that a parent documents."""
    for path in MODULES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree) or not tree.body, path
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        heads = [each for each in classes if {ast.unparse(base) for base in each.bases} <= NO_PARENTS]
        for node in (*tree.body, *(member for each in heads for member in each.body)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


@pytest.mark.parametrize("statement", ["import wgan", "import wgan.cli", "import wgan.config, wgan.options, wgan.data"])
def test_nothing_slow_at_import(statement: str) -> None:
    code = f"{statement}; import sys; print([m for m in ('torch', 'matplotlib', 'numpy') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
