"""Flags, keywords and TOML to a configuration and back."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgan import options
from wgan.config import Config, LossConfig, OptimizerConfig
from wgan.errors import UsageError, WganError
from wgan.registry import CONSTRAINTS


def test_flat_names_are_unique_and_every_field_has_a_help_text() -> None:
    fields = options.all_fields()
    assert len(fields) == sum(len(dataclasses.fields(getattr(Config(), s.name))) for s in dataclasses.fields(Config))
    assert all(f.help.endswith(".") for f in fields.values())


def test_text_and_python_values_mean_the_same() -> None:
    texts = {"size": "48x64", "betas": "0.5,0.999", "weight": "10", "batch": "32", "channels": "3", "flip": True}
    values = {"size": (48, 64), "betas": [0.5, 0.999], "weight": 10, "batch": 32, "channels": 3, "flip": True}
    assert options.make_config(texts) == options.make_config(values)
    assert options.make_config({"size": 64}).data.size == (64, 64)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bacth": 3}, "Did you mean 'batch'"),
        ({"fit": "crp"}, "--fit: unknown value 'crp'. Did you mean 'crop'"),
        ({"batch": 0}, "--batch: 0 is too small; at least 1"),
        ({"batch": 2.5}, "--batch: 2.5 is not a whole number"),
        ({"batch": True}, "--batch: True is not a whole number"),
        ({"critic_lr": "nan"}, "--critic-lr: 'nan' is not a number"),
        ({"flip": "yes"}, "--flip: 'yes' is not true or false"),
        ({"size": "3x4x5"}, "--size: '3x4x5' is not a size; write 64 or 48x64"),
        ({"betas": "0.5,1"}, "--betas: 1.0 is too large"),
        ({"betas": "0x0.9"}, "--betas: '0x0.9' must be 2 numbers"),
        ({"generator_widths": "32x64"}, "--generator-widths: '32x64' is not a whole number"),
        ({"channels": 2}, "--channels: unknown value '2'"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        options.make_config(given)
    assert message in str(error.value)


def test_later_layers_win_and_drop_what_contradicts_them() -> None:
    preset = {"epochs": 60, "batch": 64, "critic": "dcgan", "critic_widths": [64, 128], "critic_kernel": 5}
    config = options.make_config(preset, {"time": "3m", "batch": 8, "critic_width": 16})
    assert (config.run.epochs, config.run.time, config.run.batch) == (None, "3m", 8)
    assert (config.critic.widths, config.critic.width, config.critic.kernel) == (None, 16, 5)
    other = options.make_config(preset, {"critic": "mlp"})
    assert (other.critic.family, other.critic.widths, other.critic.kernel) == ("mlp", None, None)
    paper = options.make_config(options.preset("wgan"), {"generator_widths": [8, 8]}).generator
    assert (paper.widths, paper.width, paper.refine, paper.modulate) == ((8, 8), None, None, None)
    same = options.make_config(options.preset("wgan"), {"generator_width": 8}).generator
    assert same.refine is False and same.modulate is False
    classic = options.preset("gan-minimax")
    assert options.make_config(classic, {"optimizer": "rmsprop"}).optimizer.betas == OptimizerConfig().betas
    assert options.make_config(classic, {"optimizer": "adam"}).optimizer.betas == (0.5, 0.999)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("name", options.presets())
def test_another_constraint_has_its_own_weight_and_interval(name: str, constraint: str) -> None:
    preset = options.preset(name)
    loss = options.make_config(preset, {"constraint": constraint}).loss
    if constraint == preset["constraint"]:
        assert loss.weight == tuple(preset.get("weight", ())) or loss.weight is None
    else:
        assert (loss.weight, loss.every) == (None, (1,))
    assert options.make_config(preset, {"constraint": constraint, "weight": 3}).loss.weight == (3,)


def test_to_name_the_constraint_that_is_meant_by_default_changes_nothing() -> None:
    first = {"weight": (5,), "every": (2,)}
    same = options.make_config(first, {"constraint": LossConfig().constraint}).loss
    assert (same.weight, same.every) == ((5.0,), (2,))
    other = options.make_config(first, {"constraint": "lp"}).loss
    assert (other.weight, other.every) == (None, (1,))


@pytest.mark.parametrize("name", options.presets())
def test_toml_gives_the_configuration_back(name: str, tmp_path: Path) -> None:
    config = options.make_config(options.preset(name))
    path = tmp_path / "config.toml"
    path.write_text(options.to_toml(config))
    assert options.make_config(options.read_toml(path)) == config


@given(st.integers(1, 10**6), st.floats(1e-9, 1e3), st.integers(1, 4096), st.integers(1, 4096))
def test_any_numbers_survive_toml(batch: int, lr: float, height: int, width: int) -> None:
    import tomllib

    config = options.make_config({"batch": batch, "critic_lr": lr, "size": (height, width)})
    tables = tomllib.loads(options.to_toml(config))
    assert (tables["run"]["batch"], tables["optimizer"]["critic_lr"]) == (batch, lr)
    assert tables["data"]["size"] == [height, width]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data", "not valid TOML"),
        ("[dat]\nsize=3", "unknown section 'dat'. Did you mean 'data'"),
        ("[data]\nsiez=3", "unknown key 'siez'. Did you mean 'size'"),
        ("batch = 3", "unknown section 'batch'"),
        ('[run]\nbatch = "many"', "c.toml, section [run], batch: 'many' is not a whole number."),
        ("[critic]\nwidth = 2.5", "c.toml, section [critic], width: 2.5 is not a whole number."),
        ("[optimizer]\nbetas = [0.0, 1.5]", "c.toml, section [optimizer], betas: 1.5 is too large"),
    ],
)
def test_bad_toml_is_refused_in_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        options.read_toml(tmp_path / "c.toml")
    assert message in str(error.value)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(WganError, match=r"nothing\.toml"):
        options.read_toml(tmp_path / "nothing.toml")


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'wgan-gp'\?.*conv-gp"):
        options.preset("wgan-pg")


def test_a_layer_that_names_no_other_network_constraint_or_optimizer_drops_nothing() -> None:
    earlier: dict[str, Any] = {
        "critic": "dcgan", "critic_kernel": 5, "generator": "dcgan", "generator_widths": (8, 4), "constraint": "gp",
        "weight": 3.0, "every": 2, "optimizer": "rmsprop", "betas": (0.5, 0.9), "steps": 7,
    }  # fmt: skip
    plain = options.flatten(options.make_config(earlier))
    assert options.flatten(options.make_config(earlier, {"batch": 9})) == plain | {"batch": 9}
    assert options.flatten(options.make_config(earlier, {})) == plain


def test_whole_numbers_are_exact_however_large() -> None:
    for seed in (2**53 + 1, str(2**53 + 1)):
        assert options.make_config({"seed": seed}).run.seed == 2**53 + 1
    with pytest.raises(UsageError, match=f"^--seed: {2**63} is too large; at most {2**63 - 1} is allowed"):
        options.make_config({"seed": 2**63})


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_up_to_512_threads_are_allowed(name: str) -> None:
    assert getattr(options.make_config({name: 512}).run, name) == 512
    with pytest.raises(UsageError, match=f"--{name}: 513 is too large"):
        options.make_config({name: 513})


@pytest.mark.parametrize("value", [math.inf, math.nan, "inf"])
def test_numbers_are_finite(value: Any) -> None:
    with pytest.raises(UsageError, match="is not a number"):
        options.make_config({"critic_lr": value})
