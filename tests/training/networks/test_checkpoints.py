import os

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from makeup_training.checkpoints import (
    PSGAN_DEAD_KEYS,
    CheckpointError,
    load_portrait_editor,
    load_psgan,
    load_ssat,
    load_weights,
    read_metadata,
    save_weights,
)
from makeup_training.networks.portrait_edit import PortraitEditor
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.networks.ssat import SSATGenerator


def assert_equal_weights(a, b):
    other = b.state_dict()
    for key, value in a.state_dict().items():
        assert torch.equal(value, other[key]), key


def test_weights_and_metadata_round_trip(tmp_path):
    saved, loaded = PSGANGenerator(width=8), PSGANGenerator(width=8)
    path = tmp_path / "models" / "generator.safetensors"
    save_weights(saved, path, metadata={"width": 8, "licence": "Apache-2.0"})
    load_weights(loaded, path)
    assert_equal_weights(saved, loaded)
    assert read_metadata(path) == {"width": 8, "licence": "Apache-2.0"}
    assert set(load_file(path)) == set(saved.state_dict())
    assert os.listdir(path.parent) == ["generator.safetensors"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    network = nn.Linear(2, 2)
    save_weights(network, path)
    before = path.read_bytes()

    def fail(tensors, filename, metadata):
        filename.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("makeup_training.checkpoints.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_weights(nn.Linear(2, 2), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_saving_under_another_suffix_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"expected a name that ends in \.safetensors"):
        save_weights(nn.Linear(2, 2), tmp_path / "w.pth")


@pytest.mark.parametrize("with_dead_keys", [True, False])
def test_published_psgan_file_loads_with_or_without_its_dead_keys(tmp_path, with_dead_keys):
    saved, loaded = PSGANGenerator(width=8), PSGANGenerator(width=8)
    state = saved.state_dict()
    for key in PSGAN_DEAD_KEYS:
        assert key in state
        if with_dead_keys:
            state[key] = torch.full((9, 9), 9.0)
        else:
            del state[key]
    torch.save(state, tmp_path / "G.pth")
    load_psgan(loaded, tmp_path / "G.pth")
    for key, value in loaded.state_dict().items():
        if key not in PSGAN_DEAD_KEYS:
            assert torch.equal(value, state[key])


def test_published_ssat_file_is_a_table_of_networks(tmp_path):
    saved, loaded = SSATGenerator(width=8), SSATGenerator(width=8)
    content = {name: part.state_dict() for name, part in saved.named_children()}
    torch.save(content | {"ep": 999, "total_it": 10}, tmp_path / "SSAT.pth")
    load_ssat(loaded, tmp_path / "SSAT.pth")
    assert_equal_weights(saved, loaded)


def test_ssat_file_that_lacks_a_network(tmp_path):
    torch.save({"enc_c": {}, "gen": {}}, tmp_path / "SSAT.pth")
    with pytest.raises(CheckpointError, match="missing: enc_a, enc_s, enc_trans"):
        load_ssat(SSATGenerator(width=8), tmp_path / "SSAT.pth")


def test_published_portrait_files(tmp_path):
    saved, loaded = PortraitEditor(width=2), PortraitEditor(width=2)
    for name, child in saved.named_children():
        if not name.endswith("_image"):
            torch.save(child.state_dict(), tmp_path / f"latest_net_{name}.pth")
    load_portrait_editor(loaded, tmp_path)
    assert_equal_weights(saved.G, loaded.G)
    assert_equal_weights(saved.encoder_mouth, loaded.encoder_mouth)
    (tmp_path / "latest_net_encoder_hair.pth").unlink()
    with pytest.raises(CheckpointError, match=r"missing: latest_net_encoder_hair\.pth"):
        load_portrait_editor(loaded, tmp_path)


def test_every_misfit_is_named_and_nothing_is_loaded(tmp_path):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    state = {
        "0.weight": torch.zeros(2, 2),
        "1.weight": torch.zeros(4, 2),
        "1.bias": torch.zeros(3),
        "2.weight": torch.zeros(1),
    }
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        load_weights(network, tmp_path / "w.pth")
    message = str(caught.value)
    assert "w.pth does not fit Sequential" in message
    assert "missing: 0.bias;" in message
    assert "unexpected: 2.weight;" in message
    assert "shape: 1.weight (4, 2) instead of (3, 2)." in message
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


def test_long_lists_of_misfits_are_cut(tmp_path):
    network = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in range(10)))
    torch.save({}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"missing: 0\.weight, .*, 7\.weight, and 2 more\. "):
        load_weights(network, tmp_path / "w.pth")


def test_batch_counters_may_be_absent(tmp_path):
    saved, loaded = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    nn.init.uniform_(saved.weight)
    state = {k: v for k, v in saved.state_dict().items() if k != "num_batches_tracked"}
    torch.save(state, tmp_path / "bn.pth")
    load_weights(loaded, tmp_path / "bn.pth")
    assert_equal_weights(saved, loaded)


class Dangerous:
    def __reduce__(self):
        return (os.getcwd, ())


def test_code_in_a_pickle_is_refused(tmp_path):
    torch.save({"a": Dangerous()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="refused, as it holds more than tensors"):
        load_weights(nn.Linear(1, 1), tmp_path / "evil.pth")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.pth", b"nonsense", "damaged or not a checkpoint|refused"),
        ("w.pth", b"", "damaged or not a checkpoint"),
        ("w.safetensors", b"nonsense", "damaged or not a checkpoint"),
    ],
)
def test_damaged_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_weights(nn.Linear(1, 1), tmp_path / name)


def test_missing_file_and_wrong_content(tmp_path):
    with pytest.raises(CheckpointError, match="no such file, expected a checkpoint"):
        load_weights(nn.Linear(1, 1), tmp_path / "none.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="expected a table of tensors, got list"):
        load_weights(nn.Linear(1, 1), tmp_path / "list.pth")
    torch.save({"weight": torch.zeros(1), "ep": 3}, tmp_path / "mixed.pth")
    with pytest.raises(CheckpointError, match="but ep hold something else"):
        load_weights(nn.Linear(1, 1), tmp_path / "mixed.pth")
    with pytest.raises(CheckpointError, match="cannot read its metadata"):
        read_metadata(tmp_path / "none.safetensors")
