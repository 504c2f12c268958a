"""`mobile`: the appearance of a real photo on another face; the default of `MakeupEngine`."""
