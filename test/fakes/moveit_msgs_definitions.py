"""The fields of moveit_msgs that robot_finetune and its tests use.

Checked against moveit/moveit_msgs 2.6.0 (branch ros2, commit ec3ba4b), srv/ServoCommandType.srv and
msg/ServoStatus.msg: names, types and constants.
"""

DEPENDS = ()

FILES = {
    "srv/ServoCommandType.srv": """
int8 JOINT_JOG = 0
int8 TWIST = 1
int8 POSE = 2
int8 command_type
---
bool success
""",
    "msg/ServoStatus.msg": """
int8 INVALID = -1
int8 NO_WARNING = 0
int8 DECELERATE_FOR_APPROACHING_SINGULARITY = 1
int8 HALT_FOR_SINGULARITY = 2
int8 DECELERATE_FOR_LEAVING_SINGULARITY = 3
int8 DECELERATE_FOR_COLLISION = 4
int8 HALT_FOR_COLLISION = 5
int8 JOINT_BOUND = 6
int8 code
string message
""",
}
