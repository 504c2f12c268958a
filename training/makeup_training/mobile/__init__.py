"""Our own mobile-class model: a look becomes a few maps, a frame gets a change of its colours.

What it is and why:

- The renderer (`makeup_training.cosmetics`) paints the same makeup on several people, so that the
  truth of a transfer is known to the pixel. Real pairs do not exist, and pseudo pairs carry the
  reference's light with them.
- The reader reads a made-up face into 16 code maps of 64×64. They are laid out on the template face
  by the attentive morph, and from there on every face that wears the look. Mixing, composing and
  mirroring looks is arithmetic on these maps.
- Lips and eyes have networks of their own (`closeups`) in fixed windows of the crop. They are
  painted in full resolution: lips are 16 pixels high, and on cells of 4 pixels half of their area
  is border. What they wear is one list of numbers, read from coarse cells on purpose.
- The morph goes by position alone (C = 0): at the published weight of 0.01² visual features move
  the logits by less than a landmark's jitter does, and a code that depended on them would flicker.
- The painter sees the bare crop and the laid codes, and answers with a gain and an offset
  per channel on a 128×128 grid. The frame's own pixels, times gain plus offset, are the result: its
  texture and resolution survive by construction.
"""
