"""The process that builds one plan: `python -m makeup_engines.tensorrt.worker`.

A build may crash or hang inside the driver, so it runs in its own process. The request is one line
of JSON on standard input; progress and the outcome are lines of JSON on standard output. TensorRT's
messages go to standard error, which the parent keeps as the build's log.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from makeup_engines.tensorrt.plans import import_tensorrt
from makeup_kernels.errors import MakeupError

MIB = 1 << 20


class BuildError(MakeupError):
    """TensorRT cannot parse or build a graph."""


def build_plan(
    trt: Any,
    graph: bytes,
    *,
    batch: int,
    workspace_mib: int,
    timing_cache: bytes,
    report: Any,
) -> tuple[bytes, bytes]:
    """Build a plan.

    Args:
        trt: the module `tensorrt`.
        graph: an ONNX file; its precision is in the graph.
        batch: maximum batch of graphs with a free batch; 1 fixes it.
        workspace_mib: limit of scratch memory.
        timing_cache: of an earlier build, or empty.
        report: called with a phase's name and the fraction done.

    Returns:
        the plan, and the timing cache.

    Raises:
        BuildError: the graph does not parse, or no engine can be built.
    """
    logger = trt.Logger(trt.Logger.INFO)
    builder = trt.Builder(logger)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise BuildError(f"TensorRT {trt.__version__} cannot parse the graph: {'; '.join(errors)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mib * MIB)
    cache = config.create_timing_cache(timing_cache)
    config.set_timing_cache(cache, ignore_mismatch=False)
    config.progress_monitor = _monitor(trt, report)
    _add_profile(builder, network, config, batch)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BuildError(
            f"TensorRT {trt.__version__} found no engine for the graph within {workspace_mib} MiB; "
            "the log says why: more --workspace, or an fp32 export, may help"
        )
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def _add_profile(builder: Any, network: Any, config: Any, batch: int) -> None:
    """Add one optimisation profile: batch 1 to `batch`, tuned for 1 (the usual number of faces)."""
    profile = builder.create_optimization_profile()
    free = False
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        shape = tuple(tensor.shape)
        if -1 in shape[1:]:
            raise BuildError(
                f"input {tensor.name!r} has the shape {shape}: only a batch may be free"
            )
        if shape and shape[0] == -1:
            free = True
            one, most = (1, *shape[1:]), (batch, *shape[1:])
            profile.set_shape(tensor.name, one, one, most)
    if free:
        config.add_optimization_profile(profile)


def _monitor(trt: Any, report: Any) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Reports each phase; TensorRT calls it from its own threads."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = max(1, num_steps)
            report(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            report(phase_name, (step + 1) / self.steps.get(phase_name, 1))
            return True

        def phase_finish(self, phase_name: str) -> None:
            report(phase_name, 1.0)

    return Monitor()


def main() -> None:
    """Read the request, build, and write the plan and the timing cache to the requested paths."""
    request = json.loads(sys.stdin.readline())

    def report(phase: str, share: float) -> None:
        try:
            print(json.dumps({"phase": phase, "share": min(share, 1.0)}), flush=True)
        except BrokenPipeError:
            os._exit(1)  # the parent is gone; nobody would store the plan

    try:
        plan, timings = build_plan(
            import_tensorrt(),
            Path(request["graph"]).read_bytes(),
            batch=request["batch"],
            workspace_mib=request["workspace_mib"],
            timing_cache=Path(request["timing_cache"]).read_bytes(),
            report=report,
        )
    except MakeupError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        sys.exit(1)
    Path(request["plan"]).write_bytes(plan)
    Path(request["timing_cache"]).write_bytes(timings)
    print(json.dumps({"done": True}), flush=True)


if __name__ == "__main__":
    main()
