"""The page of a network: all that is known of it, gathered."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from cnncost.analysis.report import Report
from cnncost.analysis.report import analyze as analyze_graph
from cnncost.api.networks import Model, Spec, graph_and_document, graph_for
from cnncost.devices import Device, all_devices, load
from cnncost.errors import UsageError
from cnncost.graph import Graph

if TYPE_CHECKING:
    from cnncost.analysis.roofline import Roofline
    from cnncost.spec.document import Document

FIRST = "h100"
"""The device whose roofline a page shows at first, unless told."""


def page(
    network: Graph | Spec | Model,
    inputs: Any = None,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    strict: bool = False,
    device: str | Device | None = None,
    measured: Mapping[str, float] | None = None,
) -> str:
    """One self-contained HTML page of a network: its graph, layers, memory, roofline, shares, claims and source.

    network, inputs, input, batch, set, dtype, strict: as in analyze(). device: whose roofline is shown at first,
    by name, or a sheet; those that come with cnncost can be chosen on the page. measured: seconds by layer, of as
    many as were measured on that device. Raises SpecError, ShapeError, UsageError.
    """
    document = None
    if isinstance(network, (str, PathLike)):
        graph, document = graph_and_document(network, input, batch, set)
    else:
        graph = graph_for(network, inputs, input, batch, set)
    return page_of(analyze_graph(graph, dtype, strict), document, device, measured)


def page_of(
    report: Report,
    document: Document | None = None,
    device: str | Device | None = None,
    measured: Mapping[str, float] | None = None,
) -> str:
    """The page of what has been analysed already. document: the spec that it is from."""
    from cnncost.analysis.claims import verify
    from cnncost.output.page.report import Page, report_page

    rooflines, refused = _rooflines(report, device, measured or {})
    claims = verify(document) if document is not None and document.claims else None
    source = None if document is None else document.source
    return report_page(Page(report, rooflines, refused, measured or {}, claims, source))


def _rooflines(
    report: Report, device: str | Device | None, measured: Mapping[str, float]
) -> tuple[tuple[Roofline, ...], tuple[str, ...]]:
    """The network on every known device, the one that is asked for in front; and why some have none."""
    from cnncost.analysis.roofline import roofline

    asked = load(FIRST if device is None else device) if not isinstance(device, Device) else device
    known = [asked, *(other for other in all_devices() if other.key != asked.key)]
    found, refused = [], []
    for one in known:
        try:
            found.append(roofline(report.graph, one, report.dtype, measured=measured if one is asked else None))
        except UsageError as e:
            if one is asked and (device is not None or measured):
                raise
            refused.append(e.message)
    return tuple(found), tuple(refused)
