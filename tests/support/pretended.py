"""A stand-in for a GPU: a device whose tensors are computed on the CPU, and which tells what a real one would mind."""

import traceback
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

import mixviz

_setup_privateuseone_for_python_backend("pretended")
torch.get_device_module("pretended").get_amp_supported_dtype = lambda: [torch.bfloat16]
DEVICE = torch.device("pretended:0")
CODE = str(Path(mixviz.__file__).parent)
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2", "item"}  # for the device
RANDOM = {"rand", "randn", "randint", "randperm"}


class OnDevice(Tensor):
    """A tensor of the device; ``values`` are on the CPU."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor):
        layout = {"strides": values.stride(), "storage_offset": values.storage_offset(), "dtype": values.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, values.shape, device=DEVICE, **layout)

    def __init__(self, values: Tensor):
        self.values = values

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return PretendedDevice().run(func, args, kwargs or {})


class PretendedDevice(TorchDispatchMode):
    """Within it, tensors can be made on the device and moved there.

    float64: whether the device has it; if not, making such a tensor raises TypeError. draws: whether random numbers
    come from the device. waits: where the program had to wait for the device, a line of mixviz each.
    """

    def __init__(self, float64: bool = True, draws: bool = False):
        super().__init__()
        self.float64, self.draws, self.waits = float64, draws, []

    def __enter__(self):
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor makes them on the CPU and then moves them
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(False)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.run(func, args, kwargs or {})

    def run(self, func, args, kwargs):
        name = func.overloadpacket.__name__
        found = []
        tree_map_only(Tensor, found.append, (args, kwargs))
        inputs = [tensor for tensor in found if isinstance(tensor, OnDevice)]
        on_device = bool(inputs) or (self.draws and name in RANDOM and kwargs.get("generator") is not None)
        moves = kwargs.get("device")
        if moves is not None:
            on_device = torch.device(moves).type == DEVICE.type or (on_device and not inputs)
            kwargs = {**kwargs, "device": "cpu"}
        if inputs and (name in WAITS or (moves is not None and not on_device) or self._by_mask(name, args)):
            self.waits.append(f"{name}: {_where()}")
        if name == "copy_" and not isinstance(args[0], OnDevice):
            self.waits.append(f"{name}: {_where()}") if inputs else None
            on_device = False
        if inputs and name not in ("_to_copy", "copy_"):
            strangers = [t for t in found if not isinstance(t, OnDevice) and t.dim()]
            if strangers:
                raise RuntimeError(f"{name} of tensors on the device and on the CPU")
        args, kwargs = tree_map_only(OnDevice, lambda tensor: tensor.values, (args, kwargs))
        result = func(*args, **kwargs)
        if not on_device:
            return result
        by_values = {id(tensor.values): tensor for tensor in inputs}  # what was written into stays itself
        return tree_map_only(Tensor, lambda values: self._wrapped(values, name, by_values), result)

    def _wrapped(self, values: Tensor, name: str, known: dict[int, Tensor]) -> Tensor:
        if id(values) in known:
            return known[id(values)]
        if values.dtype == torch.float64 and not self.float64:
            raise TypeError(f"{name} makes a float64 tensor on a device that has none: {_where()}")
        return OnDevice(values)

    def _by_mask(self, name: str, args: tuple) -> bool:
        """Indexing by a mask counts what is marked."""
        indices = args[1] if name in ("index", "index_put_", "index_put", "_index_put_impl_") else ()
        return any(index is not None and index.dtype == torch.bool for index in indices)


def move(module: nn.Module) -> None:
    """A module's weights and buffers, onto the device."""
    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                part._parameters[name] = nn.Parameter(OnDevice(weight.data), weight.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = OnDevice(buffer)


def _where() -> str:
    """The line of mixviz that is being run."""
    frames = [frame for frame in traceback.extract_stack() if frame.filename.startswith(CODE)]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].line}" if frames else "not of mixviz"
