import json

import numpy as np
import safetensors
import torch
import torchvision

import mixviz
from mixviz.data import load

with safetensors.safe_open("encoder.safetensors", "pt") as file:
    weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    mean, std = (torch.tensor(json.loads(file.metadata()[name])).view(3, 1, 1) for name in ("mean", "std"))
net = torchvision.models.resnet18()
net.fc = torch.nn.Identity()
print(net.load_state_dict(weights))
photos = load("folder:photos", "all", image_size=32, progress=False)
images = torch.from_numpy(np.array(photos.stored)).permute(0, 3, 1, 2) / 255
with torch.no_grad():
    features = net.eval()((images - mean) / std).numpy()
print("largest difference:", np.abs(features - mixviz.embed("photos-resnet", photos)).max())
