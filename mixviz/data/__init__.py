"""stub"""
from mixviz.data.imageset import ImageSet
def load(source, split, *, image_size=None, name=None, skip_bad=False, seed=0, progress=True):
    from mixviz.data.glyphs import make_glyphs
    if source == "c10":
        import numpy as np
        z = np.load("/tmp/w/c10.npz")
        return ImageSet("CIFAR-10 (JPEG)", split, z["X" if split == "train" else "X2"], z["Y" if split == "train" else "Y2"].astype("int64"))
    return make_glyphs(split, seed)
