"""What keeps a store in good order beside its ports: checkpoints, integrity, backup."""
