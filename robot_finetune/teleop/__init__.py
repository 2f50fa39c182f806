"""A joystick made of a keyboard."""
