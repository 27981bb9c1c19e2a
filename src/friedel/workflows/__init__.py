"""The jobs a user asks for, one file each; here files, plans and pictures meet the science."""
