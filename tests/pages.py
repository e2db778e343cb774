"""What pages hold, read back; and texts from strangers that must stay texts."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

HOSTILE = '<script>alert(1)</script> & "x" \'</title> </script> {{ 7 * 7 }}'
"""A name that ends scripts, titles and attributes where it is not escaped."""


def data_of(text: str) -> Any:
    """What the script of a page works on."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def packed_in(text: str, name: str) -> Any:
    """What a page holds compressed."""
    found = re.search(rf'<script type="application/gzip" id="data-{name}">(.*?)</script>', text)
    assert found is not None
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def assert_alone(text: str) -> None:
    """The page loads nothing and has one script that runs, whatever its texts say."""
    kinds = re.findall(r"<script([^>]*)>", re.sub(r"<script>.*?</script>", "<script></script>", text, flags=re.DOTALL))
    assert [kind for kind in kinds if "application/" not in kind] == [""]
    assert not re.search(r'<(script|link|img|iframe|object)[^>]*\b(src|href)="(?!data:)', text)
    assert "url(" not in text.partition("<script")[0]
    assert "<script>alert" not in text
