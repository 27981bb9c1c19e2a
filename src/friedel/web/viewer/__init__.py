"""Results under a folder as a table in the browser, and each of them to look at: the server of `friedel open`."""
