"""`makeup export`, `makeup import`, `makeup quantise`: networks to bundles.

The SDK does not import this package; it finds the commands through the entry-point group
`makeup.commands` (see `makeup_sdk.cli`).
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from makeup_kernels.errors import InvalidInputError
from makeup_kernels.terminal import JsonOption, QuietOption, Reporter
from makeup_training.extra import require_train_extra

if TYPE_CHECKING:  # torch is slow to import; only the commands need it
    from makeup_export.export import WeightsFacts
    from makeup_export.graph_modules import ModelGraphs

PACKAGES = ("torch", "safetensors", "onnx", "onnxscript")

Precision = Annotated[str, typer.Option(help="fp32, fp16 or int8.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="The bundle: a new folder, or a .zip.")
]
Calibrate = Annotated[
    Path | None,
    typer.Option(help="Folder of labelled faces, for int8 and for the report."),
]
Pairs = Annotated[int, typer.Option(min=1, help="Pairs of faces to calibrate and compare with.")]
Width = Annotated[int | None, typer.Option(help="Base width; default: the file's own, else 64.")]
Size = Annotated[int | None, typer.Option(help="Side of the crops; default: the file's, else 256.")]
Licence = Annotated[
    str | None, typer.Option(help="Licence of the weights; default: what the file says.")
]
Styles = Annotated[
    int | None, typer.Option(help="region-gan: makeup styles; default: as the weights have.")
]
StyleNames = Annotated[
    str | None,
    typer.Option(help="region-gan: names of the styles, e.g. bare,smoky; default: the file's own."),
]
Attributes = Annotated[
    int | None,
    typer.Option(help="region-gan: attributes of the second data set; default: the file's, else 0"),
]
SoftmaxDim = Annotated[int, typer.Option(min=1, max=2, help="ssat: 2 for the published SSAT.pth.")]
Warp = Annotated[
    str | None,
    typer.Option(help="psgan-pose: what is warped, image or maps; default: the file's own."),
]
HalfWeights = Annotated[
    bool,
    typer.Option("--half-weights", help="Keep weights in float16; the arithmetic stays float32."),
]
Threads = Annotated[int | None, typer.Option(help="CPU threads; default all cores.")]


def export(
    model: Annotated[str, typer.Argument(help="psgan, ssat, region-gan, ...")],
    weights: Annotated[
        Path,
        typer.Option(
            help="Folder of a run (its newest checkpoint) or checkpoint, or .safetensors."
        ),
    ],
    output: Output,
    precision: Precision = "fp32",
    calibrate: Calibrate = None,
    pairs: Pairs = 4,
    width: Width = None,
    size: Size = None,
    licence: Licence = None,
    styles: Styles = None,
    style_names: StyleNames = None,
    attributes: Attributes = None,
    softmax_dim: SoftmaxDim = 1,
    warp: Warp = None,
    half_weights: HalfWeights = False,
    threads: Threads = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export a trained network as a bundle of ONNX graphs, with its parity report.

    makeup export psgan --weights runs/psgan -o psgan.bundle

    makeup export psgan --weights runs/psgan -o psgan-int8.bundle --precision int8
    """
    require_train_extra("makeup export", *PACKAGES)
    from makeup_export import catalogue
    from makeup_export.export import WeightsFacts

    facts = catalogue.facts_of(model, weights)
    layout = catalogue.label_layout(model, weights, styles, attributes)
    names = tuple(style_names.split(",") if style_names is not None else facts.get("styles", ()))
    settings = catalogue.Settings(
        width or int(facts.get("width", 64)),
        layout.styles,
        layout.attributes,
        softmax_dim,
        warp or str(facts.get("warp", "image")),
        names,
        facts.get("generator") == "mobile",
        int(facts.get("maps", 1)),
        bool(facts.get("normalised", True)),
    )
    licence = licence or facts.get("licence")
    if not licence:
        raise InvalidInputError(
            f"{weights}: says nothing about its licence; pass --licence, e.g. Apache-2.0 "
            "(weights of `makeup-train --licence` say it themselves)"
        )
    network = catalogue.load_trained(model, weights, settings)
    graphs = catalogue.graphs_of(model, network, size or int(facts.get("size", 256)))
    seen = {name: facts[name] for name in ("view", "gains") if name in facts}
    graphs = replace(graphs, constants={**graphs.constants, **seen})
    details = {
        "source": weights.resolve().name,
        "step": facts.get("step"),
        "data": facts.get("data"),
    }
    origin = WeightsFacts(licence, facts.get("training_data") or (), _known(details))
    reporter = Reporter(quiet=quiet, as_json=as_json)
    _export(graphs, output, precision, origin, calibrate, pairs, threads, reporter, half_weights)


def import_(
    model: Annotated[str, typer.Argument(help="psgan, ssat or portrait-edit.")],
    checkpoint: Annotated[Path, typer.Argument(help="G.pth, SSAT.pth, or a folder of nets.")],
    output: Output,
    precision: Precision = "fp32",
    calibrate: Calibrate = None,
    pairs: Pairs = 4,
    width: Width = None,
    size: Size = None,
    softmax_dim: SoftmaxDim = 1,
    threads: Threads = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Load a published checkpoint, export it as a bundle, and report how close it is.

    makeup import psgan G.pth -o psgan.bundle

    makeup import ssat SSAT.pth -o ssat.bundle --softmax-dim 2
    """
    require_train_extra("makeup import", *PACKAGES)
    from makeup_export import catalogue
    from makeup_export.export import WeightsFacts

    settings = catalogue.Settings(width or 64, softmax_dim=softmax_dim)
    network = catalogue.load_published(model, checkpoint, settings)
    published = catalogue.entry_of(model).published
    assert published is not None
    graphs = catalogue.graphs_of(model, network, size or 256)
    origin = WeightsFacts(
        published.licence, published.training_data, {"source": checkpoint.name, "published": True}
    )
    reporter = Reporter(quiet=quiet, as_json=as_json)
    _export(graphs, output, precision, origin, calibrate, pairs, threads, reporter)


def quantise(
    bundle: Annotated[Path, typer.Argument(help="A bundle in fp32: a folder or a .zip.")],
    inputs: Annotated[
        Path, typer.Option(help=".npz of arrays GRAPH/INPUT to calibrate on; graphs in it change.")
    ],
    output: Output,
    cpu: Annotated[
        bool, typer.Option("--cpu", help="For processors alone: faster there, not for TensorRT.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn a finished fp32 bundle into int8, calibrated on recorded inputs.

    makeup quantise psgan.bundle --inputs inputs.npz -o psgan-int8.bundle

    makeup quantise psgan.bundle --inputs inputs.npz -o psgan-cpu.bundle --cpu
    """
    require_train_extra("makeup quantise", *PACKAGES)
    from makeup_export.requantise import quantise_bundle

    reporter = Reporter(quiet=quiet, as_json=as_json)
    changed = quantise_bundle(bundle, inputs, output, cpu=cpu)
    for name, difference in changed.items():
        reporter.say(
            f"{name}: worst error {difference.max_error:.2g}, mean {difference.mean_error:.2g}, "
            f"{difference.psnr:.1f} dB to fp32"
        )
    reporter.say(f"wrote {output} ({len(changed)} graphs in int8)")
    graphs = {name: asdict(difference) for name, difference in changed.items()}
    reporter.json({"output": output, "graphs": graphs})


def _export(
    graphs: "ModelGraphs",
    output: Path,
    precision: str,
    origin: "WeightsFacts",
    calibrate: Path | None,
    pairs: int,
    threads: int | None,
    reporter: Reporter,
    half_weights: bool = False,
) -> None:
    from makeup_engines.bundle import check_free
    from makeup_export.export import convert, prepare, report, with_half_weights, write
    from makeup_export.faces import demo_faces, read_faces
    from makeup_export.judgement import JUDGED, judge
    from makeup_export.parity import LEAST_PSNR

    if precision not in LEAST_PSNR:
        raise InvalidInputError(f"--precision {precision}: expected one of {', '.join(LEAST_PSNR)}")
    check_free(output)
    faces = read_faces(calibrate, 2 * pairs) if calibrate else demo_faces()

    def say(text: str) -> None:
        reporter.say(text, "dim")

    prepared = prepare(graphs, faces, pairs=pairs, progress=say)
    converted = convert(prepared, precision, threads=threads, progress=say)
    if half_weights:
        converted = with_half_weights(converted)
    parity = report(prepared, converted, precision, threads=threads)
    write(output, prepared, converted, parity, precision, origin)
    table = Table("output", "worst error", "mean error", "dB to PyTorch", show_edge=False)
    for graph, outputs in parity.graphs.items():
        for name, difference in outputs.items():
            table.add_row(
                f"{graph}: {name}",
                f"{difference.max_error:.2g}",
                f"{difference.mean_error:.2g}",
                f"{difference.psnr:.1f}",
            )
    worst = min(parity.images, key=lambda image: image.difference.psnr)
    table.add_row(
        "final image (0..255)",
        f"{worst.difference.max_error:.2g}",
        f"{worst.difference.mean_error:.2g}",
        f"{worst.difference.psnr:.1f}",
    )
    reporter.table(table)
    facts: dict[str, Any] = {
        "output": output,
        "precision": precision,
        "graphs": {
            graph: {name: asdict(difference) for name, difference in outputs.items()}
            for graph, outputs in parity.graphs.items()
        },
        "image": asdict(worst),
        "left_in_float": len(converted.left_out),
    }
    if graphs.name in JUDGED:
        judgement = judge(graphs, prepared.pairs)
        facts |= asdict(judgement) | {"warning": judgement.warning}
        reporter.say(
            f"shipped faces: arrival {judgement.arrival:.2f}, structure {judgement.structure:.2f}"
        )
        if judgement.warning is not None:
            reporter.failure(f"warning: {judgement.warning}")
    reporter.say(
        f"colour distance ΔE {worst.mean_delta_e:.3f} mean, {worst.max_delta_e:.2f} worst; "
        f"{len(converted.left_out)} layers kept in float; wrote {output}"
    )
    reporter.json(facts)


def _known(details: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in details.items() if value is not None}


def register(app: typer.Typer) -> None:
    """Add the commands to `makeup`; without the extra, they say what to install."""
    app.command("export")(export)
    app.command("import")(import_)
    app.command("quantise")(quantise)
