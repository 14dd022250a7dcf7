"""What reaches a run from outside: answers and orders, told, put into its inbox, and taken."""
