"""Face analysis: networks, data and recipes of detector, landmark + region net and lip net.

1. `python -m makeup_training.faces.train_detector --data DIR`
2. `python -m makeup_training.faces.train_landmarks --data DIR`
3. `python -m makeup_export.face_networks --help`: the bundles of the two
4. `python -m makeup_training.faces.train_lips --data DIR --out DIR`, which sees mouths as the
   exported networks frame them; then export once more, with `--lips`
5. `python -m makeup_training.faces.record_inputs --help`: landmark, region and lip networks in int8
"""
