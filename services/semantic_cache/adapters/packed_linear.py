"""Linear layers with their weights laid out for the processor, which are faster and give the same numbers."""

from typing import Final

import torch
from torch import Tensor, nn

_ROWS: Final = 64
"""The number of tokens that the layout is chosen for; others work with it as well."""


class PackedLinear(nn.Linear):
    """A linear layer that oneDNN computes from weights in its own blocked layout.

    `nn.Linear` hands its weights to a BLAS as they are, which packs them anew in every call; with the tokens of one
    short text that costs more than the product. Inductor freezes models for the processor in the same way
    (torch/_inductor/fx_passes/mkldnn_fusion.py). The original weights stay, for code that looks at them.

    Args:
        linear: a layer in float32 on the CPU, for inference only.
    """

    def __init__(self, linear: nn.Linear) -> None:
        # Not Linear's own constructor, which would draw weights at random only to drop them.
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self._packed: Final[Tensor] = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)  # noqa: SLF001  # it has no public name
        self._compute: Final = torch.ops.mkldnn._linear_pointwise.default  # noqa: SLF001  # nor has this

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # Linear's own name for it
        """The product of `input` (any dimensions, the last of them in_features) and the weights, plus the bias."""
        product: Tensor = self._compute(input, self._packed, self.bias, "none", [], "")
        return product


def pack(model: nn.Module) -> bool:
    """Pack the linear layers of `model`, in place; False if this PyTorch cannot, and the model is as it was."""
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        # Subclasses may compute something else.
        if type(child) is nn.Linear and child.weight.dtype == torch.float32 and child.weight.device.type == "cpu"
    ]
    try:
        packed = [PackedLinear(linear) for _, _, linear in places]
    except (AttributeError, RuntimeError):
        return False
    for (parent, name, _), layer in zip(places, packed, strict=True):
        setattr(parent, name, layer)
    return bool(packed)


def unpack(model: nn.Module) -> None:
    """Undo `pack`."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, PackedLinear):
                plain = nn.Linear(child.in_features, child.out_features, child.bias is not None, device="meta")
                plain.weight, plain.bias = child.weight, child.bias
                setattr(parent, name, plain.eval())
