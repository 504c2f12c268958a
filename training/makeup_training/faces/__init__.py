"""Face analysis: the networks, data and recipes of the detector and the landmark + region net.

Run `python -m makeup_training.faces.train_detector --data DIR` and
`python -m makeup_training.faces.train_landmarks --data DIR`, then
`python -m makeup_training.faces.export --help`.
"""
