"""`robot-finetune setup`: walks a person through a new cell and writes its robot profile."""
