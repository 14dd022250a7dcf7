"""The built-in providers: `time`, `env`, `json`, `http` as the reference has them, `run` and `exec` of ours."""
