"""What is passed on: documents of domains and collections, and the command that puts both into a folder or on the Hub."""
