"""Fine-tune a grasping policy: `ros2 launch robot_finetune finetune.launch.py robot:=sim
variation:=offset_gripper_10cm`.

The node graph and its arguments are data in robot_finetune/graph; this file turns them into launch actions.
"""

import os
from datetime import datetime
from functools import partial

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.events.process import ProcessExited
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from robot_finetune.graph.bringup import end_of_graph, node_graph
from robot_finetune.graph.node_spec import NodeSpec
from robot_finetune.graph.options import launch_arguments, parse_options
from robot_finetune.graph.recording import record_command, replay_command, require_rosbag2
from robot_finetune.ros.environment import executable, missing_environment
from robot_finetune.ros.node.shared_memory import remove_orphans


def start(context: LaunchContext) -> list:
    """The actions for the arguments of this launch."""
    given = context.launch_configurations
    arguments = [argument["name"] for argument in launch_arguments()]
    options = parse_options({name: given[name] for name in arguments})
    specs = node_graph(options)
    for spec in specs:  # before anything starts: a launch that fails half-way leaves its processes to themselves
        executable(spec.executable, spec.package)
    if options.record or options.bag:
        require_rosbag2()
    remove_orphans()
    missing = missing_environment(os.environ)
    actions = [SetEnvironmentVariable(name, value) for name, value in missing.items()]
    actions += [node(spec) for spec in specs]
    if options.record:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        actions.append(ExecuteProcess(cmd=record_command(options, stamp), output="screen"))
    if options.bag:
        ended = Shutdown(reason="the recording has ended")
        actions.append(ExecuteProcess(cmd=replay_command(options), output="screen", on_exit=[ended]))
    return actions


def node(spec: NodeSpec) -> Node:
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
        ros_arguments=["--log-level", spec.log_level] if spec.log_level else [],
        respawn=spec.respawn,
        respawn_delay=1.0,
        on_exit=partial(end, spec),
        output="screen",
        emulate_tty=True,
    )


def end(spec: NodeSpec, event: ProcessExited, context: LaunchContext) -> list:
    """The graph ends with a node that it needs, and with one that would fail again and again."""
    why = end_of_graph(spec, event.returncode)
    return [] if context.is_shutdown or not why else [Shutdown(reason=why)]


def generate_launch_description() -> LaunchDescription:
    declared = [DeclareLaunchArgument(**argument) for argument in launch_arguments()]
    patience = "seconds between Ctrl-C and SIGTERM for a node that has not ended"
    declared.append(DeclareLaunchArgument("sigterm_timeout", default_value="20", description=patience))
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
