"""The contract between operator and trainer: the API of both kinds, and the messages between the two. No I/O."""
