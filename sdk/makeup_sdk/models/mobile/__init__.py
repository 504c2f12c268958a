"""`mobile`: our own learned model, the default of `MakeupEngine`."""
