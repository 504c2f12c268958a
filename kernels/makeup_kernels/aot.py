"""Compile the Triton kernels ahead of time, for GPUs of other machines.

    python -m makeup_kernels.aot --out kernels-sm87 --target sm_87 --report report.json

Each kernel is compiled in the variants that the shipped models launch (dtypes, channels, block
shapes). These are found by calling the operations on meta tensors and recording the launches.
`--out` gets one cubin per variant and target, and `kernels.json` with what a loader needs.
"""

import argparse
import contextlib
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeup_kernels.errors import BackendUnavailableError, InvalidInputError, MakeupError
from makeup_kernels.files import make_folder, write_atomically
from makeup_kernels.triton import KernelForm, interpreted, recorded_launches

TARGETS = ("sm_87", "sm_89", "sm_90", "sm_100", "sm_110", "sm_120")
"""Orin; Ada; Hopper; data-centre Blackwell; Thor; desktop Blackwell."""

_TYPES = {
    "uint8": "*u8",
    "int32": "*i32",
    "int64": "*i64",
    "float16": "*fp16",
    "float32": "*fp32",
    "float64": "*fp64",
}
_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")


@dataclass(frozen=True)
class CompiledForm:
    """One kernel form for one target.

    Attributes:
        operation: folder of the kernel.
        name: kernel, and the constants that distinguish the form.
        target: "sm_87", ...
        cubin: the code.
        facts: registers per thread, shared memory and spills in bytes, warps, stages.
        launch: what a loader needs: entry point, argument types in order, constants.
    """

    operation: str
    name: str
    target: str
    cubin: bytes
    facts: Mapping[str, int]
    launch: Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m makeup_kernels.aot", description=__doc__)
    parser.add_argument("--target", action="append", choices=TARGETS, help="default: all")
    parser.add_argument("--operation", action="append", help="default: all")
    parser.add_argument("--out", type=Path, help="folder for cubins and kernels.json")
    parser.add_argument("--report", type=Path, help="JSON file for registers, memory and spills")
    options = parser.parse_args(arguments)
    try:
        compiled = list(
            compile_kernels(options.target or TARGETS, options.operation, progress=_print_form)
        )
        if options.out:
            write_kernels(compiled, options.out)
        if options.report:
            text = json.dumps(report(compiled), indent=1) + "\n"
            write_atomically(options.report, text.encode())
    except MakeupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def compile_kernels(
    targets: Sequence[str],
    operations: Sequence[str] | None = None,
    progress: Callable[[CompiledForm], None] = lambda _: None,
) -> Iterator[CompiledForm]:
    """Compile every form of the named operations, default all, for every target.

    Raises:
        BackendUnavailableError: torch or triton is missing, or Triton interprets instead.
        InvalidInputError: an operation that has no Triton kernels.
    """
    forms = kernel_forms(operations)
    for target in targets:
        for operation, form in forms:
            compiled = _compile(operation, form, target)
            progress(compiled)
            yield compiled


def kernel_forms(operations: Sequence[str] | None = None) -> list[tuple[str, KernelForm]]:
    """(operation, form) of every kernel that the typical calls launch, without duplicates.

    Raises:
        BackendUnavailableError, InvalidInputError: as in `compile_kernels`.
    """
    if interpreted():
        raise BackendUnavailableError(
            "TRITON_INTERPRET is set, so Triton does not compile; unset it and run again"
        )
    try:
        from makeup_kernels.triton.typical_calls import TYPICAL_CALLS
    except ImportError as error:
        raise BackendUnavailableError(
            f"the ahead-of-time compiler needs torch and triton ({error}); pip install torch triton"
        ) from None
    unknown = sorted(set(operations or ()) - TYPICAL_CALLS.keys())
    if unknown:
        raise InvalidInputError(
            f"operation: got {unknown[0]!r}, expected one of {', '.join(TYPICAL_CALLS)}"
        )
    forms: dict[str, tuple[str, KernelForm]] = {}
    for operation, calls in TYPICAL_CALLS.items():
        if operations and operation not in operations:
            continue
        for call in calls:
            with recorded_launches() as launches:
                call()
            for form in launches:
                forms.setdefault(f"{operation} {_name(form)}", (operation, form))
    return list(forms.values())


def report(compiled: Sequence[CompiledForm]) -> dict[str, Any]:
    """Hardware resources by operation, form and target."""
    import triton

    table: dict[str, dict[str, dict[str, Any]]] = {}
    for form in compiled:
        forms = table.setdefault(form.operation, {})
        forms.setdefault(form.name, {})[form.target] = dict(form.facts)
    return {"triton": triton.__version__, "units": _UNITS, "operations": table}


_UNITS = {
    "registers": "per thread",
    "shared": "bytes per block",
    "spill_stores": "bytes per thread",
    "spill_loads": "bytes per thread",
    "stack": "bytes per thread",
    "cubin": "bytes",
}


def write_kernels(compiled: Sequence[CompiledForm], folder: Path) -> None:
    """Write one cubin per form and target, and `kernels.json` that says how to launch them.

    Raises:
        OutputError: the folder cannot be written.
    """
    make_folder(folder)
    index = []
    for form in compiled:
        file = f"{form.operation}.{form.name}.{form.target}.cubin"
        write_atomically(folder / file, form.cubin)
        index.append({"file": file, "target": form.target, **form.facts, **form.launch})
    write_atomically(folder / "kernels.json", (json.dumps(index, indent=1) + "\n").encode())


def _compile(operation: str, form: KernelForm, target: str) -> CompiledForm:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, attributes = {}, {}
    for number, name in enumerate(form.kernel.arg_names):
        if name in form.constants:
            signature[name] = "constexpr"
            continue
        signature[name] = _type(form.arguments[name])
        if signature[name].startswith("*"):
            attributes[(number,)] = [["tt.divisibility", 16]]
    source = ASTSource(form.kernel, signature, dict(form.constants), attributes)
    log = io.StringIO()
    with _assembler_log(), contextlib.redirect_stdout(log):
        built = triton.compile(
            source,
            target=GPUTarget("cuda", int(target.removeprefix("sm_")), 32),
            options={**form.options, "enable_fp_fusion": True},
        )
    registers, spills = _REGISTERS.search(log.getvalue()), _SPILLS.search(log.getvalue())
    if registers is None or spills is None:
        raise BackendUnavailableError(
            f"{_name(form)}: the assembler of Triton {triton.__version__} reported no registers"
        )
    stack, stores, loads = (int(number) for number in spills.groups())
    cubin: bytes = built.asm["cubin"]
    facts = {
        "registers": int(registers[1]),
        "shared": int(built.metadata.shared),
        "spill_stores": stores,
        "spill_loads": loads,
        "stack": stack,
        "num_warps": int(built.metadata.num_warps),
        "num_stages": form.options["num_stages"],
        "cubin": len(cubin),
    }
    launch = {
        "entry": built.metadata.name,
        "arguments": [[name, kind] for name, kind in signature.items() if kind != "constexpr"],
        "scratch": {
            "global": int(built.metadata.global_scratch_size),
            "profile": int(built.metadata.profile_scratch_size),
        },
        "constants": dict(form.constants),
    }
    return CompiledForm(operation, _name(form), target, cubin, facts, launch)


@contextlib.contextmanager
def _assembler_log() -> Iterator[None]:
    """Make the assembler print its report, and bypass Triton's cache, which has no report."""
    from triton import knobs

    with knobs.nvidia.scope(), knobs.compilation.scope():
        knobs.nvidia.dump_ptxas_log = True
        knobs.compilation.always_compile = True
        yield


def _type(value: Any) -> str:
    if isinstance(value, float):
        return "fp32"
    return "i32" if isinstance(value, int) else _TYPES[str(value.dtype).removeprefix("torch.")]


def _name(form: KernelForm) -> str:
    """Kernel, dtype of its first argument, and the constants that distinguish its forms."""
    first = _type(next(iter(form.arguments.values()))).lstrip("*")
    constants = [f"{name.lower()}-{str(value).lower()}" for name, value in form.constants.items()]
    return ".".join([form.kernel.__name__, first, *constants])


def _print_form(form: CompiledForm) -> None:
    facts = form.facts
    print(
        f"{form.target:7} {form.operation:24} {facts['registers']:4} registers "
        f"{facts['shared']:7} B shared {facts['spill_stores']:5} B spilled  {form.name}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
