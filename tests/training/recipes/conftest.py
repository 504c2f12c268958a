"""A tiny run: six faces, narrow networks, small crops."""

import pytest

from makeup_training.data.readers import open_collection
from makeup_training.trainer.config import load_config

SMALL = {
    "width": 2,
    "size": 64,
    "batch": 1,
    "steps": 2,
    "validation_examples": 1,
    "checkpoint_every": 1,
    "validate_every": 2,
    "data.augment": False,
}


@pytest.fixture
def tiny_config():
    """A recipe's configuration, made small; keyword `overrides` by dotted name."""

    def make(recipe, **overrides):
        values = dict(SMALL)
        if recipe.startswith("portrait-edit"):
            values["size"] = 256
        return load_config(recipe, values | overrides.pop("extra", {}) | overrides)

    return make


@pytest.fixture
def collection(faces_layout):
    found = open_collection(faces_layout)
    faces = found.bare + found.held_bare
    return type(found)(faces, [], faces, [])
