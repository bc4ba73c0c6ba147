"""Compares originals with what they were converted into, element by element.

Reads pairs of paths, two lines a pair, from standard input. Prints for each pair
"same" or "unreadable" (pydicom cannot read the original as it is), or "differ" and why.
"""

import sys
import warnings

import pydicom
from pydicom.datadict import private_dictionaries
from pydicom.dataelem import RawDataElement
from pydicom.dicomdir import DicomDir

warnings.simplefilter("ignore")
private_dictionaries.clear()
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

WORDS = {"US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OL": 4, "OF": 4,
         "FD": 8, "OD": 8, "UV": 8, "SV": 8, "OV": 8}


class Differ(Exception):
    pass


def little(raw, big, vr):
    """The raw value in little endian."""
    value = raw.value or b""
    word = WORDS.get(vr, 1)
    if not big or word == 1:
        return value
    whole = len(value) - len(value) % word
    return b"".join(value[i:i + word][::-1] for i in range(0, whole, word)) + value[whole:]


def compare(old, new, big):
    if [tag for tag in old.keys() if tag.elem != 0] != list(new.keys()):
        raise Differ("the list of elements")
    for tag in new.keys():
        a, b = old.get_item(tag), new.get_item(tag)
        if isinstance(a, RawDataElement) and isinstance(b, RawDataElement) and b.VR != "SQ":
            if little(a, big, a.VR) != (b.value or b""):
                raise Differ(str(tag))
            if a.VR and a.VR != b.VR:
                raise Differ(f"VR of {tag}")
            continue
        x, y = old[tag], new[tag]
        if y.VR != "SQ":
            if x.VR != y.VR or x.value != y.value:
                raise Differ(str(tag))
            continue
        if len(x.value) != len(y.value):
            raise Differ(f"items of {tag}")
        for item, other in zip(x.value, y.value):
            compare(item, other, big)


for line in sys.stdin:
    original, converted = line.rstrip("\n"), sys.stdin.readline().rstrip("\n")
    try:
        old = pydicom.dcmread(original, force=True)
        big = old.file_meta.get("TransferSyntaxUID") == "1.2.840.10008.1.2.2"
        if isinstance(old, DicomDir):
            raise Differ("a directory, which pydicom rearranges")
        for element in old:  # readable at all?
            pass
        old = pydicom.dcmread(original, force=True)
    except Exception:
        print("unreadable")
        continue
    try:
        new = pydicom.dcmread(converted)
        if new.file_meta.TransferSyntaxUID != "1.2.840.10008.1.2.1":
            raise Differ("transfer syntax")
        if new.file_meta.FileMetaInformationGroupLength != new.file_meta[0x00020000].value:
            raise Differ("group length")
        compare(old, new, big)
        print("same")
    except Exception as e:
        print("differ", type(e).__name__, e if isinstance(e, Differ) else "")
