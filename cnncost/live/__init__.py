"""Everything that needs PyTorch. Nothing outside imports it, but a command that runs it."""

from __future__ import annotations

from cnncost.errors import UsageError

try:
    import torch as _torch  # noqa: F401
except ImportError as e:
    raise UsageError("PyTorch is not installed", hint="pip install 'cnncost[torch]'") from e
