"""Images of a crystal while its scan is being collected."""
