"""Face analysis: networks, data and recipes of detector, landmark + region net and lip net.

Run `python -m makeup_training.faces.train_detector --data DIR` and
`python -m makeup_training.faces.train_landmarks --data DIR`, then
`python -m makeup_training.faces.export --help`; and last, since it sees mouths as the exported
networks frame them, `python -m makeup_training.faces.train_lips --data DIR --out DIR`.
"""
