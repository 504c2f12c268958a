"""Models by name."""

import pytest

from makeup_sdk import InvalidInputError
from makeup_sdk.cli import app
from makeup_sdk.models.facts import FACTS, MODELS
from makeup_sdk.models.registry import open_model, shipped_models
from makeup_sdk.weights import FOLDER


def test_every_shipped_model_opens_by_its_name() -> None:
    assert set(shipped_models()) >= {"mobile", "products"}
    for name in shipped_models():
        assert open_model(name).name == name


def test_models_without_weights_say_so() -> None:
    missing = set(FACTS) - set(shipped_models())
    for name in missing:
        assert not (FOLDER / name).exists()
        with pytest.raises(InvalidInputError, match=f"no weights of '{name}' ship with") as error:
            open_model(name)
        assert "expected one of mobile, products" in str(error.value)
        assert f"makeup export {name}" in str(error.value)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="'psgam' is unknown; expected one of mobile"):
        open_model("psgam")


def test_the_command_lists_all_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    app(["models", "--threads", "1"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    for name in FACTS:
        row = next(line for line in lines if line.split()[:1] == [name])
        cells = [cell.strip() for cell in row.split("│")]
        if name not in shipped_models():
            assert cells[-1] == "not shipped"
        else:
            assert float(cells[4]) > 0
            assert cells[-1] == ("no weights" if name in MODELS else "Apache-2.0")
