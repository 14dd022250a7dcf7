"""The ways in for people and programs: the catalogue of commands, the client, the command line.

It decides nothing: everything here is generated from the records that parts declare.
"""
