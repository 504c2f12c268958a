"""Face analysis: networks, data and training of detector, landmark and region net, and lip net.

1. `python -m makeup_training.faces.train_detector --data DIR`
2. `python -m makeup_training.faces.train_landmarks --data DIR`
3. `python -m makeup_export.face_networks --help`: exports both as bundles
4. `python -m makeup_training.faces.train_lips --data DIR --out DIR`, on mouths framed by the
   exported networks; then export again, with `--lips`
5. `python -m makeup_training.faces.record_inputs --help`: landmark, region and lip networks in int8
"""
