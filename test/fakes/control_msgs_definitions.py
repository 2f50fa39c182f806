"""The fields of control_msgs that robot_finetune and its tests use.

Checked against ros-controls/control_msgs 6.8.0 (commit 13dacdd), control_msgs/action/{FollowJointTrajectory,
GripperCommand,ParallelGripperCommand}.action and control_msgs/msg/{GripperCommand,JointTolerance}.msg: names, types and
constants. Left out are multi-DOF trajectories, component tolerances, and feedback.
"""

DEPENDS = ("builtin_interfaces", "sensor_msgs", "trajectory_msgs")

FILES = {
    "action/FollowJointTrajectory.action": """
trajectory_msgs/JointTrajectory trajectory
JointTolerance[] path_tolerance
JointTolerance[] goal_tolerance
builtin_interfaces/Duration goal_time_tolerance
---
int32 SUCCESSFUL = 0
int32 INVALID_GOAL = -1
int32 INVALID_JOINTS = -2
int32 OLD_HEADER_TIMESTAMP = -3
int32 PATH_TOLERANCE_VIOLATED = -4
int32 GOAL_TOLERANCE_VIOLATED = -5
int32 error_code
string error_string
---
int32 index
""",
    "action/GripperCommand.action": """
GripperCommand command
---
float64 position
float64 effort
bool stalled
bool reached_goal
---
float64 position
""",
    "action/ParallelGripperCommand.action": """
sensor_msgs/JointState command
---
sensor_msgs/JointState state
bool stalled
bool reached_goal
---
sensor_msgs/JointState state
""",
    "msg/GripperCommand.msg": """
float64 position
float64 max_effort
""",
    "msg/JointTolerance.msg": """
string name
float64 position
float64 velocity
float64 acceleration
""",
}
