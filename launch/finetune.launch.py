"""Fine-tune a grasping policy: `ros2 launch robot_finetune finetune.launch.py robot:=sim
variation:=offset_gripper_10cm`.

The node graph and its arguments are data in robot_finetune/graph/bringup.py; this file turns them into launch actions.
"""

import os
from datetime import datetime

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from robot_finetune.graph import bringup
from robot_finetune.ros.environment import missing_environment
from robot_finetune.ros.shared_memory import remove_orphans


def start(context: LaunchContext) -> list:
    """The actions for the arguments of this launch."""
    given = context.launch_configurations
    arguments = [argument["name"] for argument in bringup.launch_arguments()]
    options = bringup.parse_options({name: given[name] for name in arguments})
    remove_orphans()
    missing = missing_environment(os.environ)
    actions = [SetEnvironmentVariable(name, value) for name, value in missing.items()]
    actions += [node(spec) for spec in bringup.node_graph(options)]
    if options.record:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        actions.append(ExecuteProcess(cmd=bringup.record_command(options, stamp), output="screen"))
    return actions


def node(spec: bringup.NodeSpec) -> Node:
    """One process of the graph."""
    typed = {key: ParameterValue(value, value_type=type(value)) for key, value in spec.parameters.items()}
    kind = LifecycleNode if spec.managed else Node
    return kind(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace,
        parameters=[*map(str, spec.parameter_files), typed],
        remappings=list(spec.remappings),
        arguments=list(spec.arguments),
        respawn=spec.respawn,
        respawn_delay=1.0,
        on_exit=[Shutdown(reason=f"{spec.name} has ended")] if spec.required else None,
        output="screen",
        emulate_tty=True,
    )


def generate_launch_description() -> LaunchDescription:
    declared = [DeclareLaunchArgument(**argument) for argument in bringup.launch_arguments()]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
