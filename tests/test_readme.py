"""The commands and links of README and docs, and the README's code, work as they stand."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from wgan import options
from wgan.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def shell(text: str) -> list[str]:
    """The lines of a page's commands."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


SHELL = shell(README)
COMMANDS = sorted({line for page in PAGES for line in shell(page.read_text()) if line.startswith("wgan ")})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    _, bound, _ = app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)
    given = {k: v for k, v in vars(bound.arguments.get("flags") or options).items() if k in options.all_fields() and v}
    options.make_config(given)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", aim.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}, target


def test_the_make_targets_are_there() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    wanted = [line.split()[1] for line in SHELL if line.startswith("make ")]
    assert wanted and set(wanted) <= set(targets)


@pytest.mark.parametrize("name", options.presets())
def test_every_preset_is_named(name: str) -> None:
    assert f"`{name}`" in README


def test_pictures_are_there() -> None:
    for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README):
        with Image.open(ROOT / path) as picture:
            assert min(picture.size) > 200


class MyGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(64, 3 * 64 * 64)

    def forward(self, z: Tensor) -> Tensor:
        return self.body(z).view(-1, 3, 64, 64).tanh()


class MyCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3 * 64 * 64, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.flatten(1))


def test_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(70):
        pixels = np.random.default_rng(i).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    names = {"MyGenerator": MyGenerator, "MyCritic": MyCritic}
    exec(code.replace('"10m"', '"1s"').replace("steps=1000", "steps=50"), names)
    assert names["images"].shape == (64, 64, 64, 3) and names["again"].shape == (16, 64, 64, 3)
    assert capsys.readouterr().out.startswith("50 ")
