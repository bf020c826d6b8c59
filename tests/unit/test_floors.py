"""Imports point down only: the drawing of docs/architecture.md, kept true."""

import ast
import re
from pathlib import Path

import pytest

import zerogex

ROOT = Path(zerogex.__file__).parent
FLOORS = (
    "domain ports clock errors metrics crashpoints",
    "pricing",
    "pipeline analytics alerts backtest",
    "providers simulator store notify serving client",
    "engines",
    "cli app settings env_lines expected announced logs feed_clock measure __main__",
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}


def allowed(importer: str, imported: str) -> bool:
    """May a module of one package import another package?"""
    above, below = FLOOR[importer], FLOOR[imported]
    if above in (0, 5):  # ground and wiring: their own floor too
        return below <= above
    return importer == imported or below < min(above, 3)  # engines never import edges


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """The zerogex packages a file imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "zerogex" else {node.module}
            )
    return {
        name.split(".")[1] for name in found if name and name.startswith("zerogex.") and name != "zerogex.__version__"
    }


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_floor_allows(path: Path) -> None:
    importer = package_of(path)
    offending = {imported for imported in imports_of(path) if not allowed(importer, imported)}
    assert not offending, f"{importer} (floor {FLOOR[importer]}) imports {sorted(offending)}"


def test_every_package_has_a_floor() -> None:
    assert {package_of(path) for path in FILES} <= set(FLOOR)


def test_only_wiring_reads_the_environment() -> None:
    reads = re.compile(r"\bos\.environ\b|\bgetenv\b|from os import .*environ")
    readers = {package_of(path) for path in FILES if reads.search(path.read_text())}
    assert readers <= {"settings", "app", "cli", "logs"}


def test_only_the_wiring_names_a_vendor() -> None:
    namers = [p for p in FILES if package_of(p) in ("engines", "serving", "store", "pipeline", "analytics", "pricing")
              and "zerogex.providers" in p.read_text()]  # fmt: skip
    assert not namers
