"""Weights and data that do not fit the model: one sentence, one remedy, nothing written."""

from pathlib import Path

import pytest

from tests.e2e.bad_input import Bad, check, picture_table, torn_picture, write
from tests.e2e.commands import pictures
from ttamer.exits.catalog import known_names

FIT_NEW = ("fit", "resnet20", "-p", "new")
SOURCES = (
    "cifar10, cifar100, digits, fashionmnist, kmnist, mnist, or a Parquet or CSV file, or a folder of class folders"
)

WEIGHTS = [
    Bad(
        name="a weights file that is not there",
        command=("profile", "resnet20", "--weights", "absent.safetensors"),
        says="there is no weights file absent.safetensors",
        remedy="give a .safetensors or .pth file, or DEFAULT",
    ),
    Bad(
        name="weights for two models",
        command=("profile", "resnet20", "resnet32", "--weights", "DEFAULT"),
        says="--weights belongs to one model",
        remedy="name that model and profile the others by themselves",
    ),
    Bad(
        name="weights beside training",
        command=(*FIT_NEW, "--train-backbone", "--weights", "profiles/local/weights/resnet20.safetensors"),
        says="--train-backbone makes weights of its own",
        remedy="leave --weights out",
    ),
    Bad(
        name="the weights of another architecture",
        command=("fit", "resnet32", "-p", "new", "--weights", "profiles/local/weights/resnet20.safetensors"),
        says="the weights lack 'layer1.3.bn1.bias' of 'resnet32'",
        remedy="give the weights of this very model",
    ),
    Bad(
        name="weights that are no weights",
        command=("profile", "resnet20", "-p", "new", "--weights", "notes.txt"),
        spoil=write(Path("notes.txt"), b"hello"),
        says="notes.txt is no weights file",
        remedy="allowed endings: .safetensors, .pth, .pt, .bin, .th",
    ),
    Bad(
        name="a pickle that would run code",
        command=("profile", "resnet20", "-p", "new", "--weights", "evil.pth"),
        spoil=write(Path("evil.pth"), b"cos\nsystem\n(S'touch owned'\ntR."),
        says="evil.pth cannot be read as weights: ",
        remedy="store plain tensors",
    ),
    Bad(
        name="a folder without config.json",
        command=("profile", "bert"),
        spoil=write(Path("bert/readme.md"), b"no model here"),
        says="bert is no Hugging Face model folder",
        remedy="give a folder that holds config.json, or one of: " + ", ".join(known_names()),
    ),
    Bad(
        name="a model too large to train",
        command=("fit", "resnet18", "-p", "new", "--train-backbone"),
        says="'resnet18' is too large to be trained here",
        remedy="train one of: resnet20, resnet32, resnet44, resnet56, resnet110",
    ),
]

DATA = [
    Bad(
        name="data nobody knows",
        command=(*FIT_NEW, "--data", "./pictures"),
        says="unknown data source './pictures'",
        remedy=f"known: {SOURCES}",
    ),
    Bad(
        name="a CSV file that is not there",
        command=(*FIT_NEW, "--data", "absent.csv"),
        says="absent.csv does not exist",
        remedy="check the path",
    ),
    Bad(
        name="an empty folder",
        command=(*FIT_NEW, "--data", "empty"),
        spoil=lambda: Path("empty").mkdir(),
        says="empty holds no class folders with images",
        remedy="put images into empty/CLASS/ or empty/train/CLASS/ and empty/test/CLASS/",
    ),
    Bad(
        name="pictures of another size",
        command=(*FIT_NEW, "--data", "small"),
        spoil=pictures("small", 10, 8),
        says="images of 'small' are 8x8 but 'resnet20' takes 32x32",
        remedy="pass --resize to scale them, or --size 8 to take them as they are",
    ),
    Bad(
        name="one class",
        command=(*FIT_NEW, "--data", "alike"),
        spoil=pictures("alike", 1, 32),
        says="'alike' holds one class only",
        remedy="give samples of at least two classes",
    ),
    Bad(
        name="other classes than the model's",
        command=(*FIT_NEW, "--data", "three"),
        spoil=pictures("three", 3, 32),
        says="'three' has 3 classes but 'resnet20' tells 10 apart",
        remedy="give the weights of a model of 3 classes, or train one here (--train-backbone)",
    ),
    Bad(
        name="a picture that is none",
        command=(*FIT_NEW, "--data", "torn"),
        spoil=torn_picture,
        says="image 17 of 'torn' cannot be decoded: ",
        remedy="remove it",
    ),
    Bad(
        name="texts for a model of images",
        command=(*FIT_NEW, "--data", "words.csv"),
        spoil=write(Path("words.csv"), b"text,label\n" + b"good,1\nbad,0\n" * 40),
        says="'resnet20' reads images but 'words' holds texts",
        remedy="give a source of images",
    ),
    Bad(
        name="images for a model of texts",
        command=("fit", "bert-tiny", "-p", "new", "--data", "digits"),
        says="'bert-tiny' reads texts but 'digits' holds images",
        remedy="give a source of texts",
    ),
    Bad(
        name="a missing label in CSV",
        command=(*FIT_NEW, "--data", "gaps.csv"),
        spoil=write(Path("gaps.csv"), b"text,label\n" + b"good,1\nbad,0\n" * 40 + b"which,NaN\n"),
        says="sample 80 of 'gaps' has no label",
        remedy="remove it or fill it in",
    ),
    Bad(
        name="a missing label in Parquet",
        command=(*FIT_NEW, "--data", "gaps.parquet"),
        spoil=picture_table("gaps.parquet", label=[0.0, 1.0, float("nan")]),
        says="sample 2 of 'gaps' has no label",
        remedy="remove it or fill it in",
    ),
    Bad(
        name="no label column in CSV",
        command=(*FIT_NEW, "--data", "bare.csv"),
        spoil=write(Path("bare.csv"), b"text,mood\ngood,1\n"),
        says="bare.csv has no label column",
        remedy="name one of its columns 'label'",
    ),
    Bad(
        name="CSV in another encoding",
        command=(*FIT_NEW, "--data", "words.csv"),
        spoil=write(Path("words.csv"), "text,label\nschön,1\n".encode("latin-1")),
        says="column 'text' of words.csv is no text in UTF-8",
        remedy="save it as UTF-8 CSV",
    ),
    Bad(
        name="CSV with a column twice",
        command=(*FIT_NEW, "--data", "words.csv"),
        spoil=write(Path("words.csv"), b"text,text,label\na,b,1\n"),
        says="words.csv has the column 'text' twice",
        remedy="leave one out",
    ),
    Bad(
        name="no label column in Parquet",
        command=(*FIT_NEW, "--data", "bare.parquet"),
        spoil=picture_table("bare.parquet"),
        says="bare.parquet has no label column",
        remedy="name one of its columns 'label'",
    ),
    Bad(
        name="an expectation that is missed",
        command=("fit", "resnet20", "--size", "8", "-p", "new", "--expect-accuracy", "91.7%"),
        says="backbone resnet20 measures 10.1% on digits (357 samples) but 91.7% was expected",
        remedy="its weights are random: give --weights FILE",
    ),
    Bad(
        name="an expectation that a fresh backbone misses",
        command=("fit", "resnet20", "--train-backbone", "--size", "8", "--max-fit", "20", "--expect-accuracy", "99.9%"),
        says="backbone resnet20 measures ",
        remedy="check the weights, the normalisation and the image format (JPEG copies lose accuracy)",
    ),
]


@pytest.mark.parametrize("bad", [*WEIGHTS, *DATA], ids=lambda bad: bad.name)
def test_is_refused_plainly_and_nothing_is_written(bad: Bad, here: Path) -> None:
    check(bad, here)
