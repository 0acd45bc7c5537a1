"""The side that talks to applications: hook calls, their protocol, and the expressions judging the answers."""
