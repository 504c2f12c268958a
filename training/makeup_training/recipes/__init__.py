"""Training recipes of the published systems; their settings are the TOML files in `configs`."""

from makeup_training.recipes.base import Recipe
from makeup_training.recipes.portrait_edit import PortraitEditRecipe
from makeup_training.recipes.psgan import PSGANRecipe
from makeup_training.recipes.psgan_pose import PSGANPoseRecipe
from makeup_training.recipes.psgan_sr import PSGANSuperResolutionRecipe
from makeup_training.recipes.region_gan import RegionGANRecipe
from makeup_training.recipes.ssat import SSATRecipe
from makeup_training.trainer.config import Config, ConfigError

RECIPES: dict[str, type[Recipe]] = {
    "psgan": PSGANRecipe,
    "psgan-sr": PSGANSuperResolutionRecipe,
    "psgan-pose": PSGANPoseRecipe,
    "region-gan": RegionGANRecipe,
    "ssat": SSATRecipe,
    "portrait-edit": PortraitEditRecipe,
}


def make_recipe(config: Config) -> Recipe:
    """Build the networks and losses of `config.recipe`.

    Raises:
        ConfigError: an unknown system, or an unsupported crop size.
    """
    if config.recipe not in RECIPES:
        raise ConfigError(f"recipe = {config.recipe!r}: expected one of {', '.join(RECIPES)}")
    kind = RECIPES[config.recipe]
    if kind.fixed_size not in (None, config.size):
        raise ConfigError(
            f"{config.recipe}: size {config.size}, but its part networks work with "
            f"{kind.fixed_size} only"
        )
    return kind(config)
