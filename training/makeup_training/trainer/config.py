"""Recipe files: one TOML file per system, with the published values as defaults."""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from makeup_kernels.errors import MakeupError

_RECIPES = resources.files("makeup_training") / "recipes" / "configs"


class ConfigError(MakeupError):
    """A recipe file or an override is invalid."""


@dataclass(frozen=True)
class OptimiserConfig:
    """Options of the optimiser.

    Attributes:
        name: `adam` or `rmsprop`.
        rate: learning rate at the start.
        betas: betas of Adam.
        weight_decay: L2 penalty.
        decay_from: fraction of steps after which the rate falls linearly to 0; 1 for never.
        generator_every: steps of the judges per step of the generator.
    """

    name: str = "adam"
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 0.0
    decay_from: float = 1.0
    generator_every: int = 1


@dataclass(frozen=True)
class DataConfig:
    """Options of the training examples.

    Attributes:
        pairs: `renderer` (bare faces, painted, with ground truth), `photos` (photos without and
            with makeup, no truth), or `auto`: photos if the data set has some with makeup.
        regions: rule of `data.portraits.regions_of`.
        augment: whether faces are augmented.
        pseudo_share: weight of the warped reference in a pseudo pair, by region name.
        styles: names of the region-sensitive GAN's styles; the first is bare.
        one_look_each: see `data.examples.StyleOptions`.
        attributes: CelebA columns of the joint training.
    """

    pairs: str = "auto"
    regions: str = "sdk"
    augment: bool = True
    pseudo_share: Mapping[str, float] = field(default_factory=dict)
    styles: Sequence[str] = ("bare", "natural", "classic", "evening", "smoky")
    one_look_each: bool = False
    attributes: Sequence[str] = ()


@dataclass(frozen=True)
class FileConfig:
    """Paths of weights and data; an empty path means none.

    Attributes:
        vgg: VGG-16 or VGG-19 (portrait editing), torchvision's format, for the perceptual loss.
        teacher: PSGAN's generator, for low-resolution PSGAN without ground truth.
        parser: portrait editing's `FaceParser`; without it one is trained as well.
        lpips_vgg, lpips_linear: VGG-16 in torchvision's format and LPIPS' linear weights.
        inception: FID's Inception as TorchScript, uint8 images to (B, 2048).
        celeba: folder of CelebA, for the joint training of the region-sensitive GAN.
    """

    vgg: str = ""
    teacher: str = ""
    parser: str = ""
    lpips_vgg: str = ""
    lpips_linear: str = ""
    inception: str = ""
    celeba: str = ""


@dataclass(frozen=True)
class Config:
    """One training run.

    Attributes:
        recipe: name of the system.
        width: channels of the networks' first stages (published: 64).
        size: side of the crops in pixels.
        batch: examples per step.
        steps: number of steps of the judges.
        seed: seed of weights, data and noise.
        triples: train only on this many first examples, for an overfit check; 0 for all.
        supervised_weight: weight of our own term, the distance to the renderer's ground truth: mean
            L1 of the picture plus that of each region. The published trainings do not have it (0).
        truth_alone_until: fraction of steps in which the generators learn only from that truth and
            the judges wait (published: 0).
        norms_fixed_from: fraction of steps after which the generators' batch norms keep their
            statistics, so that they train as in inference; 1 for never, as published.
        checkpoint_every, validate_every: intervals in steps.
        validation_examples: number of held-back examples for metrics and sheets.
        weights: weights of the loss terms, by the field names of the system's weights.
        model: options of the recipe.
        optimiser, data, files: see the classes.
    """

    recipe: str
    width: int = 16
    size: int = 256
    batch: int = 1
    steps: int = 100_000
    seed: int = 0
    triples: int = 0
    supervised_weight: float = 0.0
    truth_alone_until: float = 0.0
    norms_fixed_from: float = 1.0
    checkpoint_every: int = 1000
    validate_every: int = 1000
    validation_examples: int = 8
    weights: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    data: DataConfig = field(default_factory=DataConfig)
    files: FileConfig = field(default_factory=FileConfig)

    def to_json(self) -> str:
        """The whole configuration as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2)


_MAY_CHANGE = {"steps", "checkpoint_every", "validate_every"}
"""Values that may change when a run is resumed."""


def shipped_recipes() -> list[str]:
    """Names of the recipe files in this package."""
    names = [path.name for path in _RECIPES.iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith("toml"))


def _table(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: not TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:  # comes with the extra `train`, and `makeup-train --list` works without it
        import tomli as tomllib
    return tomllib.loads(text)


def load_config(recipe: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a recipe file.

    Args:
        recipe: the name of a shipped recipe, or a path that ends in .toml.
        overrides: values by dotted name, such as `{"optimiser.rate": 1e-4}`.

    Raises:
        ConfigError: no such recipe, bad TOML, an unknown name or a value of the wrong type.
    """
    if recipe.endswith(".toml"):
        path = Path(recipe)
        if not path.is_file():
            raise ConfigError(f"{path}: no such recipe file")
        text = path.read_text()
    else:
        if recipe not in shipped_recipes():
            raise ConfigError(
                f"recipe {recipe!r}: expected one of {', '.join(shipped_recipes())}, "
                "or the path of a .toml file"
            )
        text = (_RECIPES / f"{recipe}.toml").read_text()
    try:
        values = _table(text)
    except ValueError as error:
        raise ConfigError(f"{recipe}: not TOML: {error}") from error
    for name, value in (overrides or {}).items():
        _set(values, name.split("."), value)
    config: Config = _build(Config, values, recipe)
    return config


def parse_setting(text: str) -> tuple[str, Any]:
    """Parse `name=value` from the command line; the value is TOML, else text.

    Raises:
        ConfigError: no equals sign.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: expected name=value, such as optimiser.rate=1e-4")
    try:
        return name.strip(), _table(f"value = {value}")["value"]
    except ValueError:
        return name.strip(), value


def check_same_run(old: str, new: Config, where: Path) -> None:
    """Check that a run may be resumed with these values.

    Args:
        old: `Config.to_json` at the run's start.
        new: the current values.
        where: the run's folder, for the message.

    Raises:
        ConfigError: values differ; the message names them.
    """
    before, now = json.loads(old), json.loads(new.to_json())
    changed = [
        f"{key} {before.get(key)!r} -> {now.get(key)!r}"
        for key in {**before, **now}
        if key not in _MAY_CHANGE and before.get(key) != now.get(key)
    ]
    if changed:
        raise ConfigError(
            f"{where}: the run was started with other values: {'; '.join(changed)}; resume with "
            "those of its config.json, or start a new run with another --out"
        )


def _set(values: dict[str, Any], name: Sequence[str], value: Any) -> None:
    for key in name[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{'.'.join(name)}: {key} is not a table")
    values[name[-1]] = value


def _build(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """Build a dataclass from tables; unknown names and wrong types are errors."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ConfigError(f"{where}: unknown {', '.join(unknown)}; it has {', '.join(fields)}")
    arguments = {}
    for name, value in values.items():
        expected = fields[name].type
        label = f"{where}: {name}"
        if isinstance(expected, type) and dataclasses.is_dataclass(expected):
            arguments[name] = _build(expected, _checked(value, dict, label), label)
        elif expected in (int, float, str, bool):
            arguments[name] = _checked(value, expected, label)
        elif isinstance(value, list):
            arguments[name] = tuple(value)
        else:
            arguments[name] = value
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _checked(value: Any, expected: Any, label: str) -> Any:
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        kind = "a table" if expected is dict else expected.__name__
        raise ConfigError(f"{label}: got {value!r}, expected {kind}")
    return value


def weights_of(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """A system's published loss weights, overridden by a recipe file's values.

    Raises:
        ConfigError: an unknown term.
    """
    known = {f.name for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(
            f"{where}, weights: unknown {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        )
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
