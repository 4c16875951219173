"""Networks of torchvision and timm by name, as ``torchvision:NAME`` and ``timm:NAME``, without their classifier.

Their states keep the library's names, so they load strictly there once the classifier is removed.
"""

import warnings

from torch import Tensor, nn

from mixviz.errors import UserError, reason, unknown

LIBRARIES = ("torchvision", "timm")
PUBLISHED = "published"  # weights that the library publishes


def is_of_library(backbone: str) -> bool:
    """Whether a backbone's name is one of these libraries'."""
    return backbone.partition(":")[0] in LIBRARIES


def network(backbone: str, shape: tuple[int, ...], published: bool = False) -> nn.Module:
    """(n, *shape) -> (n, F), initialised by torch's global generator, or with the published weights.

    The weights are downloaded unless they are in the library's cache. Raises UserError, also if they are not available
    or the network does not take this shape.
    """
    library, _, name = backbone.partition(":")
    if len(shape) != 3:
        raise UserError(f"{backbone} is for images, and this data is of shape {shape}: take mlp")
    make = _of_torchvision if library == "torchvision" else _of_timm
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from the libraries' own code
            return make(name, shape, published)
    except UserError:
        raise
    except Exception as error:  # many kinds, such as failed downloads
        what = f"the published weights of {backbone}" if published else backbone
        raise UserError(f"cannot make {what}: {type(error).__name__}: {reason(error)}") from error


def published_weights(backbone: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """The published state of the network. Raises UserError."""
    if not is_of_library(backbone):
        raise UserError(f"--init {PUBLISHED} is for torchvision:NAME and timm:NAME, not for {backbone}")
    return network(backbone, shape, published=True).state_dict()


def _of_torchvision(name: str, shape: tuple[int, ...], published: bool) -> nn.Module:
    from torchvision import models  # slow to import

    known = models.list_models(module=models)
    if name not in known:
        raise unknown("network of torchvision", name, known)
    settings = {}
    if name.startswith("vit_"):
        settings["image_size"] = shape[-1]
    if name in ("googlenet", "inception_v3"):
        settings |= {"aux_logits": False, "init_weights": True}
    net = models.get_model(name, weights="DEFAULT" if published else None, **settings)
    linear = [path for path, module in net.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UserError(f"torchvision:{name} does not end with a linear classifier: take another network")
    parent, _, leaf = linear[-1].rpartition(".")
    setattr(net.get_submodule(parent), leaf, nn.Identity())
    return net


def _of_timm(name: str, shape: tuple[int, ...], published: bool) -> nn.Module:
    try:
        import timm  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError("timm is missing: pip install 'mixviz[encoders]'") from error
    if not timm.is_model(name):
        raise unknown("network of timm", name, timm.list_models())
    settings = {"pretrained": published, "num_classes": 0, "in_chans": shape[0]}
    try:
        return timm.create_model(name, img_size=shape[1:], **settings)
    except TypeError:  # a network that takes any size
        return timm.create_model(name, **settings)
