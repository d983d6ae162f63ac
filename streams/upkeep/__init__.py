"""What is done beside the stream to what is logged or stored: dead letters, the ledger, sweeping, backfill, replay."""
