"""What a measure finds: rows for the table of docs/measurements.md, and lines to print below it."""

from dataclasses import dataclass, field


@dataclass
class Row:
    """One figure of ours beside a peer's. Texts are shown as they are; `met` is None when there is no target."""

    measure: str
    ours: str
    peer: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


@dataclass
class Found:
    """All that one measure found. `details` is Markdown for the measure's own section; it may be empty."""

    rows: list[Row] = field(default_factory=list)
    details: str = ""

    def add(self, measure: str, ours: str, **rest):
        self.rows.append(Row(measure, ours, **rest))


def seconds(value: float) -> str:
    """A time with three figures and the unit that fits."""
    if value >= 1:
        return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"
    if value >= 1e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.3g} µs"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


def per_second(value: float) -> str:
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.2g}/s"


def times(ours: float, peer: float) -> str:
    """Ours as a multiple of the peer's."""
    if not peer:
        return ""
    ratio = ours / peer
    return f"{ratio:.2g}" if ratio < 0.1 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"
