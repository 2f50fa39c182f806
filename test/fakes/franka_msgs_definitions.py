"""The fields of franka_msgs that robot_finetune and its tests use.

Checked against frankarobotics/franka_ros2 2.5.0 (commit 43357d1), franka_msgs/action/{Grasp,Move}.action and
franka_msgs/msg/GraspEpsilon.msg: names, types and defaults.
"""

DEPENDS = ()

FILES = {
    "action/Grasp.action": """
float64 width
GraspEpsilon epsilon
float64 speed
float64 force
---
bool success
string error
---
float64 current_width
""",
    "action/Move.action": """
float64 width
float64 speed
---
bool success
string error
---
float64 current_width
""",
    "msg/GraspEpsilon.msg": """
float64 inner 0.005
float64 outer 0.005
""",
}
