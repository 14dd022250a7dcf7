"""What people and programs are told about runs."""
