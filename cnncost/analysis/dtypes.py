"""What one element takes, by dtype."""

from __future__ import annotations

from cnncost.errors import UsageError, did_you_mean

DTYPES = {"fp64": 8, "fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "fp8": 1, "int8": 1}
"""Bytes of one element."""
DTYPE_NAMES = {"float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "half": "fp16"}
"""What NumPy and PyTorch call some of them."""


def dtype_name(dtype: object) -> str:
    """A dtype by the name that DTYPES has for it; NumPy's and PyTorch's names do too. Raises UsageError."""
    name = DTYPE_NAMES.get(str(dtype).removeprefix("torch."), dtype)
    if not isinstance(name, str) or name not in DTYPES:
        raise UsageError(f"unknown dtype {dtype}", hint=did_you_mean(str(dtype), DTYPES))
    return name
