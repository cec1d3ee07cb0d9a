"""Name and instruction sets of the processor, from ``/proc/cpuinfo``."""

import platform
from functools import cache
from pathlib import Path


@cache
def processor_info() -> dict[str, str]:
    """Fields of the first processor in ``/proc/cpuinfo``: ``vendor_id``, ``model name``, ``flags``, ...

    Empty if there is no such file.
    """
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return {}
    first = file.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    fields = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in fields}


def processor_flags() -> frozenset[str]:
    """Names of the supported instruction sets, e.g. ``avx512f``."""
    return frozenset(processor_info().get("flags", "").split())


def processor_kind() -> str:
    """Vendor, AMD's generation, and the processor's bfloat16 instructions: what decides how fast they are.

    Intel's cores with AMX and AMD's from family 25 on multiply bfloat16 numbers faster than float32; Intel's with
    AVX512-BF16 alone, as virtual machines offer them, more slowly.
    """
    info, flags = processor_info(), processor_flags()
    vendor = info.get("vendor_id") or platform.machine()
    generation = f" family {info.get('cpu family')}" if vendor == "AuthenticAMD" else ""
    instructions = next((flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags), "no bfloat16")
    return f"{vendor}{generation}, {instructions}"


def processor_name() -> str:
    """Model name, with family and model numbers if known, since one name may stand for several generations."""
    info = processor_info()
    name = info.get("model name") or platform.processor() or platform.machine()
    if "cpu family" not in info or "model" not in info:
        return name
    return f"{name} (family {info['cpu family']}, model {info['model']})"
