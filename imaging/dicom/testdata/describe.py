"""Prints one line of JSON a file: the attributes as pydicom reads and renders them.

Arguments are files. An attribute that pydicom cannot render is null; a file that
it cannot read is null as a whole. Pixel Data and what follows is left out.
"""

import json
import sys
import warnings

import pydicom
from pydicom.datadict import private_dictionaries

private_dictionaries.clear()  # the vault has none
warnings.simplefilter("ignore")


def describe(path):
    dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    if dataset.file_meta.get("MediaStorageSOPClassUID") == "1.2.840.10008.1.3.10":
        return None  # a directory: pydicom rearranges it, the vault refuses it
    out = {}
    for tag in list(dataset.keys()):
        try:
            out["%08X" % tag] = dataset[tag].to_json_dict(None, 1 << 40)
            json.dumps(out["%08X" % tag], allow_nan=False)
        except Exception:
            out["%08X" % tag] = None
    return out


for path in sys.argv[1:]:
    try:
        print(json.dumps(describe(path)))
    except Exception:
        print("null")
