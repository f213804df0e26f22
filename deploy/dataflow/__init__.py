"""The job as a flex template of Dataflow. See README.md here."""
