import numpy as np
import onnxruntime

import mixviz
from mixviz.data import load

session = onnxruntime.InferenceSession("encoder.onnx")
photos = load("folder:photos", "all", image_size=32, progress=False)
images = np.array(photos.stored).transpose(0, 3, 1, 2).astype(np.float32) / 255
(features,) = session.run(None, {"inputs": images})
print("largest difference:", np.abs(features - mixviz.embed("photos", photos)).max())
