"""Convolutions over images."""

from typing import ClassVar

from foretell.datasets.operators.fields import Amount, Check, Checked, Dimension


class ConvolutionQuery(Checked, frozen=True):
    """Images of [batch, in_channels, height, width] under square filters, `groups` of channels apart."""

    checks: ClassVar[tuple[Check, ...]] = (
        Check("in_channels", lambda q: q.in_channels % q.groups == 0, "a multiple of groups"),
        Check("out_channels", lambda q: q.out_channels % q.groups == 0, "a multiple of groups"),
        Check(
            "kernel",
            lambda q: (q.kernel <= q.height + 2 * q.padding) & (q.kernel <= q.width + 2 * q.padding),
            "no more than the padded height and width",
        ),
    )
    site: ClassVar[tuple[str, ...]] = ("in_channels", "out_channels", "kernel")

    batch: Dimension
    in_channels: Dimension
    out_channels: Dimension
    height: Dimension
    width: Dimension
    kernel: Dimension
    stride: Dimension = 1
    padding: Amount = 0
    groups: Dimension = 1
