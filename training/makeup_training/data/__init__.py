"""Face data for training: readers, framing and augmentation, pairs with and without ground truth.

`readers.open_collection` finds the faces of a folder; `portraits` reads, checks, aligns and
augments a face; `examples` makes pairs and styled faces, painted by the cosmetics renderer or drawn
from photos; `pseudo_pairs` builds the targets that published methods use as ground truth.
"""
