"""Prints tag, VR, length and value offset of every element, as pydicom reads them.

Arguments are files. For each one a line "file N" or "error N", then a line per
element of the data set: tag, VR ("--" where the header has none), length, offset
of the value. Elements that pydicom has decoded already have no length left: "?".
"""

import sys
from io import BytesIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.datadict import dictionary_VR
from pydicom.filereader import read_sequence

UNDEFINED = 0xFFFFFFFF


def show(tag, vr, length, offset):
    print(f"{int(tag):08X} {vr or '--'} {length:08X} {offset}")


def vr_of(raw):
    if raw.VR:
        return raw.VR
    try:
        return dictionary_VR(raw.tag)
    except KeyError:
        return "UN"


def walk(dataset, base):
    for element in dataset._dict.values():
        if isinstance(element, RawDataElement):
            show(element.tag, element.VR and element.VR[:2], element.length, element.value_tell + base)
            if vr_of(element) == "SQ" and element.value:
                sequence = read_sequence(
                    BytesIO(element.value), element.is_implicit_VR, element.is_little_endian,
                    len(element.value), "iso8859")
                for item in sequence:
                    walk(item, element.value_tell + base)
        elif element.VR != "SQ":
            print(f"{int(element.tag):08X} ? {element.file_tell + base}")
        else:
            if element.is_undefined_length:
                show(element.tag, "SQ", UNDEFINED, element.file_tell + base)
            else:
                print(f"{int(element.tag):08X} ? {element.file_tell + base}")
            for item in element.value:
                walk(item, base)


for number, path in enumerate(sys.argv[1:]):
    try:
        dataset = pydicom.dcmread(path, force=True)
        deflated = dataset.file_meta.get("TransferSyntaxUID") == "1.2.840.10008.1.2.1.99"
    except Exception:
        print("error", number)
        continue
    if dataset.file_meta.get("MediaStorageSOPClassUID") == "1.2.840.10008.1.3.10":
        print("error", number)  # a directory: pydicom rearranges it, the vault refuses it
        continue
    print("deflated" if deflated else "file", number)
    try:
        walk(dataset, 0)
    except Exception:
        print("broken", number)
