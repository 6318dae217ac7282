"""Model families: a file each, named here by module so that a family's libraries load only when it is used."""

from importlib import import_module

from ttamer.exits.staged import Family
from ttamer.profiles.registry import lookup

FAMILIES = {
    "bert": "ttamer.exits.families.bert",
    "cifar_resnet": "ttamer.exits.families.cifar_resnet",
    "torchvision_resnet": "ttamer.exits.families.torchvision_resnet",
}


def family(name: str) -> Family:
    """The family of this name. Raises InputError that names the nearest one."""
    found = import_module(lookup(FAMILIES, name, "model family")).FAMILY
    assert isinstance(found, Family)
    return found
