"""Damaged training checkpoints give tensors or a `CheckpointError`."""

import json
import pickle
from contextlib import suppress

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import nn  # noqa: E402

from makeup_training.checkpoints import (  # noqa: E402
    CheckpointError,
    load_weights,
    read_metadata,
    read_tensors,
    save_weights,
)
from makeup_training.trainer.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_safetensors(damages, tmp_path):
    path = tmp_path / "x.safetensors"
    save_weights(network(), path, metadata={"step": 3, "width": [1, 2]})
    said = []
    for data in damages(path.read_bytes(), 150):
        path.write_bytes(data)
        for read in (read_tensors, read_metadata, lambda path: load_weights(network(), path)):
            try:
                read(path)
            except CheckpointError as error:
                said.append(str(error))
    assert len(said) > 50
    assert all(str(path) in text for text in said)


@pytest.mark.parametrize(
    "metadata", [{"step": "[" * 100_000}, {"step": "1" * 5000}, {"step": "nothing"}, {"step": ""}]
)
def test_metadata_that_is_no_json(metadata, tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match="cannot read its metadata"):
        read_metadata(tmp_path / "x.safetensors")


def test_metadata_of_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match="cannot read its metadata"):
        read_metadata(tmp_path)


@pytest.mark.parametrize("old_format", [False, True])
def test_pickled_state(old_format, damages, tmp_path):
    path = tmp_path / "x.pth"
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=not old_format)
    said = []
    for data in damages(path.read_bytes(), 120):
        path.write_bytes(data)
        try:
            load_weights(network(), path)
        except CheckpointError as error:
            said.append(str(error))
    assert len(said) > 20
    assert all(str(path) in text for text in said)


def test_pickles_inside(damages_in_zip, tmp_path):
    path = tmp_path / "x.pth"
    torch.save(network().state_dict(), path)
    for data in damages_in_zip(path.read_bytes(), "x/data.pkl", 150):
        path.write_bytes(data)
        with suppress(CheckpointError):
            load_weights(network(), path)


class Touch:
    """Runs a function when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_code_is_never_run(tmp_path):
    mark = tmp_path / "ran"
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps({"weight": Touch(str(mark))}))
    with pytest.raises(CheckpointError):
        read_tensors(path)
    torch.save({"weight": Touch(str(mark))}, path)
    with pytest.raises(CheckpointError, match="refused, as it holds more than tensors"):
        read_tensors(path)
    assert not mark.exists()


def saved_run(folder):
    net = network()
    optimiser = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 3)).sum().backward()
    optimiser.step()
    return save_checkpoint(folder, 7, {"net": net}, {"adam": optimiser}, {"width": 1})


@pytest.mark.parametrize("name", ["net.safetensors", "state.safetensors", "state.json"])
def test_states_of_runs(name, damages, tmp_path):
    path = saved_run(tmp_path)
    for data in damages((path / name).read_bytes(), 25):
        (path / name).write_bytes(data)
        net = network()
        with suppress(CheckpointError):
            assert isinstance(
                load_checkpoint(path, {"net": net}, {"adam": torch.optim.Adam(net.parameters())}),
                int,
            )


@pytest.mark.parametrize(
    "facts",
    [
        [],
        {},
        {"step": 1},
        {"groups": {}},
        {"step": None, "groups": {"adam": 1}},
        {"step": 1, "groups": []},
    ],
)
def test_facts_of_runs(facts, tmp_path):
    path = saved_run(tmp_path)
    (path / "state.json").write_text(json.dumps(facts))
    net = network()
    with pytest.raises(CheckpointError, match="cannot read the state of the run"):
        load_checkpoint(path, {"net": net}, {"adam": torch.optim.Adam(net.parameters())})


def flat(net: nn.Module, optimiser: torch.optim.Optimizer) -> list[torch.Tensor]:
    kept = [value for entry in optimiser.state_dict()["state"].values() for value in entry.values()]
    return [value.clone() for value in (*net.state_dict().values(), *kept, torch.get_rng_state())]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("random/cpu", None, "no state of the random stream"),
        ("random/cpu", torch.zeros(3, dtype=torch.uint8), "RuntimeError"),
        ("random/cpu", torch.zeros(3), "TypeError"),
        ("optimiser/adam/0/exp_avg", torch.zeros(2, 3), r"exp_avg has shape \(2, 3\)"),
        ("optimiser/adam/99/exp_avg", torch.zeros(2, 3), "IndexError"),
        ("optimiser/adam/x/exp_avg", torch.zeros(2, 3), "ValueError"),
        ("optimiser/adam/0", torch.zeros(()), "ValueError"),
        ("step", None, "step is 'x', expected a whole number"),
        ("groups", None, "parameter group that doesn't match the size"),
    ],
)
def test_nothing_is_half_loaded(key, value, said, tmp_path):
    from safetensors.torch import load_file, save_file

    path = saved_run(tmp_path)
    facts, tensors = (
        json.loads((path / "state.json").read_text()),
        load_file(path / "state.safetensors"),
    )
    if key == "step":
        facts["step"] = "x"
    elif key == "groups":
        facts["groups"]["adam"][0]["params"].pop()
    elif value is None:
        del tensors[key]
    else:
        tensors[key] = value
    save_file(tensors, path / "state.safetensors")
    (path / "state.json").write_text(json.dumps(facts))
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimiser = torch.optim.Adam(net.parameters(), 0.5)
    net(torch.ones(2, 3)).sum().backward()
    optimiser.step()
    before = flat(net, optimiser)
    with pytest.raises(CheckpointError, match=said) as raised:
        load_checkpoint(path, {"net": net}, {"adam": optimiser})
    assert str(path) in str(raised.value)
    for got, expected in zip(flat(net, optimiser), before, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True)
    assert optimiser.param_groups[0]["lr"] == 0.5


def test_a_whole_run_arrives(tmp_path):
    """So that the refusals above are not for another reason."""
    path, net = saved_run(tmp_path), network()
    optimiser = torch.optim.Adam(net.parameters(), 0.5)
    assert load_checkpoint(path, {"net": net}, {"adam": optimiser}) == 7
    assert optimiser.param_groups[0]["lr"] == 1e-3
    assert optimiser.state_dict()["state"].keys() == {0, 1, 2, 3}
