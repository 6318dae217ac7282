"""The commands: the only room that parses, prints, writes to the user's paths and catches TtamerError."""
