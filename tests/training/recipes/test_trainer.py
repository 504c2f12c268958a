"""The trainer: exact resume after a kill, checkpoints, configuration, errors."""

import json
import shlex
import signal
import subprocess
import sys

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from makeup_training import cli
from makeup_training.checkpoints import CheckpointError, read_metadata
from makeup_training.data.portraits import BadDataError
from makeup_training.data.readers import open_collection
from makeup_training.trainer.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from makeup_training.trainer.config import ConfigError, load_config, parse_setting
from makeup_training.trainer.loop import RunOptions, Trainer, TrainingError
from makeup_training.trainer.run_log import read_log

STEPS = 6
KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import torch
from rich.console import Console
from makeup_training.data.readers import Collection, open_collection
from makeup_training.trainer import checkpoint, loop, run_log
from makeup_training.trainer.config import load_config

torch.set_num_threads(1)  # sums depend on it
where, faces, folder, overrides = sys.argv[1], sys.argv[2], sys.argv[3], eval(sys.argv[4])
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
if where == "after step 5":
    original = run_log.RunLog.losses
    def losses(self, step, values):
        original(self, step, values)
        self.flush()
        if step == 5:
            die()
    run_log.RunLog.losses = losses
else:  # while the checkpoint of step 4 is written
    original_save = checkpoint.save_file
    def save_file(tensors, path, *rest):
        original_save(tensors, path, *rest)
        if checkpoint.checkpoints(path.parent.parent):
            die()
    checkpoint.save_file = save_file
found = open_collection(Path(faces))
faces = found.bare + found.held_bare
config = load_config("psgan", overrides)
options = loop.RunOptions(Path(folder), "cpu", "float32")
trainer = loop.Trainer(config, Collection(faces, [], faces, []), options)
trainer.run(Console(quiet=True))
"""


def overrides(**more):
    return {
        "width": 2,
        "size": 64,
        "steps": STEPS,
        "validation_examples": 1,
        "checkpoint_every": 2,
        "validate_every": 3,
        **more,
    }


def run(collection, folder, *, resume=False, recipe="psgan", **more):
    config = load_config(recipe, overrides(**more))
    trainer = Trainer(config, collection, RunOptions(folder, "cpu", "float32", resume=resume))
    first = trainer.step
    trainer.run(Console(quiet=True))
    return first, trainer


@pytest.fixture(scope="module")
def whole_run(faces_folder, tmp_path_factory):
    """Folder and trainer of a run that nothing ended early."""
    found = open_collection(faces_folder)
    faces = found.bare + found.held_bare
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, run(type(found)(faces, [], faces, []), folder)[1]


@pytest.mark.parametrize(
    ("where", "resumed_at"), [("after step 5", 4), ("while writing the second checkpoint", 2)]
)
def test_killed_run_resumes_exactly(
    where, resumed_at, collection, faces_layout, whole_run, tmp_path
):
    folder, whole = whole_run
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED_RUN,
            where,
            str(faces_layout),
            str(tmp_path / "killed"),
            repr(overrides()),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    first, resumed = run(collection, tmp_path / "killed", resume=True)
    assert first == resumed_at
    assert read_log(tmp_path / "killed") == read_log(folder)
    for name, network in whole.networks.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, resumed.networks[name].state_dict()[key]), (name, key)


def test_noise_of_the_run_resumes_too(collection, tmp_path):
    """The region-sensitive GAN draws random points in its gradient penalty."""
    more = {"recipe": "region-gan", "batch": 1}
    # every step moves the generator, and no decay looks at the number of steps
    more |= {"optimiser.generator_every": 1, "optimiser.decay_from": 1.0}
    run(collection, tmp_path / "whole", **more)
    run(collection, tmp_path / "parted", **more, steps=3)
    first, _ = run(collection, tmp_path / "parted", resume=True, **more)
    assert first == 3
    assert read_log(tmp_path / "parted") == read_log(tmp_path / "whole")


def test_interruption_finishes_the_step_and_writes_a_checkpoint(collection, tmp_path, monkeypatch):
    config = load_config("psgan", overrides(checkpoint_every=100))
    trainer = Trainer(config, collection, RunOptions(tmp_path / "run", "cpu", "float32"))
    original = trainer._train_step

    def interrupted(batch):
        if trainer.step == 2:
            signal.raise_signal(signal.SIGINT)
        return original(batch)

    monkeypatch.setattr(trainer, "_train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(Console(quiet=True))
    assert [p.name for p in checkpoints(tmp_path / "run" / "checkpoints")] == ["step-00000003"]


def test_folder_with_a_run_is_not_overwritten(collection, tmp_path):
    run(collection, tmp_path / "run", steps=2)
    with pytest.raises(TrainingError, match="holds a run already; go on with it with --resume"):
        run(collection, tmp_path / "run", steps=2)


def test_other_values_do_not_resume(collection, tmp_path):
    run(collection, tmp_path / "run", steps=2)
    with pytest.raises(ConfigError, match="started with other values: width 2 -> 4"):
        run(collection, tmp_path / "run", resume=True, width=4)
    first, _ = run(collection, tmp_path / "run", resume=True, steps=3)
    assert first == 2


def test_loss_that_is_not_finite(collection, tmp_path):
    with pytest.raises(TrainingError, match=r"generators' loss is not finite .*optimiser\.rate"):
        run(collection, tmp_path / "run", **{"weights.cycle": float("nan")})


def test_devices_and_optimisers(collection, tmp_path):
    config = load_config("psgan", overrides())
    with pytest.raises(ValueError, match="device 'tpu': expected auto, cpu or cuda"):
        Trainer(config, collection, RunOptions(tmp_path / "a", "tpu"))
    with pytest.raises(ValueError, match="precision 'half': expected auto, float32, bfloat16"):
        Trainer(config, collection, RunOptions(tmp_path / "a", "cpu", "half"))
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="this PyTorch sees no NVIDIA GPU"):
            Trainer(config, collection, RunOptions(tmp_path / "a", "cuda"))
    with pytest.raises(ConfigError, match="expected adam or rmsprop"):
        run(collection, tmp_path / "b", **{"optimiser.name": "sgd"})
    with pytest.raises(ConfigError, match="expected one of photos, renderer, auto"):
        run(collection, tmp_path / "c", **{"data.pairs": "none"})


def test_nothing_held_back(collection, tmp_path):
    few = type(collection)(collection.bare, [], collection.bare[:1], [])
    with pytest.raises(BadDataError, match="validation: the data set has 1 bare faces"):
        run(few, tmp_path / "run")
    # a folder is claimed by a run that can start, not before
    run(collection, tmp_path / "run", steps=1)


def test_mixed_precision_runs(collection, tmp_path):
    config = load_config("psgan", overrides(steps=1))
    trainer = Trainer(config, collection, RunOptions(tmp_path / "run", "cpu", "bfloat16"))
    trainer.run(Console(quiet=True))
    assert all(p.dtype == torch.float32 for p in trainer.recipe.generators.parameters())


def test_rate_falls_linearly(collection, tmp_path):
    config = load_config("ssat", overrides(steps=100))
    trainer = Trainer(config, collection, RunOptions(tmp_path / "run", "cpu", "float32"))
    rates = []
    for trainer.step in (0, 50, 75, 99):
        trainer._set_rate()
        rates.append(trainer.optimisers["judges"].param_groups[0]["lr"])
    assert rates == pytest.approx([2e-4, 2e-4, 1e-4, 4e-6])


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.RMSprop])
def test_checkpoint_brings_everything_back(kind, tmp_path):
    def made():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
        return network, kind(network.parameters(), 0.1)

    def step(network, optimiser):
        optimiser.zero_grad()
        network(torch.randn(4, 3)).square().sum().backward()
        optimiser.step()

    network, optimiser = made()
    step(network, optimiser)
    save_checkpoint(tmp_path, 1, {"n": network}, {"o": optimiser}, {"width": 3})
    for _ in range(2):
        step(network, optimiser)
    fresh, fresh_optimiser = made()
    (path,) = checkpoints(tmp_path)
    assert load_checkpoint(path, {"n": fresh}, {"o": fresh_optimiser}) == 1
    for _ in range(2):
        step(fresh, fresh_optimiser)
    for a, b in zip(network.state_dict().values(), fresh.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_only_the_newest_checkpoint_stays(tmp_path):
    network = torch.nn.Linear(1, 1)
    for step in (1, 2, 10):
        save_checkpoint(tmp_path, step, {"n": network}, {}, {})
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000010"]


def test_damaged_checkpoint(tmp_path):
    network = torch.nn.Linear(1, 1)
    path = save_checkpoint(tmp_path, 1, {"n": network}, {}, {})
    (path / "state.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot read the state of the run"):
        load_checkpoint(path, {"n": network}, {})


def test_settings_of_the_command_line():
    assert parse_setting("optimiser.rate=1e-4") == ("optimiser.rate", 1e-4)
    assert parse_setting('data.styles=["a", "b"]') == ("data.styles", ["a", "b"])
    assert parse_setting("files.vgg=some/path.pth") == ("files.vgg", "some/path.pth")
    with pytest.raises(ConfigError, match="expected name=value"):
        parse_setting("optimiser.rate")


def test_config_errors(tmp_path):
    with pytest.raises(ConfigError, match=r"recipe 'gan': expected one of .*psgan"):
        load_config("gan")
    with pytest.raises(ConfigError, match="no such recipe file"):
        load_config(str(tmp_path / "none.toml"))
    path = tmp_path / "own.toml"
    path.write_text("recipe = ")
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(str(path))
    path.write_text('recipe = "psgan"\nwidth = "wide"')
    with pytest.raises(ConfigError, match="width: got 'wide', expected int"):
        load_config(str(path))
    path.write_text('recipe = "psgan"\nsizes = 3')
    with pytest.raises(ConfigError, match="unknown sizes; it has recipe, width"):
        load_config(str(path))
    path.write_text("width = 16")
    with pytest.raises(ConfigError, match="recipe"):
        load_config(str(path))
    with pytest.raises(ConfigError, match="width is not a table"):
        load_config("psgan", {"width": 16, "width.x": 1})


def test_overrides_reach_tables():
    config = load_config("psgan", {"optimiser.rate": 1, "weights.cycle": 3.0})
    assert config.optimiser.rate == 1.0
    assert config.optimiser.betas == (0.5, 0.999)
    assert config.weights["cycle"] == 3.0
    assert config.weights["identity"] == 5.0
    assert json.loads(config.to_json())["optimiser"]["rate"] == 1.0


def test_command_trains_and_lists_bad_faces(faces_layout, tmp_path):
    (faces_layout / "images" / "person_3.jpg").unlink()
    command = ["psgan", "--data", str(faces_layout), "--out", str(tmp_path / "run")]
    command += ["--width", "2", "--size", "64", "--steps", "1", "--triples", "1"]
    command += ["--device", "cpu", "--set", "validation_examples=1"]
    refused = CliRunner().invoke(cli.app, command)
    assert "person_3.jpg: no such file" in str(refused.exception)
    done = CliRunner().invoke(cli.app, [*command, "--skip-bad"])
    assert done.exit_code == 0, done.output
    assert "left out 1 faces" in done.output
    assert "person_3.jpg: no such file" in done.output
    assert checkpoints(tmp_path / "run" / "checkpoints")


def test_weights_say_where_they_come_from(faces_layout, tmp_path):
    """The facts of a run's weights, and that a resumed run keeps them."""
    command = ["region-gan", "--data", str(faces_layout), "--out", str(tmp_path / "run")]
    command += ["--width", "2", "--size", "64", "--triples", "1", "--device", "cpu"]
    command += ["--set", "validation_examples=1"]

    def facts(*more):
        done = CliRunner().invoke(cli.app, [*command, *more])
        assert done.exit_code == 0, done.output
        (path,) = checkpoints(tmp_path / "run" / "checkpoints")
        return read_metadata(path / "generator.safetensors")

    first = facts("--steps", "1", "--licence", "MIT")
    data = [{"name": "faces", "licence": "not stated"}]
    assert (first["licence"], first["training_data"]) == ("MIT", data)
    assert first["styles"] == ["bare", "natural", "classic", "evening", "smoky"]
    assert first["attributes"] == []
    resumed = facts("--steps", "2", "--resume")
    assert resumed == {**first, "step": 2}
    more = ["--data-name", "Portraits", "--data-licence", "CC0-1.0"]
    named = facts("--steps", "3", "--resume", *more)
    assert named["training_data"] == [{"name": "Portraits", "licence": "CC0-1.0"}]
    assert named["licence"] == "MIT"


def test_recipes_are_listed_without_torch():
    """In a process of its own, in which PyTorch cannot be imported."""
    code = "import sys; sys.modules['torch'] = None; from makeup_training.cli import main; main()"

    def listed(*more):
        command = [sys.executable, "-c", code, "--list", *more]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert {"psgan-quick", "region-gan", "ssat-mobile"} < set(listed().split())
    assert json.loads(listed("--json")) == listed("--quiet").split() == listed().split()


def test_an_interrupted_run_says_how_to_go_on(faces_layout, tmp_path, monkeypatch, capsys):
    """Ctrl-C comes in the middle of a step; the command that is printed finishes the run."""
    out = tmp_path / "my run"
    command = ["makeup-train", "region-gan", "--data", str(faces_layout), "--out", str(out)]
    command += ["--width", "2", "--size", "64", "--steps", "3", "--triples", "1"]
    command += ["--set", "validation_examples=1", "--licence", "MIT"]
    whole = Trainer._train_step

    def interrupted(trainer, batch):
        signal.raise_signal(signal.SIGINT)
        return whole(trainer, batch)

    def status(words):
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", interrupted)
        assert status(command) == 130
    said = capsys.readouterr().out.splitlines()
    assert said[-2] == f"interrupted; the run is kept in {out}, go on with it:"
    again = shlex.split(said[-1])
    assert again == [*command, "--resume"]
    assert [path.name for path in checkpoints(out / "checkpoints")] == ["step-00000001"]
    assert status(again) == 0
    (last,) = checkpoints(out / "checkpoints")
    facts = read_metadata(last / "generator.safetensors")
    assert (facts["licence"], facts["step"]) == ("MIT", 3)


def test_an_interruption_before_the_first_step(faces_layout, tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("makeup_training.data.readers.open_collection", stop)
    words = ["makeup-train", "psgan", "--data", str(faces_layout), "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 130
    said = capsys.readouterr().out.splitlines()
    assert said == ["interrupted before the first step was kept; start again:", shlex.join(words)]


def test_command_without_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(sys, "argv", ["makeup-train", "psgan", "--data", "faces"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == (
        "error: makeup-train: torch not installed; run `pip install '.[train]'` in the source "
        "folder\n"
    )


def test_command_without_data():
    done = CliRunner().invoke(cli.app, ["psgan"])
    assert done.exit_code == 2
    assert "--data DIR" in done.output


def test_main_prints_our_errors(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["makeup-train", "gan", "--data", "."])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert "error: recipe 'gan': expected one of" in capsys.readouterr().err
