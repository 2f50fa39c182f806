"""The live page: a session's folder and its running graph in a browser, with the operator's buttons."""
