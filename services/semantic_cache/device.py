"""Which device the embedding model runs on."""

from typing import TYPE_CHECKING

from services.semantic_cache.model_folder import DeviceNotFoundError

if TYPE_CHECKING:
    import torch


def require_device(name: str) -> "torch.device":
    """The device called `name`, such as "cpu", "cuda" or "cuda:1".

    Raises:
        DeviceNotFoundError: this machine, or this build of PyTorch, does not have it; the message says what is there.
    """
    # Imported only here: it takes a second and more, which a cache without embeddings does not pay.
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceNotFoundError(f"{name!r} names no device; there is {_present()}") from error
    if device.type == "cpu" and not device.index:
        return device
    if device.type == "cuda" and (device.index or 0) < torch.cuda.device_count():
        return device
    why = "" if torch.version.cuda else ", and this build of PyTorch knows no CUDA"
    raise DeviceNotFoundError(f"there is no device {name!r} here, only {_present()}{why}")


def _present() -> str:
    import torch

    return ", ".join(["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))])
