"""Whether a new version of the Q-network acts: decisions as pure functions of what happened. No ROS, no clock, no
files."""
