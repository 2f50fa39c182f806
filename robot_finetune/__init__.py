"""Robots that keep learning after they are deployed: fine-tuning a grasping Q-function on the arm that uses it.

`extend_path` lets the generated messages (`robot_finetune.msg`), installed elsewhere, live beside this source tree.
"""

import os
from pkgutil import extend_path

os.environ.setdefault("MUJOCO_GL", "egl")  # read when mujoco is first imported, wherever that is
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**26))  # a small file may hold an image that fills the memory
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
