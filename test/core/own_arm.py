"""A robot description of somebody else: five or six revolute joints on a pedestal, with a gripper or without."""

from dataclasses import replace

from robot_finetune.robot.profile import RobotProfile

SIX = {  # joints: place in the link before, and axis
    "pan": ("0 0 0.16", "0 0 1"),
    "lift": ("0 0.13 0", "0 1 0"),
    "elbow": ("0 -0.12 0.425", "0 1 0"),
    "wrist_1": ("0 0 0.392", "0 1 0"),
    "wrist_2": ("0 0.093 0", "0 0 1"),
    "wrist_3": ("0 0 0.0946", "0 1 0"),
}
FIVE = {
    "pan": ("0 0 0.16", "0 0 1"),
    "lift": ("0 0 0.05", "0 1 0"),
    "elbow": ("0 0 0.425", "0 1 0"),
    "wrist_1": ("0 0 0.392", "0 1 0"),
    "wrist_2": ("0 0 0.06", "0 0 1"),
}
HOMES = {6: (0.0, 0.2, 1.9, -0.53, -1.5708, 0.0), 5: (0.0, 0.2, 1.9, 1.04, 0.0)}
ROTATING = """
<link name="palm"><collision><origin xyz="0 0 0.01"/><geometry><box size="0.04 0.1 0.02"/></geometry></collision></link>
<joint name="palm_mount" type="fixed"><parent link="flange"/><child link="palm"/></joint>
{fingers}
"""
FINGER = """
<link name="{side}">
  <collision><origin xyz="0 {inner} 0.05"/><geometry><box size="0.02 0.01 0.1"/></geometry></collision>
</link>
<joint name="{side}_knuckle" type="revolute">
  <parent link="palm"/><child link="{side}"/><origin xyz="0 {place} 0.02"/><axis xyz="1 0 0"/>
  <limit lower="-1" upper="1" velocity="2" effort="20"/>{mimic}
</joint>
"""
MIMIC = '<mimic joint="left_knuckle" multiplier="-1"/>'


def urdf(joints, gripper="", mesh=""):
    """mesh: a file that the elbow's link is drawn by."""
    parts = ['<robot name="own"><link name="world"/><link name="base"/>']
    parts += ['<joint name="pedestal" type="fixed"><parent link="world"/><child link="base"/>']
    parts += ['<origin xyz="0.1 -0.2 0.7" rpy="0 0 1"/></joint>']
    before = "base"
    for name, (place, axis) in joints.items():
        shape = f'<mesh filename="{mesh}"/>' if mesh and name == "elbow" else '<cylinder radius="0.04" length="0.1"/>'
        parts.append(f'<link name="{name}_link"><visual><geometry>{shape}</geometry></visual></link>')
        parts.append(f'<joint name="{name}" type="revolute"><parent link="{before}"/><child link="{name}_link"/>')
        parts.append(f'<origin xyz="{place}"/><axis xyz="{axis}"/>')
        parts.append('<limit lower="-6.2" upper="6.2" velocity="3" effort="150"/></joint>')
        before = f"{name}_link"
    end = 'xyz="0 0.08 0" rpy="-1.5707963 0 0"' if joints is SIX else 'xyz="0 0 0.08"'
    parts.append(f'<link name="flange"/><joint name="end" type="fixed"><parent link="{before}"/>')
    parts.append(f'<child link="flange"/><origin {end}/></joint>')
    parts.append('<link name="tip"/><joint name="tip_mount" type="fixed"><parent link="flange"/><child link="tip"/>')
    parts.append('<origin xyz="0 0 0.12"/></joint>')
    return "".join(parts) + gripper + "</robot>"


def rotating_fingers():
    """Two fingers that turn about the knuckles, one commanded; closed at 0, open at -0.35."""
    sides = (("left", 0.035, -0.03, ""), ("right", -0.035, 0.03, MIMIC))
    fingers = "".join(FINGER.format(side=side, place=y, inner=inner, mimic=mimic) for side, y, inner, mimic in sides)
    return ROTATING.format(fingers=fingers)


def profile(folder, joints=SIX, **description):
    """Of this arm over a bin beside it; its description is written into `folder`."""
    (folder / "own.urdf").write_text(urdf(joints, **description))
    home = HOMES[len(joints)]
    own = RobotProfile(
        name="own",
        urdf=str(folder / "own.urdf"),
        base_frame="base",
        tip_frame="tip",
        joints=tuple(joints),
        home_joints=home,
        out_of_view_joints=(1.2, *home[1:]),
        start_pose=(0.5, 0.1, 0.2, 0.0),
        bin_center=(0.5, 0.1),
    )
    box = replace(own.workspace, low=(0.37, -0.03, 0.005), high=(0.63, 0.23, 0.25))
    camera = replace(own.camera, position=(1.2, 0.1, 0.95), target=(0.5, 0.1, 0.0))
    return replace(own, workspace=box, camera=camera)
