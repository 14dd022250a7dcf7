"""The demonstration: a real project is released through two crashes, and every claim is checked before it is made."""
