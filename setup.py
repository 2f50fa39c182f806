"""The pip door to the Python module: `pip install -e .` gives the learning core and `robot-finetune` without ROS.

ROS 2 builds this package with CMakeLists.txt (ament_cmake), which also generates the messages; pip never does.
"""

from setuptools import find_packages, setup

setup(
    name="robot_finetune",
    version="0.1.0",
    description="A robot arm that keeps fine-tuning its grasping Q-network after it is deployed",
    license="Apache-2.0",
    python_requires=">=3.11",
    package_dir={"": "."},
    packages=find_packages(include=["robot_finetune", "robot_finetune.*"]),
    package_data={"robot_finetune.experiments.benchmarks": ["unseen/*.yaml"], "robot_finetune.web": ["static/*"]},
    install_requires=[
        "click",
        "matplotlib",
        "mcap",
        "mcap-ros2-support",
        "mujoco",
        "numpy",
        "opencv-python-headless",
        "PyYAML",
        "safetensors",
        "tensorboard",
        "torch",
        "tqdm",
        "xacro",
    ],
    extras_require={
        "web": ["starlette", "uvicorn"],
        "export": ["pyarrow"],
        "remote": ["fsspec", "s3fs"],
        "rerun": ["rerun-sdk"],
        "ray": ["ray"],
    },
    entry_points={"console_scripts": ["robot-finetune = robot_finetune.needs:command_line"]},
)
