"""Variables of MATLAB files, the old ones (v5) and the new ones (v7.3, which are HDF5), in one shape."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from facevlm.config import ConfigError


def variables(path: Path, *names: str) -> list[Any]:
    """Some variables of a file, each by its name or as "struct.field"; no others are loaded.

    Returns:
        For each name a list of str if it is a cell array of text, else an array as MATLAB shows it (HDF5 holds them
        turned over).

    Raises:
        ConfigError: the libraries are missing, the file cannot be read or lacks a name.
    """
    try:
        # By name: h5py ships no types.
        h5py, scipy_io = import_module("h5py"), import_module("scipy.io")
    except ImportError as e:
        raise ConfigError(f"{path.name} is a MATLAB file; reading it needs more: pip install facevlm[data]") from e
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path) as file:
                return [_new(h5py, file, name, path) for name in names]
        wanted = sorted({name.split(".")[0] for name in names})
        found = scipy_io.loadmat(path, simplify_cells=True, variable_names=wanted)
    except (OSError, ValueError, NotImplementedError, TypeError) as e:
        raise ConfigError(f"cannot read MATLAB file {path}: {e}") from e
    return [_old(found, name, path) for name in names]


def _new(h5py: Any, file: Any, name: str, path: Path) -> Any:
    data = file.get(name.replace(".", "/"))
    if not isinstance(data, h5py.Dataset):
        raise _missing(name, path, list(file))
    if h5py.check_ref_dtype(data.dtype) is None:
        return np.asarray(data[()]).T
    return [_text(file[reference][()]) for reference in np.asarray(data[()]).T.ravel(order="F")]


def _text(codes: Any) -> str:
    return "".join(map(chr, np.asarray(codes).T.ravel(order="F").tolist()))


def _old(found: dict[str, Any], name: str, path: Path) -> Any:
    value: Any = found
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise _missing(name, path, [key for key in found if not key.startswith("__")])
        value = value[part]
    array = np.asarray(value)
    return [str(text) for text in array.ravel(order="F")] if array.dtype.kind in "OUS" else array


def _missing(name: str, path: Path, there: list[str]) -> ConfigError:
    return ConfigError(f"{path} has no {name!r}; it has {', '.join(key for key in there if not key.startswith('#'))}")
