"""Kernels compile for a GPU, here too: Triton's compiler needs none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from dbn.machine.kernels import dropout, philox, sgd, statistics, units

TARGET = GPUTarget("cuda", 90, 32)


def check(kernel, pointers, **constants):
    signature = {name: pointers.get(name, "i32") for name in kernel.arg_names}
    signature |= dict.fromkeys(constants, "constexpr")
    compiled = compile(ASTSource(kernel, signature=signature, constexprs=constants), target=TARGET)
    assert compiled.asm["cubin"], kernel
    print(kernel.__name__, "compiled")


for dtype, wide in (("*fp32", "*fp32"), ("*bf16", "*fp32"), ("*fp64", "*fp64")):
    for function in units.FUNCTIONS:
        states = dict.fromkeys(("field", "mean", "state", "v", "weighted_mean"), dtype)
        wides = dict.fromkeys(("bias", "weights", "visible_sum", "hidden_sum"), wide)
        pointers = {**states, **wides, "seeds": "*i64"}
        check(units.units_kernel, pointers, FUNCTION=function, MEAN=True, STATE=True, BLOCK=128)
        check(statistics.statistics_kernel, pointers, FUNCTION=function, ROWS=128, COLUMNS=16)
for normal in (True, False):
    check(philox.fill_kernel, {"out": "*fp32", "seeds": "*i64"}, NORMAL=normal, BLOCK=128)
check(dropout.dropout_kernel, {"x": "*fp32", "out": "*fp32", "mask": "*u8", "seeds": "*i64", "keep": "fp32"}, BLOCK=128)
for in_memory in (True, False):
    numbers = {f"{name}{k}": "fp32" for name in ("lr", "decay", "momentum", "take") for k in range(4)}
    tensors = {f"{name}{k}": "*fp32" for name in "pgm" for k in range(4)}
    if in_memory:
        numbers |= {f"lr{k}": "*fp32" for k in range(4)}
    copies = {"c0": "*bf16", "c1": "*fp32", "c2": "*fp32", "c3": "*fp32"}
    check(
        sgd.sgd_kernel, {**numbers, **tensors, **copies},
        NESTEROV=in_memory, MAXIMIZE=in_memory, LR_IN_MEMORY=in_memory, BLOCK=sgd.BLOCK,
    )
"""


def test_every_kernel_compiles_for_compute_capability_9(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("compiled") == 9 * 2 + 2 + 1 + 2
