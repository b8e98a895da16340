"""Train the network that ships with skcry, from a folder of free sound; see README.md here."""
