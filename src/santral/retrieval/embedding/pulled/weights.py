"""Weights out of a safetensors file: numbers alone, nothing in it is ever executed.

Source: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import math
from typing import TypeAlias

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.errors import StoreError

Weights: TypeAlias = dict[str, NDArray[np.float32]]

#: Longest header. Specified by the format.
_MAX_HEADER = 100_000_000
_TYPES = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


class _Tensor(Struct, frozen=True):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def read_weights(content: bytes) -> Weights:
    """Return the tensors of floats by name; others (positions, counters) are left out.

    Raises:
        StoreError: it is no safetensors file, or a tensor lies outside of it.
    """
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(_MAX_HEADER, len(content) - 8):
        raise _broken("its header is cut")
    try:
        header = msgspec.json.decode(content[8 : 8 + size], type=dict[str, msgspec.Raw])
        header.pop("__metadata__", None)
        tensors = {name: msgspec.json.decode(raw, type=_Tensor) for name, raw in header.items()}
    except msgspec.DecodeError:
        raise _broken("its header cannot be read") from None
    data = memoryview(content)[8 + size :]
    return {
        name: _numbers(name, tensor, data)
        for name, tensor in tensors.items()
        if tensor.dtype in _TYPES
    }


def _numbers(name: str, tensor: _Tensor, data: memoryview) -> NDArray[np.float32]:
    dtype = _TYPES[tensor.dtype]
    first, end = tensor.data_offsets
    count = math.prod(tensor.shape)
    if min(first, *tensor.shape, 0) < 0 or end > len(data) or end - first != count * dtype.itemsize:
        raise _broken(f"the tensor '{name}' lies outside of it")
    found = np.frombuffer(data[first:end], dtype).reshape(tensor.shape)
    return found.astype(np.float32, copy=False)


def _broken(reason: str) -> StoreError:
    return StoreError(f"The weights cannot be read: {reason}. Pull again.", code="model_unusable")
