"""Every arm and gripper that a robot profile may ask for can be made."""

from robot_finetune.robot.profile_groups import BACKENDS, GRIPPERS
from robot_finetune.ros.arms.make_arm import ARMS
from robot_finetune.ros.grippers.make_gripper import DRIVERS


def test_every_choice_of_a_profile_has_something_that_makes_it():
    assert set(ARMS) == set(BACKENDS)
    assert set(DRIVERS) == set(GRIPPERS)
