"""Face data for training: readers, framing and augmentation, pairs with and without ground truth.

`readers.open_collection` finds the faces of a folder, `portraits` reads, checks, aligns and
augments one, `examples` makes pairs and styled faces of them, painted by the cosmetics renderer or
drawn from photos, and `pseudo_pairs` builds what published methods use for ground truth.
"""
