"""Names of replica groups and their settings, as plans, explanations and frontiers print them."""

from collections.abc import Sequence

from ttamer.profiles.plan import Group


def counted(number: int, device: str) -> str:
    """So many cores, or devices where the device is a GPU.

    >>> counted(1, "cpu"), counted(2, "cuda")
    ('1 core', '2 devices')
    """
    unit = "device" if device == "cuda" else "core"
    return f"{number} {unit}{'' if number == 1 else 's'}"


def taken(group: Group) -> str:
    """What a replica of the group takes, and of which pool if the device does not say it."""
    where = "" if group.pool in ("", group.device) else f" of {group.pool}"
    return f"{counted(group.cores, group.device)}{where}"


def setting_of(group: Group) -> str:
    """What a replica of the group is."""
    return f"{group.policy} on {taken(group)} at batch {group.batch}"


def name_of(group: Group, groups: Sequence[Group]) -> str:
    """The group's policy, and its setting too if other groups share the policy."""
    alike = [one for one in groups if one.policy == group.policy]
    return group.policy if len(alike) == 1 else setting_of(group)


def in_short(group: Group) -> str:
    """A replica group in a few words, such as `small/last-exit (1 core, batch 8) x 2`."""
    return f"{group.policy} ({taken(group)}, batch {group.batch}) x {group.replicas}"
