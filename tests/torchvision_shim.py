"""torchvision's model definitions, also beside a PyTorch that its wheel was not built for.

timm imports torchvision: call models() before `import timm`.
"""

from cnncost.live.vision import models

__all__ = ["models"]
