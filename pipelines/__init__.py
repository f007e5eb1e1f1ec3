"""The data side of Tessera: from raw records to curated, documented, sharded domains."""
