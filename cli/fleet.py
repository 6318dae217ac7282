"""The options of `ttamer plan` that say what to run on, written into the content of a service file."""

import re
from collections.abc import Mapping
from typing import Any

from ttamer.cli.options import names
from ttamer.profiles.errors import InputError
from ttamer.profiles.registry import unknown_name

UNITS: Mapping[str, tuple[str, str]] = {"cpu": ("cores", "core_hour"), "cuda": ("devices", "device_hour")}
PRICE = re.compile(r"(.+)=(\d+(?:\.\d*)?|\.\d+)(?:/h)?")
Content = dict[str, Any]
Facts = Mapping[str, Any]


def put_fleet(
    content: Content, facts: Facts, *, device: str | None, cores: int | None, devices: int | None, price: str | None
) -> None:
    """Write the options into the content: into its pools, or as one device, or as a pool for each of several devices.

    facts: of the profiled machine, whose cores are the limit where nobody gives one.
    Raises InputError on an unknown device or pool, on what belongs to several pools, and on devices without a price.
    """
    wanted, prices = _devices(device), _prices(price)
    if _pools(content):
        _put_into_pools(content, wanted, {"cpu": cores, "cuda": devices}, prices)
    elif len(wanted) > 1:
        _put_pools(content, wanted, {"cpu": cores, "cuda": devices}, prices, facts)
    else:
        _put_device(content, wanted[0] if wanted else None, cores, devices, prices, facts)


def _devices(text: str | None) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(names(text, "--device", "cpu,cuda")))
    for device in wanted:
        if device not in UNITS:
            raise unknown_name("device", device, UNITS)
    return wanted


def _prices(text: str | None) -> dict[str, float]:
    """Money an hour by the name of a pool or device."""
    found = {}
    for part in names(text, "--price", "cpu=0.04,cuda=1.10"):
        match = PRICE.fullmatch(part)
        if match is None:
            raise InputError(
                f"--price {text!r} is no list of prices",
                remedy="write money for an hour of a core, or of a device, like cpu=0.04,cuda=1.10",
            )
        found[match[1].strip()] = float(match[2])
    return found


def _pools(content: Content) -> list[Content]:
    """The pools in a file, as far as they are mappings; what they are not, its reader says."""
    pools = content.get("pools")
    return [pool for pool in pools if isinstance(pool, dict)] if isinstance(pools, list) else []


def _device_of(pool: Content) -> str:
    return str(pool.get("device") or ("cuda" if "devices" in pool or "device_hour" in pool else "cpu"))


def _put_into_pools(
    content: Content, wanted: tuple[str, ...], limits: Mapping[str, int | None], prices: Mapping[str, float]
) -> None:
    pools = [dict(pool) for pool in _pools(content)]
    for device in wanted:
        if all(_device_of(pool) != device for pool in pools):
            raise InputError(f"--device {device}: no pool of the service has it", remedy="add one to its pools")
    pools = [pool for pool in pools if not wanted or _device_of(pool) in wanted]
    for device, limit in limits.items():
        here = [pool for pool in pools if _device_of(pool) == device]
        if limit is None:
            continue
        if len(here) != 1:
            raise InputError(
                f"--{UNITS[device][0]} limits one {device} pool and the service has {len(here)}",
                remedy="write the limit into the pools of the service file",
            )
        here[0][UNITS[device][0]] = limit
    for name, price in prices.items():
        named = [one for one in pools if one.get("name") == name]
        if not named:
            raise unknown_name("pool", name, [str(one.get("name")) for one in pools])
        named[0][UNITS[_device_of(named[0])][1]] = price
    content["pools"] = pools


def _put_pools(
    content: Content, wanted: tuple[str, ...], limits: Mapping[str, int | None], prices: Mapping[str, float],
    facts: Facts,
) -> None:  # fmt: skip
    """A pool for each device, with what a file says for one device under `prices` and `limits.cores`."""
    given, in_file = _inner(content, "prices"), _inner(content, "limits")
    _refuse_strangers(prices, wanted)
    pools = []
    for device in wanted:
        count, price = UNITS[device]
        most = limits[device] or (in_file.get("cores") if device == "cpu" else None) or cores_of(facts, device)
        money = prices.get(device, given.get(price))
        if money is None:
            raise InputError(
                f"--device {','.join(wanted)}: {device} has no price, and cores and devices compare in money alone",
                remedy="give money for an hour of a core and of a device, like --price cpu=0.04,cuda=1.10",
            )
        pools.append({"name": device, "device": device, count: most, price: money})
    content["pools"] = pools
    content["limits"] = {name: value for name, value in in_file.items() if name != "cores"}
    for name in ("prices", "device"):
        content.pop(name, None)


def _put_device(
    content: Content, wanted: str | None, cores: int | None, devices: int | None, prices: Mapping[str, float],
    facts: Facts,
) -> None:  # fmt: skip
    """One device, whose limit is `limits.cores` whatever it counts."""
    if wanted is not None:
        content["device"] = wanted
    device = str(content.get("device") or "cpu")
    if devices is not None and device != "cuda":
        raise InputError(
            f"--devices {devices} counts GPUs and the service runs on {device}",
            remedy="add --device cuda, or cpu,cuda for both",
        )
    _refuse_strangers(prices, (device,))
    limit = devices if devices is not None else cores
    if limit is not None:
        _put_inner(content, "limits", "cores", limit)
    elif "cores" not in _inner(content, "limits"):
        _put_inner(content, "limits", "cores", cores_of(facts, device))
    for name, price in prices.items():
        _put_inner(content, "prices", UNITS[name][1], price)


def _refuse_strangers(prices: Mapping[str, float], known: tuple[str, ...]) -> None:
    for name in prices:
        if name not in known:
            raise unknown_name("pool", name, known, where=" in --price")


def cores_of(facts: Facts, device: str) -> int | None:
    """Cores (or GPUs) of the profiled machine, where it is known how many it has."""
    found = facts.get("gpus" if device == "cuda" else "allowed_cpus")
    return len(found) if isinstance(found, list) and found else None


def _inner(content: Content, key: str) -> Content:
    inner = content.get(key)
    return inner if isinstance(inner, dict) else {}


def _put_inner(content: Content, key: str, name: str, value: Any) -> None:
    """Set a key of an inner mapping; what is no mapping stays, for the file's reader to name."""
    if content.get(key) is None or isinstance(content[key], dict):
        content[key] = {**(content.get(key) or {}), name: value}
