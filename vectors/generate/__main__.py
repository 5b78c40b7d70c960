"""Write ``vectors/<area>.json`` for the areas named, or for all."""

import sys

from vectors.generate import ROOT, areas, document

for area in sys.argv[1:] or areas():
    path = ROOT / f"{area}.json"
    before = path.read_bytes() if path.exists() else b""
    after = document(area)
    path.write_bytes(after)
    print(area, "unchanged" if after == before else "written")
