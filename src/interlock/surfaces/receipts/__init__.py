"""What has become of a call that came under a key of its caller's: told once, and told again.

`service` is what the client asks, `decide` the decider behind it, `events` what is stored.
"""
