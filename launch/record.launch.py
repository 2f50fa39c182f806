"""Record the topics of a running session with rosbag2: `ros2 launch robot_finetune record.launch.py out:=DIR`."""

from datetime import datetime

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction

from robot_finetune.graph.options import launch_arguments, parse_options
from robot_finetune.graph.recording import record_command, require_rosbag2

ARGUMENTS = ("robot", "out", "namespace", "use_sim_time")


def start(context: LaunchContext) -> list:
    """Record into a new folder of the session's output folder."""
    options = parse_options({name: context.launch_configurations[name] for name in ARGUMENTS})
    require_rosbag2()
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return [ExecuteProcess(cmd=record_command(options, stamp), output="screen")]


def generate_launch_description() -> LaunchDescription:
    declared = [DeclareLaunchArgument(**argument) for argument in launch_arguments() if argument["name"] in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
